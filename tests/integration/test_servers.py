"""Registries' own programs: a HEAD is enough, an index is the stamp, tags are listed to the end, a moved tag is rolled once."""

import http.client
import json
import re

import pytest
from conftest import SERVERS
from harness import manifests
from harness.cluster import binary
from harness.registry import CraneRegistry, Image, PrivateRegistry
from harness.rollouts import ROLLABLE, settled

from test_admission import STAMP
from test_policies import POLICY
from test_sweeper import ROLL

TAGS = 1100  # more than the 1,000 of a page
PAGES = {"docker-registry": 1, "distribution": 2, "crane": 2}  # docker-registry gives all at once
OCI = "application/vnd.oci.image.manifest.v1+json"


class Log:
    """What the registry's log gains."""

    def __init__(self, server):
        self.process = server.process
        self.at = len(self.process.text())

    def requests(self, path):
        """The methods of the requests so far whose path matches, in order."""
        return re.findall(rf"([A-Z]+) /v2/{path}(?:\s|$)", self.process.text()[self.at:], re.MULTILINE)


@pytest.fixture(scope="module", params=SERVERS)
def server(request, cluster, tmp, server_ports):
    name, crane = request.param, cluster.registry.crane_program
    port = server_ports[name]
    if name == "crane":
        server = CraneRegistry(cluster.host_address, crane, tmp, port)
    else:
        program = name if name == "docker-registry" else binary(name)
        server = PrivateRegistry(cluster.host_address, crane, tmp, access_log=True, port=port, program=program)
    server.name = name
    yield server
    server.stop()


def apply(kubectl, ns, reference, annotations=None, kind="deployment"):
    kubectl.apply(manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(reference), annotations=annotations or ROLL))
    settled(kubectl, kind, "web", ns)


# registry: CNCF distribution 2.8 (Debian's docker-registry) | `plainHTTP` | real
# registry: CNCF distribution 3.0 | `plainHTTP` | real
# registry: crane registry serve 0.20 (go-containerregistry) | `plainHTTP` | real
def test_a_head_is_enough_and_an_index_is_the_stamp(kubectl, ns, server):
    index = server.push_index(f"{ns}/multi:1", {"linux/amd64": "a", "linux/arm64": "b"})
    log = Log(server)
    reference = f"{server.address}/{ns}/multi:1"
    apply(kubectl, ns, reference)
    assert kubectl.stamps("deployment", "web", ns)[STAMP] == f"{reference}@{index}"
    assert set(log.requests(f"{ns}/multi/manifests/1")) == {"HEAD"}


# registry: CNCF distribution 2.8 (Debian's docker-registry)
# registry: CNCF distribution 3.0
# registry: crane registry serve 0.20 (go-containerregistry)
@pytest.mark.parametrize("kind", ROLLABLE)
def test_a_moved_tag_is_rolled_once(kubectl, ns, server, sweeper, kind):
    image = Image(server, f"{ns}/app:1")
    apply(kubectl, ns, image.ref, kind=kind)
    before = settled(kubectl, kind, "web", ns)
    image.move("second")
    log = Log(server)
    for _ in range(3):
        sweeper.once("-n", ns)
        assert settled(kubectl, kind, "web", ns) == before + 1
    assert kubectl.stamps(kind, "web", ns)[STAMP] == image.stamp
    assert set(log.requests(f"{ns}/app/manifests/1")) == {"HEAD"}


def tag_many(server, repository, names):
    """All of them name what build-1001 does."""
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.request("GET", f"/v2/{repository}/manifests/build-1001", headers={"Accept": OCI})
    answer = connection.getresponse()
    kind, manifest = answer.headers["Content-Type"], answer.read()
    for name in names:
        connection.request("PUT", f"/v2/{repository}/manifests/{name}", manifest, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 201, text
    connection.close()


# registry: CNCF distribution 2.8 (Debian's docker-registry)
# registry: CNCF distribution 3.0
# registry: crane registry serve 0.20 (go-containerregistry)
def test_the_newest_of_more_tags_than_a_page_has_is_chosen(kubectl, ns, server, sweeper):
    """Lists are sorted: what comes after the first page is newer than all of it."""
    repository = f"{ns}/app"
    server.push(f"{repository}:build-1001", "app")
    tag_many(server, repository, [f"build-{number}" for number in range(1002, 1000 + TAGS)])
    newest = Image(server, f"{repository}:build-{1000 + TAGS}")
    policy = "numerical: asc\nfilter: ^build-(\\d+)$\nextract: $1"
    apply(kubectl, ns, f"{server.address}/{repository}:build-1001", ROLL | {POLICY: policy})
    log = Log(server)
    entry = json.loads(sweeper.order("policy", "-n", ns, "-o", "json"))["policies"][0]
    assert (entry["chosenTag"], entry["tags"], entry["fitting"]) == (newest.name.split(":")[1], TAGS, TAGS)
    assert len(log.requests(rf"{repository}/tags/list\S*")) == PAGES[server.name]
    sweeper.once("-n", ns)
    assert kubectl.stamps("deployment", "web", ns)[STAMP] == newest.stamp
