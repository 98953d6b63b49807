"""The serving certificate's life on a real API server, under failurePolicy Fail and admissions without pause."""

import base64
import contextlib
import json
import os
import signal
import time

import pytest
from harness import programs
from harness.certificates import (CONFIGURATION, KEYS, NAMESPACE, SECRET, Api, Background, Load, Trust, clock, fingerprints,
                                  issue, served, settled)
from harness.cluster import binary, module
from harness.kubectl import load as load_yaml
from harness.processes import ROOT, Process, free_port, stays_for, wait_for
from harness.registry import Image

LIFETIME = 120  # seconds, the shortest that the webhook takes
LOOK = LIFETIME / 12 * 1.2  # between two looks at the most
GRACE = LIFETIME / 6  # from a CA's birth to the first certificate that it signs
PROPAGATION = 10  # from seeing a bundle published to serving what needs it
PENDING = 5  # between two looks where something is waited for
SLACK = 5  # of a slow machine
HEALED = LOOK + SLACK  # written and published again
LOADED = HEALED + LOOK + PROPAGATION + PENDING  # and served by all
SHORT = ("--certificate-lifetime", f"{LIFETIME}s")


@pytest.fixture(scope="module", autouse=True)
def alone(kubectl, webhook):
    """The run's own webhook is away, and what cannot be admitted is denied."""
    policy = json.dumps([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "%s"}])
    with webhook.away():
        kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, "--type=json", "-p", policy % "Fail")
        yield
        kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, "--type=json", "-p", policy % "Ignore")
        blank(kubectl)


@pytest.fixture(scope="module")
def api(kubectl):
    return Api(kubectl)


@pytest.fixture(scope="module")
def load(kubectl, registry):
    """Load in a namespace of its own."""
    ns = kubectl.namespace()
    yield lambda: Load(kubectl, ns, Image(registry, f"{ns}/app:1"))
    kubectl("delete", "namespace", ns, "--wait=false")


def blank(kubectl):
    """As before the first install: no Secret, no caBundle."""
    kubectl("delete", "secret", SECRET, "-n", NAMESPACE, "--ignore-not-found")
    publish(kubectl, None)


def publish(kubectl, bundle):
    value = bundle and base64.b64encode(bundle.encode()).decode()
    patch = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": value}]
    kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, "--type=json", "-p", json.dumps(patch))


