"""A second mutating webhook that changes what we have stamped: the API server asks us again (IfNeeded)."""

import pytest
from harness import manifests
from harness.processes import wait_for
from harness.injector import SidecarInjector
from harness.registry import Image
from harness.rollouts import held, images, reasons, settled, template_text

from test_admission import STAMP
from test_sweeper import ROLL

SIDE = "digest.tidemark.dev/side"


@pytest.fixture
def side(registry, ns):
    return Image(registry, f"{ns}/side:1")


@pytest.fixture
def injector(kubectl, cluster, ns, side, tmp):
    injector = SidecarInjector(kubectl, cluster.host_address, ns, side.ref, tmp)
    probe = manifests.deployment("probe", ns, manifests.pod_spec(side.ref))
    # The API server learns of a new configuration by a watch.
    wait_for("the injector is called", lambda: '"side"' in kubectl.create(probe, "--dry-run=server", "-o", "json"))
    yield injector
    injector.stop()


@pytest.fixture
def elsewhere(kubectl, webhook):
    """A namespace that the injector does not serve."""
    name = kubectl.namespace()
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def stamps_of(*image_slots):
    return {key: image.stamp for key, image in image_slots}


def test_an_injected_sidecar_is_stamped_and_never_rolls_by_itself(kubectl, ns, image, side, injector, sweeper, seen,
                                                                  elsewhere):
    at = ("deployment", "web", ns)
    bare = manifests.deployment("web", ns, manifests.pod_spec(image.ref), ROLL)
    kubectl.apply(bare)
    settled(kubectl, *at)
    assert images(kubectl.template(*at)) == {"app": image.ref, "side": side.ref}
    assert kubectl.stamps(*at) == stamps_of((STAMP, image), (SIDE, side))
    assert [(h["slot"], h["why"]) for h in kubectl.history(*at)] == [("app", "created"), ("side", "created")]

    # Files know nothing of the sidecar: our first call sees an edit, the second one none.
    image.move("second")
    side.move("second")
    seen(image, elsewhere)
    seen(side, elsewhere)
    before = template_text(kubectl, *at)
    for write in (kubectl.apply, kubectl.replace):
        write(bare)
        assert template_text(kubectl, *at) == before
    assert reasons(kubectl, *at) == ["created", "created"]

    kubectl("rollout", "restart", "deployment/web", "-n", ns)
    settled(kubectl, *at)
    assert kubectl.stamps(*at) == stamps_of((STAMP, image), (SIDE, side))
    assert reasons(kubectl, *at) == ["edited", "edited", "created", "created"]


def test_the_tag_moves_between_the_two_calls(kubectl, ns, image, side, injector, sweeper, seen, elsewhere):
    at = ("deployment", "web", ns)
    bare = manifests.deployment("web", ns, manifests.pod_spec(image.ref))

    def edit(value):
        # Without the sidecar, so that the injector changes the object and we are asked again.
        manifest = manifests.deployment("web", ns, manifests.pod_spec(image.ref))
        manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": value}]
        kubectl.replace(manifest)

    def moves_to(content):
        def move():
            image.move(content)
            seen(image, elsewhere)
        return move

    kubectl.apply(bare)
    # There and back again, so that the history lists what the first call will answer.
    for value, content in (("1", "second"), ("2", "first")):
        image.move(content)
        seen(image, elsewhere)
        edit(value)
    image.move("second")
    seen(image, elsewhere)
    entries = len(kubectl.history(*at))
    injector.on_call = moves_to("third")
    edit("3")
    assert kubectl.stamps(*at)[STAMP] == image.stamp, "what was answered last"
    assert images(kubectl.template(*at)) == {"app": image.ref, "side": side.ref}
    assert held(kubectl, *at) == {}, "our own first answer is no undo"
    history = kubectl.history(*at)
    assert len(history) == entries + 1
    assert (history[0]["why"], history[0]["to"]) == ("edited", image.stamp)

    # The same while nothing is edited: the first call's answer is taken back.
    before = template_text(kubectl, *at)
    injector.on_call = moves_to("second")
    manifest = manifests.deployment("web", ns, manifests.pod_spec(image.ref))
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": "3"}]
    kubectl.replace(manifest)
    assert template_text(kubectl, *at) == before
    assert len(kubectl.history(*at)) == entries + 1


def test_an_undo_is_an_undo_in_both_calls(kubectl, ns, image, side, injector, seen, elsewhere, sweeper):
    at = ("deployment", "web", ns)
    kubectl.apply(manifests.deployment("web", ns, manifests.pod_spec(image.ref), ROLL))
    settled(kubectl, *at)
    first = image.digest
    image.move("second")
    sweeper.once("-n", ns)
    settled(kubectl, *at)

    # The sidecar is another one by now, so that the injector changes the former revision and we are asked twice.
    injector.sidecar["env"] = [{"name": "GENERATION", "value": "2"}]

    def move():
        image.move("third")
        seen(image, elsewhere)

    injector.on_call = move
    kubectl("rollout", "undo", "deployment/web", "-n", ns)
    settled(kubectl, *at)
    assert images(kubectl.template(*at))["app"] == f"{image.ref}@{first}"
    assert reasons(kubectl, *at)[0] == "rolled-back"
    assert held(kubectl, *at) == {"app": [image.digest]}, "what is served at the last call"
