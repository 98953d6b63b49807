"""Fixtures of the cluster suite: the real node, and Tidemark's image on it."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness.cluster import Cluster  # noqa: E402
from harness.registry import PrivateRegistry  # noqa: E402
from node import Node, script  # noqa: E402


class Instance:
    """One instance of tests/cluster/cluster, driven as a person would."""

    def __init__(self, name):
        self.name = name

    def run(self, *arguments, env=None):
        return subprocess.run([str(HERE / "cluster"), "--name", self.name, *arguments], text=True, timeout=600,
                              stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, **(env or {})})

    def ok(self, *arguments, **options):
        done = self.run(*arguments, **options)
        assert done.returncode == 0, f"cluster {' '.join(arguments)} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def env(self):
        exports = re.findall(r"^export (\w+)=(.*)$", self.ok("env"), re.MULTILINE)
        return {key: shlex.split(value)[0] for key, value in exports}

    def kubectl(self, *arguments):
        env = self.env
        path = env["PATH"].replace("$PATH", os.environ["PATH"])
        done = subprocess.run(["kubectl", *arguments], text=True, capture_output=True, timeout=180,
                              env={**os.environ, "PATH": path, "KUBECONFIG": env["KUBECONFIG"]})
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def keeper(self):
        done = subprocess.run(["pgrep", "-f", f"^tidemark-keeper .*/{self.name}$"], text=True, capture_output=True)
        return int(done.stdout.split()[0]) if done.stdout else None

    def link(self):
        """The host's end of the pair, which has an address of its own."""
        done = subprocess.run(["ip", "-o", "addr", "show", "to", self.env["TIDEMARK_HOST_ADDRESS"]], text=True,
                              capture_output=True, check=True)
        return done.stdout.split()[1]


@pytest.fixture
def instance(request):
    """A fresh name; what a failed test leaves is taken down."""
    instance = Instance(f"life-{os.getpid()}")
    yield instance
    instance.run("down")


@pytest.fixture(scope="session")
def tmp(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def cluster(tmp):
    """The whole node; one for all tests of the suite."""
    cluster = Cluster(os.environ.get("TIDEMARK_TEST_CLUSTER", f"node-{os.getpid()}"), tmp, control_plane_only=False)
    yield cluster
    cluster.down()


class Image:
    """Tidemark's image: its name in the cluster's registry (name@digest), and the bytes that a pull transfers."""

    def __init__(self, cluster):
        self.told = script("image", "build")
        self.compressed = int(re.search(r"\((\d+) bytes\)", self.told).group(1))
        self.reference = script("image", "--name", cluster.name, "push").strip()


@pytest.fixture(scope="session")
def tidemark_image(cluster):
    """Built from the Dockerfile and pushed to the cluster's registry."""
    return Image(cluster)


@pytest.fixture(scope="session")
def private_registry(cluster, tmp):
    """A registry that answers nobody without an account; Tidemark and the node know that it has no TLS."""
    # In the node's own network, which pods reach, beside the other one.
    host, port = cluster.registry.address.split(":")
    registry = PrivateRegistry(host, cluster.registry.crane_program, tmp, "puller", "battery staple", port=int(port) + 1,
                               inside=[HERE / "cluster", "--name", cluster.name, "exec"])
    hosts = cluster.node_folder / "certs.d" / registry.address
    hosts.mkdir(parents=True, exist_ok=True)
    (hosts / "hosts.toml").write_text(f'[host."http://{registry.address}"]\ncapabilities = ["pull", "resolve"]\n')
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def installed(cluster, tidemark_image, private_registry):
    """Tidemark from deploy/install.yaml, once. A test that takes it away or changes it installs it again."""
    node = Node(cluster, tidemark_image.reference, private_registry.address)
    node.install()
    return node


@pytest.fixture
def node(installed):
    return installed


@pytest.fixture
def ns(cluster):
    """A fresh namespace."""
    name = cluster.kubectl.namespace()
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
