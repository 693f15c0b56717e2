"""How far an upload is, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Told = Callable[[int, int], object]


@contextmanager
def progress() -> Iterator[Told | None]:
    """What is to be told of each upload; None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar.tell
    finally:
        bar.finish()


class _Bar:
    """One for each upload, begun when its first bytes are sent."""

    def __init__(self) -> None:
        self._shown: click._termui_impl.ProgressBar[int] | None = None
        self._sent = 0

    def tell(self, sent: int, total: int) -> None:
        if self._shown is None:
            self._shown = click.progressbar(length=total, label=f"Uploading {total / 2**20:,.1f} MiB", file=sys.stderr)
            self._shown.render_progress()
        self._shown.update(sent - self._sent)
        self._sent = sent

    def finish(self) -> None:
        if self._shown is not None:
            self._shown.render_finish()
