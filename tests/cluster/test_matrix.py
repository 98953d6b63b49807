"""Every kind by every way in which a tag can move: rolled exactly once, the new image runs, and nothing more comes after."""

import io
import json
import tarfile

import pytest

import crews
from harness import manifests
from harness.processes import wait_for
from node import PATIENCE, ROLL

KINDS = ["deployment", "statefulset", "daemonset", "cronjob", "crew"]
NAMES = ["latest", "tag", "two", "init", "index", "pod-secret", "account-secret", "twins"]


class Case:
    """One workload: its images by container, and those of them that move."""

    def __init__(self, matrix, kind, name):
        self.matrix, self.kind, self.name = matrix, kind, name
        self.tag = "latest" if name == "latest" else "1.27"
        private = name.endswith("secret")
        self.registry = matrix.private if private else matrix.public
        self.containers = {"two": ["app", "side"], "twins": ["app", "side"]}.get(name, ["app"])
        self.init = ["prepare"] if name == "init" else []
        self.moving = {"init": ["prepare"], "two": ["app", "side"]}.get(name, ["app"])
        self.digests = {}

    def repository(self, container):
        return f"{self.matrix.ns}/{self.name}-{container}:{self.tag}"

    def image(self, container):
        return f"{self.registry.address}/{self.repository(container)}"

    def push(self, container, version):
        # Twins: the same content in two repositories.
        said = f"{self.kind} {self.name} {version}" + ("" if self.name == "twins" else f" {container}")
        push = self.matrix.push_index if self.name == "index" else self.matrix.push
        self.digests[container] = push(self.registry, self.repository(container), said)

    def push_all(self):
        for container in self.containers + self.init:
            self.push(container, "first")

    def move(self):
        for container in self.moving:
            self.push(container, "second")

    def create(self):
        once = {"args": ["once"]} if self.kind == "cronjob" else {}
        spec = {"terminationGracePeriodSeconds": 0,
                "containers": [{"name": name, "image": self.image(name), "imagePullPolicy": "Always",
                                "env": [{"name": "LISTEN", "value": f":{8080 + index}"}]} | once
                               for index, name in enumerate(self.containers)]}
        if self.init:
            spec["initContainers"] = [{"name": name, "image": self.image(name), "imagePullPolicy": "Always",
                                       "args": ["once"]} for name in self.init]
        if self.name == "pod-secret":
            spec["imagePullSecrets"] = [{"name": "pull"}]
        if self.name == "account-secret":
            spec["serviceAccountName"] = "puller"
        build = crews.crew if self.kind == "crew" else manifests.BUILDERS[self.kind]
        document = build(self.name, self.matrix.ns, spec, ROLL)
        template = document["spec"]
        if self.kind == "cronjob":
            template = template["jobTemplate"]["spec"]
        else:
            template["selector"] = {"matchLabels": {"case": self.name}}
        template["template"]["metadata"]["labels"] = {"case": self.name}
        self.matrix.kubectl.apply(document)
        assert not self.matrix.kubectl.warnings, (self.name, self.matrix.kubectl.warnings)

    def stamps(self):
        found = self.matrix.kubectl.stamps(self.kind, self.name, self.matrix.ns)
        return {key.split("/")[1]: value.rsplit("@", 1)[1] for key, value in found.items()}

    def runs(self):
        """What the containers of its only pod run, once all of them have come as far as they should."""
        pods = [pod for pod in self.matrix.node.pods(self.matrix.ns, f"case={self.name}")
                if not pod["metadata"].get("deletionTimestamp")]
        if self.kind == "cronjob":
            pods = [pod for pod in pods if pod["metadata"]["labels"]["job-name"] == self.job]
        if len(pods) != 1:
            return None
        status = pods[0]["status"]
        done = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
        ended = all(one.get("state", {}).get("terminated", {}).get("exitCode") == 0 for one in status.get("containerStatuses", []))
        if not (ended if self.kind == "cronjob" else all(one["ready"] for one in done)):
            return None
        return {one["name"]: one["imageID"].rsplit("@", 1)[1] for one in done}

    def run_job(self, number):
        if self.kind == "cronjob":
            self.job = f"{self.name}-{number}"
            self.matrix.kubectl("create", "job", self.job, f"--from=cronjob/{self.name}", "-n", self.matrix.ns)

    def reasons(self):
        return [entry["why"] for entry in self.matrix.kubectl.history(self.kind, self.name, self.matrix.ns)]


