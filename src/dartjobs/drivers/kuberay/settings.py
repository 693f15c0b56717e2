"""The KubeRay driver's settings, read once."""

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Dashboard(StrEnum):
    """How heads are reached."""

    PROXY = "proxy"
    """Through the API server's service proxy: from anywhere."""
    DIRECT = "direct"
    """By the head pod's address: from inside the cluster, or its network."""


class KubeRaySettings(BaseSettings):
    """Environment variables `DARTJOBS_KUBERAY_…` of `server sync --driver kuberay`."""

    model_config = SettingsConfigDict(env_prefix="DARTJOBS_KUBERAY_", frozen=True)

    kubeconfig: Path | None = Field(
        default=None, description="A kubeconfig file; by default the service account of this pod is used."
    )
    context: str | None = Field(default=None, description="The kubeconfig's context; by default its current one.")
    namespace: str = Field(default="default", description="The Kubernetes namespace in which all jobs run.")
    image: str = Field(
        default="rayproject/ray:2.60.0",
        description="Of head and workers, with Ray and `python3`; a profile may differ.",
    )
    ray_version: str = Field(default="2.60.0", description="The Ray in the image.")
    profiles_file: Path | None = Field(
        default=None, description="Profiles of pods, by name, as YAML or JSON; jobs run under `default`."
    )
    dashboard: Dashboard = Field(
        default=Dashboard.PROXY,
        description="How heads are reached: `proxy`, through the API server, or `direct`, by the pod's address.",
    )
    network_policy: bool = Field(
        default=True, description="Give each Ray cluster a NetworkPolicy: only its own pods may reach it."
    )
    dashboard_peers: list[dict[str, Any]] = Field(
        default=[],
        description="Who may reach a head's dashboard all the same, as JSON: NetworkPolicyPeers. By default anybody, "
        "because a head refuses who has not its token.",
    )
    security_groups: list[str] = Field(
        default=[], description="AWS: groups of a SecurityGroupPolicy for each Ray cluster; none by default."
    )
    elastic: bool = Field(default=False, description="The cluster adds nodes where pods have no room.")
    unschedulable_seconds: float = Field(
        default=120.0, ge=0, description="A head that has no room for so long has failed."
    )
