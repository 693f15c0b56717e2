"""A large package goes in parts, and goes on where it was broken off."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from dartjobs import AsyncClient, Client, ConnectionFailedError, DartJobsError
from dartjobs.client.effects import Lost, Reply
from dartjobs.client.packaging import Package
from dartjobs.client.requests import Requests
from dartjobs.client.uploads import PART, upload
from dartjobs.models.problem import PackageMismatchError, PackageTooLargeError
from tests.fakes.api import FakeApi
from tests.fakes.flows import BROKEN, Answer, Driver
from tests.fakes.server import Server

ABSENT, STORED, NO_CONTENT = Reply(404, {}), Reply(200, {}), Reply(204, {})
MADE = Reply(201, {}, b"{}")
SIZE = 3 * PART - 100


@pytest.fixture
def package(tmp_path: Path) -> Package:
    path = tmp_path / "package.zip"
    data = os.urandom(PART) * 3
    path.write_bytes(data[:SIZE])
    return Package(f"sha256:{hashlib.sha256(data[:SIZE]).hexdigest()}", path, SIZE, 1, [], temporary=False)


def at(offset: int) -> Reply:
    return Reply(204, {"upload-offset": str(offset)})


def problem(code: str, status: int) -> Reply:
    return Reply(status, {}, f'{{"code": "{code}", "detail": "no"}}'.encode())


def sent(package: Package, answers: Iterable[Answer]) -> list[str]:
    """The requests that were made, each in short."""
    driver = Driver()
    driver.run(upload(Requests("team"), driver.patience(), package), answers)
    return [f"{one.method} {one.span or ''}".strip() for one in driver.requests]


FIRST, SECOND, LAST = f"PATCH (0, {PART})", f"PATCH ({PART}, {2 * PART})", f"PATCH ({2 * PART}, {SIZE})"


def test_a_small_package_goes_in_one_request(tmp_path: Path) -> None:
    path = tmp_path / "small.zip"
    path.write_bytes(b"x")
    assert sent(Package("sha256:0", path, 1, 1, []), [MADE]) == ["PUT"]


def test_a_large_one_goes_in_parts(package: Package) -> None:
    answers: list[Answer] = [ABSENT, ABSENT, at(PART), at(2 * PART), MADE]
    assert sent(package, answers) == ["HEAD", "HEAD", FIRST, SECOND, LAST]


def test_it_begins_where_an_earlier_upload_ended(package: Package) -> None:
    assert sent(package, [ABSENT, at(2 * PART), MADE]) == ["HEAD", "HEAD", LAST]
    assert sent(package, [ABSENT, at(SIZE), MADE]) == ["HEAD", "HEAD", f"PATCH ({SIZE}, {SIZE})"]


def test_after_a_break_the_server_says_where_to_go_on(package: Package) -> None:
    answers: list[Answer] = [ABSENT, ABSENT, at(PART), BROKEN, BROKEN, ABSENT, at(PART + 7), at(2 * PART + 7), MADE]
    rest = [f"PATCH ({PART + 7}, {2 * PART + 7})", f"PATCH ({2 * PART + 7}, {SIZE})"]
    assert sent(package, answers) == ["HEAD", "HEAD", FIRST, SECOND, "HEAD", "HEAD", "HEAD", *rest]


def test_where_only_the_last_answer_was_lost_it_is_there(package: Package) -> None:
    assert sent(package, [ABSENT, at(2 * PART), BROKEN, STORED]) == ["HEAD", "HEAD", LAST, "HEAD"]


def test_it_goes_on_from_where_another_uploader_is(package: Package) -> None:
    conflict = Reply(409, {"upload-offset": str(2 * PART)})
    assert sent(package, [ABSENT, ABSENT, conflict, MADE]) == ["HEAD", "HEAD", FIRST, LAST]


def test_what_an_earlier_upload_had_damaged_is_sent_once_more(package: Package) -> None:
    wrong = problem("package-mismatch", 400)
    answers: list[Answer] = [ABSENT, at(2 * PART), wrong, at(PART), at(2 * PART), MADE]
    assert sent(package, answers) == ["HEAD", "HEAD", LAST, FIRST, SECOND, LAST]
    with pytest.raises(PackageMismatchError):
        sent(package, [ABSENT, at(2 * PART), wrong, at(PART), at(2 * PART), wrong])


def test_what_the_server_refuses_is_told(package: Package) -> None:
    with pytest.raises(PackageTooLargeError):
        sent(package, [ABSENT, ABSENT, problem("package-too-large", 413)])
    with pytest.raises(DartJobsError):
        sent(package, [ABSENT, ABSENT, Reply(409, {"upload-offset": "0"})])


def test_a_server_that_takes_nothing_is_given_up(package: Package) -> None:
    def never() -> Iterable[Answer]:
        yield from (ABSENT, ABSENT)
        while True:
            yield from (Lost("reset"), ABSENT, ABSENT)

    with pytest.raises(ConnectionFailedError):
        sent(package, never())


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(os.urandom(13 * 2**20))
    return folder


def uploaded(api: FakeApi) -> None:
    (ref,) = api.packages
    assert ref == f"sha256:{hashlib.sha256(api.packages[ref]).hexdigest()}"
    assert api.count("PUT", ref) == 0


def test_both_clients_send_parts(api: FakeApi, server: Server, code: Path) -> None:
    with Client(server.url) as client:
        client.submit(entrypoint="x", working_dir=code)
    uploaded(api)
    api.packages.clear()

    async def submit() -> None:
        async with AsyncClient(server.url) as client:
            await client.submit(entrypoint="x", working_dir=code)

    asyncio.run(submit())
    uploaded(api)


def test_an_upload_survives_a_server_that_is_killed(api: FakeApi, server: Server, package: Package) -> None:
    breaks = [PART // 2, PART + PART // 2]
    told: list[int] = []

    def break_now_and_then(done: int, total: int) -> None:
        assert total == SIZE
        told.append(done)
        if breaks and done >= breaks[0]:
            breaks.pop(0)
            server.kill()
            server.restart()

    with Client(server.url) as client:
        client._run(client._calls.upload(package, on_upload=break_now_and_then))  # noqa: SLF001 - the CLI's way in
    uploaded(api)
    assert breaks == []
    assert told[-1] == SIZE
