"""`tidemark.dev/mode: pin`: the image field itself carries the digest."""

import json

import pytest
from harness import manifests
from harness.registry import Image
from harness.rollouts import ROLLABLE, held, images, reasons, settled, template_text

from test_admission import STAMP
from test_sweeper import ROLL

PIN = {"tidemark.dev/mode": "pin"}


def app_image(kubectl, kind, ns):
    return images(kubectl.template(kind, "web", ns))["app"]


@pytest.mark.parametrize("place", ["annotation", "label", "namespace-annotation", "namespace-label"])
def test_pin_mode_can_be_asked_for_in_four_places(kubectl, registry, webhook, place):
    ns = kubectl.namespace(labels=PIN if place == "namespace-label" else None,
                           annotations=PIN if place == "namespace-annotation" else None)
    image = Image(registry, f"{ns}/app:1")
    manifest = manifests.deployment("web", ns, manifests.pod_spec(image.ref), PIN if place == "annotation" else None)
    if place == "label":
        manifest["metadata"]["labels"] = PIN
    kubectl.apply(manifest)
    assert app_image(kubectl, "deployment", ns) == image.stamp
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp}
    kubectl("delete", "namespace", ns, "--wait=false")


REAPPLY = {
    "apply": ["apply"],
    "replace": ["replace"],
    "server-side-apply": ["apply", "--server-side", "--force-conflicts", "--field-manager=gitops"],
}


@pytest.mark.parametrize("kind", ROLLABLE)
def test_a_pin_follows_its_tag_and_nothing_else(kubectl, ns, image, sweeper, seen, kind):
    at = (kind, "web", ns)
    bare = manifests.BUILDERS[kind]("web", ns, manifests.pod_spec(image.ref), ROLL | PIN)
    kubectl.apply(bare)
    settled(kubectl, *at)
    first = image.digest
    assert app_image(kubectl, kind, ns) == image.stamp

    image.move("second")
    seen(image, ns)
    before = template_text(kubectl, *at)
    for client, command in REAPPLY.items():
        kubectl(*command, "-f", "-", stdin=bare)
        assert template_text(kubectl, *at) == before, f"{client} neither unpins nor rolls"

    sweeper.once("-n", ns)
    settled(kubectl, *at)
    second = image.digest
    assert app_image(kubectl, kind, ns) == image.stamp == kubectl.stamps(*at)[STAMP]
    before = template_text(kubectl, *at)
    for client, command in REAPPLY.items():
        kubectl(*command, "-f", "-", stdin=bare)
        assert template_text(kubectl, *at) == before, f"{client} after the roll neither unpins nor rolls"

    image.move("third")
    seen(image, ns)
    kubectl("set", "env", f"{kind}/web", "X=1", "-n", ns)
    settled(kubectl, *at)
    assert app_image(kubectl, kind, ns) == image.stamp, "an edit elsewhere resolves anew"
    assert reasons(kubectl, *at) == ["edited", "moved", "created"]

    kubectl("rollout", "undo", kind, "web", "-n", ns)
    settled(kubectl, *at)
    assert app_image(kubectl, kind, ns) == f"{image.ref}@{second}"
    assert held(kubectl, *at) == {"app": [image.digest]}
    sweeper.once("-n", ns)
    assert app_image(kubectl, kind, ns) == f"{image.ref}@{second}" != f"{image.ref}@{first}"


def test_a_roll_that_writes_the_image_leaves_no_conflict(kubectl, ns, image, sweeper, seen):
    at = ("deployment", "web", ns)
    owner = manifests.deployment("web", ns, manifests.pod_spec(image.ref), ROLL | PIN)

    def apply():
        kubectl.apply(owner, "--server-side", "--field-manager=owner")

    def image_owners():
        entries = kubectl.json("get", *at[:2], "-n", ns, "--show-managed-fields")["metadata"]["managedFields"]
        return sorted(entry["manager"] for entry in entries if "f:image" in str(entry["fieldsV1"]))

    apply()
    image.move("second")
    seen(image, ns)
    sweeper.once("-n", ns)
    assert app_image(kubectl, "deployment", ns) == image.stamp
    before = template_text(kubectl, *at)
    apply()
    assert template_text(kubectl, *at) == before
    assert "tidemark-sweeper" not in image_owners()

    # A sweeper that was killed between its two writes.
    image.move("third")
    seen(image, ns)
    container = "/spec/template/spec/containers/0/image"
    kubectl("patch", *at[:2], "-n", ns, "--type=json", "--field-manager=tidemark-sweeper", "-p",
            json.dumps([{"op": "replace", "path": container, "value": image.stamp}]))
    assert "tidemark-sweeper" in image_owners()
    sweeper.once("-n", ns)
    assert "tidemark-sweeper" not in image_owners()
    apply()


def test_leaving_pin_mode_restores_the_image_as_written(kubectl, ns, image, seen):
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref), PIN))
    before = template_text(kubectl, "deployment", "web", ns)
    kubectl("annotate", "deployment", "web", "-n", ns, "tidemark.dev/mode-")
    assert template_text(kubectl, "deployment", "web", ns) == before, "a change of settings rolls nothing"
    image.move("second")
    seen(image, ns)
    kubectl("set", "env", "deployment/web", "X=1", "-n", ns)
    assert app_image(kubectl, "deployment", ns) == image.ref
    assert kubectl.stamps("deployment", "web", ns) == {STAMP: image.stamp}


def test_the_owners_own_digest_is_not_a_pin_of_ours(kubectl, ns, image, seen):
    own = f"{image.ref}@{image.digest}"
    image.move("second")
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref), PIN))
    kubectl("set", "image", "deployment/web", f"app={own}", "-n", ns)
    assert app_image(kubectl, "deployment", ns) == own
    assert kubectl.stamps("deployment", "web", ns) == {}
