"""Packages: content-addressed zips of working directories."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from dartjobs.api.routes.common import Namespace, UsesPlatform, UsesSettings
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import NotFoundError
from dartjobs.models.spec import PackageRef

router = APIRouter(tags=["packages"])
Ref = Annotated[PackageRef, Path(description="`sha256:` and the hash of the bytes.")]


@router.head("/packages/{ref}")
async def head(namespace: Namespace, ref: Ref, platform: UsesPlatform) -> Response:
    """Whether the package is stored, whole and verified."""
    info = await platform.packages.head(namespace, ref)
    if info is None:
        msg = f"Namespace {namespace} has no package {ref}."
        raise NotFoundError(msg)
    return Response(headers={"Dartjobs-Package-Size": str(info.size)})


@router.put("/packages/{ref}", status_code=201)
async def put(
    namespace: Namespace,
    ref: Ref,
    request: Request,
    response: Response,
    *,
    platform: UsesPlatform,
    settings: UsesSettings,
) -> PackageInfo:
    """Store a package; invisible until it is complete and its hash is right. 200 if it was there before."""
    info, stored = await platform.packages.put(namespace, ref, request.stream(), limit=settings.package_limit)
    response.status_code = 201 if stored else 200
    return info
