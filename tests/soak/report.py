"""The end of a soak: a report for programs, a picture for people, and the last lines on the terminal."""

import calendar
import collections
import json
import shutil
import time

import checks

COLOURS = {"webhook-0": "#1f77b4", "webhook-1": "#7fb8e0", "sweeper-0": "#d62728", "sweeper-1": "#f2a0a0"}
FAULT_COLOURS = {"kill": "#d62728", "stop": "#ff7f0e", "registry:": "#9467bd", "delete": "#2ca02c"}
WIDTH, PANEL, LEFT, TOP, GAP = 1200, 240, 60, 60, 60


def logged(record):
    """{program: {level: lines}}, and the error lines that no fault explains."""
    counts, unexplained = {}, []
    for program, lines in record["log_lines"].items():
        levels = collections.Counter()
        for line in lines:
            try:
                entry = json.loads(line)
                level = entry["level"]
                stamp, _, millis = entry["time"].rstrip("Z").partition(".")
                when = calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{millis or 0}")
            except (ValueError, KeyError, TypeError):
                level, when = "no JSON", 0
            levels[level] += 1
            if level in ("error", "no JSON") and not checks.in_fault(record, when):
                unexplained.append(f"{program}: {line[:400]}")
        counts[program] = dict(levels)
    return counts, unexplained


def summary(record):
    kinds = collections.Counter(kind for _, kind, _ in checks.template_changes(record))
    counts, unexplained = logged(record)
    opened = [(calendar.timegm(time.strptime(w["when"][:19], "%Y-%m-%dT%H:%M:%S")), w) for w in record["opened"]]
    return {
        "seed": record["seed"], "seconds": record["seconds"], "settled after s": round(record["settled"], 1),
        "pushes": sum(map(len, record["pushes"].values())),
        "actions": dict(collections.Counter(a["what"] for a in record["actions"])),
        "actions that failed": sum(not a["ok"] for a in record["actions"]),
        "faults": dict(collections.Counter(f["name"] for f in record["faults"])),
        "changes of templates": dict(kinds),
        "revisions": sum(map(len, record["revisions"].values())),
        "slots held at the end": sum(len(v["held"]) for v in record["final"].values()),
        "admissions that no webhook saw": len(opened),
        "of these outside of faults": sum(not checks.in_fault(record, when) for when, _ in opened),
        "log lines": counts, "error lines outside of faults": len(unexplained), "the first of them": unexplained[:10],
        "memory": [{"program": name, "pid": pid, "seconds": round(seconds), "MiB by slope": round(grown, 3),
                    "MiB allowed": round(allowed, 3)} for name, pid, seconds, grown, allowed in checks.growth(record)],
        "RSS MiB at the end": {s["name"]: round(s["rss"] / 1024, 1) for s in record["samples"][-4:]},
    }


def text(x, y, words, more=""):
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="12" font-family="sans-serif" {more}>{escaped}</text>'


def panel(record, top, title, key, scale):
    """One quantity over time: an axis, the faults as bars behind it, a line for each life of a process."""
    samples = record["samples"]
    begin, end = samples[0]["when"], samples[-1]["when"]
    values = [s[key] / scale for s in samples]
    margin = max(1.0, max(values) - min(values)) / 10
    least, most = min(values) - margin, max(values) + margin

    def x(when):
        return LEFT + (when - begin) / (end - begin) * (WIDTH - LEFT - 20)

    def y(value):
        return top + PANEL - (value - least) / (most - least) * PANEL
    parts = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 20}" height="{PANEL}" fill="none" stroke="#888"/>',
             text(LEFT, top - 8, title)]
    for fault in record["faults"]:
        colour = FAULT_COLOURS.get(fault["name"].split()[0], "#999")
        parts.append(f'<rect x="{x(fault["begin"]):.1f}" y="{top}" width="{max(1.0, x(fault["end"]) - x(fault["begin"])):.1f}" '
                     f'height="{PANEL}" fill="{colour}" opacity="0.15"><title>{fault["name"]}</title></rect>')
    for step in range(5):
        value = least + (most - least) * step / 4
        parts.append(text(LEFT - 8, y(value) + 4, f"{value:.1f}", 'text-anchor="end"'))
        when = begin + (end - begin) * step / 4
        parts.append(text(x(when), top + PANEL + 16, f"{when - begin:.0f} s", 'text-anchor="middle"'))
    for (name, _), life in checks.lives(record).items():
        points = " ".join(f"{x(s['when']):.1f},{y(s[key] / scale):.1f}" for s in life)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.5"/>')
    parts.append(f'<line x1="{x(record["ended"]):.1f}" x2="{x(record["ended"]):.1f}" y1="{top}" y2="{top + PANEL}" '
                 'stroke="#000" stroke-dasharray="4"/>')
    return parts


def picture(record):
    parts, height = [], TOP + 3 * (PANEL + GAP)
    for index, (name, colour) in enumerate((COLOURS | FAULT_COLOURS).items()):
        parts.append(f'<rect x="{LEFT + index * 130}" y="12" width="12" height="12" fill="{colour}" '
                     f'opacity="{1 if name in COLOURS else 0.4}"/>')
        parts.append(text(LEFT + index * 130 + 18, 23, name if name in COLOURS else f"fault: {name.rstrip(':')}"))
    parts += panel(record, TOP, "RSS, MiB (dashed: tags stand still from here on)", "rss", 1024)
    parts += panel(record, TOP + PANEL + GAP, "open descriptors", "fds", 1)
    parts += panel(record, TOP + 2 * (PANEL + GAP), "threads", "threads", 1)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">'
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>' + "\n".join(parts) + "</svg>\n")


def write(record, judged, folder):
    """Writes the report and prints its end. The exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    told = summary(record)
    (folder / "report.json").write_text(json.dumps({
        "summary": told, "checks": [{"check": name, "passed": not findings, "findings": findings} for name, findings in judged],
        "faults": record["faults"], "actions": record["actions"], "pushes": record["pushes"], "truth": record["truth"],
        "versions": record["versions"], "opened": record["opened"], "samples": record["samples"]}, indent=1))
    (folder / "soak.svg").write_text(picture(record))
    logs = folder / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    for program, lines in record["log_lines"].items():
        (logs / f"{program}.log").write_text("\n".join(lines) + "\n")
    for key, value in told.items():
        print(f"{key}: {value if not isinstance(value, (dict, list)) else json.dumps(value)}")
    for name, findings in judged:
        print(f"{'FAIL' if findings else 'PASS'} {name}" + (f": {len(findings)} findings" if findings else ""))
        for finding in findings[:10]:
            print(f"  {finding}")
    failed = sum(bool(findings) for _, findings in judged)
    print(f"report: {folder}\n{len(judged) - failed} passed, {failed} failed")
    return 1 if failed else 0
