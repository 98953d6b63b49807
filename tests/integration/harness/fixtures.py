"""The fixtures of every suite that runs our programs on the host, before a real API server: a conftest.py imports them."""

import os

import pytest

from . import programs
from .cluster import Cluster


@pytest.fixture(scope="session")
def tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def cluster(tmp):
    cluster = Cluster(os.environ.get("TIDEMARK_TEST_CLUSTER", f"it-{os.getpid()}"), tmp)
    try:
        programs.install(cluster)
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def kubectl(cluster):
    return cluster.kubectl


@pytest.fixture(scope="session")
def registry(cluster):
    return cluster.registry


def fresh_namespace(kubectl):
    name = kubectl.namespace()
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def ns(kubectl, webhook):
    """A fresh namespace in a cluster that Tidemark's webhook serves."""
    yield from fresh_namespace(kubectl)
