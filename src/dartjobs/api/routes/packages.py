"""Packages: content-addressed zips of working directories, uploaded in one request or in parts."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response

from dartjobs.api.auth import Principal, allow
from dartjobs.api.problems import documented, problem_response
from dartjobs.api.routes.common import Namespace, UsesPlatform, UsesSettings
from dartjobs.blobs.uploads import Upload
from dartjobs.models.job import PackageInfo
from dartjobs.models.problem import NotFoundError, UploadOffsetError
from dartjobs.models.spec import PackageRef
from dartjobs.services import packages

router = APIRouter(tags=["packages"])
Ref = Annotated[PackageRef, Path(description="`sha256:` and the hash of the bytes.")]
Offset = Annotated[int, Header(ge=0, le=2**62, description="Bytes that were sent before: where this part begins.")]
Complete = Annotated[
    str, Header(pattern=r"^\?[01]$", description="`?1`: this is the last part (a boolean of RFC 9651).")
]
Reads = Annotated[Principal, allow("packages:read")]
Writes = Annotated[Principal, allow("packages:write")]
_STORED: dict[int | str, dict[str, Any]] = {
    200: {"model": PackageInfo, "description": "It was stored before."},
    201: {"model": PackageInfo, "description": "It is stored."},
}


@router.head("/packages/{ref}", response_class=Response)
async def head(namespace: Namespace, ref: Ref, platform: UsesPlatform, _who: Reads) -> Response:
    """Whether the package is stored, whole and verified."""
    info = await packages.head(platform, namespace, ref)
    if info is None:
        msg = f"Namespace {namespace} has no package {ref}."
        raise NotFoundError(msg)
    return Response(headers={"Dartjobs-Package-Size": str(info.size)})


@router.put("/packages/{ref}", status_code=201, responses={**documented(400), **_STORED})
async def put(
    namespace: Namespace,
    ref: Ref,
    request: Request,
    response: Response,
    _who: Writes,
    *,
    platform: UsesPlatform,
    settings: UsesSettings,
) -> PackageInfo:
    """Store a package; invisible until it is complete and its hash is right. 200 if it was there before."""
    info, stored = await packages.put(platform, namespace, ref, request.stream(), limit=settings.package_limit)
    response.status_code = 201 if stored else 200
    return info


@router.head("/packages/{ref}/upload", status_code=204)
async def upload_offset(namespace: Namespace, ref: Ref, who: Writes, platform: UsesPlatform) -> Response:
    """How far the caller's upload of this package has come; 404 where none was begun."""
    offset = await packages.received(platform, Upload(namespace, ref, who.user))
    if offset == 0:
        msg = f"{who.user} has begun no upload of {ref} in namespace {namespace}."
        raise NotFoundError(msg)
    return Response(status_code=204, headers=_standing(offset))


@router.patch("/packages/{ref}/upload", status_code=204, responses={**documented(400, 409), **_STORED})
async def upload(
    namespace: Namespace,
    ref: Ref,
    who: Writes,
    request: Request,
    *,
    upload_offset: Offset,
    upload_complete: Complete = "?0",
    platform: UsesPlatform,
    settings: UsesSettings,
) -> Response:
    """Upload a part, as in draft-ietf-httpbis-resumable-upload. The last one is answered as a PUT is."""
    one = Upload(namespace, ref, who.user)
    complete, limit = upload_complete == "?1", settings.package_limit
    try:
        end = await packages.receive(platform, one, upload_offset, request.stream(), complete=complete, limit=limit)
    except UploadOffsetError as error:
        response = problem_response(error, request.state.request_id)
        response.headers.update(_standing(error.offset or 0))
        return response
    if isinstance(end, int):
        return Response(status_code=204, headers=_standing(end))
    info, stored = end
    return Response(info.model_dump_json(), 201 if stored else 200, media_type="application/json")


def _standing(offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Cache-Control": "no-store"}