class Matrix:
    def __init__(self, node, cluster, private_registry, ns, kind):
        self.node, self.ns, self.kubectl = node, ns, node.kubectl
        self.public, self.private = cluster.registry, private_registry
        self.cases = [Case(self, kind, name) for name in NAMES]

    def push(self, registry, repository, said):
        reference = f"{registry.address}/{repository}"
        # The small program with a layer more: a version of its own without another build, and in one step.
        layer = self.public.tmp / "matrix-layer.tar"
        data = said.encode()
        with tarfile.open(layer, "w") as tar:
            entry = tarfile.TarInfo("said")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        registry.crane("append", "--insecure", "--base", f"{registry.address}/{self.ns}/program:1", "--new_layer", layer, "--new_tag", reference)
        return registry.digest(repository)

    def push_index(self, registry, repository, said):
        child = f"{repository.rsplit(':', 1)[0]}:child"
        self.push(registry, child, said)
        registry.crane("index", "append", "--insecure", "--tag", f"{registry.address}/{repository}",
                       "--manifest", f"{registry.address}/{child}")
        return registry.digest(repository)

    def push_programs(self):
        """The small program, once in each registry: what all images are made of."""
        name = f"{self.ns}/program:1"
        self.node.push(name, "matrix")
        archive = self.public.tmp / f"program-{self.ns}"
        self.public.crane("pull", "--insecure", "--format", "oci", f"{self.public.address}/{name}", archive)
        self.private.crane("push", "--insecure", archive, f"{self.private.address}/{name}")

    def give_credentials(self):
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                  "metadata": {"name": "pull", "namespace": self.ns},
                  "stringData": {".dockerconfigjson": json.dumps(self.private.docker_config)}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller", "namespace": self.ns},
                   "imagePullSecrets": [{"name": "pull"}]}
        self.kubectl.apply([secret, account])

    def wait_running(self, number):
        for case in self.cases:
            case.run_job(number)
        for case in self.cases:
            children = {}
            if case.name == "index":
                # The node names the index or its own platform's manifest.
                children = {"app": self.public.digest(f"{case.repository('app').rsplit(':', 1)[0]}:child")}

            def runs(case=case, children=children):
                found = case.runs()
                return found is not None and all(
                    found[name] in (digest, children.get(name)) for name, digest in case.digests.items())
            wait_for(f"{case.kind} {case.name} runs {case.digests}", runs, PATIENCE * 2, 0.5)


@pytest.fixture
def controller(request, node, cluster, tmp):
    """Of the custom kind, and Tidemark that knows it; for the other kinds there is nothing to do."""
    if request.node.callspec.params["matrix"] != "crew":
        yield None
        return
    controller = crews.Controller(cluster, tmp)
    try:
        crews.configure(node, tmp)
        controller.start()
        yield controller
        controller.stop()
    finally:
        crews.forget(node, tmp)
        node.install()


@pytest.fixture
def matrix(controller, node, cluster, private_registry, ns, request):
    return Matrix(node, cluster, private_registry, ns, request.param)


@pytest.mark.parametrize("matrix", KINDS, indirect=True)
def test_a_moved_tag_is_rolled_exactly_once(matrix):
    matrix.push_programs()
    matrix.give_credentials()
    for case in matrix.cases:
        case.push_all()
    for case in matrix.cases:
        case.create()
        assert case.stamps() == case.digests, case.name
    matrix.wait_running("first")

    for case in matrix.cases:
        case.move()
    for case in matrix.cases:
        wait_for(f"{case.kind} {case.name} is rolled", lambda case=case: case.stamps() == case.digests, PATIENCE, 0.3)
    matrix.wait_running("second")

    # One entry for each container that moved, and nothing more in the sweeps after.
    def once():
        return all(case.reasons() == ["moved"] * len(case.moving) + ["created"] * len(case.digests)
                   for case in matrix.cases)
    assert once(), [(case.name, case.reasons()) for case in matrix.cases]
    matrix.node.after_sweeps(2, once)


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
def test_an_image_that_cannot_be_pulled_is_rolled_to_once_and_no_more(node, cluster, ns, kind):
    """Rolling again at every sweep would eat revisionHistoryLimit, and with it the good revision."""
    registry = cluster.registry
    name = f"{ns}/app:1"
    first = node.push(name, "first")
    node.kubectl.apply(manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(f"{registry.address}/{name}"), ROLL))
    node.wait_running(ns, first)

    registry.push(name, f"{ns} broken")
    broken = registry.digest(name)
    layer = json.loads(registry.crane("manifest", "--insecure", f"{registry.address}/{name}"))["layers"][-1]["digest"]
    kept = cluster.node_folder.parent / "registry/docker/registry/v2/blobs/sha256" / layer[7:9] / layer[7:]
    (kept / "data").unlink()

    def stamped():
        return [value.rsplit("@", 1)[1] for value in node.kubectl.stamps(kind, "web", ns).values()]
    wait_for("it is rolled", lambda: stamped() == [broken], PATIENCE, 0.3)

    def waits():
        return [status["state"].get("waiting", {}).get("reason") for pod in node.pods(ns)
                for status in pod["status"].get("containerStatuses", [])]
    wait_for("the pull fails", lambda: {"ErrImagePull", "ImagePullBackOff"} & set(waits()), PATIENCE, 0.5)

    def once():
        return [entry["why"] for entry in node.kubectl.history(kind, "web", ns)] == ["moved", "created"]
    node.after_sweeps(3, once)
    if kind == "deployment":
        assert len(node.kubectl.replica_sets("web", ns)) == 2
        assert first in node.running_digests(ns), "the good one goes on"
