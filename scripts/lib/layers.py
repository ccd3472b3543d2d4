# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that includes point down the layers, and that third-party headers and the clocks stay where
they belong.

    cli -> api -> node -> { store, dht, net } -> proto -> core -> include/flow29

store, dht and net meet only in node.
"""

import fnmatch
import re

BELOW = {
    "core": set(),
    "proto": {"core"},
    "store": {"proto", "core"},
    "dht": {"proto", "core"},
    "net": {"proto", "core"},
    "node": {"store", "dht", "net", "proto", "core"},
    "api": {"node", "core"},
    "cli": {"api", "node", "core"},
}

# Header pattern -> patterns of the files that may include it.
ONLY_IN = {
    "core/clock.hpp": ["src/core/*.cpp", "src/store/*.cpp", "src/dht/*.cpp", "src/net/*.cpp",
                       "src/cli/*.cpp", "tests/*"],
    "qrcodegen*": ["src/cli/qr.cpp"],
    "opendht*": ["src/dht/*.cpp"],
    "gnutls/*": ["src/core/*.cpp", "src/net/*.cpp", "tests/*.cpp"],
    "miniupnpc/*": ["src/net/port_mapper.cpp"],
    "natpmp.h": ["src/net/port_mapper.cpp"],
    "nettle/*": ["src/core/*.cpp"],
    "msgpack*": ["src/core/*.cpp", "src/dht/*.cpp", "tests/*"],
    "sqlite3.h": ["src/store/*.cpp", "tests/*.cpp"],
    "isa-l*": ["src/store/*.cpp"],
    "nlohmann/json.hpp": ["src/api/*.cpp", "src/cli/*.cpp", "tests/*.cpp"],
    "nlohmann/*": ["src/api/*", "src/cli/*", "tests/*"],
    "spdlog/*": ["src/core/*.cpp"],
    "CLI/*": ["src/cli/*.cpp", "tests/*"],
    "httplib.h": ["src/api/http_listener.cpp", "src/api/http_connection.*"],
    "toml*": ["src/cli/*.cpp"],
    "doctest/*": ["tests/*"],
    "asio*": ["src/net/*", "src/dht/*", "src/node/*", "src/api/*", "tests/*"],
}

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The layer of src/<layer>/…; None for anything else."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "src" and parts[1] in BELOW else None


def _arrow(path, bracket, header):
    layer = layer_of(path)
    first = header.split("/")[0]
    if path.startswith("include/"):
        return f"a public header includes {header} of src/" if bracket == '"' else None
    if layer is None or first not in BELOW or "/" not in header:
        return None
    if first == layer or first in BELOW[layer]:
        return None
    return f"{layer} may not include {first} ({header}): it may include " \
           f"{', '.join(sorted(BELOW[layer])) or 'nothing but <flow29/…>'}"


def _only_in(path, header):
    for pattern, places in ONLY_IN.items():
        if fnmatch.fnmatchcase(header, pattern):
            if any(fnmatch.fnmatchcase(path, place) for place in places):
                return None
            return f"{header} belongs only in {', '.join(places)}"
    return None


def check(path, source):
    """[(line, message)] for a C++ file; `path` is relative to the repository."""
    found = []
    for match in _INCLUDE.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        bracket, header = match.groups()
        messages = [_arrow(path, bracket, header), _only_in(path, header)]
        found += [(line, message) for message in messages if message]
    return found


def check_links(path, build):
    """[(line, message)] for a layer's meson.build: it links nothing from above."""
    layer = layer_of(path)
    if layer is None:
        return []
    found = []
    for match in re.finditer(r"\b([a-z]+)_dep\b", build):
        other = match.group(1)
        if other in BELOW and other != layer and other not in BELOW[layer]:
            line = build.count("\n", 0, match.start()) + 1
            found.append((line, f"{layer} may not link {other}"))
    return found


def self_test():
    """Raises AssertionError unless the check finds what it must and lets pass what it may."""
    bad = [
        ("src/core/a.cpp", '#include "proto/message.hpp"'),
        ("src/proto/a.hpp", '#include "net/transport.hpp"'),
        ("src/store/a.cpp", '#include "dht/index.hpp"'),
        ("src/net/a.cpp", '#include "store/store.hpp"'),
        ("src/node/a.cpp", '#include "api/router.hpp"'),
        ("src/api/a.cpp", '#include "store/store.hpp"'),
        ("src/cli/a.cpp", '#include "proto/record.hpp"'),
        ("include/flow29/a.hpp", '#include "core/hash.hpp"'),
        ("src/net/a.cpp", "#include <opendht.h>"),
        ("src/dht/a.hpp", "#include <opendht/dhtrunner.h>"),
        ("src/net/a.hpp", "#include <gnutls/gnutls.h>"),
        ("src/core/a.hpp", "#include <msgpack.hpp>"),
        ("src/node/a.cpp", "#include <sqlite3.h>"),
        ("src/api/a.hpp", "#include <nlohmann/json.hpp>"),
        ("src/proto/a.cpp", "#include <asio/post.hpp>"),
        ("src/proto/a.cpp", '#include "core/clock.hpp"'),
    ]
    good = [
        ("src/node/a.cpp", '#include "store/store.hpp"\n#include "dht/index.hpp"'),
        ("src/proto/a.cpp", '#include "core/hash.hpp"\n#include <vector>'),
        ("src/dht/a.cpp", "#include <opendht.h>\n#include <asio/post.hpp>"),
        ("src/api/a.hpp", "#include <nlohmann/json_fwd.hpp>"),
        ("src/core/a.cpp", "#include <flow29/ids.hpp>\n#include <msgpack.hpp>"),
        ("tests/unit/net/a.cpp", '#include "net/transport.hpp"'),
    ]
    for path, source in bad:
        assert check(path, source), f"not found: {path}: {source}"
    for path, source in good:
        assert not check(path, source), f"wrongly found: {path}: {source}"
    assert check_links("src/store/meson.build", "dependencies: [proto_dep, dht_dep]")
    assert not check_links("src/node/meson.build", "dependencies: [store_dep, core_dep, asio_dep]")
