"""`kubectl rollout undo` and what only looks like it (stamp contract, rules 4 and 5)."""

import json

import pytest
from harness import manifests
from harness.proxies import settle
from harness.registry import Image
from harness.rollouts import (ROLLABLE, UNSEEN, annotations, held, images, reasons, revisions, settled,
                              template_text)

from test_admission import STAMP
from test_sweeper import ROLL


class Story:
    """One workload `web`, the image it runs, and the commands of its owner."""

    def __init__(self, kubectl, kind, ns, image, sweeper, seen):
        self.kubectl, self.kind, self.ns, self.image, self.sweeper = kubectl, kind, ns, image, sweeper
        self.at = (kind, "web", ns)
        self._seen = seen

    def manifest(self, **more):
        return manifests.BUILDERS[self.kind]("web", self.ns, manifests.pod_spec(self.image.ref), **more)

    def create(self):
        self.kubectl.apply(self.manifest(annotations=ROLL))
        settled(self.kubectl, *self.at)
        return self.image.digest

    def roll(self, content):
        """The tag moves, the sweeper follows."""
        self.image.move(content)
        self.sweeper.once("-n", self.ns)
        assert self.stamp() == self.image.stamp
        settled(self.kubectl, *self.at)
        return self.image.digest

    def annotate(self, *pairs):
        self.kubectl("annotate", self.kind, "web", "-n", self.ns, "--overwrite", *pairs)

    def rollout(self, *arguments):
        self.kubectl("rollout", arguments[0], self.kind, "web", "-n", self.ns, *arguments[1:])
        told = self.kubectl.warnings
        settled(self.kubectl, *self.at)
        return told

    def undo(self, *flags):
        return self.rollout("undo", *flags)

    def seen(self):
        self._seen(self.image, self.ns)

    def stamp(self):
        return self.kubectl.stamps(*self.at).get(STAMP)

    def app_image(self):
        return images(self.kubectl.template(*self.at))["app"]

    def revision_with(self, digest):
        known = revisions(self.kubectl, *self.at)
        return min(number for number, template in known.items()
                   if template["metadata"].get("annotations", {}).get(STAMP, "").endswith(digest))

    def annotations(self):
        return annotations(self.kubectl, *self.at)

    def held(self):
        return held(self.kubectl, *self.at).get("app", [])

    def reasons(self):
        return reasons(self.kubectl, *self.at)

    def text(self):
        return template_text(self.kubectl, *self.at)

    def assert_back_at(self, digest, holding):
        assert self.stamp() == f"{self.image.ref}@{digest}"
        assert self.app_image() == f"{self.image.ref}@{digest}", "the old bits come back: pinned"
        assert self.held() == holding
        assert self.reasons()[0] == "rolled-back"

    def assert_sweeps_change_nothing(self, times=2):
        before = self.text()
        for _ in range(times):
            self.sweeper.once("-n", self.ns)
        assert self.text() == before


@pytest.fixture
def story(kubectl, ns, image, sweeper, seen):
    return lambda kind: Story(kubectl, kind, ns, image, sweeper, seen)


@pytest.mark.parametrize("kind", ROLLABLE)
def test_an_undo_brings_the_old_bits_back_until_the_tag_moves_on(story, kind):
    web = story(kind)
    first = web.create()
    second = web.roll("second")
    web.annotate("tidemark.dev/ignore-containers=nobody", "tidemark.dev/cooldown=0s")
    told = web.undo()
    web.assert_back_at(first, holding=[second])
    assert any("rolled back" in line and "held" in line for line in told), told
    assert any("ignoreDifferences" in line for line in told), told
    kept = web.annotations()
    assert kept["tidemark.dev/sweep"] == "roll"
    assert (kept["tidemark.dev/ignore-containers"], kept["tidemark.dev/cooldown"]) == ("nobody", "0s"), \
        "the owner's settings are of now, not of the former revision"
    web.assert_sweeps_change_nothing()

    # A restart and a manifest applied again are no reason to leave it.
    web.rollout("restart")
    web.kubectl.apply(web.manifest(annotations=ROLL))
    web.assert_back_at(first, holding=[second])

    third = web.roll("third")
    assert web.app_image() == web.image.ref, "the pin is taken back"
    assert web.held() == []
    assert web.reasons() == ["moved", "rolled-back", "moved", "created"]
    assert web.stamp().endswith(third)


