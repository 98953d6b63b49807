"""Every path that a document names exists."""

import re

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
