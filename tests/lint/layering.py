"""The directions of the folders, read from the include lines (the table of src/README.md); tests that are built."""

import re
import subprocess

# Folder -> the folders whose headers it may include, besides its own.
ALLOWED = {
    "base": set(),
    "image": {"base"},
    "policy": {"base"},
    "push": {"base", "image"},
    "workload": {"base", "image"},
    "net": {"base"},
    "notify": {"base", "net"},
    "registry": {"base", "image", "net"},
    "cloud": {"base", "net", "registry"},
    "kube": {"base", "net"},
    "gitops": {"base", "net"},
    "config": {"base", "cloud", "gitops", "image", "policy", "push", "net", "notify", "registry", "workload"},
    "certs": {"base", "net", "kube"},
}
LIBRARY = {"base", "image", "policy", "push", "workload", "net", "notify", "registry", "cloud", "kube", "gitops", "config"}
ALLOWED["webhook"] = LIBRARY | {"certs"}
ALLOWED["sweeper"] = LIBRARY
ALLOWED["tidemark"] = {"webhook", "sweeper"}

# Library -> the folders (or files) that may include it. Headers never do.
THIRD_PARTY = {
    r"httplib\.h": {"net"},
    r"openssl/": {"net", "certs", "registry", "push", "cloud", "gitops"},  # registry: SHA-2 only; push, cloud: SHA and HMAC;
                                                                          # gitops: signatures of commits
    r"simdjson\.h": {"workload", "registry", "kube", "webhook", "sweeper"},
    r"nlohmann/": {"push", "workload", "notify", "registry", "cloud", "kube", "certs", "webhook", "sweeper", "base",
                   "config", "gitops"},
    r"yaml-cpp/": {"kube", "config", "sweeper"},
    r"spdlog/": {"base"},
    r"fmt/": {"base"},
    r"prometheus/": {"base"},
    r"re2/": {"policy"},
    r"git2": {"gitops"},
    r"libssh2\.h": {"gitops"},
    r"yaml\.h": {"gitops"},
    r"CLI/": {"webhook", "sweeper"},
}

# Headers that share a library's type -> the folders whose .cc files (and no headers) may include them.
SHARING = {
    "config/yaml_section.h": {"config"},
    "workload/object_reader.h": {"workload", "webhook"},
    "sweeper/status_json.h": {"sweeper"},
    "gitops/http_transport.h": {"gitops"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def folder_of(name):
    parts = name.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else parts[0]


def check(root, files):
    findings = []
    for path in files:
        name = str(path.relative_to(root))
        folder = folder_of(name)
        if path.suffix not in (".h", ".cc") or folder not in ALLOWED:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            own, system = match.groups()
            where = f"{name}:{number}"
            if own:
                target = own.split("/")[0]
                if target not in ALLOWED:
                    findings.append(f"{where}: \"{own}\" is not written from a folder of the table")
                elif target != folder and target not in ALLOWED[folder]:
                    findings.append(f"{where}: {folder} must not include {target} (\"{own}\")")
                elif own in SHARING and (path.suffix == ".h" or folder not in SHARING[own]):
                    findings.append(f"{where}: \"{own}\" is for .cc files of {', '.join(SHARING[own])}")
                continue
            for pattern, folders in THIRD_PARTY.items():
                if not re.match(pattern, system):
                    continue
                if path.suffix == ".h" and name.removeprefix("src/") not in SHARING:
                    findings.append(f"{where}: <{system}> belongs in a .cc file")
                elif folder not in folders:
                    findings.append(f"{where}: {folder} must not use <{system}>")
    for folder in list(LIBRARY) + ["certs", "webhook", "sweeper"]:
        place = root / ("src" if folder in LIBRARY else ".") / folder / "README.md"
        if not place.exists():
            findings.append(f"{place.relative_to(root)}: every folder says what belongs in it")
    for path in sorted((root / "tests").glob("*/*_test.cc")):
        if f"'{path.name}'" not in (path.parent / "meson.build").read_text():
            findings.append(f"{path.relative_to(root)}: no program is built of it")
    return findings


# What the program in the way of every admission has no business with.
NOT_OF_THE_WEBHOOK = ("libgit2", "libssh2", "libyaml-0")


def libraries(root, _files):
    """The webhook is linked with nothing that only writing to Git needs."""
    program = root / "build/webhook/tidemark-webhook"
    needed = subprocess.run(["readelf", "--dynamic", program], check=True, capture_output=True, text=True).stdout
    if "libssl" not in needed:
        return [f"{program.relative_to(root)}: readelf names no libraries"]
    return [f"{program.relative_to(root)} is linked with {name}" for name in NOT_OF_THE_WEBHOOK if name in needed]
