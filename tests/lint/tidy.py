"""clang-tidy over every source file, each judged again only when it or a header of its own changed.

The compile commands are those of the build directory that `./dev build` makes. What passed is
remembered outside the tree by the hash of all bytes that the verdict depends on.
"""

import concurrent.futures
import hashlib
import json
import re
import subprocess

from tools import cache_dir, pinned

EXTRA = ["--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-unused-command-line-argument",
         # libstdc++ 12's own std::stable_sort, seen by a newer clang.
         "--extra-arg=-Wno-deprecated-declarations"]


def headers_of(root, source):
    """The tree's own headers that `source` reaches, by its include lines."""
    seen, queue = set(), [source]
    while queue:
        path = queue.pop()
        for own in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
            for base in (root / "src", root, root / "tests", path.parent):
                header = base / own
                if header.exists() and header not in seen:
                    seen.add(header)
                    queue.append(header)
    return sorted(seen)


def check(root, files):
    database = root / "build" / "compile_commands.json"
    if not database.exists():
        return ["build/compile_commands.json is missing: run ./dev build"]
    known = {}
    for entry in json.loads(database.read_text()):
        path = (root / "build" / entry["file"]).resolve()
        known[path] = entry["command"]
    sources = [f for f in files if f.suffix == ".cc" and f.resolve() in known
               and not str(f.relative_to(root)).startswith("tests/")]
    tool = pinned("clang-tidy")
    done_dir = cache_dir() / "tidy"
    done_dir.mkdir(parents=True, exist_ok=True)
    base = hashlib.sha256((root / ".clang-tidy").read_bytes() + tool.encode())

    def judge(source):
        key = base.copy()
        key.update(known[source.resolve()].encode())
        for path in [source, *headers_of(root, source)]:
            key.update(path.read_bytes())
        mark = done_dir / key.hexdigest()
        if mark.exists():
            return []
        run = subprocess.run([tool, "-p", str(root / "build"), "--quiet", *EXTRA, str(source)],
                             capture_output=True, text=True)
        found = [line.replace(f"{root}/", "") for line in run.stdout.splitlines()
                 if re.search(r": (?:error|warning): ", line)]
        if run.returncode == 0 and not found:
            mark.touch()
        elif not found:
            found = [f"{source.relative_to(root)}: clang-tidy exited {run.returncode}: {run.stderr[-300:]}"]
        return found

    findings = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for index, found in enumerate(pool.map(judge, sources), 1):
            findings += found
            if index % 20 == 0:
                print(f"  clang-tidy: {index} of {len(sources)} files", flush=True)
    return sorted(set(findings))
