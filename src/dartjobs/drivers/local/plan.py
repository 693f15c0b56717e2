"""What is started for a Ray cluster: command lines and environments, computed."""

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dartjobs.core.queueing import starting_replicas
from dartjobs.drivers.base import Launch
from dartjobs.drivers.local.keeper import TAG
from dartjobs.drivers.local.settings import LocalSettings
from dartjobs.models.spec import NodeResources

LOOPBACK_ONLY = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""At 0 Ray takes 127.0.0.1 for its own address and binds nothing else, on Linux too; by default it replaces
127.0.0.1 by the machine's address and binds all (`ray._private.services.get_node_ip_address`, Ray 2.60)."""
PATIENCE = {"RAY_agent_register_timeout_ms": "300000", "RAY_health_check_failure_threshold": "40"}
"""A busy machine is no dead node: by default a raylet ends itself when its agent takes longer than 30 s to start, and
the GCS gives up a node after five missed checks (`ray_config_def.h`, Ray 2.60)."""
_FOREIGN = ("DARTJOBS_", "RAY_", "CUDA_VISIBLE_DEVICES")
_SMALLEST_STORE = 80 * 10**6
_STORE_SHARE = 0.3
_WORKER = f"""
import os, sys
import ray._private.services as services
os.environ["{LOOPBACK_ONLY}"] = "0"
services.get_node_ip_address = lambda address=None: "127.0.0.1"
from ray.scripts.scripts import main
sys.argv[0] = "ray"
sys.exit(main())
"""
"""`ray start --address` refuses to run at 0: so it starts at 1, and behaves, with its children, as at 0."""


class Ports(NamedTuple):
    """Ports of 127.0.0.1."""

    gcs: int
    dashboard: int
    client: int


def temp_dir(settings: LocalSettings, attempt_id: str) -> Path:
    """A short name that nothing else has; of mode 0700, because Ray opens its own folders to everybody."""
    digest = hashlib.sha256(f"{settings.data_dir.resolve()}/{attempt_id}".encode()).hexdigest()
    return settings.temp_root / f"dj-{digest[:10]}"


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The platform's own environment without what would confuse a Ray cluster."""
    return {name: value for name, value in environment.items() if not name.startswith(_FOREIGN)}


def cluster(
    settings: LocalSettings, launch: Launch, *, uids: tuple[str, str], ports: Ports, gpus: list[int] | None
) -> dict[str, Any]:
    """The content of `cluster.json`.

    Args:
        settings: the driver's.
        launch: what to bring up.
        uids: nonces for the Ray cluster and for its head.
        ports: free ones.
        gpus: device numbers for its nodes, in order; None where the machine has none.
    """
    folder = settings.data_dir.resolve() / "clusters" / launch.attempt.id
    temp = temp_dir(settings, launch.attempt.id)
    left = None if gpus is None else list(gpus)
    head, groups = launch.spec.head, launch.spec.workers
    workers = [group for group in groups for _ in range(starting_replicas(group.min_replicas))]
    return {
        "cluster_uid": uids[0],
        "head_uid": uids[1],
        "port": ports.gcs,
        "dashboard_port": ports.dashboard,
        "client_port": ports.client,
        "gpus": gpus or [],
        "temp_dir": str(temp),
        "cwd": str(folder / "cwd"),
        "head": {
            "command": _head(settings, head, ports, temp / "r"),
            "environment": _head_environment(launch, folder, uids[1]) | _devices(left, head.gpu),
        },
        "workers": [
            {
                "command": _worker(settings, worker, ports),
                "environment": {LOOPBACK_ONLY: "1"} | _devices(left, worker.gpu),
            }
            for worker in workers
        ],
    }


def keeper_environment(settings: LocalSettings, attempt_id: str, given: Mapping[str, str]) -> dict[str, str]:
    """What every process of the Ray cluster has in its environment."""
    folder = settings.data_dir.resolve() / "clusters" / attempt_id
    return clean(given) | {
        "PATH": f"{settings.python.parent}:{given.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        TAG: attempt_id,
        LOOPBACK_ONLY: "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "ray-token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "AUTOSCALER_METRIC_PORT": "0",
        "DASHBOARD_METRIC_PORT": "0",
        **PATIENCE,
    }


def keeper_command(folder: Path) -> list[str]:
    """The keeper runs on the platform's own Python, without what lies beside its file on the path."""
    return [sys.executable, "-P", str(Path(__file__).with_name("keeper.py")), str(folder)]


def _head_environment(launch: Launch, folder: Path, head_uid: str) -> dict[str, str]:
    return {
        "DARTJOBS_HEAD_UID": head_uid,
        "DARTJOBS_TOKEN_FILE": str(folder / "token"),
        "DARTJOBS_GATEWAY_URL": launch.gateway_url,
        "DARTJOBS_SPOOL_DIR": str(folder / "spool"),
    }


def _head(settings: LocalSettings, node: NodeResources, ports: Ports, temp: Path) -> list[str]:
    head = [f"--port={ports.gcs}", f"--ray-client-server-port={ports.client}", f"--temp-dir={temp}"]
    dashboard = ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={ports.dashboard}"]
    start = [str(settings.python), "-m", "ray.scripts.scripts", "start", "--head"]
    return [*start, *head, *dashboard, *_node(node)]


def _worker(settings: LocalSettings, node: NodeResources, ports: Ports) -> list[str]:
    start = [str(settings.python), "-c", _WORKER, "start", f"--address=127.0.0.1:{ports.gcs}"]
    return [*start, "--include-log-monitor=false", *_node(node)]


def _node(node: NodeResources) -> list[str]:
    """Port 0 is any free one."""
    store = max(_SMALLEST_STORE, int(node.memory * _STORE_SHARE))
    return [
        "--block",
        "--log-style=record",
        "--log-color=false",
        "--disable-usage-stats",
        "--node-ip-address=127.0.0.1",
        "--dashboard-agent-listen-port=0",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--num-cpus={math.ceil(node.cpu)}",
        f"--num-gpus={node.gpu}",
        f"--memory={node.memory}",
        f"--object-store-memory={store}",
        f"--resources={json.dumps(node.resources)}",
    ]


def _devices(left: list[int] | None, count: int) -> dict[str, str]:
    if left is None:
        return {}
    taken = [left.pop(0) for _ in range(count)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, taken))}
