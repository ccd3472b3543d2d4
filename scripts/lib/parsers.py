# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that whatever parses foreign octets has a fuzz target: tests/fuzz/registry.txt.

What counts as a parser is told from its declaration in a header, without judging what it does:
1. it is lent octets or text (ByteView, a span of const octets, string_view, RawValue) and may refuse
   them: it gives a Result or an optional; or
2. its name begins with decode, parse, read_, load, receive, from_ or guard_.
Each of these is in the registry, with its target or with the reason why it has none.
"""

import re

import cpp_tokens

REGISTRY = "tests/fuzz/registry.txt"
TARGETS = "tests/fuzz/meson.build"
LENT = re.compile(r"\bByteView\b|\bspan < const std :: uint8_t\b|\bstring_view\b|\bRawValue\b")
REFUSES = re.compile(r"\b(?:Result|optional) <")
NAME = re.compile(r"(?:decode|parse|receive|load)(?:_|$)|(?:read|from|guard)_")
_TARGET = re.compile(r"^  '(\w+)',$", re.MULTILINE)


def _ends(tokens, begin):
    """Where the bracket that opens at `begin` closes."""
    depth = 0
    for at in range(begin, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        if depth == 0:
            return at
    return len(tokens) - 1


def _scope_name(statement):
    """The name of the class or namespace that a statement opens; None for anything else's body."""
    words = [token.text for token in statement]
    opening = [at for at, word in enumerate(words) if word in ("class", "struct", "namespace")]
    if opening and "(" not in words:
        last = opening[-1]  # the others are a template's parameters
        named = words[last] != "namespace" and last + 1 < len(words)
        return words[last + 1] if named else ""
    return None


def declared(source):
    """[(qualified name, line)] of the functions of a header that count as parsers."""
    tokens = cpp_tokens.tokens(source)
    found, scopes, begin, at = [], [], 0, 0
    while at < len(tokens):
        text = tokens[at].text
        if text == "{":
            scopes.append(_scope_name(tokens[begin:at]))
        elif text == "}" and scopes:
            scopes.pop()
        if text in ("{", "}", ";"):
            begin = at + 1
        elif text == "(" and None not in scopes and at > begin and tokens[at - 1].kind == "word":
            end = _ends(tokens, at)
            head = " ".join(token.text for token in tokens[begin:at - 1])
            parameters = " ".join(token.text for token in tokens[at + 1:end])
            name = tokens[at - 1].text
            is_override = end + 1 < len(tokens) and tokens[end + 1].text == "override"
            is_function = head and not re.search(r"\b(?:using|return|operator)\b", head)
            if is_function and not is_override and (
                    (LENT.search(parameters) and REFUSES.search(head)) or NAME.match(name)):
                scope = [part for part in scopes if part]
                found.append(("::".join([*scope, name]), tokens[at - 1].line))
            at = end
        at += 1
    return found


def entries(registry):
    """[(line, header, name, target or None, reason)]."""
    found = []
    for number, line in enumerate(registry.splitlines(), 1):
        parts = line.split(None, 3)
        if not parts or line.startswith("#"):
            continue
        if len(parts) < 3:
            found.append((number, line, "", None, ""))
            continue
        header, name, target = parts[:3]
        found.append((number, header, name, None if target == "-" else target,
                      parts[3] if len(parts) > 3 else ""))
    return found


def check(sources):
    """[(path, line, message)]; `sources`: path -> text of the repository's files."""
    found = []
    registry = entries(sources.get(REGISTRY, ""))
    targets = set(_TARGET.findall(sources.get(TARGETS, "")))
    known = set()
    for line, header, name, target, reason in registry:
        known.add((header, name))
        words = name.split("::")
        if not name or any(not re.search(rf"\b{word}\b", sources.get(header, "")) for word in words):
            found.append((REGISTRY, line, f"{header} has no {name}"))
        elif target is None and not reason:
            found.append((REGISTRY, line, f"no reason why {name} has no target"))
        elif target is not None and target not in targets:
            found.append((REGISTRY, line, f"{target} is no target of {TARGETS}"))
        elif target is not None:
            program = sources.get(f"tests/fuzz/{target}.cpp", "")
            if not re.search(rf"\b{words[-1]}\b", program):
                found.append((REGISTRY, line, f"tests/fuzz/{target}.cpp does not name {name}"))
    used = {target for _, _, _, target, _ in registry}
    found += [(TARGETS, 1, f"{target} is the target of nothing in {REGISTRY}")
              for target in sorted(targets - used)]
    found += [(TARGETS, 1, f"{target} has no corpus in the tree")
              for target in sorted(targets)
              if sources and not any(path.startswith(f"tests/fuzz/corpus/{target}/")
                                     for path in sources)]
    for path, source in sources.items():
        if not re.match(r"(?:src|include)/.*\.hpp$", path):
            continue
        found += [(path, line, f"{name} parses what may be foreign and is not in {REGISTRY}")
                  for name, line in declared(source) if (path, name) not in known]
    return found


def self_test():
    """Raises AssertionError unless the check finds what it must and lets pass what it may."""
    header = """
    namespace flow29::a {
    struct Point {
        [[nodiscard]] static Result<Point> decode(ByteView raw);
        int size() const { return parse_inside(1); }
        Result<int> get(std::string_view key) override;
    };
    template <class Tag, int Size>
    struct Id {
        static std::optional<Id> from(ByteView raw);
    };
    [[nodiscard]] std::optional<int> first(std::string_view text);
    Limits load_limits(Store& store);
    void show(std::string_view text);
    Result<int> add(int a, int b);
    }
    """
    assert [name for name, _ in declared(header)] == \
        ["Point::decode", "Id::from", "first", "load_limits"], \
        declared(header)
    good = {"src/a/a.hpp": header,
            TARGETS: "targets = [\n  'point',\n]\n",
            "tests/fuzz/point.cpp": "Point::decode(raw); Id::from(raw); first(text);",
            "tests/fuzz/corpus/point/0": "",
            REGISTRY: "# parsers\nsrc/a/a.hpp Point::decode point\nsrc/a/a.hpp Id::from point\n"
                      "src/a/a.hpp first point\n"
                      "src/a/a.hpp load_limits - of this node's own\n"}
    assert not check(good), check(good)
    for path, text in ((REGISTRY, good[REGISTRY].replace("src/a/a.hpp first point\n", "")),
                       (REGISTRY, good[REGISTRY].replace("first point", "first points")),
                       (REGISTRY, good[REGISTRY].replace(" of this node's own", "")),
                       (REGISTRY, good[REGISTRY] + "src/a/a.hpp gone point\n"),
                       ("tests/fuzz/point.cpp", "Point::decode(raw);"),
                       ("src/a/b.hpp", "Result<int> parse(std::string_view text);")):
        assert check({**good, path: text}), f"not found: {path}: {text}"
    without_corpus = {path: text for path, text in good.items() if "corpus" not in path}
    assert check(without_corpus), "a target without a corpus was not found"
