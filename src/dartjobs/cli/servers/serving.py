"""Serve HTTP on sockets that are bound first, until a signal comes."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from dartjobs.models.problem import DartJobsError


class PortTakenError(DartJobsError):
    """The port is taken by another program."""

    code = "port-taken"


class Server(uvicorn.Server):
    """A uvicorn that leaves signals to the process in which it is one task of several."""

    def __init__(self, app: FastAPI, listener: socket.socket, drain_seconds: int) -> None:
        limits = {"timeout_graceful_shutdown": drain_seconds}  # open streams would hold it for ever
        super().__init__(uvicorn.Config(app, log_config=None, access_log=False, **limits))  # type: ignore[arg-type]  # an int
        self._listener = listener
        self.url = url_of(listener)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def run_on_socket(self) -> None:
        """Serve until `should_exit`; then finish what is being answered."""
        await self.serve(sockets=[self._listener])


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a server's main coroutine, on uvloop: a request takes a third less of it than of asyncio's own loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def listen(host: str, port: int, *, fallback: bool = False) -> socket.socket:
    """A socket that listens; with `fallback` on another port where this one is taken.

    Raises:
        PortTakenError: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # without it asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        if not fallback or port == 0:
            listener.close()
            msg = f"Port {port} on {host} cannot be bound ({error.strerror}). Take another with --port, or --port 0."
            raise PortTakenError(msg) from error
        listener.bind((host, 0))
    listener.listen(2_048)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def stop_event() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def on_signal() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    return stop


async def until_serving(servers: Sequence[Server], serving: Sequence["asyncio.Task[None]"]) -> None:
    """Wait until each server takes requests; raises what kept one from it."""
    while not all(server.started for server in servers):
        await asyncio.wait(serving, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
        for task in serving:
            if task.done():
                task.result()
