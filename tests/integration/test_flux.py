"""Flux's objects of image automation, of Flux's own definitions, served by Tidemark in the place of Flux's controllers."""

import base64
import json
import os
import subprocess

import pytest
from harness.cluster import binary, go
from harness.git_server import HttpsServer, git
from harness.processes import ROOT, wait_for

# What generates Flux's definitions from Flux's Go types, as its makefiles do.
TOOLS = {"v1": "flux", "v1beta2": "flux-v1beta2"}
IMAGE = "image.toolkit.fluxcd.io"
KINDS = ("imagerepositories", "imagepolicies", "imageupdateautomations")
FILE = "clusters/my-cluster/podinfo-deployment.yaml"


def definitions(version, folder):
    generator = binary("controller-gen")
    env = os.environ | {"PATH": f"{go().parent}:{os.environ['PATH']}", "GOFLAGS": "-mod=readonly"}

    def generate(tool, *paths):
        subprocess.run([generator, "crd", *(f"paths={path}" for path in paths), f"output:crd:dir={folder}"],
                       cwd=ROOT / "tests/cluster/tools" / tool, env=env, check=True, capture_output=True)

    generate(TOOLS[version], "github.com/fluxcd/image-reflector-controller/api/...", "github.com/fluxcd/image-automation-controller/api/...")
    generate("flux", "github.com/fluxcd/source-controller/api/v1")
    return [folder / f"{IMAGE}_{kind}.yaml" for kind in KINDS] + [folder / "source.toolkit.fluxcd.io_gitrepositories.yaml"]


@pytest.fixture(scope="module", params=sorted(TOOLS))
def flux(request, kubectl, webhook, tmp):
    """The API version that is served."""
    made = definitions(request.param, tmp / f"flux-{request.param}")
    for path in made:
        kubectl("create", "-f", path)
    kubectl("apply", "-f", ROOT / "deploy/overlays/flux/rbac.yaml")
    for kind in KINDS:
        wait_for(f"{kind} is served", lambda kind=kind: kubectl("get", f"{kind}.{IMAGE}", "-A") is not None)
    yield request.param
    for path in made:
        kubectl("delete", "-f", path, "--wait=true")


@pytest.fixture(scope="module")
def https(tmp):
    server = HttpsServer(tmp / "flux-git")
    yield server
    server.stop()


class Walk:
    """Flux's guide "Automate image updates to Git", in a namespace of its own."""

    def __init__(self, version, kubectl, sweeper, registry, https, ns, tmp):
        self.version, self.kubectl, self.sweeper, self.registry, self.ns, self.tmp = version, kubectl, sweeper, registry, ns, tmp
        self.image = f"{registry.address}/{ns}/podinfo"
        self.bare = https.repository(ns)
        self.bare.commit({FILE: self.manifest("5.0.0")})
        for tag in ("5.0.0", "5.0.3", "5.1.0", "5.0.9-rc.1", "sha256-1.sig"):
            registry.push(f"{ns}/podinfo:{tag}", f"{ns} {tag}")
        secret = {key: base64.b64encode(value.encode()).decode() for key, value in https.secret().items()}
        kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": ns}, "data": secret})
        self.apply("GitRepository", "podinfo", {"interval": "1m", "url": https.url(self.bare), "secretRef": {"name": "git"},
                                                "ref": {"branch": "main"}}, "source.toolkit.fluxcd.io/v1")

    def manifest(self, tag):
        return (f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: podinfo\nspec:\n  template:\n    spec:\n      containers:\n"
                f"      - name: podinfod\n        image: {self.image}:{tag} # {{\"$imagepolicy\": \"{self.ns}:podinfo\"}}\n")

    def apply(self, kind, name, spec, api=None, ns=None, **metadata):
        self.kubectl.apply({"apiVersion": api or f"{IMAGE}/{self.version}", "kind": kind,
                            "metadata": {"name": name, "namespace": ns or self.ns} | metadata, "spec": spec})

    def repository(self, **spec):
        self.apply("ImageRepository", "podinfo", {"image": self.image, "interval": "5m"} | spec)

    def policy(self, name="podinfo", policy=None, ns=None, repository=None, labels=None, **spec):
        self.apply("ImagePolicy", name, {"imageRepositoryRef": repository or {"name": "podinfo"},
                                         "policy": policy or {"semver": {"range": "5.0.x"}}} | spec, ns=ns, labels=labels or {})

    def automation(self, name="flux-system", annotations=None, update=None, commit=None, push=None, **spec):
        self.apply("ImageUpdateAutomation", name, {
            "interval": "30m", "sourceRef": {"kind": "GitRepository", "name": "podinfo"},
            "git": {"checkout": {"ref": {"branch": "main"}},
                    "commit": {"author": {"email": "fluxcdbot@users.noreply.github.com", "name": "fluxcdbot"},
                               "messageTemplate": "{{range .Changed.Changes}}{{print .OldValue}}{{end}}"} | (commit or {}),
                    "push": push or {"branch": "main"}},
            "update": update or {"path": "./clusters/my-cluster", "strategy": "Setters"}} | spec, annotations=annotations or {})

    def write(self, *flags):
        config = self.sweeper.configured(f"flux-{self.ns}", git={"flux": True, "folder": str(self.tmp / f"clones-{self.ns}")})
        done = subprocess.run(self.sweeper.command("git", *flags, config=config), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self, kind, name="podinfo", ns=None):
        return self.kubectl.json("get", f"{kind}.{IMAGE}", name, "-n", ns or self.ns).get("status", {})

    def ready(self, kind, name="podinfo", ns=None):
        return next(each for each in self.status(kind, name, ns)["conditions"] if each["type"] == "Ready")


