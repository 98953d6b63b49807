"""What must be true after a soak: pure functions of what was recorded, each with its findings; none is a pass."""

import calendar
import json
import time

SWEEPER = "system:serviceaccount:tidemark-system:tidemark-sweeper"
ROLLS = ("moved", "policy")
ASKED = ("kubectl-rollout", "")  # the field managers of `rollout restart` and `rollout undo`
CLOCK_IS_OFF = 600    # seconds between an entry's time and when it was seen
REMEMBERED = 5         # seconds that an admission's answer may be old: cache and deadline are 1 s and 2 s
MIB_PER_10_MINUTES = 1
NOISE_MIB = 1.0        # of the allocator; see README.md
SECOND_HALF = 30       # seconds of it that a life must have to be judged
LONG = 180             # seconds of a run in which some life of each program must be
WARM = 10              # seconds after a sweeper began to lead
MORE_FDS, MORE_THREADS = 6, 4
GRACE = 20             # seconds after a fault in which what it did may still be logged


def digest_of(stamp):
    return stamp.partition("@")[2]


def reference_of(stamp):
    return stamp.partition("@")[0]


def added(old, new):
    """Entries that the history gained, newest first; None where it was replaced."""
    for count in range(len(new) + 1):
        rest = new[count:]
        if rest == old[:len(rest)] and (rest or not old):
            return new[:count]
    return None


class Steps:
    """The versions of each workload, pair by pair, with who wrote the later one."""

    def __init__(self, versions, writers):
        self.versions, self.writers = versions, writers

    def __iter__(self):
        for workload, seen in sorted(self.versions.items()):
            for old, new in zip(seen, seen[1:]):
                yield workload, old, new, self.writers.get((workload, new["rv"])) or {}


def is_unseen(new, writer):
    """No webhook saw this write, or nobody can tell."""
    return bool(writer.get("unseen") or new.get("gap"))


def left_by_undo(workload, slot, digest, versions, writers):
    """The stamp's last change was an undo: its history says so, or no webhook saw it."""
    seen = versions[workload]
    for old, new in reversed(list(zip(seen, seen[1:]))):
        if old["stamps"].get(slot) != new["stamps"].get(slot):
            writer = writers.get((workload, new["rv"])) or {}
            entry = next((e for e in new["history"] if e["slot"] == slot), {})
            said = entry.get("why") == "rolled-back" and digest_of(entry["to"]) == digest
            return said or is_unseen(new, writer)
    return False


def untrue(final, truth, versions, writers):
    findings = []
    for workload, version in sorted(final.items()):
        for slot, image in version["images"].items():
            reference, _, pin = image.partition("@")
            stamp = version["stamps"].get(slot, "")
            wanted, got = truth[reference], digest_of(stamp)
            entry = next((e for e in version["history"] if e["slot"] == slot), {})
            where = f"{workload} {slot}: "
            if reference_of(stamp) != reference:
                findings.append(f"{where}the stamp is '{stamp}', the image {image}")
            elif pin and pin != got:
                findings.append(f"{where}pinned to {pin}, stamped with {got}")
            elif got != wanted:
                held = wanted in version["held"].get(slot, []) or digest_of(entry.get("to", "")) == wanted
                if not held or not left_by_undo(workload, slot, got, versions, writers):
                    findings.append(f"{where}stamped with {got}, the registry has {wanted}, held: {version['held']}")
    return findings


def true_stamps(record):
    return untrue(record["final"], record["truth"], record["versions"], record["writers"])


def accounted(record):
    """Every change of a stamp has its entry, with where it came from and where it led."""
    findings = []
    for workload, old, new, writer in Steps(record["versions"], record["writers"]):
        if is_unseen(new, writer):
            continue
        gained = added(old["history"], new["history"])
        if gained is None:
            findings.append(f"{workload} at {new['rv']}: its history was replaced: {old['history'][:2]} -> {new['history'][:2]}")
            continue
        for slot in new["images"]:
            before, after = old["stamps"].get(slot, ""), new["stamps"].get(slot, "")
            entries = [(e["from"], e["to"]) for e in gained if e["slot"] == slot]
            if before != after and entries != [(before, after)]:
                findings.append(f"{workload} {slot} at {new['rv']}: {before} -> {after}, its history gained {entries}")
            if before == after and entries:
                findings.append(f"{workload} {slot} at {new['rv']}: its stamp stayed, its history gained {entries}")
    return findings


def unseen_workloads(record):
    return {workload for workload, _, new, writer in Steps(record["versions"], record["writers"]) if is_unseen(new, writer)}


