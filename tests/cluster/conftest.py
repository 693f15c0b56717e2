"""Tests on real clusters; only where one is named, as `make test-cluster` does: see docs/testbed.md."""

import os

import pytest

from tests.cluster.real import Cluster, the_cluster

collect_ignore_glob = [] if "DARTJOBS_TESTBED_KUBECONFIG" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return the_cluster()
