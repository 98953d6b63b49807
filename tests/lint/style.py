"""How the text of the tree looks."""

import re
import subprocess

from tools import pinned


def clang_format(root, files):
    sources = [str(f) for f in files if f.suffix in (".cc", ".h")]
    findings = []
    for start in range(0, len(sources), 50):
        done = subprocess.run([pinned("clang-format"), "--dry-run", "-Werror", *sources[start:start + 50]],
                              cwd=root, capture_output=True, text=True)
        findings += [line for line in done.stderr.splitlines() if "error:" in line]
    return [finding.replace(f"{root}/", "") for finding in findings]


def is_shell(path):
    if path.suffix == ".sh":
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:
        first = file.readline(64)
    return first.startswith(b"#!") and b"sh" in first


def shellcheck(root, files):
    scripts = [str(f) for f in files if is_shell(f)]
    done = subprocess.run(["shellcheck", "-x", "-f", "gcc", *scripts], cwd=root, capture_output=True, text=True)
    return [line.replace(f"{root}/", "") for line in done.stdout.splitlines()]


# Words that speak of a machine or a moment instead of the project.
FORBIDDEN = re.compile(
    r"(?<![\w}/])/root/|(?<![\w}/])/home/[a-z]+/|\bTODO\b|\bFIXME\b|\bXXX\b|BEGIN (?:RSA |EC )?PRIVATE KEY")
# Where such words are the matter itself: this file, and the build container's own home.
EXCEPT = ("tests/lint/style.py", "Dockerfile")


def own_words(root, files):
    findings = []
    for path in files:
        name = str(path.relative_to(root))
        if name in EXCEPT or path.suffix in (".sum", ".png"):
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            match = FORBIDDEN.search(line)
            if match and "lint: allow" not in line:
                findings.append(f"{name}:{number}: {match.group(0)}")
    return findings