@pytest.fixture
def walk(flux, kubectl, sweeper, registry, https, ns, tmp):
    made = Walk(flux, kubectl, sweeper, registry, https, ns, tmp)
    yield made
    for kind in KINDS:
        kubectl("delete", f"{kind}.{IMAGE}", "--all", "-n", ns)


def test_the_walk_through_of_fluxs_own_guide(walk, kubectl):
    walk.repository()
    walk.policy()
    walk.automation()
    walk.write()
    assert walk.bare.show(FILE) == walk.manifest("5.0.3")
    assert walk.bare.log(form="%an <%ae>")[0] == "fluxcdbot <fluxcdbot@users.noreply.github.com>"
    commit = walk.bare.heads()["main"]

    scanned = walk.status("imagerepositories")
    assert scanned["canonicalImageName"] == walk.image and scanned["observedExclusionList"] == ["^.*\\.sig$"]
    assert scanned["lastScanResult"]["tagCount"] == 4 and scanned["lastScanResult"]["scanTime"]
    ready = walk.ready("imagerepositories")
    assert (ready["status"], ready["reason"]) == ("True", "Succeeded") and "found 4 tags" in ready["message"]
    chosen = walk.status("imagepolicies")
    assert chosen["latestRef"] == {"name": walk.image, "tag": "5.0.3"}
    if walk.version == "v1beta2":
        assert chosen["latestImage"] == f"{walk.image}:5.0.3"
    pushed = walk.status("imageupdateautomations", "flux-system")
    assert pushed["lastPushCommit"] == commit and pushed["lastPushTime"] and pushed["lastAutomationRunTime"]
    assert pushed["observedPolicies"] == {"podinfo": {"name": walk.image, "tag": "5.0.3"}}
    assert pushed["observedSourceRevision"].startswith("main@sha1:")
    assert f"pushed commit '{commit[:7]}' to branch 'main'" in walk.ready("imageupdateautomations", "flux-system")["message"]
    assert "5.0.3" in kubectl("get", f"imagepolicies.{IMAGE}", "-n", walk.ns), "the columns of Flux's own"

    since = walk.ready("imagepolicies")["lastTransitionTime"]
    walk.write()
    assert walk.bare.heads()["main"] == commit
    assert walk.status("imageupdateautomations", "flux-system")["lastPushCommit"] == commit
    assert walk.ready("imageupdateautomations", "flux-system")["message"] == "repository up-to-date"
    walk.registry.push(f"{walk.ns}/podinfo:5.0.10", "newer")
    walk.write()
    assert walk.bare.show(FILE) == walk.manifest("5.0.10")
    assert walk.status("imagepolicies")["observedPreviousRef"] == {"name": walk.image, "tag": "5.0.3"}
    assert walk.ready("imagepolicies")["lastTransitionTime"] == since


def test_filters_orders_and_digests_are_fluxs(walk, registry):
    for tag in ("main-abc-100", "main-def-99", "dev-aaa-500"):
        registry.push(f"{walk.ns}/podinfo:{tag}", tag)
    walk.repository(exclusionList=["^.*rc.*$", "\\.sig$"])
    numbers = {"filterTags": {"pattern": "^main-[a-f0-9]+-(?P<ts>[0-9]+)", "extract": "$ts"}}
    walk.policy(policy={"numerical": {"order": "asc"}}, digestReflectionPolicy="Always", interval="10m", **numbers)
    walk.policy("descending", policy={"alphabetical": {"order": "desc"}}, filterTags={"pattern": "^5\\..*"})
    walk.automation()
    walk.write()
    digest = registry.digest(f"{walk.ns}/podinfo:main-abc-100")
    assert walk.status("imagepolicies")["latestRef"] == {"name": walk.image, "tag": "main-abc-100", "digest": digest}
    assert f"{walk.image}:main-abc-100@{digest} #" in walk.bare.show(FILE)
    assert walk.status("imagepolicies", "descending")["latestRef"]["tag"] == "5.0.0"
    assert walk.status("imagerepositories")["lastScanResult"]["tagCount"] == 6

    walk.policy(policy={"numerical": {"order": "asc"}}, digestReflectionPolicy="IfNotPresent", **numbers)
    moved = registry.push(f"{walk.ns}/podinfo:main-abc-100", "moved")
    assert moved != digest
    walk.write()
    assert walk.status("imagepolicies")["latestRef"]["digest"] == digest, "it is there already"
    walk.policy(policy={"numerical": {"order": "asc"}}, digestReflectionPolicy="Always", interval="10m", **numbers)
    walk.write()
    assert walk.status("imagepolicies")["latestRef"]["digest"] == moved


