"""`dartjobs db …`: the schema of the database that the environment names."""

from collections.abc import Callable

from dartjobs.cli.servers import serving
from dartjobs.cli.servers.parts import NotMigratedError, identify, opened_database
from dartjobs.store.migrate import is_current, revision
from dartjobs.store.migrate import upgrade as run_migrations


def upgrade(tell: Callable[[str], None]) -> None:
    """Bring the schema to this version; whoever does it first names the installation.

    Raises:
        ConfigurationError: no database is named.
        UnavailableError: it cannot be reached.
    """

    async def main() -> None:
        async with opened_database() as database:
            before = await revision(database)
            await run_migrations(database)
            await identify(database)
            tell(f"{before or 'empty'} -> {await revision(database)}")

    serving.run(main())


def current(tell: Callable[[str], None]) -> None:
    """Tell the schema's revision.

    Raises:
        NotMigratedError: it is not that of this version.
    """

    async def main() -> None:
        async with opened_database() as database:
            tell(await revision(database) or "empty")
            if not await is_current(database):
                msg = "This is not the schema of this version. Run: dartjobs db upgrade"
                raise NotMigratedError(msg)

    serving.run(main())
