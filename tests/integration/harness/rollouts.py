"""What a rollout left behind, for kinds that keep revisions."""

import json

from .kubectl import Kubectl
from .processes import wait_for

# A writer whom admission does not see: the API server does not call the webhook for the sweeper's account.
UNSEEN = ("--as=system:serviceaccount:tidemark-system:tidemark-sweeper", "--as-group=system:masters")

ROLLABLE = ["deployment", "statefulset", "daemonset"]


def _without_hash(template):
    labels = {k: v for k, v in template["metadata"].get("labels", {}).items() if k != "pod-template-hash"}
    metadata = {k: v for k, v in template["metadata"].items() if k != "creationTimestamp"}
    return {"metadata": metadata | {"labels": labels}, "spec": template["spec"]}


def revisions(kubectl: Kubectl, kind, name, ns):
    """{revision: template} of the ReplicaSets or ControllerRevisions that belong to the workload."""
    found = {}
    source = "replicasets" if kind == "deployment" else "controllerrevisions"
    for item in kubectl.json("get", source, "-n", ns)["items"]:
        if not any(o["name"] == name for o in item["metadata"].get("ownerReferences", [])):
            continue
        if kind == "deployment":
            number = int(item["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision", 0))
            found[number] = _without_hash(item["spec"]["template"])
        else:
            found[item["revision"]] = _without_hash(item["data"]["spec"]["template"])
    return found


def settled(kubectl, kind, name, ns):
    """Waits until the newest revision is the workload's template; returns the number of revisions."""

    def newest_is_current():
        known = revisions(kubectl, kind, name, ns)
        template = kubectl.template(kind, name, ns)
        newest = known[max(known)] if known else {"metadata": {}, "spec": {}}
        same = (newest["metadata"].get("annotations", {}) == template["metadata"].get("annotations", {}) and
                images(newest) == images(template) and
                newest["spec"]["containers"][0].get("env") == template["spec"]["containers"][0].get("env"))
        return len(known) if known and same else 0

    return wait_for(f"the controller saw {kind}/{name}", newest_is_current)


def images(template):
    return {c["name"]: c["image"] for c in template["spec"]["containers"]}


def annotations(kubectl, kind, name, ns):
    return kubectl.get(kind, name, ns)["metadata"].get("annotations") or {}


def held(kubectl, kind, name, ns):
    """{slot: digests}"""
    record = json.loads(annotations(kubectl, kind, name, ns).get("tidemark.dev/held", "{}"))
    return {slot: [hold["digest"] for hold in holds] for slot, holds in record.items()}


def reasons(kubectl, kind, name, ns):
    return [entry["why"] for entry in kubectl.history(kind, name, ns)]


def template_text(kubectl, kind, name, ns):
    return json.dumps(kubectl.template(kind, name, ns), sort_keys=True)


def mark_running(kubectl, ns, pod, containers=None, check=True):
    """Plays the kubelet: the pod runs and is ready; `containers`: its containerStatuses."""
    ready = [{"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
             for kind in ("Ready", "ContainersReady")]
    status = {"phase": "Running", "conditions": ready}
    if containers:
        status["containerStatuses"] = containers
    kubectl("patch", "pod", pod, "-n", ns, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}), check=check)
