"""The manifests of deploy/: generated files are up to date, and all of them fit the API's schemas."""

import json
import os
import pathlib
import re
import subprocess

import yaml

import docs
from tools import cache_dir


def program(root, name):
    """The path of a Go-built program of the cluster's tools, built at the first call."""
    done = subprocess.run([str(root / "tests/cluster/binaries"), name], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def generated(root, _files):
    done = subprocess.run([str(root / "deploy/generate"), "--check"], capture_output=True, text=True)
    if done.returncode == 0:
        return []
    return (done.stdout + done.stderr).strip().splitlines() or [f"deploy/generate --check exited {done.returncode}"]


# Where the version of the top meson.build is written again, for tools that read no other file.
VERSIONED = {
    "deploy/chart/Chart.yaml": (r"^version: (.*)$", r"^appVersion: (.*)$"),
    "deploy/base/kustomization.yaml": (r"^ *newTag: (.*)$",),
    "deploy/overlays/example/kustomization.yaml": (r"^ *newTag: (.*)$",),
    "CHANGELOG.md": (r"\A# Changelog\n\n## (\S+)",),
}


def versions(root, _files):
    """What is installed is of the version that the programs say."""
    version = re.search(r"version: '([^']+)'", (root / "meson.build").read_text()).group(1)
    findings = []
    for name, patterns in VERSIONED.items():
        text = (root / name).read_text()
        for pattern in patterns:
            written = re.findall(pattern, text, re.MULTILINE)
            if written != [version]:
                findings.append(f"{name}: {pattern} gives {written}, meson.build's version is {version}")
    return findings


def version_of(root, tools, module):
    """The version that tests/cluster/tools/TOOLS requires of a Go module."""
    text = (root / "tests/cluster/tools" / tools / "go.mod").read_text()
    return re.search(rf"{re.escape(module)} (v\S+)", text).group(1)


def module_dir(root, tools, module):
    go = subprocess.run(["bash", "-c", f"source {root}/tests/cluster/lib/common.sh; "
                         f"source {root}/tests/cluster/lib/go.sh; find_go"],
                        capture_output=True, text=True, check=True).stdout.strip()
    found = json.loads(subprocess.run([go, "mod", "download", "-json", module], cwd=root / "tests/cluster/tools" / tools,
                                      capture_output=True, text=True, check=True).stdout)
    return pathlib.Path(found["Dir"])


def strict(schema):
    """The same schema; a field that it does not name is a finding."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            strict(part)
    return schema


def custom_schemas(definitions):
    """(file name, schema) of each version of the CustomResourceDefinitions in a folder."""
    for file in sorted(definitions.glob("crd-*.yaml")):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"] = {"type": "object", "additionalProperties": True}
            name = f"{spec['names']['kind'].lower()}-{spec['group'].split('.')[0]}-{version['name']}.json"
            yield name, strict(schema)


def schemas(root):
    """kubeconform's schemas, made from the OpenAPI document that Kubernetes' own module ships and cert-manager's definitions."""
    kubernetes = ("kubernetes", "k8s.io/kubernetes")
    cert_manager = ("cert-manager", "github.com/cert-manager/cert-manager")
    place = cache_dir() / "schemas" / "-".join(version_of(root, *module) for module in (kubernetes, cert_manager))
    if (place / "complete").exists():
        return place
    swagger = json.loads((module_dir(root, *kubernetes) / "api/openapi-spec/swagger.json").read_text())
    place.mkdir(parents=True, exist_ok=True)
    for name, schema in custom_schemas(module_dir(root, *cert_manager) / "deploy/crds"):
        (place / name).write_text(json.dumps(schema))
    definitions = swagger["definitions"]
    for name, definition in definitions.items():
        if "properties" in definition:
            definition["additionalProperties"] = False  # a misspelt field is a finding
        if name.endswith("IntOrString"):
            definition.pop("type", None)
            definition["oneOf"] = [{"type": "string"}, {"type": "integer"}]
        if name.endswith("resource.Quantity"):
            definition.pop("type", None)
            definition["oneOf"] = [{"type": "string"}, {"type": "number"}]
    (place / "_definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            file = "-".join(filter(None, [kind["kind"].lower(), group, kind["version"]])) + ".json"
            (place / file).write_text(json.dumps({"$ref": f"_definitions.json#/definitions/{name}"}))
    (place / "complete").touch()
    return place


def promtool():
    """The path of promtool, out of Debian's package of Prometheus, which is not installed."""
    place = cache_dir() / "promtool"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", "prometheus"], cwd=place, check=True, capture_output=True)
        package = next(place.glob("prometheus_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package, place / "root"], check=True)
        package.unlink()
        (place / "complete").touch()
    return place / "root/usr/bin/promtool"


def monitoring(root, files):
    """Alerts that Prometheus takes and that fire when they should, metrics that exist, a page of the runbook for each."""
    folder = root / "deploy/monitoring"
    findings = []
    for command in (["check", "rules", folder / "alerts.yaml"], ["test", "rules", folder / "alerts_test.yaml"]):
        done = subprocess.run([promtool(), *command], capture_output=True, text=True)
        if done.returncode != 0:
            findings += (done.stdout + done.stderr).strip().splitlines()
    made = docs.made_metrics(root, files)
    for name in ("alerts.yaml", "dashboard.json"):
        asked = re.findall(r"\btidemark_[a-z_]+", (folder / name).read_text())
        asked = {re.sub(r"_(bucket|count|sum)$", "", metric) for metric in asked}
        findings += [f"deploy/monitoring/{name}: no program makes {metric}" for metric in sorted(asked - made)]
    alerts = {rule["alert"] for group in yaml.safe_load((folder / "alerts.yaml").read_text())["groups"] for rule in group["rules"]}
    told = set(re.findall(r"^## (Tidemark\w+)$", (root / "deploy/runbook.md").read_text(), re.MULTILINE))
    tested = {test["alertname"] for part in yaml.safe_load((folder / "alerts_test.yaml").read_text())["tests"]
              for test in part["alert_rule_test"]}
    findings += [f"deploy/runbook.md: nothing about {alert}" for alert in sorted(alerts - told)]
    findings += [f"deploy/runbook.md: there is no alert {alert}" for alert in sorted(told - alerts)]
    findings += [f"deploy/monitoring/alerts_test.yaml: {alert} is not tested" for alert in sorted(alerts - tested)]
    return findings


def kubeconform(root, _files):
    place = schemas(root)
    kubectl = program(root, "kubectl")
    findings = []
    texts = {"deploy/install.yaml": (root / "deploy/install.yaml").read_text()}
    for overlay in sorted((root / "deploy/overlays").glob("*/kustomization.yaml")):
        done = subprocess.run([kubectl, "kustomize", str(overlay.parent)], capture_output=True, text=True)
        if done.returncode != 0:
            findings.append(f"{overlay.parent.relative_to(root)}: {done.stderr.strip()}")
            continue
        texts[str(overlay.parent.relative_to(root))] = done.stdout
    location = str(place) + "/{{ .ResourceKind }}{{ .KindSuffix }}.json"
    for name, text in texts.items():
        done = subprocess.run([program(root, "kubeconform"), "-strict", "-summary", "-output", "text",
                               "-schema-location", location], input=text, capture_output=True, text=True,
                              env=os.environ | {"NO_PROXY": "*"})
        if done.returncode != 0:
            findings += [f"{name}: {line}" for line in (done.stdout + done.stderr).strip().splitlines()]
    return findings
