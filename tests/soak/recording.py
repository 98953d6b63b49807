"""What is written down while the soak goes on: every version of every workload, who wrote it, and what the programs use."""

import hashlib
import http.client
import json
import os
import pathlib
import re
import threading
import time

RESOURCES = {"deployments": ("apps/v1", "Deployment"), "statefulsets": ("apps/v1", "StatefulSet"),
             "daemonsets": ("apps/v1", "DaemonSet"), "cronjobs": ("batch/v1", "CronJob")}
RESTARTED = "kubectl.kubernetes.io/restartedAt"
STAMP = "digest.tidemark.dev/"
EMPTY = {"slot": "", "from": "", "to": "", "why": "", "by": ""}  # of a history entry, where it does not say
FAILED_OPEN = "failed-open.mutation.webhook.admission.k8s.io/"


def template_of(item):
    spec = item["spec"]
    return spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]


def hash_of(template):
    """Of what makes pods: metadata without the controllers' own labels, and the spec."""
    meta = {key: value for key, value in template["metadata"].items() if key in ("annotations", "labels") and value}
    if "labels" in meta:
        meta["labels"] = {key: value for key, value in meta["labels"].items() if key != "pod-template-hash"}
    return hashlib.sha256(json.dumps([meta, template["spec"]], sort_keys=True).encode()).hexdigest()[:16]


def parsed(text, empty):
    try:
        return json.loads(text) if text else empty
    except ValueError:
        return empty


def version_of(resource, item):
    """One version of a workload, as far as Tidemark has to do with it."""
    template = template_of(item)
    notes = template["metadata"].get("annotations") or {}
    records = item["metadata"].get("annotations") or {}
    held = parsed(records.get("tidemark.dev/held"), {})
    return {"workload": f"{item['metadata']['namespace']}/{resource}/{item['metadata']['name']}",
            "rv": item["metadata"]["resourceVersion"], "when": time.time(), "template": hash_of(template),
            "stamps": {key.removeprefix(STAMP): value for key, value in notes.items() if key.startswith(STAMP)},
            "images": {c["name"]: c["image"] for c in template["spec"]["containers"]},
            "restarted": notes.get(RESTARTED, ""),
            "history": [EMPTY | entry for entry in parsed(records.get("tidemark.dev/history"), [])],
            "held": {slot: [hold["digest"] for hold in holds] for slot, holds in held.items()}}


def differs(old, new):
    return any(old[key] != new[key] for key in ("template", "history", "held"))


class Watch:
    """All versions of one kind's workloads, in order, from a watch that is resumed where it broke off."""

    def __init__(self, api, resource, versions):
        self.api, self.resource, self.versions = api, resource, versions
        self.path = f"/apis/{RESOURCES[resource][0]}/{resource}"
        self.gaps, self.stopped, self.breaks = [], threading.Event(), 0  # gaps: when versions were found that did not come
        self.rv = self._list(gap=False)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _list(self, gap):
        status, answer = self.api("GET", self.path)
        if status != 200:
            raise OSError(f"GET {self.path}: {status}")
        taken = [self._take(item, gap) for item in answer["items"]]
        if gap and any(taken):
            self.gaps.append(time.time())
        return answer["metadata"]["resourceVersion"]

    def _take(self, item, gap=False):
        """True for a version that was not known."""
        version = version_of(self.resource, item)
        known = self.versions.setdefault(version["workload"], [])
        if known and not differs(known[-1], version):
            return False
        known.append(version | ({"gap": True} if gap else {}))
        return True

    def _run(self):
        while not self.stopped.is_set():
            try:
                self._stream()
            except (OSError, ValueError, http.client.HTTPException):
                self.breaks += 1
                self.stopped.wait(0.3)

    def _stream(self):
        connection = http.client.HTTPSConnection(self.api.host, context=self.api.context, timeout=60)
        try:
            connection.request("GET", f"{self.path}?watch=1&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion={self.rv}")
            answer = connection.getresponse()
            if answer.status == 410:
                raise LookupError
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    if event["object"].get("code") == 410:
                        raise LookupError
                    raise OSError(str(event["object"]))
                self.rv = event["object"]["metadata"]["resourceVersion"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._take(event["object"])
        except LookupError:
            self.api.connection = None
            self.rv = self._list(gap=True)
        finally:
            connection.close()

    def stop(self):
        self.stopped.set()


def audit_policy():
    """Every write of a workload itself, with what came of it."""
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "omitManagedFields": True,
            "rules": [{"level": "RequestResponse", "verbs": ["create", "update", "patch"],
                       "resources": [{"group": "apps", "resources": ["deployments", "statefulsets", "daemonsets"]},
                                     {"group": "batch", "resources": ["cronjobs"]}]},
                      {"level": "None"}]}


