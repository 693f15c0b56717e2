"""The way to a head's Jobs API: through the API server, or straight to its pod."""

from http import HTTPStatus

import httpx

from dartjobs.drivers.base import HeadChangedError
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.credentials import Credentials
from dartjobs.drivers.kuberay.pods import DASHBOARD
from dartjobs.drivers.kuberay.settings import Dashboard, KubeRaySettings
from dartjobs.drivers.kuberay.shapes import Pod, decode_status
from dartjobs.drivers.ray_jobs import RayJobs


class Dashboards:
    """Gives each head's Jobs API, with the token that it wants to hear."""

    def __init__(
        self, server: str, found: Credentials, settings: KubeRaySettings, *, installation: str, secret: bytes
    ) -> None:
        self._server, self._settings = server, settings
        self._installation, self._secret = installation, secret
        limits = httpx.Limits(max_connections=None)
        if settings.dashboard is Dashboard.DIRECT:
            self._http = httpx.AsyncClient(trust_env=False, limits=limits)
        else:
            hooks = {"response": [_not_the_head]}
            self._http = httpx.AsyncClient(
                verify=found.verify, auth=found.auth, trust_env=False, limits=limits, event_hooks=hooks
            )

    def of(self, attempt_id: str, head: Pod | None) -> RayJobs:
        """The Jobs API of an attempt's head.

        Raises:
            HeadChangedError: there is none, or it has no address yet.
        """
        token = names.ray_token(self._secret, self._installation, attempt_id)
        return RayJobs(self._http, self._url(attempt_id, head), token)

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    def _url(self, attempt_id: str, head: Pod | None) -> str:
        if self._settings.dashboard is Dashboard.PROXY:
            service = f"{names.head_service(attempt_id)}:dashboard"
            return f"{self._server}{names.SERVICES.path(self._settings.namespace, service)}/proxy"
        if head is None or not head.status.pod_ip:
            msg = f"the head of {attempt_id} has no address"
            raise HeadChangedError(msg)
        host = head.status.pod_ip
        return f"http://[{host}]:{DASHBOARD}" if ":" in host else f"http://{host}:{DASHBOARD}"


async def _not_the_head(answer: httpx.Response) -> None:
    """An error of the API server's own is no word of the head: its 404 must not look like an unknown driver."""
    if answer.status_code in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED}:
        return
    status = decode_status(await answer.aread())
    if status is not None:
        msg = f"the API server answered {answer.status_code} in place of the head: {status.message}"
        raise httpx.ProxyError(msg, request=answer.request)