def chained(record):
    """In the histories that are there at the end."""
    findings, unseen = [], unseen_workloads(record)
    for workload, version in sorted(record["final"].items()):
        for slot, image in version["images"].items():
            entries = [e for e in version["history"] if e["slot"] == slot]
            for newer, older in zip(entries, entries[1:] + [None]):
                if digest_of(newer["from"]) == digest_of(newer["to"]):
                    findings.append(f"{workload} {slot}: from a digest to itself: {newer}")
                if older and newer["why"] in ROLLS and older["why"] in ROLLS and newer["to"] == older["to"]:
                    findings.append(f"{workload} {slot}: rolled twice to one digest: {newer}, {older}")
                if older and newer["from"] != older["to"] and workload not in unseen:
                    findings.append(f"{workload} {slot}: {newer} does not follow {older}")
            stamp = version["stamps"].get(slot)
            if entries and entries[0]["to"] != stamp and workload not in unseen:
                findings.append(f"{workload} {slot}: its history ends with {entries[0]}, its stamp is {stamp}")
    return findings


def forward(record):
    """No roll leads to an older push, and no edit to one that had long been replaced. Tags move forward only."""
    findings = []
    order = {ref: {push[0]: number for number, push in enumerate(pushes)} for ref, pushes in record["pushes"].items()}
    for workload, old, new, _writer in Steps(record["versions"], record["writers"]):
        for entry in added(old["history"], new["history"]) or []:
            reference = reference_of(entry["to"])
            begin, end = order[reference].get(digest_of(entry["from"])), order[reference].get(digest_of(entry["to"]))
            if end is None:
                findings.append(f"{workload} at {new['rv']}: nobody pushed {entry['to']}")
            elif begin is None or end > begin or entry["why"] == "rolled-back":
                continue
            elif entry["why"] in ROLLS:
                findings.append(f"{workload} at {new['rv']}: rolled back to push {end} from push {begin}: {entry}")
            else:
                replaced = record["pushes"][reference][end + 1][2]
                when = calendar.timegm(time.strptime(entry["time"], "%Y-%m-%dT%H:%M:%SZ"))
                # Of an entry by a clock that is off the time says nothing.
                if replaced and when - replaced > REMEMBERED and abs(when - new["when"]) < CLOCK_IS_OFF:
                    findings.append(f"{workload} at {new['rv']}: push {end} was replaced {when - replaced:.0f} s before: {entry}")
    return findings


def template_changes(record):
    """(workload, "roll" | "user" | "unseen" | "unexplained", what is known) of every change of a template."""
    for workload, old, new, writer in Steps(record["versions"], record["writers"]):
        if old["template"] == new["template"]:
            continue
        gained = added(old["history"], new["history"]) or []
        by_sweeper = bool(gained) and all(entry["by"] == "tidemark-sweeper" for entry in gained)
        text = f"{workload} at {new['rv']} by {writer.get('user', 'nobody known')} ({writer.get('manager', '')})"
        if writer.get("user") == SWEEPER or (not writer and by_sweeper):
            yield workload, "roll" if by_sweeper else "unexplained", text
        elif is_unseen(new, writer):
            yield workload, "unseen", text
        elif writer.get("manager", "") not in ASKED:
            yield workload, "unexplained", text
        else:
            yield workload, "user", text


def explained(record):
    """Each change of a template is a roll with its entry, or a user's restart or undo, and no more of these than were asked."""
    findings, users = [], {}
    for workload, kind, text in template_changes(record):
        if kind == "unexplained":
            findings.append(text)
        elif kind == "user":
            users.setdefault(workload, []).append(text)
    for workload, texts in sorted(users.items()):
        asked = sum(a["workload"] == workload and a["what"] in ("restart", "undo") for a in record["actions"])
        if len(texts) > asked:
            findings.append(f"{len(texts)} changes for {asked} restarts and undos: {texts}")
    return findings


def revisions(record):
    """Each ReplicaSet and ControllerRevision is of a template that the workload had, each template at most once."""
    findings = []
    for workload, hashes in sorted(record["revisions"].items()):
        had = {version["template"] for version in record["versions"].get(workload, [])}
        if set(hashes) - had:
            findings.append(f"{workload}: {len(set(hashes) - had)} revisions of templates that it never had")
        if len(hashes) > len(set(hashes)):
            findings.append(f"{workload}: {len(hashes)} revisions of {len(set(hashes))} templates")
        if record["final"][workload]["template"] not in hashes:
            findings.append(f"{workload}: no revision of its template of now")
    return findings


