"""What our objects are called, how they are labelled, and the tokens that guard their heads."""

import hmac
import re
from hashlib import sha256
from typing import Any, NamedTuple

from dartjobs.drivers.base import FinalDriverError

INSTALLATION, JOB, ATTEMPT = "dartjobs.io/installation", "dartjobs.io/job", "dartjobs.io/attempt"
RAY_CLUSTER, NODE_TYPE = "ray.io/cluster", "ray.io/node-type"
"""KubeRay's own labels (`controllers/ray/utils/constant.go`, 1.6)."""
LONGEST_NAME = 53
"""`MaxRayClusterNameLength` of KubeRay 1.6, which adds suffixes for pods and services."""
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class Kind(NamedTuple):
    """A kind of object, by its place in the API."""

    api: str
    """`api/v1`, or `apis/<group>/<version>`."""
    plural: str

    def path(self, namespace: str, name: str | None = None) -> str:
        """Of one object, or of all in a namespace."""
        folder = f"/{self.api}/namespaces/{namespace}/{self.plural}"
        return folder if name is None else f"{folder}/{name}"


CONFIG_MAPS = Kind("api/v1", "configmaps")
NETWORK_POLICIES = Kind("apis/networking.k8s.io/v1", "networkpolicies")
PODS = Kind("api/v1", "pods")
RAY_CLUSTERS = Kind("apis/ray.io/v1", "rayclusters")
SECRETS = Kind("api/v1", "secrets")
SECURITY_GROUP_POLICIES = Kind("apis/vpcresources.k8s.aws/v1beta1", "securitygrouppolicies")
SERVICES = Kind("api/v1", "services")


class Manifest(NamedTuple):
    """An object to be created."""

    kind: Kind
    body: dict[str, Any]


def cluster_name(attempt_id: str) -> str:
    """The name of each of an attempt's objects: the attempt's own id, which is never used twice.

    Raises:
        FinalDriverError: KubeRay would not take it.
    """
    if len(attempt_id) > LONGEST_NAME or _DNS_1035.fullmatch(attempt_id) is None:
        msg = f"{attempt_id!r} is no DNS-1035 label of at most {LONGEST_NAME} characters"
        raise FinalDriverError(msg)
    return attempt_id


def head_service(attempt_id: str) -> str:
    """The service that KubeRay makes for a head (`GenerateHeadServiceName`)."""
    return f"{cluster_name(attempt_id)}-head-svc"


def labels(installation: str, attempt_id: str, job_id: str) -> dict[str, str]:
    """What each of an attempt's objects carries."""
    return {INSTALLATION: installation, JOB: job_id, ATTEMPT: attempt_id}


def ray_token(secret: bytes, installation: str, attempt_id: str) -> str:
    """What a head wants to hear from its callers: derived, so that nobody has to read it back from the cluster."""
    return hmac.new(secret, f"ray\n{installation}\n{attempt_id}".encode(), sha256).hexdigest()