def test_what_is_suspended_or_not_selected_stays_as_it_is(walk, registry):
    walk.repository()
    walk.policy(labels={"team": "a"})
    walk.automation(suspend=True)
    walk.write()
    assert walk.bare.show(FILE) == walk.manifest("5.0.0") and "conditions" not in walk.status("imageupdateautomations", "flux-system")
    if walk.version == "v1":
        walk.automation(policySelector={"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]})
        walk.write()
        assert walk.bare.show(FILE) == walk.manifest("5.0.0")
    walk.automation(policySelector={"matchLabels": {"team": "a"}})
    walk.write()
    assert walk.bare.show(FILE) == walk.manifest("5.0.3")
    walk.repository(suspend=True)
    registry.push(f"{walk.ns}/podinfo:5.0.20", "newer")
    walk.write()
    assert walk.bare.show(FILE) == walk.manifest("5.0.3"), "a repository that is not scanned shows what it showed"


def test_another_namespaces_images_are_read_with_its_leave_alone(walk, kubectl, other_ns):
    walk.repository()
    there = {"name": "podinfo", "namespace": walk.ns}
    walk.policy("borrowed", ns=other_ns, repository=there)
    walk.write()
    refused = walk.ready("imagepolicies", "borrowed", other_ns)
    assert refused["status"] == "False" and "denied" in refused["message"]
    walk.repository(accessFrom={"namespaceSelectors": [{"matchLabels": {"kubernetes.io/metadata.name": other_ns}}]})
    walk.write()
    assert walk.status("imagepolicies", "borrowed", other_ns)["latestRef"]["tag"] == "5.0.3"
    kubectl("delete", f"imagepolicies.{IMAGE}", "--all", "-n", other_ns)


@pytest.mark.parametrize("case", ["refspec", "gpg", "source", "range", "repository", "branch"])
def test_what_is_not_done_is_told_in_the_objects_status(walk, case):
    walk.repository()
    walk.policy(policy={"semver": {"range": "not a range"}} if case == "range" else None,
                repository={"name": "other"} if case == "repository" else None)
    more = {"refspec": {"push": {"branch": "main", "refspec": "refs/heads/main:refs/heads/other"}},
            "gpg": {"commit": {"signingKey": {"secretRef": {"name": "key"}}}},
            "source": {"sourceRef": {"kind": "GitRepository", "name": "nowhere"}},
            "branch": {"git": {"checkout": {"ref": {"branch": "trunk"}}, "commit": {"author": {"email": "a@example.com"}}}}}
    walk.automation(**more.get(case, {}))
    walk.write()
    of_policy = case in ("range", "repository")
    told = walk.ready("imagepolicies") if of_policy else walk.ready("imageupdateautomations", "flux-system")
    assert told["status"] == "False", told
    assert {"refspec": "refspec", "gpg": "gpg", "source": "nowhere", "range": "not a range", "repository": "other not found",
            "branch": "no branch \"trunk\""}[case] in told["message"]
    assert walk.bare.show(FILE) == walk.manifest("5.0.0")


def test_an_ssh_key_signs_and_a_request_to_reconcile_is_answered(walk, kubectl, tmp):
    if walk.version == "v1":
        key = tmp / f"flux-signing-{walk.ns}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing", "namespace": walk.ns},
                       "stringData": {"identity": key.read_text()}})
        commit = {"signingKey": {"type": "ssh", "secretRef": {"name": "signing"}}}
    else:
        commit = None
    walk.repository()
    walk.policy()
    walk.automation(annotations={"reconcile.fluxcd.io/requestedAt": "2026-01-01T00:00:00Z"}, commit=commit, push={"branch": "flux-updates"})
    walk.write()
    assert walk.status("imageupdateautomations", "flux-system")["lastHandledReconcileAt"] == "2026-01-01T00:00:00Z"
    assert walk.bare.show(FILE, "flux-updates") == walk.manifest("5.0.3") and walk.bare.show(FILE) == walk.manifest("5.0.0")
    if walk.version == "v1":
        signers = tmp / f"flux-signers-{walk.ns}"
        signers.write_text(f"fluxcdbot@users.noreply.github.com {key.with_suffix('.pub').read_text()}")
        git("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", "flux-updates", cwd=walk.bare.path)


def test_a_cluster_without_fluxs_definitions_is_none_to_serve(kubectl, sweeper, tmp):
    config = sweeper.configured("no-flux", git={"flux": True, "folder": str(tmp / "none")})
    done = subprocess.run(sweeper.command("git", "-o", "json", config=config), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout) == {"policies": [], "repositories": []}, done.stdout + done.stderr
