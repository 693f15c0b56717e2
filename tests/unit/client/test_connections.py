"""What goes wrong on the way is told apart."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from dartjobs import AsyncClient, Client, ConnectionFailedError, DartJobsError, NotOurServerError
from tests.fakes.api import FakeApi
from tests.fakes.server import Server


@contextmanager
def listening(act: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port on which every connection is handed to `act`, then closed."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    act(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def saying(answer: bytes) -> Callable[[socket.socket], object]:
    """The same to every request."""

    def act(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    return act


async def failures(url: str) -> list[DartJobsError]:
    """How both clients fail to ask for a server's health."""
    found = []
    with Client(url) as client, pytest.raises(DartJobsError) as caught:
        client.health()
    found.append(caught.value)
    async with AsyncClient(url) as client:
        with pytest.raises(DartJobsError) as caught:
            await client.health()
    return [*found, caught.value]


async def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for error in await failures(f"http://127.0.0.1:{unused.getsockname()[1]}"):
            assert isinstance(error, ConnectionFailedError)
            assert "nothing listens there" in str(error)
            assert "`dartjobs up`" in str(error)


async def test_no_such_host() -> None:
    for error in await failures("http://no-such-host.invalid"):
        assert "there is no such host" in str(error)


async def test_tls_where_there_is_none(server: Server) -> None:
    for error in await failures(server.url.replace("http:", "https:")):
        assert isinstance(error, ConnectionFailedError)
        assert "write http://" in str(error) or "TLS" in str(error)


async def test_a_website() -> None:
    page = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\n<h1>x"
    with listening(saying(page)) as port:
        for error in await failures(f"http://127.0.0.1:{port}"):
            assert isinstance(error, NotOurServerError)
            assert "answered 404, not as a DART Jobs server does: <h1>x" in str(error)


async def test_a_redirect_is_told_and_not_followed() -> None:
    page = b"HTTP/1.1 302 Found\r\nlocation: https://login.example/\r\ncontent-length: 0\r\n\r\n"
    with listening(saying(page)) as port:
        for error in await failures(f"http://127.0.0.1:{port}"):
            assert "it leads to https://login.example/" in str(error)


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    answers = iter([b'{"sta', b'{"status": "ok"}'])

    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n" + next(answers))

    with listening(answer) as port, Client(f"http://127.0.0.1:{port}") as client:
        assert client.health() == {"status": "ok"}


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(server: Server, api: FakeApi) -> None:
    with Client(server.url) as client:
        client.health()
        server.kill()
        server.restart()
        client.health()
    assert api.count("GET", "/healthz") == 2


def test_a_program_may_have_very_many_open_files(server: Server) -> None:
    """`select` knows none beyond the 1,024th."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        with Client(server.url) as client:
            assert client.health() == client.health() == {"status": "ok"}
    finally:
        for one in files:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_proxy_of_the_environment_is_used_and_told_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(connection.recv(65_536))
        connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"status": "ok"}')

    with listening(answer) as port:
        monkeypatch.setenv("http_proxy", f"http://ada:pw@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        with Client("http://jobs.example") as client:
            assert client.health() == {"status": "ok"}
    head = seen[0].decode().lower()
    assert head.startswith("get http://jobs.example/healthz http/1.1\r\nhost: jobs.example\r\n")
    assert "proxy-authorization: basic ywrhonb3" in head
