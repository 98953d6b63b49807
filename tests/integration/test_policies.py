"""Tag policies on the real API server and registry: another tag by its policy, and what stays of what owners write."""

import json

import pytest
from harness import manifests
from harness.rollouts import ROLLABLE, annotations, held, images, reasons, settled, template_text

from test_admission import STAMP
from test_sweeper import ROLL

POLICY = "policy.tidemark.dev/app"


class Following:
    """One workload `web` of app:1.2.0 in a repository that has more tags, under `policy`."""

    def __init__(self, kubectl, registry, ns, sweeper, kind, policy):
        self.kubectl, self.registry, self.ns, self.sweeper, self.kind, self.policy = kubectl, registry, ns, sweeper, kind, policy
        self.at = (kind, "web", ns)
        self.repository = f"{registry.address}/{ns}/app"
        self.digests = {}

    def push(self, *tags):
        for tag in tags:
            self.digests[tag] = self.registry.push(f"{self.ns}/app:{tag}", f"{self.ns} {tag}")
        return self

    def manifest(self, tag="1.2.0", env=None):
        spec = manifests.pod_spec(f"{self.repository}:{tag}")
        if env:
            spec["containers"][0]["env"] = [{"name": "A", "value": env}]
        return manifests.BUILDERS[self.kind]("web", self.ns, spec, annotations=ROLL | {POLICY: self.policy})

    def settled(self):
        if self.kind != "cronjob":
            settled(self.kubectl, *self.at)

    def apply(self, *flags, **manifest):
        self.kubectl.apply(self.manifest(**manifest), *flags)
        told = self.kubectl.warnings
        self.settled()
        return told

    def sweep(self):
        self.sweeper.once("-n", self.ns)
        self.settled()

    def image(self):
        return images(self.kubectl.template(*self.at))["app"]

    def assert_runs(self, tag):
        assert self.image() == f"{self.repository}:{tag}"
        assert self.kubectl.stamps(*self.at)[STAMP] == f"{self.repository}:{tag}@{self.digests[tag]}"

    def text(self):
        return template_text(self.kubectl, *self.at)


@pytest.fixture
def following(kubectl, registry, ns, sweeper):
    def make(policy="semver: ^1.2", kind="deployment"):
        return Following(kubectl, registry, ns, sweeper, kind, policy).push("1.2.0", "1.10.0", "2.0.0")

    return make


@pytest.mark.parametrize("kind", [*ROLLABLE, "cronjob"])
def test_the_chosen_tag_is_rolled_once_and_told(kubectl, following, kind):
    web = following(kind=kind)
    web.apply()
    web.assert_runs("1.2.0")
    web.sweep()
    web.assert_runs("1.10.0")
    assert reasons(kubectl, *web.at)[0] == "policy"
    kept = annotations(kubectl, *web.at)
    assert "moved 1.2.0@" in kept["kubernetes.io/change-cause"] and "1.10.0@" in kept["kubernetes.io/change-cause"]
    before = web.text()
    web.sweep()
    web.sweep()
    assert web.text() == before
    web.push("1.11.0")
    web.sweep()
    web.assert_runs("1.11.0")


@pytest.mark.parametrize("way", ["client-side", "server-side", "replace"])
def test_the_owners_file_applied_again_rolls_nothing(kubectl, following, way):
    web = following()
    flags = ["--server-side", "--field-manager", "gitops"] if way == "server-side" else []
    web.apply(*flags)
    web.sweep()
    web.assert_runs("1.10.0")
    before, sets = web.text(), len(kubectl.replica_sets("web", web.ns))
    if way == "replace":
        kubectl.replace(web.manifest())
        told = kubectl.warnings
    else:
        told = web.apply(*flags)
    assert web.text() == before
    assert len(kubectl.replica_sets("web", web.ns)) == sets
    assert any("which its policy chose" in line for line in told), told
    web.sweep()
    assert web.text() == before


def test_an_edit_keeps_the_chosen_tag_and_a_new_wish_of_the_owner_counts(kubectl, following):
    web = following()
    web.apply()
    web.sweep()
    web.apply(env="1")
    web.assert_runs("1.10.0")
    web.push("1.12.0")
    web.apply(tag="1.12.0")
    web.assert_runs("1.12.0")
    assert "tidemark.dev/written-images" not in annotations(kubectl, *web.at)
    web.apply(tag="2.0.0")
    web.assert_runs("2.0.0")
    web.sweep()
    web.assert_runs("2.0.0")


@pytest.mark.parametrize("kind", ROLLABLE)
def test_an_undo_goes_back_to_the_former_tag_and_stays(kubectl, following, kind):
    web = following(kind=kind)
    web.apply()
    web.sweep()
    web.assert_runs("1.10.0")
    kubectl("rollout", "undo", kind, "web", "-n", web.ns)
    told = kubectl.warnings
    web.settled()
    web.assert_runs("1.2.0")
    assert any("held until its policy chooses another" in line for line in told), told
    assert held(kubectl, *web.at)["app"] == [web.digests["1.10.0"]]
    assert annotations(kubectl, *web.at)[POLICY] == web.policy
    before = web.text()
    web.sweep()
    assert web.text() == before
    kubectl("rollout", "restart", kind, "web", "-n", web.ns)
    web.settled()
    web.sweep()
    web.assert_runs("1.2.0")
    web.push("1.11.0")
    web.sweep()
    web.assert_runs("1.11.0")
    assert "app" not in held(kubectl, *web.at)


