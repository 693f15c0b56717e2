"""The configuration files of a cluster's programs, as text. Every path and address is an argument; nothing is read."""

import base64
import json
from pathlib import Path

from testbed.image import PAUSE_IMAGE
from testbed.network import Network

Tokens = dict[str, str]
"""By user name."""

ADMIN = "admin"
_GROUPS = {ADMIN: "system:masters"}


def users(node: str) -> tuple[str, ...]:
    """Who may speak to the API server: an administrator, and the parts that Kubernetes has RBAC rules for."""
    return (ADMIN, "system:kube-controller-manager", "system:kube-scheduler", f"system:node:{node}")


def tokens(known: Tokens) -> str:
    """The API server's `--token-auth-file`: token, user, uid and groups."""
    lines = []
    for number, (user, token) in enumerate(known.items()):
        group = "system:nodes" if user.startswith("system:node:") else _GROUPS.get(user, "")
        lines.append(f'{token},{user},{number},"{group}"\n')
    return "".join(lines)


def kubeconfig(name: str, port: int, authority: bytes, token: str) -> str:
    """For one user of a cluster, in JSON, which is YAML too; certificates are inside, so that it may be copied."""
    encoded = base64.b64encode(authority).decode()
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": encoded}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=1,
    )


def containerd(root: Path, state: Path, socket: Path, plugins: str, networks: Path) -> str:
    """The `config.toml` of containerd.

    `restrict_oom_score_adj`: where CAP_SYS_RESOURCE is missing, runc fails without it ("can't get final child's PID").
    """
    return f"""\
version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{state.parent}/runc"
"""


def cni(network: Network, leases: Path) -> str:
    """The network of pods: a bridge, and addresses that files keep account of."""
    addresses = {
        "type": "host-local",
        "dataDir": str(leases),
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": network.bridge, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return json.dumps({"cniVersion": "0.4.0", "name": network.bridge, "plugins": [bridge]})


def kubelet(pki: Path, network: Network, port: int, socket: Path, logs: Path) -> str:
    """The kubelet's configuration, for machines with cgroups of version 1 or 2 that are not the kubelet's to arrange.

    1.36 is the last release that takes containerd 1.6, which is Debian 12's.
    """
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "cgroupDriver": "cgroupfs",
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{socket}",
            "clusterDNS": [network.gateway],
            "clusterDomain": "cluster.local",
            "address": network.gateway,
            "port": port,
            "healthzPort": 0,
            "resolvConf": "",
            "podLogsDir": str(logs),
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        },
        indent=1,
    )


def corefile(network: Network, config: Path) -> str:
    """CoreDNS's: only the cluster's own names, and no cache, so that a new service is found at once."""
    return f"""\
.:53 {{
 bind {network.gateway}
 errors
 kubernetes cluster.local {{
  kubeconfig {config}
  ttl 1
 }}
}}
"""
