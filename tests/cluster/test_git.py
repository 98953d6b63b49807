"""Write-back to Git from the sweeper's own pod: the image's libraries, the volume of the manifests."""

import pathlib

import pytest
import yaml
from harness.git_server import Bare, SshServer
from harness.processes import wait_for

from node import HERE, PATIENCE, SYSTEM

FILE = "clusters/web.yaml"


@pytest.fixture
def sshd(cluster, tmp):
    """In the node's own network, which pods reach; with the kind of key that people have today."""
    host, port = cluster.registry.address.split(":")
    inside = [HERE / "cluster", "--name", cluster.name, "exec"]
    server = SshServer(tmp / "sshd", SshServer.ED25519, host, int(port) + 2, inside)
    yield server
    server.stop()


def test_the_sweepers_pod_writes_a_newer_tag_to_git(node, ns, cluster, sshd, tmp):
    image = f"{node.registry}/{ns}/app"

    def manifest(tag):
        return f"image: {image}:{tag} # {{\"$imagepolicy\": \"{ns}:app\"}}\n"

    folder = tmp / f"git-{ns}"
    folder.mkdir()
    bare = Bare(folder, "apps")
    for number in range(20):
        bare.commit({"README.md": f"{number}\n", FILE: manifest("1.2.0")})
    for tag in ("1.2.0", "1.10.0"):
        node.push(f"{ns}/app:{tag}", f"{ns} {tag}")
    node.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": ns}, "stringData": sshd.secret()})
    kept = node.kubectl.json("get", "configmap", "tidemark", "-n", SYSTEM)["data"]["config.yaml"]

    def configure(text):
        node.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tidemark", "namespace": SYSTEM},
                            "data": {"config.yaml": text}})
        node.kubectl("rollout", "restart", "deployment", "tidemark-sweeper", "-n", SYSTEM)
        node.wait_available("tidemark-sweeper")

    wanted = yaml.safe_load(kept) | {
        "policies": [{"name": f"{ns}:app", "image": image, "policy": "semver: ^1.2"}],
        "git": {"interval": "2s", "repositories": [{"name": "apps", "url": sshd.url(bare), "secret": f"{ns}/git"}]}}
    configure(yaml.safe_dump(wanted))
    try:
        wait_for("the newer tag is in Git", lambda: bare.show(FILE) == manifest("1.10.0"), PATIENCE, 0.3)
        node.push(f"{ns}/app:1.11.0", "newest")
        wait_for("so is the next", lambda: bare.show(FILE) == manifest("1.11.0"), PATIENCE, 0.3)
        assert bare.log() == ["Tidemark"] * 2 + ["Somebody"] * 20
        [sweeper] = node.processes(b"/tidemark-sweeper\0run")
        assert pathlib.Path(f"/proc/{sweeper}/root/var/cache/tidemark/git/apps/shallow").read_text(), "the clone has no history"
    finally:
        configure(kept)
