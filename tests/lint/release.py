"""The list of a release's parts, on lines that are made up: the release's own tests (tests/release) read the real ones."""

import importlib.machinery
import importlib.util
import json
import sys

PARTS = ("linked openssl 3.5.1-1~deb13u1", "included openssl 3.5.1-1~deb13u1", "included fmtlib 10.1.1+ds1-4", "copied tzdata 2025b-4")


def sbom(root, _files):
    """release/sbom: every relation is to a package that is there, the order of the lines is no matter, no license is guessed."""
    loader = importlib.machinery.SourceFileLoader("sbom", str(root / "release/sbom"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("sbom", loader))
    sys.dont_write_bytecode = True  # it would lie beside the program
    loader.exec_module(module)

    def made(parts):
        return module.document("tidemark-1.2.3", "0123456789ab", 0, "amd64", parts)

    findings = []
    document = made(PARTS)
    relations = {(relation["relationshipType"], relation["relatedSpdxElement"]) for relation in document["relationships"]}
    if relations != {("DESCRIBES", "SPDXRef-tidemark"), ("STATIC_LINK", "SPDXRef-openssl"), ("CONTAINS", "SPDXRef-fmtlib"),
                     ("CONTAINS", "SPDXRef-tzdata")}:
        findings.append(f"release/sbom: relations are {sorted(relations)}")
    if {package["SPDXID"] for package in document["packages"]} != {to for _, to in relations}:
        findings.append("release/sbom: the packages are not those of the relations")
    purl = document["packages"][2]["externalRefs"][0]["referenceLocator"]
    if purl != "pkg:deb/debian/openssl@3.5.1-1~deb13u1?arch=source":
        findings.append(f"release/sbom: a purl is {purl}")
    if json.dumps(made(reversed(PARTS))) != json.dumps(document):
        findings.append("release/sbom: another order of the lines gives another document")
    try:
        made(["linked unheard-of 1.0"])
        findings.append("release/sbom: takes a part whose license nobody read")
    except ValueError:
        pass
    return findings
