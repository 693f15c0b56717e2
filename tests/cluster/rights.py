"""The rights of `deploy/rbac.yaml`, given to a service account of a namespace of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from testbed.api import Api

RBAC = Path(__file__).resolve().parents[2] / "deploy" / "rbac.yaml"
_PLACES = {
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@contextmanager
def granted(api: Api, namespace: str) -> Iterator[str]:
    """A token that may do what the file says, in that namespace; what is outside of it is removed afterwards."""
    name = f"sync-of-{namespace}"
    text = RBAC.read_text().replace("dartjobs-sync", name).replace("namespace: dartjobs", f"namespace: {namespace}")
    made = []
    try:
        for one in yaml.safe_load_all(text):
            folder = _PLACES[one["kind"]].format(namespace=namespace)
            api.post(folder, one)
            made.append(f"{folder}/{name}")
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        yield api.post(account, asked)["status"]["token"]
    finally:
        for path in made:
            api.delete(path)


def kubeconfig_with(kubeconfig: Path, token: str, path: Path) -> Path:
    """The same cluster, by another token."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path.write_text(yaml.safe_dump(config))
    return path
