#!/usr/bin/env python3
"""Prints the line coverage of each folder, and what is wrong with it; exits with 1 where something is.

  coverage.py BUILD [--more]      BUILD: a build with -Db_coverage=true whose tests have run; --more: not the unit suite alone

A file (a header counts with the .cc of its name) below 85 % of its lines has a reason in its folder's README.md, a line below "## Coverage" for one or several files:

    - `program.cc`, `main.cc`: what is missing, and which tests see it instead

A reason for a file that is not below is wrong too, unless more than the unit suite has run.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
LEAST = 85
FOLDERS = ("src", "certs", "webhook", "sweeper")
REASON = re.compile(r"^- ((?:`[\w.]+`(?:, )?)+): \S", re.MULTILINE)


def measure(build):
    """{file: {(file, line): whether it ran}} of the programs, by all objects that have them, also those that no test is linked with."""
    found = collections.defaultdict(dict)
    objects = [str(path.resolve()) for path in sorted(pathlib.Path(build).rglob("*.gcno"))]
    for start in range(0, len(objects), 20):
        # --relative-only: without the headers of the system.
        text = subprocess.run(["gcov", "--json-format", "--stdout", "--relative-only", *objects[start:start + 20]],
                              check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for report in map(json.loads, text.splitlines()):
            for file in report["files"]:
                path = pathlib.Path(report["current_working_directory"], file["file"]).resolve()
                name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else ""
                if name.partition("/")[0] in FOLDERS and path.exists():
                    lines = found[str(counted_with(path).relative_to(ROOT))]
                    for line in file["lines"]:
                        place = (path.name, line["line_number"])
                        lines[place] = lines.get(place, False) or line["count"] > 0
    return {name: lines for name, lines in found.items() if lines}


def counted_with(path):
    source = path.with_suffix(".cc")
    return source if source.exists() else path


def reasons():
    """Files for which a README.md gives a reason."""
    for top in FOLDERS:
        for readme in (ROOT / top).rglob("README.md"):
            for section in readme.read_text().split("\n## Coverage\n")[1:]:
                for names in REASON.findall(section.split("\n## ")[0]):
                    yield from (str((readme.parent / name).relative_to(ROOT)) for name in re.findall(r"`(.+?)`", names))


def ranges(places):
    """[("a.h", 3), ("a.h", 4), ("a.h", 9)] -> ["a.h:3-4", "a.h:9"]"""
    found = []
    for file, line in sorted(places):
        if found and found[-1][0] == file and found[-1][2] == line - 1:
            found[-1][2] = line
        else:
            found.append([file, line, line])
    return [f"{file}:{first}" if first == last else f"{file}:{first}-{last}" for file, first, last in found]


def main(build, *more):
    files, excused = measure(build), set(reasons())
    ran, lines = collections.Counter(), collections.Counter()
    for name, of_file in files.items():
        for folder in (str(pathlib.Path(name).parent), "all"):
            ran[folder] += sum(of_file.values())
            lines[folder] += len(of_file)
    print("| folder | lines | covered |\n|---|---|---|")
    for folder in sorted(lines, key=lambda name: (name == "all", name)):
        print(f"| {folder} | {lines[folder]} | {100 * ran[folder] / lines[folder]:.1f} % |")
    low = {name for name, of_file in files.items() if 100 * sum(of_file.values()) < LEAST * len(of_file)}
    wrong = []
    for name in sorted(low - excused):
        idle = [place for place, has_run in files[name].items() if not has_run]
        wrong.append(f"{name}: {100 - 100 * len(idle) / len(files[name]):.1f} % of its lines, and no reason in its folder's README.md; "
                     f"never ran: {', '.join(ranges(idle))}")
    if not more:
        wrong += [f"{name}: has a reason, and is not below {LEAST} %" for name in sorted(excused - low)]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
