#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the sources behind scripts/check. Each first proves that it can fail."""

import pathlib
import re
import subprocess
import sys

import bounds
import coroutine_lint
import cpp_tokens
import layers
import parsers
import reached

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")  # in parts, or it finds itself
PROGRAM_SUFFIXES = {".cpp", ".hpp", ".py", ".sh", ".ts", ".tsx"}
FORMAT_MAJOR = "14"


def files():
    """The repository's files, relative, new ones included, ignored and deleted ones not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
    return sorted(path for path in set(listed.split("\0")) if path and (REPOSITORY / path).is_file())


def is_cpp(path):
    return path.endswith((".cpp", ".hpp"))


def is_program(path, source):
    return pathlib.Path(path).suffix in PROGRAM_SUFFIXES or path.endswith("meson.build") \
        or source.startswith("#!")


def check_licence(path, source):
    """A programme's first lines name its licence."""
    if path.endswith("meson.build") and path != "meson.build":
        return []  # a folder's list of files
    if not is_program(path, source) or LICENCE in "\n".join(source.splitlines()[:3]):
        return []
    return [(1, f"no \"{LICENCE}\" in the first three lines")]


def check_unfinished(path, source):
    """Nothing is left to do in a comment."""
    return [(number, "unfinished work noted in the source")
            for number, line in enumerate(source.splitlines(), 1)
            if is_program(path, source) and UNFINISHED.search(line)]


def check_layers(path, source):
    if is_cpp(path):
        return layers.check(path, source)
    return layers.check_links(path, source) if path.endswith("meson.build") else []


def check_coroutines(path, source):
    return coroutine_lint.check(source) if is_cpp(path) else []


def check_pragma(path, source):
    """A header is included once."""
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", source, re.MULTILINE):
        return [(1, "no #pragma once")]
    return []


def format_command(paths):
    return ["clang-format", "--dry-run", "--Werror", "--style=file", *paths]


def check_format(paths):
    """What clang-format would write differently; one message a file."""
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                             check=False).stdout
    major = re.search(r"version (\d+)", version)
    if not major or major.group(1) != FORMAT_MAJOR:
        return [("clang-format", 0, f"version {FORMAT_MAJOR} is needed; its successors format "
                                    f"differently (here: {version.strip() or 'none'})")]
    done = subprocess.run(format_command(paths), cwd=REPOSITORY, capture_output=True, text=True,
                          check=False)
    found = {}
    for line in done.stderr.splitlines():
        match = re.match(r"(.+?):(\d+):\d+: error: ", line)
        if match:
            found.setdefault(match.group(1), int(match.group(2)))
    return [(path, line, "not as clang-format writes it (clang-format -i FILE)")
            for path, line in found.items()]


def self_test_format():
    for source, is_good in (("int  x ;\n", False), ("int x;\n", True)):
        done = subprocess.run(
            ["clang-format", "--dry-run", "--Werror", "--style=file", "--assume-filename=src/a.cpp"],
            input=source, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == is_good, f"clang-format let {source!r} pass or refused it"


def self_test_licence():
    assert check_licence("src/a.cpp", "int x;\n")
    assert check_licence("scripts/a", "#!/bin/bash\ntrue\n")
    assert not check_licence("src/a.cpp", f"// {LICENCE}\nint x;\n")
    assert not check_licence("README.md", "text\n")


def self_test_unfinished():
    assert check_unfinished("src/a.cpp", "int x;  // TO" + "DO: y\n")
    assert not check_unfinished("src/a.cpp", "int x;  // done\n")


def self_test_pragma():
    assert check_pragma("src/a.hpp", "int x;\n")
    assert not check_pragma("src/a.hpp", "// c\n#pragma once\n")


def self_test_tokens():
    found = cpp_tokens.tokens('a /* { */ "}" R"x(])x" \'{\' // (\n#define Z {\nb[[x]]')
    assert [token.text for token in found] == \
        ["a", '"}"', 'R"x(])x"', "'{'", "b", "[", "[", "x", "]", "]"], found
    assert found[-1].line == 3


# name -> (check of one file, proof that it can fail)
FILE_CHECKS = {
    "layers": (check_layers, layers.self_test),
    "coroutines": (check_coroutines, coroutine_lint.self_test),
    "licence": (check_licence, self_test_licence),
    "unfinished": (check_unfinished, self_test_unfinished),
    "pragma": (check_pragma, self_test_pragma),
}


def main():
    if sys.argv[1:] == ["--fix"]:
        paths = [path for path in files() if is_cpp(path)]
        subprocess.run(["clang-format", "-i", "--style=file", *paths], cwd=REPOSITORY, check=True)
    self_test_tokens()
    sources = {}
    all_files = files()
    for path in all_files:
        try:
            sources[path] = (REPOSITORY / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not text
    failed = []
    for name, (check, prove) in FILE_CHECKS.items():
        prove()
        found = [(path, line, message) for path, source in sources.items()
                 for line, message in check(path, source)]
        report(name, found, failed)
    parsers.self_test()
    report("parsers", parsers.check({path: sources.get(path, "") for path in all_files}), failed)
    reached.self_test()
    bounds.self_test()
    report("bounds", bounds.check({path: sources.get(path, "") for path in all_files}), failed)
    self_test_format()
    report("format", check_format([path for path in sources if is_cpp(path)]), failed)
    return 1 if failed else 0


def report(name, found, failed):
    for path, line, message in found:
        print(f"{path}:{line}: {message}")
    print(f"check {name}: {'ok' if not found else f'{len(found)} found'}")
    if found:
        failed.append(name)


if __name__ == "__main__":
    sys.exit(main())