@pytest.mark.parametrize("kind", ROLLABLE)
def test_undo_of_the_undo_and_undo_again(story, kind):
    web = story(kind)
    first = web.create()
    second = web.roll("second")
    web.undo()
    web.assert_back_at(first, holding=[second])

    web.undo()
    assert (web.stamp(), web.app_image()) == (web.image.stamp, web.image.ref), "what is served now needs no pin"
    assert web.held() == [], "its owner has just lifted the hold"
    web.assert_sweeps_change_nothing(1)

    web.undo()
    web.assert_back_at(first, holding=[second])
    web.assert_sweeps_change_nothing(1)


@pytest.mark.parametrize("kind", ROLLABLE)
def test_an_undo_brings_back_the_pin_that_an_unseen_write_removed(story, kind):
    """The stamp is the one that stands already; the history tells that the digest is no wish of the owner's."""
    web = story(kind)
    first = web.create()
    second = web.roll("second")
    web.undo()
    web.kubectl("set", "image", kind, "web", "-n", web.ns, f"app={web.image.ref}", *UNSEEN)
    settled(web.kubectl, *web.at)
    assert web.app_image() == web.image.ref and web.stamp().endswith(first)

    told = web.undo()
    assert any("rolled back" in line and "held" in line for line in told), told
    web.assert_back_at(first, holding=[second])
    web.assert_sweeps_change_nothing(1)
    web.roll("third")
    assert (web.app_image(), web.held()) == (web.image.ref, [])


@pytest.mark.parametrize("kind", ROLLABLE)
def test_undo_to_chosen_revisions(story, kind):
    web = story(kind)
    first = web.create()
    second = web.roll("second")
    third = web.roll("third")
    web.undo(f"--to-revision={web.revision_with(first)}")
    web.assert_back_at(first, holding=[third])
    web.undo(f"--to-revision={web.revision_with(second)}")
    web.assert_back_at(second, holding=[third])
    web.assert_sweeps_change_nothing()

    # The same stamp in a revision without the pin: nothing changes, nor does what the owner has set since.
    web.annotate("tidemark.dev/ignore-containers=nobody")
    before = web.text()
    web.kubectl("rollout", "undo", kind, "web", "-n", web.ns, f"--to-revision={web.revision_with(second)}")
    assert web.text() == before
    assert web.held() == [third]
    assert web.annotations()["tidemark.dev/ignore-containers"] == "nobody"


def test_an_undo_leaves_a_hold_by_hand_in_force(story):
    web = story("deployment")
    first = web.create()
    web.roll("second")
    web.annotate("tidemark.dev/hold=true")
    web.undo()
    web.assert_back_at(first, holding=[web.image.digest])
    assert web.annotations()["tidemark.dev/hold"] == "true"
    web.image.move("third")
    web.assert_sweeps_change_nothing(1)
    web.annotate("tidemark.dev/hold-")
    web.sweeper.once("-n", web.ns)
    assert (web.stamp(), web.app_image()) == (web.image.stamp, web.image.ref)


