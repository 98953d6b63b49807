"""The manifests of deploy/: generated files are up to date, and all of them fit the API's schemas."""

import json
import os
import pathlib
import re
import subprocess

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


def schemas(root):
    """kubeconform's schemas, made from the OpenAPI document that Kubernetes' own module ships."""
    tools = root / "tests/cluster/tools/kubernetes"
    version = re.search(r"k8s\.io/kubernetes (v\S+)", (tools / "go.mod").read_text()).group(1)
    place = cache_dir() / "schemas" / version
    if (place / "complete").exists():
        return place
    go = subprocess.run(["bash", "-c", f"source {root}/tests/cluster/lib/common.sh; "
                         f"source {root}/tests/cluster/lib/go.sh; find_go"],
                        capture_output=True, text=True, check=True).stdout.strip()
    module = json.loads(subprocess.run([go, "mod", "download", "-json", f"k8s.io/kubernetes@{version}"], cwd=tools,
                                       capture_output=True, text=True, check=True).stdout)
    swagger = json.loads((pathlib.Path(module["Dir"]) / "api/openapi-spec/swagger.json").read_text())
    place.mkdir(parents=True, exist_ok=True)
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
