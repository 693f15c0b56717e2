"""Who we are to an API server: lightkube reads kubeconfigs, service accounts and exec plugins; httpx carries it."""

import ssl
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple, cast

import httpx
from httpx2 import Auth, Request
from lightkube.config.client_adapter import user_auth, user_cert, verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from dartjobs.drivers.base import FinalDriverError


class Credentials(NamedTuple):
    """What a client of the API server is made with."""

    server: str
    """Its URL."""
    verify: ssl.SSLContext
    auth: httpx.Auth


def credentials(kubeconfig: Path | None, context: str | None) -> Credentials:
    """Those of a kubeconfig, or of this pod's service account.

    Raises:
        FinalDriverError: they cannot be read; says why.
    """
    config = _read(kubeconfig, context)
    try:
        verify = verify_cluster(config.cluster, config.user or User(), config.abs_file, trust_env=False)
    except (ConfigError, OSError) as error:
        msg = f"the certificates of {config.cluster.server} cannot be read: {error}"
        raise FinalDriverError(msg) from error
    return Credentials(config.cluster.server.rstrip("/"), verify, Reloading(kubeconfig, context, config, verify))


class Reloading(httpx.Auth):
    """lightkube's way to authorize a request; at 401, once more with credentials that are read anew.

    Its classes are made for httpx2, and use of a request and a response only what httpx's have too.
    """

    def __init__(self, kubeconfig: Path | None, context: str | None, config: SingleConfig, tls: ssl.SSLContext) -> None:
        self._kubeconfig, self._context, self._tls = kubeconfig, context, tls
        self._inner = _auth(config)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Authorize it.

        Raises:
            httpx.RequestError: the credentials cannot be had.
        """
        await self._authorize(request)
        response = yield request
        if response.status_code != HTTPStatus.UNAUTHORIZED or not isinstance(request.stream, httpx.ByteStream):
            return  # a body that is streamed cannot be sent again
        try:
            self._reload()
        except FinalDriverError as error:
            raise httpx.RequestError(str(error), request=request) from error
        await self._authorize(request)
        yield request

    async def _authorize(self, request: httpx.Request) -> None:
        if self._inner is None:
            return
        flow = self._inner.async_auth_flow(cast("Request", request))
        try:
            await anext(flow)
        except (ConfigError, OSError, ValueError, KeyError) as error:
            msg = f"credentials cannot be had: {error}"
            raise httpx.RequestError(msg, request=request) from error
        finally:
            await flow.aclose()

    def _reload(self) -> None:
        config = _read(self._kubeconfig, self._context)
        self._inner = _auth(config)
        certificate = user_cert(config.user, config.abs_file) if config.user else None
        if certificate:
            self._tls.load_cert_chain(*certificate)


def _read(kubeconfig: Path | None, context: str | None) -> SingleConfig:
    try:
        found = KubeConfig.from_service_account() if kubeconfig is None else KubeConfig.from_file(kubeconfig)
        config = found.get(context)
    except (ConfigError, OSError, ValueError, KeyError) as error:
        where = "this pod's service account" if kubeconfig is None else str(kubeconfig)
        msg = f"no credentials for Kubernetes in {where}: {error}"
        raise FinalDriverError(msg) from error
    if config is None:
        raise AssertionError
    return config


def _auth(config: SingleConfig) -> Auth | None:
    """One of lightkube's; None where a client certificate says it all."""
    try:
        return user_auth(config.user)
    except ConfigError as error:
        raise FinalDriverError(str(error)) from error
