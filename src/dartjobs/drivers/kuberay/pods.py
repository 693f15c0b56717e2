"""Pod templates of a Ray cluster, as pure functions of what was asked for."""

import json
import math
from dataclasses import dataclass
from typing import Any

from dartjobs.drivers.kuberay.profiles import Profile
from dartjobs.models.quantity import format_cpu, format_memory
from dartjobs.models.spec import NodeResources

FOLDER = "/dartjobs"
"""Where the runner, its token and its spool are in a head."""
RUNNER_PATH = f"{FOLDER}/runner/runner.py"
TOKEN_KEY = "runner_token"  # noqa: S105 - the name of a key, not a secret
DASHBOARD, GCS, CLIENT, AGENT = 8265, 6379, 10_001, 52_365
"""Ray's own ports; AGENT is that of every node's agent (`ray start --help`, Ray 2.60)."""
HARDENED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""With the pod's own security context it is what Pod Security `restricted` asks for."""
_GRACE_SECONDS = 10
_PATIENT = {"timeoutSeconds": 5, "periodSeconds": 10, "failureThreshold": 60}
"""A busy node is no dead node: KubeRay's own probe would end it, and with it the job, after a few slow answers."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What a template is made of."""

    name: str
    """The RayCluster's."""
    image: str
    node: NodeResources
    profile: Profile
    labels: dict[str, str]


def head_template(pod: Pod, gateway_url: str, *, calls_the_api: bool) -> dict[str, Any]:
    """The head's; `calls_the_api`: its autoscaler needs a service account's token."""
    mounts: list[dict[str, Any]] = [
        {"name": "dartjobs-runner", "mountPath": f"{FOLDER}/runner", "readOnly": True},
        {"name": "dartjobs-token", "mountPath": f"{FOLDER}/token", "readOnly": True},
        {"name": "dartjobs-spool", "mountPath": f"{FOLDER}/spool"},
    ]
    container = _container(pod, "ray-head", _head_environment(gateway_url), mounts) | {
        "ports": [_port("gcs-server", GCS), _port("dashboard", DASHBOARD), _port("client", CLIENT)],
        "readinessProbe": _probe(DASHBOARD, {"timeoutSeconds": 5, "periodSeconds": 1, "failureThreshold": 30}),
        "livenessProbe": _probe(GCS, _PATIENT),
    }
    token = {"secretName": pod.name, "items": [{"key": TOKEN_KEY, "path": "token"}]}
    volumes: list[dict[str, Any]] = [
        {"name": "dartjobs-runner", "configMap": {"name": pod.name}},
        {"name": "dartjobs-token", "secret": token},
        {"name": "dartjobs-spool", "emptyDir": {}},
    ]
    return _template(pod, container, volumes, calls_the_api=calls_the_api)


def worker_template(pod: Pod) -> dict[str, Any]:
    """A worker's."""
    container = _container(pod, "ray-worker", [], []) | {
        "readinessProbe": _probe(AGENT, {"timeoutSeconds": 5, "periodSeconds": 1, "failureThreshold": 30}),
        "livenessProbe": _probe(AGENT, _PATIENT),
    }
    return _template(pod, container, [], calls_the_api=False)


def start_params(node: NodeResources) -> dict[str, str]:
    """`rayStartParams`: what KubeRay cannot see in the container's limits."""
    params = {"num-cpus": str(math.ceil(node.cpu)), "num-gpus": str(node.gpu)}
    if node.resources:
        # KubeRay pastes it into a shell's line, and Ray's autoscaler takes the quotes off again
        params["resources"] = json.dumps(json.dumps(node.resources))
    return params


def _template(
    pod: Pod, container: dict[str, Any], volumes: list[dict[str, Any]], *, calls_the_api: bool
) -> dict[str, Any]:
    profile = pod.profile
    given = {
        "nodeSelector": profile.node_selector,
        "tolerations": profile.tolerations,
        "priorityClassName": profile.priority_class_name,
        "serviceAccountName": profile.service_account_name,
        "imagePullSecrets": [{"name": name} for name in profile.image_pull_secrets],
        "volumes": volumes + profile.volumes,
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": calls_the_api,
        "enableServiceLinks": False,
        "securityContext": _security_context(profile),
        "containers": [container],
    }
    return {"metadata": {"labels": pod.labels}, "spec": spec | {key: one for key, one in given.items() if one}}


def _security_context(profile: Profile) -> dict[str, Any]:
    user = profile.run_as_user
    return {"runAsUser": user, "runAsNonRoot": user != 0, "seccompProfile": {"type": "RuntimeDefault"}}


def _container(pod: Pod, name: str, environment: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> dict[str, Any]:
    amount = {"cpu": format_cpu(pod.node.cpu), "memory": format_memory(pod.node.memory)}
    if pod.node.gpu:
        amount["nvidia.com/gpu"] = str(pod.node.gpu)
    return {
        "name": name,
        "image": pod.image,
        "env": [*environment, {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}],
        "resources": {"requests": amount, "limits": amount},
        "securityContext": HARDENED,
        "volumeMounts": mounts + pod.profile.volume_mounts,
    }


def _head_environment(gateway_url: str) -> list[dict[str, Any]]:
    values = {
        "DARTJOBS_TOKEN_FILE": f"{FOLDER}/token/token",
        "DARTJOBS_GATEWAY_URL": gateway_url,
        "DARTJOBS_SPOOL_DIR": f"{FOLDER}/spool/own",
    }
    uid = {"name": "DARTJOBS_HEAD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    return [uid, *({"name": name, "value": value} for name, value in values.items())]


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "containerPort": number}


def _probe(port: int, patience: dict[str, int]) -> dict[str, Any]:
    return {"tcpSocket": {"port": port}, **patience}