def test_a_hold_is_given_and_taken_back_at_the_terminal(story):
    web = story("deployment")
    first = web.create()
    at = ("deployment/web", "-n", web.ns)

    assert "held" in web.sweeper.order("hold", *at, "--reason", "release freeze", "--for", "1h")
    web.image.move("second")
    web.assert_sweeps_change_nothing(1)
    slot = web.sweeper.plan("-n", web.ns)["workloads"][0]["slots"][0]
    assert slot["verdict"] == "held" and slot["reason"].endswith(": release freeze")
    assert "resumed" in web.sweeper.order("resume", *at)
    web.sweeper.once("-n", web.ns)
    second = web.image.digest
    assert web.stamp() == web.image.stamp

    # A known bad image, before it rolls; the hold ends when the tag moves on.
    bad = web.image.move("bad")
    web.sweeper.order("hold", *at, "--slot", "app", "--digest", bad)
    web.assert_sweeps_change_nothing(1)
    assert web.held() == [bad]

    # What an undo left is taken back the same way, and admission lets it pass.
    web.image.move("third")
    web.sweeper.once("-n", web.ns)
    settled(web.kubectl, *web.at)
    web.undo()
    web.assert_back_at(second, holding=[web.image.digest])
    web.assert_sweeps_change_nothing(1)
    web.sweeper.order("resume", *at, "--slot", "app")
    assert web.held() == []
    web.sweeper.once("-n", web.ns)
    assert (web.stamp(), web.app_image()) == (web.image.stamp, web.image.ref)
    assert first != second
    assert "unchanged" in web.sweeper.order("resume", *at)
    assert "no container" in web.sweeper.order("hold", *at, "--slot", "nobody", check=False)


def test_the_whole_cluster_is_held_and_resumed_at_the_terminal(story):
    web = story("deployment")
    web.create()
    web.image.move("second")
    try:
        assert "the whole cluster held" in web.sweeper.order("hold", "-A", "--reason", "release freeze")
        web.assert_sweeps_change_nothing(1)
        slot = web.sweeper.plan("-n", web.ns)["workloads"][0]["slots"][0]
        assert slot["verdict"] == "held" and slot["reason"].endswith("for the whole cluster: release freeze")
        assert "still held: tidemark.dev/hold is set for the whole cluster" in \
            web.sweeper.order("resume", "deployment/web", "-n", web.ns)
    finally:
        assert "the whole cluster resumed" in web.sweeper.order("resume", "-A")
    web.sweeper.once("-n", web.ns)
    assert web.stamp() == web.image.stamp


def test_an_undo_replaces_all_pods_so_every_slot_tells_what_they_pull(kubectl, ns, registry, sweeper, image, seen, story):
    web = story("deployment")
    side = Image(registry, f"{ns}/side:1")
    spec = manifests.pod_spec(image.ref)
    spec["containers"].append({"name": "side", "image": side.ref, "imagePullPolicy": "Always"})
    kubectl.apply(manifests.deployment("web", ns, spec, ROLL))
    settled(kubectl, *web.at)
    first = image.digest
    web.roll("second")
    side.move("second")
    seen(side, ns)
    web.undo()
    web.assert_back_at(first, holding=[image.digest])
    assert kubectl.stamps(*web.at)["digest.tidemark.dev/side"] == side.stamp


def test_an_undo_while_the_registry_is_down(kubectl, ns, registry, registry_proxy, sweeper, seen):
    proxied = Image(registry, f"{ns}/app:1", address=registry_proxy.address)
    web = Story(kubectl, "deployment", ns, proxied, sweeper, seen)
    first = web.create()
    second = web.roll("second")
    registry_proxy.switch.arm(0, lambda: None)  # from here on no request is answered
    try:
        web.undo()
        web.assert_back_at(first, holding=[second])
        web.rollout("restart")
        web.assert_back_at(first, holding=[second])
    finally:
        registry_proxy.switch.disarm()
        seen(proxied, ns)
    web.assert_sweeps_change_nothing()


