# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts C++ into tokens: enough to judge the shape of an expression, no more."""

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:[^\n\\]|\\\n|\\.)*)
  | (?P<raw>(?:u8|[uUL])?R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)")
  | (?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*")
  | (?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
  | (?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\.)*')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark2>->|::|\[\[|\]\]|&&|\|\|)
  | (?P<other>[^\s])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE)

_SKIPPED = {"comment", "directive"}


class Token(NamedTuple):
    text: str
    kind: str  # "word", "literal" or "mark"
    line: int


def tokens(source):
    """The tokens of C++ text, without comments and preprocessor lines."""
    found = []
    line, at = 1, 0
    for match in _TOKEN.finditer(source):
        line += source.count("\n", at, match.start())
        at = match.start()
        kind = match.lastgroup if match.lastgroup != "mark" else "raw"
        if kind in _SKIPPED:
            continue
        if kind in ("raw", "string", "number", "char"):
            found.append(Token(match.group(), "literal", line))
        elif kind == "word":
            found.append(Token(match.group(), "word", line))
        elif match.group() in ("[[", "]]"):
            # Attributes are rare, subscripts of subscripts are not: two brackets each.
            found += [Token(match.group()[0], "mark", line)] * 2
        else:
            found.append(Token(match.group(), "mark", line))
    return found


def comments(source):
    """(line, text) of every comment."""
    return [(source.count("\n", 0, match.start()) + 1, match.group())
            for match in _TOKEN.finditer(source) if match.lastgroup == "comment"]
