"""An ASGI application on a real port, that can be killed in the middle of an answer and started again."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import uvicorn
from starlette.types import ASGIApp

_PATIENCE = 30.0
_R = TypeVar("_R")


class Server:
    """A context manager; it serves from a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._socket = _listen(0)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.kill()

    def kill(self) -> None:
        """Break off every answer, as SIGKILL would, and free the port."""
        self._loop.call_soon_threadsafe(self._abort)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()
        self._socket.close()

    def kill_soon(self) -> None:
        """Break off every answer; to be called from a request of its own."""
        self._loop.call_soon(self._abort)
        self._abort()

    def run(self, coroutine: Coroutine[Any, Any, _R]) -> _R:
        """Run it on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def restart(self) -> None:
        """Serve on the same port again."""
        self._socket = _listen(self.port)
        self._start()

    def _start(self) -> None:
        config = uvicorn.Config(self._app, log_level="critical", lifespan="off", ws="none", http="h11")
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(_PATIENCE)

    def _serve(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._ready.set)
        await self._server.serve([self._socket])

    def _abort(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        for server in self._server.servers:
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener
