"""The object store's failures."""

import asyncio
from pathlib import Path

import pytest
from obstore import exceptions as obstore

from dartjobs.blobs.errors import BlobStoreError, BlobStoreRefusedError, translated
from dartjobs.blobs.logs import Logs
from dartjobs.blobs.packages import Packages, Stored
from dartjobs.blobs.stores import open_store
from dartjobs.blobs.uploads import Upload, Uploads
from dartjobs.models.problem import UnavailableError


@pytest.mark.parametrize("cause", [obstore.GenericError("timed out"), FileNotFoundError("gone")])
def test_what_may_pass_is_unavailable(cause: Exception) -> None:
    with (
        pytest.raises(BlobStoreError, match="could not read the log") as caught,
        translated("read the log"),
    ):
        raise cause
    assert isinstance(caught.value, UnavailableError)
    assert caught.value.__cause__ is cause
    assert caught.value.problem().code == "unavailable"


@pytest.mark.parametrize("cause", [obstore.PermissionDeniedError("403 s3://x"), obstore.UnauthenticatedError("401")])
def test_what_will_not_pass_is_no_invitation_to_try_again(cause: Exception) -> None:
    with pytest.raises(BlobStoreRefusedError, match="refused to read the log") as caught, translated("read the log"):
        raise cause
    assert not isinstance(caught.value, UnavailableError)
    assert caught.value.__cause__ is cause
    assert "s3://x" not in str(caught.value)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(asyncio.CancelledError), translated("read the log"):
        raise asyncio.CancelledError


async def test_a_log_is_not_acknowledged_where_the_store_fails_midway(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    logs = Logs(open_store(folder.as_uri()))
    assert await logs.append("a1", "out", 0, b"abc") == 3
    (folder / "logs" / "a1").rename(folder / "away")
    (folder / "logs" / "a1").touch()
    with pytest.raises(BlobStoreError, match="store the log"):
        await logs.append("a1", "out", 3, b"def")
    (folder / "logs" / "a1").unlink()
    (folder / "away").rename(folder / "logs" / "a1")
    assert await logs.append("a1", "out", 3, b"def") == 6


async def test_a_store_that_is_gone_fails_every_operation_in_our_terms(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"
    store = open_store(folder.as_uri())
    folder.rmdir()
    folder.write_text("no folder any more")
    ref = f"sha256:{'0' * 64}"
    with pytest.raises(BlobStoreError, match="read the package"):
        await Packages(store).open(Stored("team-a", ref, "1"))
    with pytest.raises(BlobStoreError, match="list the upload"):
        await Uploads(store).offset(Upload("team-a", ref, "ann"))
    with pytest.raises(BlobStoreError, match="list the log"):
        await Logs(store).append("a1", "out", 0, b"x")
    with pytest.raises(BlobStoreError, match="read the log"):
        await anext(Logs(store).read("a1", "out", 0))
