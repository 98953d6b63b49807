"""Every way to write a workload: what is an edit is stamped anew, what is none changes no template (rules 2 and 3)."""

import copy
import json

import pytest
from harness import manifests
from harness.registry import Image
from harness.rollouts import ROLLABLE, annotations, images, reasons, template_text

from test_admission import STAMP

PODS = '{"spec":{"template":{"spec":%s}}}'


def with_env(manifest, value="1"):
    manifest = copy.deepcopy(manifest)
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": value}]
    return manifest


class Target:
    """One workload of the fleet, written by one client."""

    def __init__(self, kubectl, kind, name, ns, image):
        self.kubectl, self.kind, self.name, self.ns, self.image = kubectl, kind, name, ns, image
        self.at = (kind, name, ns)
        self.named = f"{kind}/{name}"
        self.path = f"/apis/apps/v1/namespaces/{ns}/{kind}s/{name}"

    @property
    def manifest(self):
        return manifests.BUILDERS[self.kind](self.name, self.ns, manifests.pod_spec(self.image.ref))

    def run(self, *arguments, stdin=None):
        return self.kubectl(*arguments, "-n", self.ns, stdin=stdin)

    def patch(self, how, patch):
        self.run("patch", self.named, f"--type={how}", "-p", patch if isinstance(patch, str) else json.dumps(patch))

    def put(self, document):
        self.kubectl("replace", "--raw", self.path, "-f", "-", stdin=document)

    def server_side(self, document, manager):
        self.run("apply", "--server-side", f"--field-manager={manager}", "--force-conflicts", "-f", "-", stdin=document)


def raw_put_of_an_edit(t):
    found = t.kubectl.get(*t.at)
    t.put(with_env(found))


EDITS = {
    "apply": lambda t: t.kubectl.apply(with_env(t.manifest)),
    "replace": lambda t: t.kubectl.replace(with_env(t.manifest)),
    "server-side-apply": lambda t: t.server_side(with_env(t.manifest), "gitops"),
    "raw-put": raw_put_of_an_edit,
    "strategic-patch": lambda t: t.patch("strategic", PODS % '{"terminationGracePeriodSeconds":7}'),
    "merge-patch": lambda t: t.patch("merge", PODS % '{"terminationGracePeriodSeconds":7}'),
    "json-patch": lambda t: t.patch("json", [{"op": "replace", "value": 7,
                                              "path": "/spec/template/spec/terminationGracePeriodSeconds"}]),
    "set-env": lambda t: t.run("set", "env", t.named, "X=1"),
    "set-resources": lambda t: t.run("set", "resources", t.named, "--limits=cpu=1"),
    "restart": lambda t: t.run("rollout", "restart", t.named),
}


def raw_put_that_drops_annotations(t):
    found = t.kubectl.get(*t.at)
    found["metadata"]["annotations"] = {"mine": "kept"}
    t.put(found)
    assert annotations(t.kubectl, *t.at)["mine"] == "kept"


def raw_put_without_stamps(t):
    t.put(t.manifest)


def pause_and_resume(t):
    if t.kind != "deployment":
        pytest.skip("only Deployments can be paused")
    t.run("rollout", "pause", t.named)
    t.run("rollout", "resume", t.named)


def scale(t):
    if t.kind == "daemonset":
        pytest.skip("a DaemonSet has no scale")
    t.run("scale", t.named, "--replicas=2")


NO_EDITS = {
    "apply": lambda t: t.kubectl.apply(t.manifest),
    "replace": lambda t: t.kubectl.replace(t.manifest),
    "server-side-apply": lambda t: t.server_side(t.manifest, "gitops"),
    "raw-put-without-stamps": raw_put_without_stamps,
    "raw-put-that-drops-annotations": raw_put_that_drops_annotations,
    "strategic-patch": lambda t: t.patch("strategic", PODS % json.dumps({"containers": [{"name": "app", "image": t.image.ref}]})),
    "merge-patch": lambda t: t.patch("merge", '{"spec":{"template":{"metadata":{"annotations":null}}}}'),
    "json-patch": lambda t: t.patch("json", [{"op": "remove", "path": "/spec/template/metadata/annotations"}]),
    "set-image": lambda t: t.run("set", "image", t.named, f"app={t.image.ref}"),
    "scale": scale,
    "pause-and-resume": pause_and_resume,
    "label": lambda t: t.run("label", t.named, "team=a"),
}


@pytest.fixture(scope="module", params=ROLLABLE)
def fleet(request, kubectl, registry, webhook, seen):
    """A workload for every client, all stamped with one digest; the tag has moved since."""
    kind, ns = request.param, kubectl.namespace()
    image = Image(registry, f"{ns}/app:1")
    targets = {name: Target(kubectl, kind, name, ns, image)
               for name in [f"edit-{client}" for client in EDITS] + [f"same-{client}" for client in NO_EDITS]}
    kubectl.apply([target.manifest for target in targets.values()])
    image.first = image.stamp
    image.move("second")
    seen(image, ns)
    yield targets
    kubectl("delete", "namespace", ns, "--wait=false")


@pytest.mark.parametrize("client", EDITS)
def test_an_edit_is_stamped_anew(kubectl, fleet, client):
    target = fleet[f"edit-{client}"]
    assert kubectl.stamps(*target.at) == {STAMP: target.image.first}
    EDITS[client](target)
    assert kubectl.stamps(*target.at) == {STAMP: target.image.stamp}
    assert images(kubectl.template(*target.at)) == {"app": target.image.ref}
    assert reasons(kubectl, *target.at) == ["edited", "created"]


@pytest.mark.parametrize("client", NO_EDITS)
def test_what_is_no_edit_changes_no_template(kubectl, fleet, client):
    target = fleet[f"same-{client}"]
    before = template_text(kubectl, *target.at)
    assert target.image.first in before
    NO_EDITS[client](target)
    assert template_text(kubectl, *target.at) == before
    assert reasons(kubectl, *target.at) == ["created"]


def test_two_server_side_managers_share_a_container(kubectl, ns, image, sweeper, seen):
    at = ("deployment", "web", ns)
    owner = manifests.deployment("web", ns, manifests.pod_spec(image.ref), {"tidemark.dev/sweep": "roll"})
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": ns},
             "spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "X", "value": "1"}]}]}}}}

    def apply(document, manager):
        kubectl.apply(document, "--server-side", f"--field-manager={manager}")

    apply(owner, "owner")
    image.move("second")
    seen(image, ns)
    apply(other, "other")
    assert kubectl.stamps(*at) == {STAMP: image.stamp}, "the second manager's part is an edit"
    before = template_text(kubectl, *at)
    assert '"value": "1"' in before
    image.move("third")
    seen(image, ns)
    for document, manager in ((owner, "owner"), (other, "other"), (owner, "owner")):
        apply(document, manager)
        assert template_text(kubectl, *at) == before
    sweeper.once("-n", ns)
    assert kubectl.stamps(*at) == {STAMP: image.stamp}
    before = template_text(kubectl, *at)
    for document, manager in ((owner, "owner"), (other, "other")):
        apply(document, manager)
        assert template_text(kubectl, *at) == before, "stamps are nobody's field: no conflict after a roll"


def test_set_image_to_another_tag_is_stamped_for_that_tag(kubectl, ns, web, registry):
    other = Image(registry, f"{ns}/app:2")
    kubectl("set", "image", "deployment/web", f"app={other.ref}", "-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: other.stamp}
    kubectl("set", "image", "deployment/web", f"app={web.ref}", "-n", ns)
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: web.stamp}