def lives(record):
    """Of each process its samples, by (name, pid)."""
    found = {}
    for sample in record["samples"]:
        found.setdefault((sample["name"], sample["pid"]), []).append(sample)
    return found


def slope(points):
    """Least squares: of (x, y), y for each x."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def first_lead(lines, begin, end):
    """When a sweeper began to lead for the first time in this life: from then on it holds all workloads. 0: it never did."""
    for line in lines:
        if '"msg":"leading"' in line:
            when = calendar.timegm(time.strptime(json.loads(line)["time"][:19], "%Y-%m-%dT%H:%M:%S"))
            if begin - 2 <= when <= end:
                return when
    return 0


def growth(record):
    """[(name, pid, seconds judged, MiB grown in them by the slope, MiB allowed)] of lives that are long enough."""
    rows = []
    for (name, pid), life in sorted(lives(record).items()):
        samples = [sample for sample in life if sample["when"] <= record["ended"]]  # at rest nothing grows
        if not samples:
            continue
        led = first_lead(record["log_lines"].get(name, []), samples[0]["when"], samples[-1]["when"])
        middle = max((samples[0]["when"] + samples[-1]["when"]) / 2, led + WARM)
        half = [(s["when"], s["rss"] / 1024) for s in samples if s["when"] >= middle]
        seconds = half[-1][0] - half[0][0] if half else 0
        if seconds >= SECOND_HALF:
            rows.append((name, pid, seconds, slope(half) * seconds, MIB_PER_10_MINUTES * seconds / 600 + NOISE_MIB))
    return rows


def memory(record):
    rows = growth(record)
    findings = [f"{name} ({pid}): {grown:.2f} MiB in {seconds:.0f} s, {allowed:.2f} allowed"
                for name, pid, seconds, grown, allowed in rows if grown > allowed]
    return findings + [f"no life of a {program} is long enough to be judged" for program in ("webhook", "sweeper")
                       if record["seconds"] >= LONG and not any(name.startswith(program) for name, *_ in rows)]


def highest(samples):
    """{program: (descriptors, threads)}, the most of its replicas."""
    found = {}
    for sample in samples:
        program = sample["name"].rsplit("-", 1)[0]
        fds, threads = found.get(program, (0, 0))
        found[program] = (max(fds, sample["fds"]), max(threads, sample["threads"]))
    return found


def above_baseline(baseline, samples, since):
    findings = []
    before = highest(s for s in samples if baseline["begin"] <= s["when"] <= baseline["end"])
    for program, (fds, threads) in highest(s for s in samples if s["when"] >= since).items():
        if fds > before[program][0] + MORE_FDS or threads > before[program][1] + MORE_THREADS:
            findings.append(f"{program}: {fds} descriptors and {threads} threads, at the beginning {before[program]}")
    return findings


def handles(record):
    return above_baseline(record["baseline"], record["samples"], record["samples"][-1]["when"] - 5)


def alive(record):
    return [f"{name} ended by itself with {end['code']}: {end['log'][-600:]}"
            for name, ends in record["ended_by_itself"].items() for end in ends]


def worked(record):
    """The run was no idle one, and the driver had no trouble of its own."""
    kinds = [kind for _, kind, _ in template_changes(record)]
    findings = list(record["problems"])
    for kind in ("roll", "user"):
        if not kinds.count(kind):
            findings.append(f"no change of a template by a {kind}")
    # What was written in the moment of the API server's death may be seen by asking alone.
    deaths = [fault for fault in record["faults"] if fault["name"] == "kill kube-apiserver"]
    gaps = [when for when in record["gaps"] if not within(deaths, when)]
    if gaps:
        findings.append(f"{len(gaps)} times a watch lost versions: what was between them was not seen")
    return findings


CHECKS = {
    "every stamp is true, or held by an undo": true_stamps,
    "every change of a stamp is in the history": accounted,
    "histories are chains, nothing is rolled twice or to itself": chained,
    "no stamp goes back to an older push but by an undo": forward,
    "every change of a template is a roll or was asked for": explained,
    "no revision beyond these": revisions,
    "memory does not grow": memory,
    "descriptors and threads are back at the beginning's": handles,
    "no program ended by itself": alive,
    "the run was a full one": worked,
}


def judge(record):
    """[(check, findings)]. A check that breaks has failed, and keeps nothing from the report."""
    def findings(check):
        try:
            return check(record)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            return [f"the check broke: {error!r}"]
    return [(name, findings(check)) for name, check in CHECKS.items()]


def in_fault(record, when):
    return within(record["faults"], when)


def within(faults, when):
    return any(fault["begin"] - 1 <= when <= fault["end"] + GRACE for fault in faults)