def read_audit(path):
    """{(workload, resourceVersion): who wrote it}, and the writes that went on without a webhook."""
    writers, opened = {}, []
    with pathlib.Path(path).open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                break  # it is being written
            event = json.loads(line)
            place = event.get("objectRef", {})
            code = event.get("responseStatus", {}).get("code", 0)
            made = event.get("responseObject") or {}
            name = place.get("name") or made.get("metadata", {}).get("name")
            workload = f"{place.get('namespace')}/{place.get('resource')}/{name}"
            agent = re.search(r"fieldManager=([\w-]+)", event["requestURI"])
            unseen = any(key.startswith(FAILED_OPEN) for key in event.get("annotations") or {})
            writer = {"workload": workload, "user": event["user"]["username"], "manager": agent.group(1) if agent else "",
                      "code": code, "unseen": unseen, "when": event["requestReceivedTimestamp"]}
            if unseen:
                opened.append(writer)
            rv = made.get("metadata", {}).get("resourceVersion") if code < 300 else None
            if rv:
                writers.setdefault((workload, rv), writer)
    return writers, opened


class Managed:
    """A program that faults may end, stop and start. `ended`: when it ended by itself."""

    def __init__(self, name, process, make):
        self.name, self.process, self.make = name, process, make
        self.lock = threading.Lock()
        self.wanted, self.over, self.ended = True, False, []

    def kill(self):
        with self.lock:
            self.wanted = False
            self.process.kill()

    def start(self, more_env=None):
        with self.lock:
            if not self.over:
                self.process = self.make(self.process, more_env or {})
                self.wanted = True

    def end(self):
        """For good, whatever a fault has begun."""
        with self.lock:
            self.wanted, self.over = False, True
            self.process.kill()

    def send(self, number):
        with self.lock:
            self.process.send(number)

    def look(self):
        """Starts it again where it ended by itself."""
        with self.lock:
            if not self.wanted or self.process.running():
                return
            self.ended.append({"when": time.time(), "code": self.process.popen.returncode, "log": self.process.text()[-1500:]})
            self.process = self.make(self.process, {})


def usage(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    rss, threads = (int(re.search(rf"{key}:\s+(\d+)", status).group(1)) for key in ("VmRSS", "Threads"))
    return {"rss": rss, "threads": threads, "fds": len(os.listdir(f"/proc/{pid}/fd"))}


class Sampler:
    """Memory (KiB), descriptors and threads of programs, each second."""

    def __init__(self, programs):
        self.programs, self.samples, self.stopped = programs, [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped.wait(1):
            for program in self.programs:
                program.look()
                pid = program.process.popen.pid
                try:
                    self.samples.append({"when": time.time(), "name": program.name, "pid": pid} | usage(pid))
                except (OSError, AttributeError):
                    continue  # it was killed meanwhile

    def latest(self):
        """{name: sample}"""
        return {sample["name"]: sample for sample in self.samples[-2 * len(self.programs):]}

    def stop(self):
        self.stopped.set()
        self.thread.join()
