"""The Helm chart: the same objects as the kustomize base, and a life with real helm on a real API server."""

import json
import os
import subprocess

import pytest
import yaml
from harness.cluster import binary
from harness.kubectl import load
from harness.processes import ROOT

CHART = ROOT / "deploy/chart"
NAMESPACE = "tidemark-system"
VERSIONS = ("helm3", "helm4")
EVERYTHING = {
    "config": {"kinds": {"argoproj.io/v1alpha1/Rollout": {"template": "/spec/template"},
                         "apps.kruise.io/v1alpha1/CloneSet": {"template": "/spec/template", "plural": "clonesets"}}},
    "image": {"repository": "registry.test:5000/tidemark", "digest": f"sha256:{'a' * 64}", "pullPolicy": "IfNotPresent"},
    "imagePullSecrets": [{"name": "pull"}],
    "webhook": {"replicas": 3, "failurePolicy": "Fail", "timeoutSeconds": 5, "excludedNamespaces": ["kube-system", "other"],
                "certManager": {"enabled": True}, "podDisruptionBudget": {"enabled": False}, "extraArgs": ["--require"],
                "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], "nodeSelector": {"pool": "infra"},
                "tolerations": [{"operator": "Exists"}], "priorityClassName": "system-cluster-critical",
                "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
                "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}], "podLabels": {"team": "x"},
                "podAnnotations": {"note": "y"}, "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:x"}},
    "sweeper": {"replicas": 2, "receivers": {"enabled": True, "existingSecret": "tokens"}},
    "monitoring": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
                   "dashboard": {"enabled": True}},
}


class Helm:
    def __init__(self, version, tmp, kubeconfig=""):
        self.program, self.kubeconfig = str(binary(version)), kubeconfig
        self.home = tmp / f"chart-{version}"
        self.home.mkdir(exist_ok=True)

    def run(self, *arguments, values=None):
        env = os.environ | {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home),
                            "XDG_DATA_HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig), "NO_PROXY": "*", "no_proxy": "*"}
        if values is not None:
            arguments += ("--values", "-")
        return subprocess.run([self.program, *map(str, arguments)], input=json.dumps(values or {}), capture_output=True, text=True,
                              timeout=120, env=env)

    def __call__(self, *arguments, values=None):
        done = self.run(*arguments, values=values)
        assert done.returncode == 0, f"helm {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def rendered(self, values=None, namespace=NAMESPACE):
        text = self("template", "tidemark", CHART, "-n", namespace, "--kube-version", "1.34", values=values)
        return {(item["kind"], item["metadata"]["name"]): item for item in load(text)}


@pytest.fixture
def helm(tmp, request):
    return Helm(getattr(request, "param", VERSIONS[0]), tmp)


def plain(item):
    """Without what only helm, or only kustomize, writes."""
    labels = item["metadata"].get("labels", {})
    for key in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
        labels.pop(key, None)
    template = item.get("spec", {}).get("template", {}).get("metadata", {})
    template.get("annotations", {}).pop("tidemark.dev/config-hash", None)
    if template.get("annotations") == {}:
        del template["annotations"]
    if item["kind"] == "ConfigMap":
        item["data"] = {key: yaml.safe_load(text) for key, text in item["data"].items()}
    return item


@pytest.mark.parametrize("helm", VERSIONS, indirect=True)
def test_by_default_it_is_the_kustomize_base(helm):
    base = {(item["kind"], item["metadata"]["name"]): plain(item) for item in load((ROOT / "deploy/install.yaml").read_text())
            if item["kind"] != "Namespace"}
    made = {key: plain(item) for key, item in helm.rendered().items()}
    assert made.keys() == base.keys()
    for key in base:
        assert made[key] == base[key], key


def test_its_versions_are_the_programs(helm):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (ROOT / "meson.build").read_text()
    assert f"version: '{chart['appVersion']}'" in project and chart["version"] == chart["appVersion"]


def test_values_reach_what_they_name(helm):
    made = helm.rendered(EVERYTHING, namespace="elsewhere")
    assert "tidemark-system" not in json.dumps(list(made.values()))
    for (kind, name), item in made.items():
        assert kind in ("ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration") or \
            item["metadata"]["namespace"] == "elsewhere", (kind, name)
    pod = made["Deployment", "tidemark-webhook"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    assert container["image"] == f"registry.test:5000/tidemark@sha256:{'a' * 64}"
    assert container["imagePullPolicy"] == "IfNotPresent" and "--require" in container["args"]
    assert "--tls-cert=/etc/tidemark-tls/tls.crt" in container["args"] and "--self-signed" not in container["args"]
    assert container["env"] == EVERYTHING["webhook"]["extraEnv"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/etc/tidemark", "/etc/tidemark-tls", "/ca"}
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {"config", "tls", "ca"}
    assert pod["metadata"]["labels"]["team"] == "x" and pod["metadata"]["annotations"]["note"] == "y"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}] and pod["spec"]["nodeSelector"] == {"pool": "infra"}
    webhook = made["MutatingWebhookConfiguration", "tidemark-webhook"]
    assert webhook["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "elsewhere/tidemark-webhook"}
    assert webhook["webhooks"][0]["failurePolicy"] == "Fail" and webhook["webhooks"][0]["timeoutSeconds"] == 5
    assert webhook["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", "other", "elsewhere"]
    assert {"clonesets", "rollouts"} <= {name for rule in webhook["webhooks"][0]["rules"] for name in rule["resources"]}
    assert {"clonesets", "rollouts"} <= {name for rule in made["ClusterRole", "tidemark-sweeper"]["rules"] for name in rule["resources"]}
    # cert-manager writes them, the webhook need not.
    assert ("Role", "tidemark-webhook") not in made and ("RoleBinding", "tidemark-webhook") not in made
    assert "mutatingwebhookconfigurations" not in json.dumps(made["ClusterRole", "tidemark-webhook"])
    assert {name for kind, name in made if kind == "Certificate"} == {"tidemark-ca", "tidemark-webhook"}
    assert ("PodDisruptionBudget", "tidemark-webhook") not in made and ("Service", "tidemark-push") in made
    assert made["PrometheusRule", "tidemark"]["metadata"]["labels"]["release"] == "prometheus"
    assert made["PrometheusRule", "tidemark"]["spec"] == yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text())
    assert json.loads(made["ConfigMap", "tidemark-dashboard"]["data"]["tidemark.json"])["uid"] == "tidemark"
    assert made["PodMonitor", "tidemark"]["spec"]["podMetricsEndpoints"] == [{"port": "ops", "interval": "30s"}]


