#!/usr/bin/env python3
"""embed.py OUTPUT FILE...: writes the table of sweeper/page_assets.h. The build runs it.

Text only. Every file becomes string literals of a line each, so that a compiler's message about one can be read.
"""

import hashlib
import json
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml", ".json": "application/json"}
# Where a file is served that is not below its own name.
PATHS = {"index.html": "/", "openapi.json": "/api/v1/openapi.json"}


def literal(text):
    # JSON escapes what C++ does, and the same way, as long as all of it is ASCII.
    assert text.isascii() and "\0" not in text and "\x7f" not in text, "ASCII only: &#...; and \\u... say the rest"
    return "\n".join(f"    {json.dumps(line)}" for line in text.splitlines(keepends=True))


def entry(file):
    text = file.read_text(encoding="utf-8")
    etag = hashlib.sha256(text.encode()).hexdigest()[:32]
    path = PATHS.get(file.name, f"/{file.name}")
    return f'    {{"{path}", "{TYPES[file.suffix]}", "\\"{etag}\\"",\n{literal(text)}}},\n'


def main(output, *files):
    entries = "".join(entry(pathlib.Path(file)) for file in files)
    pathlib.Path(output).write_text(
        '#include "sweeper/page_assets.h"\n\nnamespace tidemark::sweeper {\nnamespace {\n\n'
        f"constexpr Asset kAssets[] = {{\n{entries}}};\n\n"
        "}  // namespace\n\nstd::span<const Asset> page_assets() { return kAssets; }\n\n}  // namespace tidemark::sweeper\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