def test_an_edit_while_the_registry_is_down_keeps_the_stamp_not_an_older_answer(kubectl, ns, registry, registry_proxy,
                                                                                sweeper, seen):
    proxied = Image(registry, f"{ns}/app:1", address=registry_proxy.address)
    web = Story(kubectl, "deployment", ns, proxied, sweeper, seen)
    web.create()
    web.roll("second")  # admission has seen the first digest only
    settle(1.5)  # what it remembers is out of date then (cache.ttl is 1s here), but still good for an outage
    registry_proxy.switch.arm(0, lambda: None)
    try:
        told = web.rollout("restart")
    finally:
        registry_proxy.switch.disarm()
        seen(proxied, ns)
    assert web.stamp() == proxied.stamp
    assert any("keeps its stamp" in line for line in told), told


@pytest.mark.parametrize("kind", ROLLABLE)
def test_undo_to_a_revision_from_before_tidemark(story, kubectl, kind):
    web = story(kind)
    kubectl("apply", "-f", "-", *UNSEEN, stdin=web.manifest())
    settled(kubectl, *web.at)
    assert web.stamp() is None
    web.image.move("second")
    web.rollout("restart")
    assert web.stamp() == web.image.stamp
    web.annotate("tidemark.dev/ignore-containers=nobody")
    web.seen()
    told = web.undo()
    assert any("before Tidemark" in line for line in told), told
    assert (web.stamp(), web.app_image(), web.held()) == (web.image.stamp, web.image.ref, [])
    assert web.annotations()["tidemark.dev/ignore-containers"] == "nobody"
    assert web.reasons() == ["edited"]


@pytest.mark.parametrize("kind", ROLLABLE)
def test_undo_to_the_adopted_revision_returns_to_its_baseline(story, kubectl, kind):
    web = story(kind)
    first, baseline = web.image.digest, json.dumps({"app": web.image.stamp})
    kubectl("apply", "-f", "-", *UNSEEN, stdin=web.manifest())
    kubectl("annotate", kind, "web", "-n", web.ns, f"tidemark.dev/baseline={baseline}", *UNSEEN)
    settled(kubectl, *web.at)
    web.image.move("second")
    web.seen()
    web.rollout("restart")
    assert web.stamp() == web.image.stamp
    web.undo()
    web.assert_back_at(first, holding=[web.image.digest])
    web.assert_sweeps_change_nothing(1)


def test_a_client_that_names_itself_not_and_writes_its_own_object_is_no_undo(story, kubectl):
    web = story("deployment")
    baseline = json.dumps({"app": web.image.stamp})
    kubectl("apply", "-f", "-", *UNSEEN, stdin=web.manifest())
    kubectl("annotate", "deployment", "web", "-n", web.ns, f"tidemark.dev/baseline={baseline}", *UNSEEN)
    web.image.move("second")
    web.seen()
    web.rollout("restart")
    mine = web.manifest()
    mine["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": "1"}]
    kubectl("replace", "--raw", f"/apis/apps/v1/namespaces/{web.ns}/deployments/web", "-f", "-", stdin=mine)
    assert (web.stamp(), web.app_image(), web.held()) == (web.image.stamp, web.image.ref, [])


STALE_WRITERS = {
    "apply": ["apply"],
    "apply-under-another-name": ["apply", "--field-manager=argocd-controller"],
    "replace": ["replace"],
    "server-side-apply": ["apply", "--server-side", "--force-conflicts"],
}


@pytest.mark.parametrize("client", STALE_WRITERS)
def test_a_stale_exported_file_is_no_rollback(story, kubectl, client):
    web = story("deployment")
    first = web.create()
    exported = kubectl.get(*web.at)
    exported["metadata"] = {k: v for k, v in exported["metadata"].items() if k in ("name", "namespace", "annotations")}
    exported["metadata"]["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration")
    exported.pop("status")
    web.roll("second")
    before = web.text()
    for _ in range(2):  # a GitOps tool writes it again and again
        kubectl(*STALE_WRITERS[client], "-f", "-", stdin=exported)
        assert web.text() == before
    assert web.held() == []
    assert web.reasons() == ["moved", "created"]

    # And the undo that its owner means works after it.
    web.undo()
    web.assert_back_at(first, holding=[web.image.digest])
