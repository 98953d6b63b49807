#!/usr/bin/env python3
"""Prints deploy/runbook.md with its tables of warnings, events and exit codes, made of the markers in the programs' code
(deploy/generate keeps it).

Above what tells somebody of something:

    // runbook: KIND: WHAT | CAUSE | REMEDY      KIND: warning, event or exit code; a marker may go on in the next line

Every warning of an admission, reason of an Event and exit code has one: what has none is an error. Of the metrics, which
deploy/README.md lists, it tells the alerts that watch each, or what to do by itself.
"""

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "deploy/runbook.md"
BEGIN, END = "<!-- of the code, by deploy/generate -->\n", "<!-- end -->\n"
# Of each kind the code that tells, as far as its line begins with it.
TELLING = {
    "warning": re.compile(r"decision_\.warnings\.(?:push|emplace)_back\("),
    "event": re.compile(r'.*\b(?:add_note\(\w+|note_of\(plan|warning_of\(plan), "\w+"'),
    "exit code": re.compile(r"inline constexpr int kExit\w+ ="),
}
HEADS = {"warning": "warning in kubectl", "event": "Event", "exit code": "exit code"}
MARKER = re.compile(r"^ *// runbook: ((?:.*\n)(?: *// (?!runbook: ).*\n)*)", re.MULTILINE)
# What metrics that no alert watches say to who looks.
LOOKED_AT = {
    "tidemark_kube_requests_total": "403: a right is missing (`deploy/README.md`, \"Rights\"); 429: the API server holds the programs back",
    "tidemark_kube_events_total": "dropped or failed: Events were lost, for the API server was slow or refused them; nothing else was",
    "tidemark_config_reloads_total": "refused: the log names the key; the configuration before it stays in force",
    "tidemark_mirror_comparisons_total": "different: a mirror lags behind its registry or serves something else; `explain` names it",
    "tidemark_resolve_seconds": "slow: that registry, or the way to it; admissions wait for it up to `webhook.deadline`",
    "tidemark_admission_duration_seconds": "near `webhook.deadline`: `tidemark_resolve_seconds` tells of which registry",
    "tidemark_admissions_in_flight": "high for long: a registry hangs; its circuit opens by itself",
    "tidemark_malformed_reviews_total": "something else than the API server posts to the webhook: a NetworkPolicy",
    "tidemark_namespace_read_failures_total": "the right to read namespaces, or the API server; the configuration's defaults count meanwhile",
    "tidemark_schema_read_failures_total": "the right to read CustomResourceDefinitions, or the API server; what the kind keeps is found out later",
    "tidemark_certificate_changes_total": "many: something deletes the Secret or writes the webhook configuration's caBundle",
    "tidemark_git_last_success_timestamp_seconds": "old: TidemarkGitNotWritten",
    "tidemark_sweeps_total": "incomplete: a right is missing, or a kind that is configured is not there; failed: TidemarkSweepsFail",
    "tidemark_sweep_references": "failed: TidemarkRegistryFailing, and `status` with the cause of each",
    "tidemark_notifications_total": "refused: the sink's address or secret; dropped or lost: TidemarkNotificationsWait",
    "tidemark_sweep_duration_seconds": "longer than `sweeper.interval`: a registry is slow, or the interval too short",
    "tidemark_roll_delay_seconds": "long: budgets, waves, windows and holds; `status` tells which",
    "tidemark_push_posts_total": "refused: the receiver's secret, or a payload of another kind (`deploy/README.md`, \"Pushes\")",
    "tidemark_push_references_total": "unknown: no workload uses what was pushed; dropped: more at once than are kept, the next sweep sees them",
    "tidemark_push_to_roll_seconds": "long: as of `tidemark_roll_delay_seconds`",
}


def markers(path):
    """(kind, what, cause, remedy) of each in this file; what tells and has none, or a marker over nothing that tells, is an error."""
    text, found, told = path.read_text(), [], set()
    for marker in MARKER.finditer(text):
        words = " ".join(line.strip().removeprefix("//").strip() for line in marker.group(1).splitlines())
        kind, _, rest = words.partition(": ")
        fields = [field.strip() for field in rest.split(" | ")]
        assert kind in TELLING and len(fields) == 3, f"{path}: a marker is KIND: WHAT | CAUSE | REMEDY: {words}"
        # A statement may be of two lines.
        below = [(at.start(), at.group().strip()) for at in list(re.finditer(r".*\n", text[marker.end():]))[:2]]
        hit = next((marker.end() + at for at, line in below if TELLING[kind].match(line)), None)
        assert hit is not None, f"{path}: nothing is told below the marker of {fields[0]}"
        told.add(hit)
        found.append((kind, *fields))
    for line in re.finditer(r".*\n", text):
        if any(pattern.match(line.group().strip()) for pattern in TELLING.values()) and line.start() not in told:
            raise AssertionError(f"{path}: has no marker for deploy/runbook.md: {line.group().strip()}")
    return found


def tables():
    rows = {kind: [] for kind in TELLING}
    for path in sorted(p for folder in ("webhook", "sweeper") for p in (ROOT / folder).iterdir() if p.suffix in (".cc", ".h")):
        for kind, *fields in markers(path):
            rows[kind].append("| " + " | ".join(fields) + " |\n")
    told = "\n".join(f"| {HEADS[kind]} | cause | remedy |\n|---|---|---|\n" + "".join(rows[kind]) for kind in TELLING)
    return told + "\n| metric | counts | where it is odd |\n|---|---|---|\n" + "".join(metrics())


def metrics():
    """A row of each metric of deploy/README.md that an alert watches or LOOKED_AT knows; the others are figures."""
    table = (ROOT / "deploy/README.md").read_text().split("\n## Metrics\n")[-1].split("\n## ")[0]
    listed = re.findall(r"^\| `(tidemark_\w+)` \| [^|]+ \| (.*) \|$", table, re.MULTILINE)
    groups = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text())["groups"]
    watched = {name: [rule["alert"] for group in groups for rule in group["rules"]
                      if "alert" in rule and re.search(rf"\b{name}(?:_bucket|_count|_sum)?\b", rule["expr"])] for name, _ in listed}
    unknown = LOOKED_AT.keys() - watched.keys()
    assert not unknown, f"no such metric: {unknown}"
    for name, what in listed:
        odd = ", ".join(watched[name] + ([LOOKED_AT[name]] if name in LOOKED_AT else []))
        yield f"| `{name}` | {what} | {odd or 'a figure alone'} |\n"


def document():
    before, rest = DOCUMENT.read_text().split(BEGIN)
    return before + BEGIN + tables() + END + rest.split(END)[1]


if __name__ == "__main__":
    sys.stdout.write(document())
