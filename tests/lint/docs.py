"""What the documents say: every path that one names exists, and the configuration that one shows is taken."""

import re
import subprocess
import tempfile

CODE = re.compile(r"`([^`\n]+)`|\]\(([^)#\s]+)(?:#[^)]*)?\)")
# A path of ours: begins with a name of the tree's top, or with ./ or ../
PATHLIKE = re.compile(r"^(?:\.{1,2}/)?[\w.@+-]+(?:/[\w.@+{},*-]+)*/?$")


# Files of others that documents speak of.
NOT_OURS = {"httplib.h", "config.yaml"}


def paths(root, files):
    tops = {p.name for p in root.iterdir()} | {p.name for p in (root / "src").iterdir()}
    findings = []
    for document in files:
        if document.suffix != ".md":
            continue
        fenced = False
        for number, line in enumerate(document.read_text().splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            if fenced:
                continue
            for code, link in CODE.findall(line):
                text = link or code
                if "://" in text or (link and text.startswith("mailto:")):
                    continue
                if not PATHLIKE.match(text) or any(c in text for c in "*{"):
                    continue
                first = text.lstrip("./").split("/")[0]
                looks_ours = link or ("/" in text and first in tops) or (
                    text not in NOT_OURS and re.search(r"\.(?:h|cc|py|sh|md|yaml|build)$", text))
                if not looks_ours or text.startswith("build/"):
                    continue
                places = (document.parent, root, root / "src")
                if not any((place / text).exists() for place in places):
                    findings.append(f"{document.relative_to(root)}:{number}: {text} does not exist")
    return findings


METRIC = re.compile(r'"(tidemark_[a-z_]+)"')


def made_metrics(root, files):
    programs = ("src/", "certs/", "webhook/", "sweeper/")
    return {name for file in files if str(file.relative_to(root)).startswith(programs) and file.suffix == ".cc"
            for name in METRIC.findall(file.read_text())}


def metrics(root, files):
    """deploy/README.md lists the programs' metrics: all of them, and no others."""
    made = made_metrics(root, files)
    table = (root / "deploy/README.md").read_text().split("\n## Metrics\n")[-1].split("\n## ")[0]
    told = set(re.findall(r"^\| `(tidemark_\w+)`", table, re.MULTILINE))
    return ([f"deploy/README.md: {name} is not listed under Metrics" for name in sorted(made - told)]
            + [f"deploy/README.md: no program makes {name}" for name in sorted(told - made)])


def configuration(root, _files):
    """The configuration that deploy/README.md shows is one that the programs take."""
    shown = re.search(r"```yaml\n(logLevel:.*?)```", (root / "deploy/README.md").read_text(), re.DOTALL)
    if not shown:
        return ["deploy/README.md: shows no configuration"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        # But for the one file that it names.
        file.write(re.sub(r"\n *caFile:.*", "", shown.group(1)))
        file.flush()
        run = subprocess.run([root / "build/webhook/tidemark-webhook", "check-config", file.name],
                             capture_output=True, text=True)
    return [] if run.returncode == 0 else [f"deploy/README.md: {run.stdout}{run.stderr}"]
