#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the files of layers that programs reach through their includes, one a line.

    reached.py [--whole LAYER]... [--without SOURCE]... PROGRAM...

So that a program can be linked with few of a layer's sources, and a list of these need not be kept: who
includes a header may call whatever it declares, so the sources that define it are reached as well, and
what these include. A source defines what is declared in the header of its name, or, when there is none,
in the header that it includes first and in that of which the name is the beginning of its own. What is
in include/flow29 is defined by a source of the same name, whichever layer that is in. Layers that are
linked whole are not followed, nor are sources that something else stands in for.
"""

import argparse
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)
PUBLIC = "include/flow29/"


def included(path, sources):
    """The repository's files that one includes, in order."""
    found = []
    for name in INCLUDE.findall(sources[path]):
        beside = str(pathlib.PurePosixPath(path).parent / name)
        for candidate in (f"src/{name}", f"include/{name}", f"tests/{name}", beside):
            if candidate in sources:
                found.append(candidate)
                break
    return found


def stem(path):
    return pathlib.PurePosixPath(path).stem


def definitions(sources):
    """header -> the sources that define what it declares."""
    defining = {}
    for path in sources:
        if not re.match(r"src/\w+/\w+\.cpp$", path):
            continue
        own = path.removesuffix(".cpp") + ".hpp"
        first = re.search(INCLUDE, sources[path])
        for at, header in enumerate(included(path, sources)):
            leads = at == 0 and first and header.endswith(first.group(1))
            is_of_name = stem(path).startswith(stem(header) + "_") and \
                pathlib.PurePosixPath(header).parent == pathlib.PurePosixPath(path).parent
            if header == own or (header == PUBLIC + stem(own) + ".hpp") \
                    or (own not in sources and (leads or is_of_name)):
                defining.setdefault(header, []).append(path)
    return defining


def reached(programs, sources, whole=(), without=()):
    """The files of src/ outside the layers `whole` that are reached, and those of tests/; sorted."""
    defining = definitions(sources)
    found, waiting = set(), list(programs)
    while waiting:
        path = waiting.pop()
        parts = path.split("/")
        if path in found or path in without or (parts[0] == "src" and parts[1] in whole):
            continue
        found.add(path)
        for header in included(path, sources):
            waiting += [header, *defining.get(header, [])]
    return sorted(found)


def self_test():
    """Raises AssertionError unless what is reached is found, and nothing else."""
    sources = {
        "tests/fuzz/a.cpp": '#include "api/a.hpp"\n#include "helper.hpp"\n#include <vector>\n',
        "tests/fuzz/helper.hpp": '#include "core/c.hpp"\n#include <flow29/public.hpp>\n',
        "src/api/a.hpp": "",
        "src/api/a.cpp": '#include "api/a.hpp"\n\n#include <map>\n\n#include "node/b.hpp"\n',
        "src/api/a_more.cpp": '#include <map>\n\n#include "api/a.hpp"\n#include "api/listener.hpp"\n',
        "src/api/user.cpp": '#include "api/user.hpp"\n\n#include "api/a.hpp"\n',
        "src/api/user.hpp": "",
        "src/api/listener.hpp": "",
        "src/api/listener.cpp": '#include "api/listener.hpp"\n\n#include "node/far.hpp"\n',
        "src/node/b.hpp": "",
        "src/node/other_name.cpp": '#include "node/b.hpp"\n',
        "src/node/far.hpp": "",
        "src/node/public.cpp": "#include <flow29/public.hpp>\n",
        "src/core/c.hpp": "",
        "src/core/c.cpp": '#include "core/c.hpp"\n',
        "include/flow29/public.hpp": "",
    }
    got = reached(["tests/fuzz/a.cpp"], sources, whole={"core"}, without={"src/api/listener.cpp"})
    assert got == ["include/flow29/public.hpp", "src/api/a.cpp", "src/api/a.hpp", "src/api/a_more.cpp",
                   "src/api/listener.hpp", "src/node/b.hpp", "src/node/other_name.cpp",
                   "src/node/public.cpp", "tests/fuzz/a.cpp", "tests/fuzz/helper.hpp"], got


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="append", default=[])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    repository = pathlib.Path(__file__).resolve().parent.parent.parent
    sources = {str(path.relative_to(repository)): path.read_text(encoding="utf-8")
               for folder in ("src", "include", "tests")
               for suffix in ("cpp", "hpp", "h") for path in (repository / folder).rglob(f"*.{suffix}")}
    unknown = [path for path in options.without if path not in sources]
    if unknown:
        parser.error(f"no such source: {', '.join(unknown)}")
    programs = [str(pathlib.Path(path).resolve().relative_to(repository)) for path in options.program]
    print("\n".join(reached(programs, sources, set(options.whole), set(options.without))))


if __name__ == "__main__":
    sys.exit(main())
