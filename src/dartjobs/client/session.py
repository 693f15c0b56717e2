"""A synchronous connection to one server that speaks JSON: the command line's client, and what `Client` is made of."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dartjobs.client.calls import Calls
from dartjobs.client.config import Target
from dartjobs.client.drafts import Draft
from dartjobs.client.effects import Json
from dartjobs.client.patience import Patience
from dartjobs.client.sync_shell import Shell
from dartjobs.models.problem import PackageNotFoundError

if TYPE_CHECKING:
    from dartjobs.client.packaging import Package


PACKAGE_LIMIT = 100 * 2**20
"""Bytes, as `packaging.DEFAULT_LIMIT`, which is loaded only where something is packed."""
Told = Callable[[int, int], object]


class Session:
    """`calls` makes flows, `run` and `iterate` perform them. Threads may share it."""

    def __init__(
        self,
        target: Target,
        *,
        warn: Callable[[str], object],
        timeout: float = 30.0,
        reconnect_for: float = 60.0,
        hasty: bool = False,
    ) -> None:
        """`hasty`: whoever asks has no time for a second try."""
        self.target = target
        self._warn = warn
        patience = Patience(target.url, reconnect_for, warn=warn)
        if hasty:
            patience = Patience(target.url, 0.0, 0.0, 0.0, warn)
        self.calls = Calls(target, patience)
        shell = Shell(target, timeout)
        self.run, self.iterate, self.close = shell.run, shell.iterate, shell.close

    def submit(self, made: Draft, key: str, on_upload: Told | None = None) -> Json:
        """Bring the folder to the server where it has one, then submit, once.

        A folder that is as it was when it was packed last is not packed again, unless the server has lost its package.

        Raises:
            PackagingError: the folder cannot be packed.
        """
        if made.folder is None:
            return self.run(self.calls.submit(made.spec, key))
        known = known_package(made.folder, self._warn)
        if known is not None:
            try:
                return self.run(self.calls.submit(made.with_package(known), key))
            except PackageNotFoundError:
                pass
        with packed([made.folder]) as packages:
            package = packages[made.folder]
            self.run(self.calls.upload(package, made.check, on_upload))
            return self.run(self.calls.submit(made.with_package(package.ref), key))

    def submit_many(self, drafts: Sequence[Draft], key: str) -> list[Json]:
        """The same for many: what became of each, in their order. A folder that several share is packed once."""
        with packed(made.folder for made in drafts) as packages:
            for package in packages.values():
                self.run(self.calls.upload(package))
            return self.run(self.calls.submit_many(specs_of(drafts, packages), key))


def known_package(folder: Path, warn: Callable[[str], object]) -> str | None:
    """The reference of what the folder is packed into, where that is known without reading its files."""
    from dartjobs.client.stat_index import StatIndex, cache_folder

    known = StatIndex(cache_folder()).known(folder, limit=PACKAGE_LIMIT)
    if known is None:
        return None
    for warning in known.warnings:
        warn(warning)
    return known.ref


@contextmanager
def packed(folders: Iterable[Path | None]) -> "Iterator[dict[Path | None, Package]]":
    """The package of each folder; removed at the end.

    Raises:
        PackagingError: one cannot be packed.
    """
    with ExitStack() as opened:
        packages: dict[Path | None, Package] = {}
        for folder in folders:
            if folder is not None and folder not in packages:
                from dartjobs.client.packaging import pack
                from dartjobs.client.stat_index import StatIndex, cache_folder

                index = StatIndex(cache_folder())
                packages[folder] = opened.enter_context(pack(folder, limit=PACKAGE_LIMIT, index=index))
        yield packages


def specs_of(drafts: Iterable[Draft], packages: "dict[Path | None, Package]") -> list[Json]:
    """What is sent of each draft, once its folder is a package."""
    return [made.with_package(packages[made.folder].ref if made.folder in packages else None) for made in drafts]
