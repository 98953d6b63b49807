import os
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import manifests, programs  # noqa: E402
from harness.fixtures import cluster, fresh_namespace, kubectl, ns, registry, tmp  # noqa: E402,F401
from harness.processes import free_port, wait_for  # noqa: E402
from harness.proxies import KillSwitch, Proxy  # noqa: E402
from harness.registry import Image, PrivateRegistry  # noqa: E402

SERVERS = ("docker-registry", "distribution", "crane")  # real registries: test_servers.py
PRIVATE = ("puller", "correct horse battery staple")


@pytest.fixture(scope="session")
def private_registry(cluster, tmp):
    """A registry that answers nobody without an account."""
    registry = PrivateRegistry(cluster.host_address, cluster.registry.crane_program, tmp, *PRIVATE)
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def registry_proxy(cluster):
    """The cluster's registry under another address, with a kill switch at every request."""
    host, port = cluster.registry.address.split(":")
    proxy = Proxy(KillSwitch(), host, int(port), listen=cluster.host_address)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def spare_port(cluster):
    """Where a test may start a registry of its own that all programs know."""
    return free_port(cluster.host_address)


@pytest.fixture(scope="session")
def server_ports(cluster):
    """The same for every program of SERVERS."""
    return {name: free_port(cluster.host_address) for name in SERVERS}


@pytest.fixture(scope="session")
def more_registries(cluster, private_registry, registry_proxy, spare_port, server_ports):
    ports = (f"{cluster.host_address}:{port}" for port in (spare_port, *server_ports.values()))
    addresses = (private_registry.address, registry_proxy.address, *ports)
    return [{"host": address, "plainHTTP": True} for address in addresses]


@pytest.fixture(scope="session")
def webhook(cluster, tmp, more_registries):
    """The webhook that the API server calls; one for the whole run, as in a cluster."""
    webhook = programs.Webhook(cluster, tmp, registries=more_registries, webhook={"warnOnLatest": True}).wait_ready().serve_cluster()
    yield webhook
    assert webhook.process.running(), f"the webhook ended during the tests:\n{webhook.process.text()[-3000:]}"
    assert webhook.process.stop() == 0


@pytest.fixture(scope="session")
def sweeper(cluster, tmp, more_registries):
    return programs.Sweeper(cluster, tmp, registries=more_registries)


@pytest.fixture(scope="session")
def plugin_path(tmp, cluster):
    """A PATH on which kubectl finds its plugin."""
    folder = tmp / "plugins"
    folder.mkdir()
    (folder / "kubectl-tidemark").symlink_to(programs.SWEEPER)
    (folder / "kubectl").symlink_to(cluster.kubectl.program)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def other_ns(kubectl, webhook):
    yield from fresh_namespace(kubectl)


@pytest.fixture
def image(registry, ns):
    """A tag of this test's own; its digest is image.digest."""
    return Image(registry, f"{ns}/app:1")


@pytest.fixture
def web(kubectl, ns, image):
    """A stamped Deployment of one replica, its one ReplicaSet made."""
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref)))
    wait_for("the first ReplicaSet", lambda: len(kubectl.replica_sets("web", ns)) == 1)
    return image


@pytest.fixture
def two(kubectl, registry, ns):
    """A workload that is up to date, and one that has moved and is held."""
    for name in ("quiet", "moved"):
        registry.push(f"{ns}/{name}:1", f"{ns} {name}")
        kubectl.apply(manifests.deployment(name, ns, manifests.pod_spec(f"{registry.address}/{ns}/{name}:1"),
                                           {"tidemark.dev/sweep": "roll"}))
    registry.push(f"{ns}/moved:1", f"{ns} second")
    kubectl("annotate", "deployment", "moved", "-n", ns, "tidemark.dev/hold=true", "tidemark.dev/hold-reason=freeze")


@pytest.fixture(scope="session")
def seen(kubectl):
    """seen(image, ns): admission knows the image's digest of now, not one that it remembers."""

    def answered(image, ns):
        manifest = manifests.deployment("probe", ns, manifests.pod_spec(image.ref))
        return kubectl.create(manifest, "--dry-run=server", "-o", "json")

    def wait(image, ns):
        wait_for("the remembered digest expires", lambda: image.stamp in answered(image, ns), 20, 0.2)

    return wait
