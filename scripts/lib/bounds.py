# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that every constant of limits.hpp is known to be reached by a test: tests/bounds.txt.

Each constant is in that registry, with the test that reaches it and names it, or, when it is no
bound, with the reason. Whether a test that names a bound reaches it, no lint can tell; but a new
bound cannot be added without somebody saying where it is reached.
"""

import re

HEADER = "include/flow29/limits.hpp"
REGISTRY = "tests/bounds.txt"
_TEST = re.compile(r"tests/(?:unit|sim)/(?:\w+/)*\w+_test\.cpp$|tests/system/test_\w+\.py$")
_CONSTANT = re.compile(r"^inline constexpr [\w:]+ (\w+) =", re.MULTILINE)


def declared(header):
    """[(name, line)] of the constants of the header."""
    return [(match.group(1), header.count("\n", 0, match.start()) + 1)
            for match in _CONSTANT.finditer(header)]


def entries(registry):
    """[(line, name, test or None, reason)]."""
    found = []
    for number, line in enumerate(registry.splitlines(), 1):
        parts = line.split(None, 2)
        if not parts or line.startswith("#"):
            continue
        test = parts[1] if len(parts) > 1 else ""
        found.append((number, parts[0], None if test == "-" else test,
                      parts[2] if len(parts) > 2 else ""))
    return found


def check(sources):
    """[(path, line, message)]; `sources`: path -> text of the repository's files."""
    found = []
    constants = declared(sources.get(HEADER, ""))
    names = {name for name, _ in constants}
    known = set()
    for line, name, test, reason in entries(sources.get(REGISTRY, "")):
        if name not in names:
            found.append((REGISTRY, line, f"{HEADER} has no {name}"))
        elif name in known:
            found.append((REGISTRY, line, f"{name} is there twice"))
        elif test is None and not reason:
            found.append((REGISTRY, line, f"no reason why {name} is no bound"))
        elif test is not None and not (_TEST.match(test) and test in sources):
            found.append((REGISTRY, line, f"{test or 'nothing'} is no test"))
        elif test is not None and not re.search(rf"\b{name}\b", sources[test]):
            found.append((REGISTRY, line, f"{test} does not name {name}"))
        known.add(name)
    found += [(HEADER, line, f"{name} is not in {REGISTRY}, with the test that reaches it")
              for name, line in constants if name not in known]
    return found


def self_test():
    """Raises AssertionError unless the check finds what it must and lets pass what it may."""
    test = "tests/unit/a/a_test.cpp"
    header = """namespace flow29::limits {
inline constexpr std::size_t peers_max = 512;  ///< of them
inline constexpr auto patience = 5s;
static_assert(peers_max > 1);
}
"""
    assert declared(header) == [("peers_max", 2), ("patience", 3)], declared(header)
    good = {HEADER: header, test: "CHECK(peers == limits::peers_max);",
            "tests/fuzz/a.cpp": "limits::peers_max",
            REGISTRY: f"# bounds\npeers_max {test}\npatience - what people are used to\n"}
    assert not check(good), check(good)
    for path, text in ((REGISTRY, good[REGISTRY].replace(f"peers_max {test}\n", "")),
                       (REGISTRY, good[REGISTRY].replace(f" {test}", "")),
                       (REGISTRY, good[REGISTRY].replace(test, "tests/fuzz/a.cpp")),
                       (REGISTRY, good[REGISTRY].replace(test, "tests/unit/a/b_test.cpp")),
                       (REGISTRY, good[REGISTRY].replace(" what people are used to", "")),
                       (REGISTRY, good[REGISTRY] + "gone - nothing\n"),
                       (REGISTRY, good[REGISTRY] + f"peers_max {test}\n"),
                       (test, "CHECK(peers == limits::peers_max_total);"),
                       (HEADER, header + "inline constexpr unsigned more_max = 1;\n")):
        assert check({**good, path: text}), f"not found: {path}: {text}"
