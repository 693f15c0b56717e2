"""What a shell completes: ids of jobs, names of contexts and clusters. In haste, and silent where it fails."""

from collections.abc import Callable, Iterator

import click
from click.shell_completion import CompletionItem

from dartjobs.cli.options import session
from dartjobs.client.effects import Json

_SECONDS = 1.0
_MOST = 50


def jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest jobs, by id; beside it the name and the state, for shells that show them."""
    del param
    taken = set(ctx.params.get("jobs") or ())

    def find() -> Iterator[CompletionItem]:
        with session(hasty=True, timeout=_SECONDS) as server:
            for job in server.iterate(server.calls.list({}, _MOST)):
                if job["id"] not in taken:
                    yield CompletionItem(job["id"], help=_said_of(job))

    return _matching(ctx, find, incomplete)


def clusters(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of clusters, with their states."""
    del param

    def find() -> Iterator[CompletionItem]:
        with session(hasty=True, timeout=_SECONDS) as server:
            for one in server.run(server.calls.clusters()):
                yield CompletionItem(one["name"], help=one["state"])

    return _matching(ctx, find, incomplete)


def contexts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of contexts, with their servers."""
    del param

    def find() -> Iterator[CompletionItem]:
        from dartjobs.client.contexts import config_path, read_contexts

        for name, one in read_contexts(config_path()).named.items():
            yield CompletionItem(name, help=one.url or "")

    return _matching(ctx, find, incomplete)


def _matching(
    ctx: click.Context, find: Callable[[], Iterator[CompletionItem]], incomplete: str
) -> list[CompletionItem]:
    try:
        with ctx.scope(cleanup=False):
            return [item for item in find() if item.value.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a prompt is no place for an error
        return []


def _said_of(job: Json) -> str:
    return f"{job['name']}, {job['attempt']['job_state']}"
