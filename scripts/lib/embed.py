#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a file's octets as a C++ std::string_view: embed.py INPUT OUTPUT NAMESPACE NAME."""

import pathlib
import sys

PER_LINE = 16


def main():
    source, target, namespace, name = sys.argv[1:]
    octets = pathlib.Path(source).read_bytes()
    lines = ["    " + " ".join(f"'\\x{octet:02x}'," for octet in octets[i:i + PER_LINE])
             for i in range(0, len(octets), PER_LINE)]
    pathlib.Path(target).write_text(
        "#include <string_view>\n\n"
        f"namespace {namespace} {{\n"
        f"extern const std::string_view {name};\n"
        "static constexpr char octets[] = {\n" + "\n".join(lines) + "\n};\n"
        f"const std::string_view {name}(octets, sizeof octets);\n"
        "}\n")


if __name__ == "__main__":
    main()
