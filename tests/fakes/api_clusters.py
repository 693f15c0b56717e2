"""The clusters of the API server in memory."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dartjobs.models.cluster import (
    Amount,
    Cluster,
    ClusterList,
    ClusterState,
    DrainRequest,
    DrainResult,
    SettingsRequest,
)
from dartjobs.models.problem import ClusterExistsError, ClusterInUseError, InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from tests.fakes.api import FakeApi


def answer(model: BaseModel) -> Response:
    return Response(model.model_dump_json(by_alias=True), media_type="application/json")


def user_of(request: Request) -> str:
    return request.headers.get("x-dartjobs-user", "anonymous")


def named(api: "FakeApi", request: Request) -> Cluster:
    name = request.path_params["name"]
    if name not in api.clusters:
        msg = f"There is no cluster {name}."
        raise NotFoundError(msg)
    return api.clusters[name]


def cluster_of(name: str, at: datetime, **more: Any) -> Cluster:
    """One that is ready."""
    usual = {
        "name": name,
        "state": ClusterState.READY,
        "identity": f"{name}-1",
        "labels": {"zone": "a"},
        "capacity": Amount.model_validate({"cpu": "8", "memory": "16Gi", "gpu": 1}),
        "used": Amount.model_validate({"cpu": "2", "memory": "4Gi"}),
        "attempts": 1,
        "seen_at": at,
    }
    return Cluster.model_validate({**usual, **more})


_SETTINGS = ("labels", "limits", "namespaces", "placement")


def settings_of(one: Cluster | SettingsRequest) -> dict[str, Any]:
    return {name: one.model_dump()[name] for name in _SETTINGS}


_CHANGES: dict[str, dict[str, Any]] = {
    "cordon": {"state": ClusterState.CORDONED},
    "uncordon": {"state": ClusterState.READY},
    "lost": {"state": ClusterState.LOST},
    "readmit": {"state": ClusterState.READY, "lost_at": None, "lost_by": None},
}


def routes_of_clusters(api: "FakeApi") -> list[Route]:
    async def all_of_them(_: Request) -> Response:
        return answer(ClusterList(items=sorted(api.clusters.values(), key=lambda one: one.name)))

    async def get(request: Request) -> Response:
        return answer(named(api, request))

    async def change(request: Request) -> Response:
        verb = request.path_params["verb"]
        more = {"lost_at": api.now(), "lost_by": user_of(request)} if verb == "lost" else {}
        api.clusters[named(api, request).name] = named(api, request).model_copy(update=_CHANGES[verb] | more)
        return answer(named(api, request))

    return [
        Route("/api/v1/clusters", all_of_them),
        Route("/api/v1/clusters/{name}", get),
        *_registering(api),
        Route("/api/v1/clusters/{name}/{verb}", change, methods=["POST"]),
    ]


def _settings(body: bytes) -> SettingsRequest:
    try:
        return SettingsRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequestError(str(error)) from error


def _may_replace(known: Cluster, settings: SettingsRequest, request: Request) -> bool:
    is_said = request.query_params.get("replace") == "true"
    return known.added_at is None or is_said or settings_of(known) == settings_of(settings)


def _registering(api: "FakeApi") -> list[Route]:
    async def add(request: Request) -> Response:
        name, settings = request.path_params["name"], _settings(await request.body())
        known = api.clusters.get(name)
        if known is None:
            known = cluster_of(name, api.now(), state=ClusterState.UNREACHABLE, identity=None, seen_at=None, attempts=0)
        elif not _may_replace(known, settings, request):
            msg = f"Cluster {name} is registered with other settings."
            raise ClusterExistsError(msg)
        added = {"added_at": api.now(), "added_by": user_of(request)}
        api.clusters[name] = known.model_copy(update={name: getattr(settings, name) for name in _SETTINGS} | added)
        return answer(api.clusters[name])

    async def remove(request: Request) -> Response:
        one = named(api, request)
        if one.attempts and one.state is not ClusterState.LOST:
            msg = f"{one.attempts} attempts live on cluster {one.name}."
            raise ClusterInUseError(msg)
        del api.clusters[one.name]
        return Response(status_code=204)

    async def drain(request: Request) -> Response:
        asked = DrainRequest.model_validate_json(await request.body())
        name = named(api, request).name
        api.clusters[name] = named(api, request).model_copy(update={"state": ClusterState.CORDONED, "cordoned": True})
        running = [
            one
            for one in api.jobs.values()
            if one.job.attempt.cluster == name and one.job.finished_at is None and asked.requeue
        ]
        sent = [api.requeued(one, user_of(request), asked.reason).id for one in running]
        return answer(DrainResult(cluster=named(api, request), requeued=sent))

    return [
        Route("/api/v1/clusters/{name}", add, methods=["PUT"]),
        Route("/api/v1/clusters/{name}", remove, methods=["DELETE"]),
        Route("/api/v1/clusters/{name}/drain", drain, methods=["POST"]),
    ]