def write_secret(kubectl, values):
    """All of the Secret's values, whatever was there."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    kubectl("delete", "secret", SECRET, "-n", NAMESPACE, "--ignore-not-found")
    kubectl.create({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
                    "metadata": {"name": SECRET, "namespace": NAMESPACE}})


@contextlib.contextmanager
def replicas(cluster, tmp, name, flags=SHORT, clocks=(None, None), **options):
    """Webhooks that are started at the same moment; a clock that is off may be given to each."""
    started = [programs.Webhook(cluster, tmp, f"{name}-{index}", flags, env=offset and clock(offset), **options)
               for index, offset in enumerate(clocks)]
    try:
        yield started
        for webhook in started:
            assert webhook.process.popen.poll() in (None, -signal.SIGKILL), webhook.process.text()[-3000:]
    finally:
        for webhook in started:
            webhook.process.kill()


def route(webhooks):
    cluster = webhooks[0].cluster
    programs.route_service(cluster, [(cluster.host_address, webhook.port) for webhook in webhooks])


def admitted(load):
    """Admission works; the configuration that was just published may not be everywhere yet."""
    with load() as loading:
        wait_for("ten admissions in a row", lambda: loading.count >= 10 and not loading.problems_since(time.monotonic() - 1), 15)


@pytest.fixture(scope="class")
def pair(cluster, kubectl, tmp, api, load):
    """Two replicas, bootstrapped and serving the cluster, that look every twelve seconds."""
    blank(kubectl)
    with replicas(cluster, tmp, "pair") as started:
        for webhook in started:
            webhook.wait_ready()
        route(started)
        wait_for("the pair is settled", lambda: settled(api, started), LOADED)
        admitted(load)
        yield started


def test_two_replicas_that_start_at_once_share_one_certificate(cluster, kubectl, tmp, api, load):
    for attempt in range(3):
        blank(kubectl)
        with replicas(cluster, tmp, f"bootstrap-{attempt}", flags=()) as started:
            for webhook in started:
                webhook.wait_ready()
            wait_for("both serve what is published", lambda: settled(api, started), 20)
            assert len(fingerprints(api.secret()["ca.crt"])) == 1
            assert fingerprints(api.published()) == fingerprints(api.secret()["ca.crt"])
            for webhook in started:
                route([webhook])
                admitted(load)
                webhook.process.kill()  # the API server goes on calling where it has a connection


def test_a_rotation_under_load_loses_no_admission(cluster, kubectl, tmp, api, load):
    old = issue(tmp / "old", ends=2 * LIFETIME - 5)
    old |= {key: value for key, value in issue(tmp / "old-leaf", LIFETIME - 10, authority=old).items() if key.startswith("tls.")}
    blank(kubectl)
    write_secret(kubectl, old)
    publish(kubectl, old["ca.crt"])
    with replicas(cluster, tmp, "rotation") as started:
        for webhook in started:
            webhook.wait_ready()
        route(started)
        admitted(load)
        with load() as loading, Trust(kubectl, started) as trust:
            old_ca = fingerprints(old["ca.crt"])[0]
            wait_for("phase 1: a new CA is published beside the old one", lambda: len(fingerprints(api.published())) == 2, HEALED)
            assert settled(api, started) == fingerprints(old["tls.crt"])[0], "phase 1 leaves the certificate"
            wait_for("phase 2: both serve a certificate of the new CA",
                     lambda: settled(api, started) != fingerprints(old["tls.crt"])[0], GRACE + LOADED)
            wait_for("phase 3: the old CA is dropped", lambda: old_ca not in fingerprints(api.published()),
                     LIFETIME + GRACE + 2 * HEALED)
            loading.goes_on(5)
        assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])
        assert [len(fingerprints(bundle)) for bundle in trust.bundles] in ([1, 2, 1], [2, 1]), "one step at a time"
        assert len(trust.certificates) >= 2
        print(f"{loading.count} admissions, {trust.count} looks at {len(trust.certificates)} certificates, none failed")


def deleted(kubectl, **_):
    kubectl("delete", "secret", SECRET, "-n", NAMESPACE)


def emptied(kubectl, **_):
    kubectl("patch", "secret", SECRET, "-n", NAMESPACE, "--type=json", "-p", '[{"op":"remove","path":"/data"}]')


def rubbish(kubectl, **_):
    write_secret(kubectl, {key: "-----BEGIN CERTIFICATE-----\nrubbish\n" for key in KEYS})


def expired(kubectl, api, tmp):
    """The right CA's, but its end was an hour ago."""
    before = api.secret()
    made = issue(tmp / "expired", ends=-3600, authority=before)
    write_secret(kubectl, before | {key: made[key] for key in ("tls.crt", "tls.key")})


def all_expired(kubectl, tmp, **_):
    write_secret(kubectl, issue(tmp / "all-expired", ends=-3600))


def put_back(kubectl, tmp, **_):
    """From a backup: whole and valid, of a CA that is older than the one in use."""
    write_secret(kubectl, issue(tmp / "backup", ends=60 * 86400, life=90))


class TestHealing:
    """By one pair of replicas, which end with these tests: what else is published, they would strike out."""

    @pytest.mark.parametrize("mischief", [deleted, emptied, rubbish, expired, all_expired, put_back], ids=lambda m: m.__name__)
    def test_a_secret_heals_without_a_lost_admission(self, kubectl, tmp, api, load, pair, mischief):
        with load() as loading, Trust(kubectl, pair) as trust:
            before = wait_for("the pair is settled", lambda: settled(api, pair), LOADED)
            begun = time.monotonic()
            mischief(kubectl=kubectl, api=api, tmp=tmp)
            wait_for("both serve the Secret's new certificate", lambda: settled(api, pair) != before, LOADED)
            took = time.monotonic() - begun
            loading.goes_on(3)
        assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])
        print(f"healed after {took:.1f} s, {loading.count} admissions, none failed")

    @pytest.mark.parametrize("bundle", ["", "another CA"])
    def test_a_bundle_that_somebody_overwrote_heals(self, kubectl, tmp, api, load, pair, bundle):
        wait_for("the pair is settled", lambda: settled(api, pair), LOADED)
        with load() as loading:
            begun = time.monotonic()
            publish(kubectl, issue(tmp / "another", ends=86400)["ca.crt"] if bundle else None)
            wait_for("it is published again", lambda: settled(api, pair), HEALED)
            healed = time.monotonic()
            wait_for("admissions go on", lambda: not loading.problems_since(time.monotonic() - 1), SLACK)
            stays_for("and do not fail again", lambda: not loading.problems_since(time.monotonic() - 1), 3)
        assert loading.problems, "the bundle matters"
        print(f"published again after {healed - begun:.1f} s")


