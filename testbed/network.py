"""A bridge of its own for each cluster, and one address translation, so that pods find the API server.

There is no kube-proxy: several on one host would overwrite each other's rules. The one ClusterIP that pods need is that
of `kubernetes` (Ray's autoscaler calls it); the services of KubeRay's heads are headless.
"""

from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.programs import run

_CLUSTERS = 50
_INTERFACES = Path("/sys/class/net")


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses of one cluster, by its number on this machine."""

    number: int

    @property
    def bridge(self) -> str:
        """Its interface on the host."""
        return f"djbed{self.number}"

    @property
    def gateway(self) -> str:
        """The host, as pods see it, and as the API server sees the kubelet."""
        return f"10.213.{self.number}.1"

    @property
    def pods(self) -> str:
        """CIDR."""
        return f"10.213.{self.number}.0/24"

    @property
    def services(self) -> str:
        """CIDR."""
        return f"10.214.{self.number}.0/24"

    @property
    def kubernetes(self) -> str:
        """The ClusterIP of the service `kubernetes`: always the first."""
        return f"10.214.{self.number}.1"


def claim() -> Network:
    """Make the first bridge that nobody has: the kernel lets only one of several beds have a name.

    Raises:
        TestbedError: we may not make one, or all are taken.
    """
    for number in range(_CLUSTERS):
        network = Network(number)
        try:
            run(["ip", "link", "add", network.bridge, "type", "bridge"])
        except TestbedError:
            if not (_INTERFACES / network.bridge).exists():
                raise
            continue
        run(["ip", "address", "add", f"{network.gateway}/24", "dev", network.bridge])
        run(["ip", "link", "set", network.bridge, "up"])
        return network
    msg = f"{_CLUSTERS} clusters of test beds have their bridges here: `ip link` shows them as djbed…"
    raise TestbedError(msg)


def translate(network: Network, port: int) -> None:
    """Send what pods say to the service `kubernetes` to the API server's port on the host."""
    run([*_iptables("-A"), *_rule(network, port)])


def release(network: Network, port: int) -> None:
    """Take the rule and the bridge away; fine if they are not there."""
    while _done([*_iptables("-D"), *_rule(network, port)]):
        pass
    _done(["ip", "link", "delete", network.bridge])


def _iptables(what: str) -> list[str]:
    return ["iptables", "--wait", "-t", "nat", what, "PREROUTING"]


def _rule(network: Network, port: int) -> list[str]:
    to = f"{network.gateway}:{port}"
    return ["-d", network.kubernetes, "-p", "tcp", "--dport", "443", "-j", "DNAT", "--to-destination", to]


def _done(argv: list[str]) -> bool:
    try:
        run(argv)
    except TestbedError:
        return False
    return True
