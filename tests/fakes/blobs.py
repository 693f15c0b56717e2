"""An object store in a folder that a test can take away and bring back: an outage as the operating system makes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from obstore.store import ObjectStore

from dartjobs.blobs.stores import open_store


class FolderStore:
    """`store` is an ordinary store; `away()` is a context in which every use of it fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.store: ObjectStore = open_store(folder.as_uri())

    @contextmanager
    def away(self) -> Iterator[None]:
        """Put a file in the folder's place for a while."""
        aside = self._folder.with_name(f"{self._folder.name}.away")
        self._folder.rename(aside)
        self._folder.touch()
        try:
            yield
        finally:
            self._folder.unlink()
            aside.rename(self._folder)