def test_a_replica_whose_clock_is_wrong_harms_nobody(cluster, kubectl, tmp, api, load):
    """It takes part in the bootstrap and in a renewal; by its clock all is expired, the CA too."""
    blank(kubectl)
    with replicas(cluster, tmp, "clock+3h", clocks=("+3h", None)) as started:
        for webhook in started:
            webhook.wait_ready()
        route(started)
        before = wait_for("they agree", lambda: settled(api, started), LOADED)
        assert len(fingerprints(api.published())) == 1, "neither undid the other's work"
        admitted(load)
        with load() as loading, Trust(kubectl, started) as trust:
            wait_for("both serve a renewed one", lambda: settled(api, started) != before, LIFETIME * 2 / 3 + LOADED)
            loading.goes_on(5)
        assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])


def test_a_replica_that_cannot_trust_the_api_server_yet_is_not_ready_and_changes_nothing(cluster, kubectl, tmp, api, load):
    """Its clock shows a time before the API server's certificate begins."""
    blank(kubectl)
    with replicas(cluster, tmp, "clock-3h", clocks=("-3h", None)) as (wrong, right):
        right.wait_ready()
        route([right])
        wait_for("the right one is published", lambda: served(right, api.published()), LOADED)
        admitted(load)
        with load() as loading, Trust(kubectl, [right]) as trust:
            wait_for("it says why", lambda: "certificate is not yet valid" in wrong.process.text())
            assert not wrong.ready() and len(fingerprints(api.published())) == 1
            wrong.env = os.environ.copy()
            wrong.restart()
            wait_for("they agree", lambda: settled(api, [wrong, right]), LOADED)
            route([wrong, right])
            loading.goes_on(5)
        assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])


def mount(folder, values, generation):
    """As the kubelet does: a new folder, and a link that is swapped."""
    made = folder / f"..{generation}"
    made.mkdir(parents=True)
    for name in ("tls.crt", "tls.key"):
        (made / name).write_text(values[name])
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..new").symlink_to(made.name)
    (folder / "..new").replace(folder / "..data")


def files(folder):
    return ("--tls-cert", folder / "tls.crt", "--tls-key", folder / "tls.key")


def test_files_that_are_replaced_under_load_lose_no_admission(cluster, kubectl, tmp, api, load):
    first = issue(tmp / "files-0", ends=86400)
    folder = tmp / "mounted"
    mount(folder, first, 0)
    publish(kubectl, first["ca.crt"])
    with replicas(cluster, tmp, "files", (), (None,), certificate=files(folder)) as (webhook,):
        route([webhook.wait_ready()])
        admitted(load)
        with load() as loading, Trust(kubectl, [webhook]) as trust:
            for generation in (1, 2):
                made = issue(tmp / f"files-{generation}", 86400, authority=first)
                if generation == 1:
                    mount(folder, made, generation)
                else:  # in place, the one before the other
                    (folder / "tls.crt").write_text(made["tls.crt"])
                    loading.goes_on(12)
                    (folder / "tls.key").write_text(made["tls.key"])
                wait_for("the new one is served", lambda: served(webhook) == fingerprints(made["tls.crt"])[0], 10 + SLACK)
            loading.goes_on(2)
        assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])
        assert len(trust.certificates) == 3


OVERLAY = ROOT / "deploy/overlays/cert-manager"


@pytest.fixture
def cert_manager(cluster, kubectl, tmp):
    """Its CRDs, controller and cainjector; they may do everything. (Its own webhook only validates.)"""
    definitions = []
    for file in sorted((module("cert-manager", "github.com/cert-manager/cert-manager") / "deploy/crds").glob("crd-*.yaml")):
        definitions += load_yaml(file.read_text())
    for definition in definitions:
        definition["metadata"].pop("labels")  # Helm's templates
    names = [definition["metadata"]["name"] for definition in definitions]
    kubectl.create(definitions)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", *names)
    env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "NO_PROXY": "*"}
    started = [Process("cert-manager", [binary("controller"), "--kubeconfig", cluster.kubeconfig, "--leader-elect=false",
                                        "--metrics-listen-address", f"127.0.0.1:{free_port()}"], tmp, env),
               Process("cainjector", [binary("cainjector"), "--leader-elect=false"], tmp, env)]
    yield
    ended = [process.text()[-3000:] for process in started if not process.running()]
    for process in started:
        process.kill()
    kubectl("delete", "crd", *names)
    assert not ended, ended


