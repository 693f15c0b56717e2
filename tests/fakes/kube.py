"""An API server on a real port that keeps objects, watches, and fails as it is told to: what a real one seldom does."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.fakes.server import Server

Object = dict[str, Any]
NODE: Object = {"metadata": {"name": "node"}, "status": {"allocatable": {"cpu": "3900m", "memory": "8Gi"}}}
KUBE_SYSTEM: Object = {"metadata": {"name": "kube-system", "uid": "this-very-cluster"}}


def status(code: int, message: str, **headers: str) -> Response:
    """As a real one says that it did not do it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return JSONResponse(body, code, headers={name.replace("_", "-"): one for name, one in headers.items()})


@dataclass
class FakeKube:
    """Its fields are what it holds and was asked."""

    token: str = "first-token"
    objects: dict[str, Object] = field(default_factory=dict)
    """By path."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request that was let in."""
    bodies: list[Object] = field(default_factory=list)
    """Of each request that had one."""
    answers: dict[tuple[str, str], list[Callable[[], Response]]] = field(default_factory=dict)
    """What the next requests of a method and a path get in place of what they asked for."""
    expired: bool = False
    """The next watch is told 410 Gone."""

    def __post_init__(self) -> None:
        self._versions = itertools.count(1)
        self._watchers: list[tuple[str, asyncio.Queue[Object]]] = []
        methods = ["GET", "POST", "DELETE"]
        self._server = Server(Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)]))
        self.objects |= {"/api/v1/nodes/node": NODE, "/api/v1/namespaces/kube-system": KUBE_SYSTEM}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        return self._server.url

    def kubeconfig(self, path: Path) -> Path:
        """Write one that is good for now."""
        config = {
            "current-context": "fake",
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": self.token}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def put(self, path: str, body: Object) -> Object:
        """Make or change an object, as another client would."""
        return self._server.run(self._put(path, body))

    def remove(self, path: str) -> None:
        """Remove an object, as another client would."""
        self._server.run(self._remove(path))

    def kill(self) -> None:
        """Break off every watch, and answer nothing."""
        self._server.kill()

    def restart(self) -> None:
        """Serve again; what it holds was kept."""
        self._watchers.clear()
        self._server.restart()

    async def _put(self, path: str, body: Object) -> Object:
        known = self.objects.get(path)
        metadata = {"uid": f"uid-{next(self._versions)}"} | body.get("metadata", {})
        metadata |= {"resourceVersion": str(next(self._versions)), "name": path.rpartition("/")[2]}
        self.objects[path] = body | {"metadata": metadata}
        self._tell("ADDED" if known is None else "MODIFIED", path)
        return self.objects[path]

    async def _remove(self, path: str) -> None:
        self._tell("DELETED", path)
        del self.objects[path]

    def _tell(self, what: str, path: str) -> None:
        for folder, queue in self._watchers:
            if path.rpartition("/")[0] == folder:
                queue.put_nowait({"type": what, "object": self.objects[path]})

    async def _answer(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return status(401, "Unauthorized")
        self.asked.append((method, path))
        if planned := self.answers.get((method, path)):
            return planned.pop(0)()
        body = json.loads(await request.body() or b"{}")
        if method == "POST":
            self.bodies.append(body)
            return await self._create(path, body, dry_run="dryRun" in request.query_params)
        if method == "DELETE":
            self.bodies.append(body)
            return await self._delete(path, body)
        if path in self.objects:
            return JSONResponse(self.objects[path])
        return self._list(path, request)

    def _list(self, path: str, request: Request) -> Response:
        name = path.rpartition("/")[2]
        if name not in {"nodes", "pods", "rayclusters", "configmaps", "services"}:
            return status(404, f'"{name}" not found')
        if request.query_params.get("watch"):
            return StreamingResponse(self._watch(path))
        wanted = dict(one.split("=") for one in request.query_params.get("labelSelector", "").split(",") if one)
        found = [one for where, one in self.objects.items() if where.rpartition("/")[0] == path and _has(one, wanted)]
        return JSONResponse({"metadata": {"resourceVersion": str(next(self._versions))}, "items": found})

    async def _watch(self, path: str) -> AsyncIterator[bytes]:
        if self.expired:
            self.expired = False
            yield _line({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
            return
        queue: asyncio.Queue[Object] = asyncio.Queue()
        self._watchers.append((path, queue))
        while True:
            yield _line(await queue.get())

    async def _create(self, path: str, body: Object, *, dry_run: bool) -> Response:
        name = body["metadata"]["name"]
        if dry_run:
            return JSONResponse(body, 201)
        if f"{path}/{name}" in self.objects:
            return status(409, f'"{name}" already exists')
        return JSONResponse(await self._put(f"{path}/{name}", body), 201)

    async def _delete(self, path: str, body: Object) -> Response:
        known = self.objects.get(path)
        if known is None:
            return status(404, "not found")
        uid = body.get("preconditions", {}).get("uid")
        if uid not in {None, known["metadata"]["uid"]}:
            return status(409, "the UID in the precondition does not match")
        await self._remove(path)
        return JSONResponse({"kind": "Status", "status": "Success"})


def _has(one: Object, wanted: dict[str, str]) -> bool:
    labels: dict[str, str] = one["metadata"].get("labels", {})
    return wanted.items() <= labels.items()


def _line(event: Object) -> bytes:
    return json.dumps(event).encode() + b"\n"