def test_without_its_policy_the_owners_image_counts_again(kubectl, following):
    web = following()
    web.apply()
    web.sweep()
    kubectl("annotate", "deployment", "web", "-n", web.ns, POLICY + "-")
    kubectl.apply(manifests.deployment("web", web.ns, manifests.pod_spec(f"{web.repository}:1.2.0"), ROLL))
    web.settled()
    web.assert_runs("1.2.0")


def test_a_policy_that_cannot_be_read_is_told_at_once(kubectl, following):
    web = following(policy="semver: one")
    told = web.apply()
    assert any("the policy of app: semver:" in line for line in told), told
    web.sweep()
    web.assert_runs("1.2.0")


def test_the_command_tells_what_each_policy_picks(following, sweeper):
    web = following()
    web.apply()
    table = sweeper.order("policy", "-n", web.ns)
    assert table.splitlines()[0].split() == ["NAMESPACE", "WORKLOAD", "SLOT", "POLICY", "IMAGE", "TAG", "FITTING", "STATE", "REASON"]
    row = table.splitlines()[1]
    assert "semver: ^1.2" in row and "1.10.0" in row and "2 of 3" in row and row.rstrip().endswith("roll")
    entry = json.loads(sweeper.order("policy", "-n", web.ns, "-o", "json"))["policies"][0]
    assert (entry["chosenTag"], entry["tags"], entry["fitting"]) == ("1.10.0", 3, 2)
    web.assert_runs("1.2.0")


def test_the_newest_of_many_tags_is_chosen(following, registry):
    """A list that is cut off would choose an older tag."""
    web = following(policy="numerical: asc\nfilter: ^build-(\\d+)$\nextract: $1").push("build-1")
    for number in range(2, 120):
        registry.crane("tag", "--insecure", f"{web.repository}:build-1", f"build-{number}")
    web.push("build-120")
    web.apply(tag="build-1")
    web.sweep()
    web.assert_runs("build-120")


def test_the_image_that_was_made_last_is_followed(following, registry):
    """Tags that are names of commits have no order of their own."""
    web = following(policy="newest\nfilter: ^[0-9a-f]{7}$").push("3f1c9a7", "9b2e01c", "0d4fbb2")
    for tag, made in (("3f1c9a7", "2026-01-01"), ("9b2e01c", "2026-03-01"), ("0d4fbb2", "2026-02-01")):
        reference = f"{web.repository}:{tag}"
        registry.crane("mutate", "--insecure", "--annotation", f"org.opencontainers.image.created={made}T00:00:00Z",
                       "--tag", reference, reference)
        web.digests[tag] = registry.digest(f"{web.ns}/app:{tag}")
    web.apply(tag="3f1c9a7")
    web.sweep()
    web.assert_runs("9b2e01c")
    web.sweep()
    web.assert_runs("9b2e01c")


def test_the_configuration_gives_policies_to_the_workloads_that_it_selects(kubectl, registry, ns, other_ns, sweeper, webhook):
    """By namespace, label and image; an annotation of the workload's own decides before it; admission knows it, too."""
    repository = f"{registry.address}/{ns}/app"
    for tag in ("1.2.0", "1.10.0", "2.0.0"):
        registry.push(f"{ns}/app:{tag}", f"{ns} {tag}")
    registry.push(f"{ns}/side:1.2.0", "side")
    registry.push(f"{ns}/side:1.3.0", "side 3")
    policies = [{"name": f"{ns}:app", "image": repository, "policy": "semver: ^1.2",
                 "workloads": {"namespaces": [ns], "labels": {"tier": "front"}}}]
    config = sweeper.configured(f"policies-{ns}", policies=policies)

    def manifest(name, ns=ns, label="front", policy=None, image=f"{repository}:1.2.0"):
        made = manifests.deployment(name, ns, manifests.pod_spec(image), ROLL | ({POLICY: policy} if policy else {}))
        made["metadata"].setdefault("labels", {})["tier"] = label
        return made

    def image(name, ns=ns):
        return images(kubectl.template("deployment", name, ns))["app"]

    followers = [manifest("front"), manifest("own", policy="semver: ^2"), manifest("none", policy="digest"),
                 manifest("back", label="back"), manifest("side", image=f"{registry.address}/{ns}/side:1.2.0"),
                 manifest("front", ns=other_ns)]
    webhook.restart(policies=policies)
    try:
        kubectl.apply(followers)
        sweeper.once("-n", f"{ns},{other_ns}", config=config)
        assert image("front") == f"{repository}:1.10.0"
        assert image("own") == f"{repository}:2.0.0"
        for name, where in (("none", ns), ("back", ns), ("front", other_ns)):
            assert image(name, where) == f"{repository}:1.2.0", (name, where)
        assert image("side") == f"{registry.address}/{ns}/side:1.2.0"
        before = template_text(kubectl, "deployment", "front", ns)
        kubectl.apply(followers[0])
        assert any("which its policy chose" in line for line in kubectl.warnings), kubectl.warnings
        assert template_text(kubectl, "deployment", "front", ns) == before
    finally:
        webhook.restart()
