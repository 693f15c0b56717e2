"""Every object of an attempt, as pure functions of spec, profile and settings."""

from typing import Any

from dartjobs.core.queueing import starting_replicas
from dartjobs.drivers.base import Launch
from dartjobs.drivers.kuberay import names
from dartjobs.drivers.kuberay.names import Manifest
from dartjobs.drivers.kuberay.pods import (
    DASHBOARD,
    HARDENED,
    TOKEN_KEY,
    Pod,
    head_template,
    start_params,
    worker_template,
)
from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.drivers.kuberay.settings import KubeRaySettings
from dartjobs.models.spec import JobSpec, NodeResources, WorkerGroup

_AUTOSCALER = {"cpu": "500m", "memory": "512Mi"}
_IDLE_SECONDS = 60
_SAMPLE = "dartjobs-sample"


def manifests(
    launch: Launch, settings: KubeRaySettings, profile: Profile, *, installation: str, ray_token: str, runner: str
) -> list[Manifest]:
    """All of them, in the order in which they are created: what guards a Ray cluster is there before it.

    Args:
        launch: what to bring up.
        settings: the cluster's.
        profile: what its pods get from the operator.
        installation: whose it is.
        ray_token: what the head wants to hear from its callers.
        runner: the runner's text.
    """
    labels = names.labels(installation, launch.attempt.id, launch.attempt.job_id)
    metadata = _metadata(names.cluster_name(launch.attempt.id), settings, labels)
    guards = []
    if settings.network_policy:
        guards.append(Manifest(names.NETWORK_POLICIES, _network_policy(metadata, settings)))
    if settings.security_groups:
        guards.append(Manifest(names.SECURITY_GROUP_POLICIES, _security_group_policy(metadata, settings)))
    return [
        Manifest(names.CONFIG_MAPS, _config_map(metadata, runner)),
        *guards,
        Manifest(names.SECRETS, _secret(metadata, {"auth_token": ray_token, TOKEN_KEY: launch.token})),
        Manifest(names.RAY_CLUSTERS, _ray_cluster(metadata, launch.spec, launch.gateway_url, settings, profile)),
    ]


def sample(settings: KubeRaySettings, profile: Profile, installation: str) -> Manifest:
    """A RayCluster with every field that we ever use: whether an API server takes it says whether its CRD will do."""
    metadata = _metadata(_SAMPLE, settings, names.labels(installation, _SAMPLE, _SAMPLE))
    spec = JobSpec(entrypoint="true", workers=[WorkerGroup(min_replicas=0)])
    return Manifest(names.RAY_CLUSTERS, _ray_cluster(metadata, spec, "http://gateway", settings, profile))


def _metadata(name: str, settings: KubeRaySettings, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "namespace": settings.namespace, "labels": labels}


def _config_map(metadata: dict[str, Any], runner: str) -> dict[str, Any]:
    """It also marks that something of the attempt is there: made first and removed last, it tells of all the others."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"runner.py": runner}}


def _secret(metadata: dict[str, Any], data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "immutable": True, "stringData": data}


def _network_policy(metadata: dict[str, Any], settings: KubeRaySettings) -> dict[str, Any]:
    """Its own pods reach each other; the dashboard is reached by its peers too. Jobs may call whom they like."""
    own = {"matchLabels": _selector(metadata)}
    dashboard: dict[str, Any] = {"ports": [{"port": DASHBOARD, "protocol": "TCP"}]}
    if settings.dashboard_peers:
        dashboard["from"] = settings.dashboard_peers
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": own}]}, dashboard],
        },
    }


def _security_group_policy(metadata: dict[str, Any], settings: KubeRaySettings) -> dict[str, Any]:
    """AWS's: https://docs.aws.amazon.com/eks/latest/userguide/sg-pods-example-deployment.html."""
    return {
        "apiVersion": "vpcresources.k8s.aws/v1beta1",
        "kind": "SecurityGroupPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": _selector(metadata)},
            "securityGroups": {"groupIds": settings.security_groups},
        },
    }


def _ray_cluster(
    metadata: dict[str, Any], spec: JobSpec, gateway_url: str, settings: KubeRaySettings, profile: Profile
) -> dict[str, Any]:
    scales = any(group.min_replicas != group.max_replicas for group in spec.workers)
    head = head_template(_pod(metadata, spec.head, settings, profile), gateway_url, calls_the_api=scales)
    groups = [_worker_group(metadata, group, settings, profile) for group in spec.workers]
    body: dict[str, Any] = {
        "rayVersion": settings.ray_version,
        "authOptions": {"mode": "token", "secretName": metadata["name"]},
        "headGroupSpec": {
            "rayStartParams": start_params(spec.head) | {"dashboard-host": "0.0.0.0"},  # noqa: S104 - behind policy and token
            "template": head,
        },
        "workerGroupSpecs": groups,
    }
    if scales:
        body |= {"enableInTreeAutoscaling": True, "autoscalerOptions": _autoscaler()}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": metadata | {"annotations": {"ray.io/disable-provisioned-head-restart": "true"}},
        "spec": body,
    }


def _worker_group(
    metadata: dict[str, Any], group: WorkerGroup, settings: KubeRaySettings, profile: Profile
) -> dict[str, Any]:
    return {
        "groupName": group.name,
        "replicas": starting_replicas(group.min_replicas),
        "minReplicas": group.min_replicas,
        "maxReplicas": group.max_replicas,
        "rayStartParams": start_params(group),
        "template": worker_template(_pod(metadata, group, settings, profile)),
    }


def _autoscaler() -> dict[str, Any]:
    return {
        "version": "v2",
        "idleTimeoutSeconds": _IDLE_SECONDS,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": _AUTOSCALER, "limits": _AUTOSCALER},
        "securityContext": HARDENED,
    }


def _pod(metadata: dict[str, Any], node: NodeResources, settings: KubeRaySettings, profile: Profile) -> Pod:
    return Pod(metadata["name"], profile.image or settings.image, node, profile, metadata["labels"])


def _selector(metadata: dict[str, Any]) -> dict[str, str]:
    return {name: metadata["labels"][name] for name in (names.INSTALLATION, names.ATTEMPT)}
