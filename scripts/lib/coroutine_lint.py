# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds co_await expressions of the shapes that g++ 12 compiles wrongly.

The compiler keeps the temporaries of a co_await's full-expression in the coroutine's frame. For some
of them it does so twice, and destroys both: a double free at run time, without a warning. The shapes
are a lambda with captures, `?:`, and a brace-initialised temporary. So the operand of co_await is one
call on named variables, std::move(x) or temporaries made by a function or constructor call.

Also refused: binding `auto [a, b]` to a co_await, `co_await` in a catch block, and `detached`
coroutines.
"""

from cpp_tokens import tokens

OPEN = {"(": ")", "[": "]", "{": "}"}
CLOSE = {close: open_ for open_, close in OPEN.items()}
STATEMENT_WORDS = {"if", "while", "for", "switch"}


def _pairs(stream):
    """Index of the partner of each bracket."""
    partner, stack = {}, []
    for i, token in enumerate(stream):
        if token.kind != "mark":
            continue
        if token.text in OPEN:
            stack.append(i)
        elif token.text in CLOSE:
            while stack and stream[stack[-1]].text != CLOSE[token.text]:
                stack.pop()
            if stack:
                other = stack.pop()
                partner[other], partner[i] = i, other
    return partner


def _is_block(stream, partner, brace):
    """Whether the `{` at `brace` begins statements or declarations rather than values."""
    i = brace - 1
    if i < 0:
        return True
    before = stream[i]
    if before.text in (";", "{", "}", ":"):
        return True
    if before.text in ("else", "do", "try", "noexcept", "mutable", "override", "final", "const"):
        return True
    if before.text == ")":
        # f(…) { and if (…) {, but not the value of a cast such as (T){…}, which we do not write.
        return True
    if before.text == "]":
        return _is_lambda(stream, partner, partner.get(i, i))
    # A return type (-> awaitable<void> {), or the head of a class, enum or namespace.
    depth = 0
    while i >= 0:
        text = stream[i].text
        if text == ">":
            depth += 1
        elif text == "<":
            depth -= 1
        elif text == "->" and depth <= 0:
            return stream[i - 1].text == ")" or stream[i - 1].text in ("mutable", "noexcept")
        elif text in ("class", "struct", "union", "enum", "namespace"):
            return True
        elif text in (";", "{", "}", "(", ")", "=", "return", "co_return", "co_await"):
            return False
        i -= 1
    return False


def _is_lambda(stream, partner, bracket):
    """Whether the `[` at `bracket` introduces a lambda rather than a subscript or binding."""
    if bracket + 1 < len(stream) and stream[bracket + 1].text == "[":
        return False  # [[attribute]]
    if bracket > 0:
        before = stream[bracket - 1]
        if before.text in (")", "]", "auto", "&", "&&") or before.kind == "literal":
            binding = before.text == "auto" or (
                before.text in ("&", "&&") and bracket > 1 and stream[bracket - 2].text == "auto")
            return before.text in ("&", "&&") and not binding
        if before.kind == "word" and before.text not in ("return", "co_return", "co_await", "co_yield"):
            return False
        if before.text == "[":
            return False
    end = partner.get(bracket)
    if end is None or end + 1 >= len(stream):
        return False
    return stream[end + 1].text in ("(", "{", "<", "->", "mutable", "noexcept")


def _full_expression(stream, partner, at):
    """[first, last) of the full-expression around the token at `at`."""
    first = at
    while first > 0:
        text = stream[first - 1].text
        if text in CLOSE and first - 1 in partner:
            if text == "}" and _is_block(stream, partner, partner[first - 1]):
                break
            first = partner[first - 1]
            continue
        if text == ";":
            break
        if text == "{" and _is_block(stream, partner, first - 1):
            break
        if text == "(" and first >= 2 and stream[first - 2].text in STATEMENT_WORDS | {"constexpr"}:
            break
        first -= 1
    last = at
    while last < len(stream):
        text = stream[last].text
        if text == ";":
            break
        if text in OPEN and last in partner:
            last = partner[last] + 1
            continue
        if text in CLOSE and partner.get(last, -1) < first:
            break
        last += 1
    return first, last


def _without_lambda_bodies(stream, partner, first, last):
    """Indices of [first, last) that are not inside the body of a lambda."""
    i = first
    while i < last:
        yield i
        if stream[i].text == "{" and i in partner and _is_block(stream, partner, i):
            i = partner[i]
            continue
        i += 1


def _in_catch(stream, partner, at):
    depth_end = at
    i = at
    while i > 0:
        i -= 1
        text = stream[i].text
        if text in CLOSE and i in partner:
            i = partner[i]
            continue
        if text != "{" or partner.get(i, -1) < depth_end:
            continue
        if stream[i - 1].text != ")" or i - 1 not in partner:
            continue
        head = partner[i - 1] - 1
        if head >= 0 and stream[head].text == "catch":
            return True
        if head >= 0 and (stream[head].text == "]" or stream[head].kind == "word"
                          and stream[head].text not in STATEMENT_WORDS):
            return False  # a function's or lambda's own block
    return False


def _faults_of(stream, partner, at):
    first, last = _full_expression(stream, partner, at)
    faults = []
    for i in _without_lambda_bodies(stream, partner, first, last):
        text = stream[i].text
        if text == "[" and _is_lambda(stream, partner, i) and partner[i] > i + 1:
            faults.append("a lambda with captures")
        elif text == "?":
            faults.append("?:")
        elif text == "{" and not _is_block(stream, partner, i):
            faults.append("a brace-initialised temporary")
    head = [token.text for token in stream[first:first + 3]]
    if head[:2] == ["auto", "["] or head[:1] == ["auto"] and head[1:2] in (["&"], ["&&"]) and \
            head[2:3] == ["["]:
        faults.append("a structured binding (name the result first)")
    return [f"a co_await's full-expression holds {fault}" for fault in dict.fromkeys(faults)]


def check(source):
    """[(line, message)] for C++ text."""
    stream = tokens(source)
    partner = _pairs(stream)
    found = []
    for i, token in enumerate(stream):
        if token.text == "co_await" and token.kind == "word":
            found += [(token.line, fault) for fault in _faults_of(stream, partner, i)]
            if _in_catch(stream, partner, i):
                found.append((token.line, "co_await in a catch block"))
        elif token.text == "detached" and i > 0 and stream[i - 1].text == "::":
            found.append((token.line, "a detached coroutine: nobody sees its end or its error"))
    return list(dict.fromkeys(found))


def self_test():
    """Raises AssertionError unless the lint finds what it must and lets pass what it may."""
    body = "asio::awaitable<void> f() {{ {} }}"
    bad = {
        "co_await g([this] { return 1; });": "lambda",
        "auto r = co_await post([=]() -> awaitable<int> { co_return 1; }, x);": "lambda",
        "co_await g(a ? b : c);": "?:",
        "auto x = flag ? co_await g() : co_await h();": "?:",
        "co_await send(Hello{1, name});": "brace",
        "co_await send({.name = name});": "brace",
        "if (auto r = co_await g(Options{}); !r) { return; }": "brace",
        "while (co_await g(std::vector<int>{1, 2})) { h(); }": "brace",
        "auto [ec, n] = co_await g();": "structured",
        "const int y = 1; co_await g(\n  h(x,\n [&x] { return x; }));": "lambda",
        "try { g(); } catch (const E& e) { co_await h(); }": "catch",
        "asio::co_spawn(x, g(), asio::detached);": "detached",
        "k([this]() -> asio::awaitable<void> { co_await g([x] {}); });": "lambda",
        "for (;;) { if (!co_await g(T{1})) break; }": "brace",
    }
    good = [
        "co_await g(x, std::move(y), Plain(1), h(z));",
        "co_await g([] { return 1; });",
        "auto r = co_await g(); auto& [ec, n] = r;",
        "spawn([this, x]() -> asio::awaitable<void> { co_await g(x); }, done);",
        "if (a ? b : c) { co_await g(); }",
        "const T t{1, 2}; co_await g(t);",
        "const auto pick = a ? b : c; co_await g(pick[1], table[i][j]);",
        "if (x) { return; } co_await g(); y = T{2};",
        "for (const auto& [k, v] : map) { co_await g(k, v); }",
        "co_return Result<int>{co_yield_not_await};",
        "// co_await g(T{1});\n const char* s = \"co_await ? {\"; co_await g(s);",
        "try { co_await g(); } catch (const E& e) { h(); } co_await k();",
        "switch (kind) { case A: co_await g(); break; default: { co_await h(); } }",
        "auto run = [this](int n) -> Task { co_await g(n); }; co_await run(1);",
    ]
    for text, word in bad.items():
        messages = [message for _, message in check(body.format(text))]
        assert any(word in message for message in messages), f"not found ({word}): {text}"
    for text in good:
        messages = check(body.format(text))
        assert not messages, f"wrongly found {messages}: {text}"
    assert check("\n\nT f() {\n  co_await g(a ? b : c); }")[0][0] == 4