def test_an_issuer_of_ones_own_and_no_sweeper(helm):
    made = helm.rendered({"webhook": {"certManager": {"enabled": True, "issuerRef": {"name": "corporate", "kind": "ClusterIssuer"}}},
                          "sweeper": {"enabled": False}})
    assert made["Certificate", "tidemark-webhook"]["spec"]["issuerRef"] == {"name": "corporate", "kind": "ClusterIssuer"}
    assert not [name for kind, name in made if kind == "Issuer"]
    assert not [name for _, name in made if name == "tidemark-sweeper"]


@pytest.mark.parametrize("values, named", [
    ({"webhok": {}}, "webhok"),
    ({"webhook": {"failurePolicy": "Sometimes"}}, "failurePolicy"),
    ({"webhook": {"timeoutSeconds": 31}}, "timeoutSeconds"),
    ({"sweeper": {"receivers": {"port": "push"}}}, "port"),
    ({"image": {"digest": "sha256:abc"}}, "digest"),
    ({"config": []}, "config"),
])
def test_bad_values_are_refused_by_name(helm, values, named):
    done = helm.run("template", "tidemark", CHART, values=values)
    assert done.returncode != 0 and named in done.stderr, done.stderr


def test_it_passes_helms_own_lint(helm):
    assert "0 chart(s) failed" in helm("lint", CHART, "--strict")


@pytest.mark.parametrize("version", VERSIONS)
def test_install_upgrade_and_uninstall(cluster, kubectl, tmp, version):
    """In a namespace of its own, beside the suite's webhook; nothing of a user's is touched, and nothing is left."""
    helm = Helm(version, tmp, cluster.kubeconfig)
    ns = kubectl.namespace()
    kept = {kind: kubectl.json("get", kind)["items"] for kind in ("clusterrole", "clusterrolebinding", "mutatingwebhookconfiguration")}
    ours = [(kind, item["metadata"]["name"]) for kind, items in kept.items() for item in items if item["metadata"]["name"].startswith("tidemark")]
    for kind, name in ours:  # names are one to a cluster
        kubectl("delete", kind, name)
    try:
        # No kubelet here: the pods stay pending, and nobody answers the webhook.
        helm("install", "tidemark", CHART, "-n", ns, values={"image": {"repository": "registry.test/tidemark"}})
        web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
               "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                   "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "registry.test/app:1"}]}}}}
        kubectl.apply(web)  # failurePolicy Ignore
        template = kubectl.template("deployment", "web", "default")
        kubectl("patch", "mutatingwebhookconfiguration", "tidemark-webhook", "--type=json", "-p",
                json.dumps([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Y2E="}]))
        before = kubectl.get("deployment", "tidemark-webhook", ns)["spec"]["template"]["metadata"]["annotations"]
        helm("upgrade", "tidemark", CHART, "-n", ns, values={"image": {"repository": "registry.test/tidemark"},
                                                            "config": {"logLevel": "debug"}, "webhook": {"replicas": 3}})
        after = kubectl.get("deployment", "tidemark-webhook", ns)
        assert after["spec"]["replicas"] == 3
        assert after["spec"]["template"]["metadata"]["annotations"] != before, "another configuration is another pod"
        configuration = kubectl.json("get", "mutatingwebhookconfiguration", "tidemark-webhook")
        assert configuration["webhooks"][0]["clientConfig"]["caBundle"] == "Y2E=", "what the webhook published stays"
        assert kubectl.template("deployment", "web", "default") == template, "nothing of a user's is rolled"
        helm("uninstall", "tidemark", "-n", ns)
        left = kubectl("get", "clusterrole,clusterrolebinding,mutatingwebhookconfiguration", "-o", "name")
        assert "tidemark" not in left
    finally:
        helm.run("uninstall", "tidemark", "-n", ns)
        kubectl("delete", "deployment", "web", "-n", "default", "--ignore-not-found")
        for kind, name in ours:
            item = next(item for item in kept[kind] if item["metadata"]["name"] == name)
            for key in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
                item["metadata"].pop(key, None)
            # As it was: `create` would write down all of it as applied, the published caBundle too.
            kubectl("create", "--raw", f"/apis/{item['apiVersion']}/{kind}s", "-f", "-", stdin=item)
