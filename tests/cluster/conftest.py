"""Real clusters for the tests of this folder: those whose kubeconfigs the environment names, see docs/testbed.md.

`make test-cluster` starts clusters, names them and ends them; `make testbed` starts some that stay.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.api import Api
from tests.cluster.real import Cluster, kubeconfigs_of, the_cluster
from tests.fakes.polling import until

PATIENCE = 240.0


@pytest.fixture(scope="session")
def kubeconfigs() -> tuple[Path, ...]:
    """An administrator's for each cluster, in JSON; at least one."""
    return kubeconfigs_of(os.environ)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The first one."""
    return the_cluster()


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    """The first one's, as the administrator."""
    return Api(cluster.kubeconfig)


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    """One of the first cluster's, empty; gone with all that is in it by then when the tests of a file have ended."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    try:
        until(lambda: api.answers(f"/api/v1/namespaces/{name}/serviceaccounts/default"), PATIENCE)
        yield name
    finally:
        api.delete(f"/api/v1/namespaces/{name}")
        until(lambda: not api.answers(f"/api/v1/namespaces/{name}"), PATIENCE)