@pytest.fixture
def overlay(cluster, kubectl, cert_manager):
    """Installed as by `kubectl apply -k`, but for the Deployments."""
    blank(kubectl)
    kubectl("delete", "role,rolebinding", "tidemark-webhook", "-n", NAMESPACE)
    documents = [each for each in load_yaml(kubectl("kustomize", OVERLAY))
                 if each["kind"] not in ("Deployment", "PodDisruptionBudget", "Service")]
    for document in documents:
        if document["kind"] == "MutatingWebhookConfiguration":
            document["webhooks"][0]["failurePolicy"] = "Fail"
    kubectl.apply(documents)
    yield
    programs.install(cluster)
    kubectl("delete", "certificates,issuers", "--all", "-n", NAMESPACE)
    kubectl("delete", "secret", "tidemark-ca", "-n", NAMESPACE)


class Kubelet(Background):
    """Keeps the Secret's files in a folder as a mounted volume is kept; a Secret that is gone changes nothing."""

    def __init__(self, kubectl, folder):
        super().__init__(kubectl, threads=1)
        self.folder, self.mounted = folder, []

    def step(self, api):
        values = api.secret()
        if values.get("tls.crt") and values.get("tls.key") and values not in self.mounted[-1:]:
            mount(self.folder, values, len(self.mounted))
            self.mounted.append(values)
        self._stop.wait(0.2)


def renew(kubectl, name):
    """What `cmctl renew` does, once no other issuance is under way."""

    def settled():
        conditions = kubectl.get("certificate", name, NAMESPACE)["status"]["conditions"]
        return None if any(c["type"] == "Issuing" and c["status"] == "True" for c in conditions) else conditions

    conditions = [c for c in wait_for("no certificate is being issued", settled, 60) if c["type"] != "Issuing"]
    conditions.append({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by the test"})
    kubectl("patch", "certificate", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p",
            json.dumps({"status": {"conditions": conditions}}))


def test_cert_manager_issues_injects_and_renews_without_a_lost_admission(cluster, kubectl, tmp, api, load, overlay):
    account = f"--as=system:serviceaccount:{NAMESPACE}:tidemark-webhook"
    for verb, what in (("create", "secrets"), ("update", f"secrets/{SECRET}"), ("patch", f"secrets/{SECRET}"),
                       ("patch", f"mutatingwebhookconfigurations/{CONFIGURATION}")):
        assert kubectl("auth", "can-i", verb, what, account, "-n", NAMESPACE, check=False).strip() == "no", (verb, what)

    folder = tmp / "cert-manager-mounted"
    with Kubelet(kubectl, folder) as kubelet:
        wait_for("the certificate is issued and mounted", lambda: kubelet.mounted, 60)
        wait_for("cainjector fills caBundle", api.published, 30)
        with replicas(cluster, tmp, "cert-manager", (), certificate=files(folder)) as started:
            for webhook in started:
                webhook.wait_ready()
            route(started)
            admitted(load)

            def renewed(how):
                before = wait_for("the certificate is served", lambda: settled(api, started), 60)
                how()
                wait_for("the renewed certificate is served", lambda: settled(api, started) != before, 60)

            def key():
                return kubectl.get("secret", "tidemark-ca", NAMESPACE)["data"]["tls.key"]
            # A cert-manager whose caches are behind may issue a first certificate twice, the CA then with another key.
            renewed(lambda: renew(kubectl, "tidemark-webhook"))
            revision, first_key = kubectl.get("certificate", "tidemark-ca", NAMESPACE)["status"]["revision"], key()
            with load() as loading, Trust(kubectl, started) as trust:
                renewed(lambda: kubectl("delete", "secret", SECRET, "-n", NAMESPACE))
                renewed(lambda: renew(kubectl, "tidemark-webhook"))
                authority = api.published()
                renew(kubectl, "tidemark-ca")
                wait_for("the CA is renewed",
                         lambda: kubectl.get("certificate", "tidemark-ca", NAMESPACE)["status"]["revision"] == revision + 1)
                assert key() == first_key
                renewed(lambda: renew(kubectl, "tidemark-webhook"))
                wait_for("the renewed CA is published", lambda: api.published() != authority)
                loading.goes_on(3)
            assert not trust.problems and not loading.problems, (trust.problems[:3], loading.problems[:3])
            print(f"{loading.count} admissions while {len(trust.certificates)} certificates were served, none failed")
