#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes directory.json, the test vectors of directories.

An implementation of its own, from the definition alone:

    object    = manifest || files       each file with content from the next multiple of 512 on,
                                        zeros before it, nothing after the last
    manifest  = length of what follows as 8 bytes big-endian || msgpack [version, [entry...]]
    entry     = [path as bin, type, length]     sorted by path; 0 file, 1 executable, 2 empty directory
    in version 2, which is for files with times:
    entry     = [path as bin, type, length, nanoseconds since 1970; 0 for an empty directory]

Byte i of the file that is entry n is (31 * i + 7 * n) modulo 256. Paths are given in hexadecimal.
"""

import json
import os
from hashlib import sha256

from make_vectors import CHUNK, leaf, node, pack_bin, pack_uint, split

FILE, EXECUTABLE, EMPTY = 0, 1, 2


def tree(data):
    leaves = [leaf(data[i:i + CHUNK]) for i in range(0, len(data), CHUNK)]

    def fold(first, last):
        if last - first == 1:
            return leaves[first]
        k = split(last - first)
        return node(fold(first, first + k), fold(first + k, last))
    return fold(0, len(leaves)) if leaves else sha256(b"").digest()


def root(data):
    return sha256(b"\x02\x01" + len(data).to_bytes(8, "big") + tree(data)).hexdigest()


def pack_array(count):
    if count < 16:
        return bytes([0x90 | count])
    return b"\xdc" + count.to_bytes(2, "big")


def framed(packed):
    return len(packed).to_bytes(8, "big") + packed


def packed_entry(path, *numbers):
    return bytes([0x91 + len(numbers)]) + pack_bin(path) + b"".join(map(pack_uint, numbers))


def manifest(entries, version=None):
    if version is None:
        version = 2 if entries and len(entries[0]) == 4 else 1
    return framed(b"\x92" + pack_uint(version) + pack_array(len(entries)) +
                  b"".join(packed_entry(*entry) for entry in entries))


def length_with(head, entries):
    at = len(head)
    for _, _, length, *_ in entries:
        if length:
            at += -at % CHUNK + length
    return at


def content(entries):
    data = bytearray(manifest(entries))
    offsets = []
    for n, (_, _, length, *_) in enumerate(entries):
        if length:
            data += b"\0" * (-len(data) % CHUNK)
        offsets.append(len(data) if length else None)
        data += bytes((31 * i + 7 * n) & 255 for i in range(length))
    return bytes(data), offsets


def vector(why, entries):
    entries = sorted(entries)
    data, offsets = content(entries)
    return {"why": why, "length": len(data), "manifest": manifest(entries).hex(), "root": root(data),
            "entries": [{"path": path.hex(), "type": kind, "length": length, "offset": offset,
                         **({"modified": time[0]} if time and kind != EMPTY else {})}
                        for (path, kind, length, *time), offset in zip(entries, offsets)]}


def vectors():
    yield vector("nothing in it", [])
    yield vector("one empty file", [(b"a", FILE, 0)])
    yield vector("one empty directory", [(b"a", EMPTY, 0)])
    yield vector("lengths around a chunk", [
        (b"f%d" % size, FILE, size) for size in (0, 1, 511, 512, 513, 1023, 1024, 1025)])
    yield vector("executable, nested, hidden, spaces, not UTF-8", [
        (b"run.sh", EXECUTABLE, 20), (b"a/b/c", FILE, 3000), (b"a/b!", FILE, 5), (b"a.txt", FILE, 1),
        (b".hidden", FILE, 2), (b"sp ace", FILE, 700), ("😀".encode(), FILE, 9), (b"\xff\xfe", FILE, 4),
        (b"-dash", FILE, 1), (b"...", FILE, 1), (b"zero/inside", FILE, 0)])
    yield vector("the last has no content", [(b"a", FILE, 600), (b"b", FILE, 0), (b"c", EMPTY, 0)])
    yield vector("long names", [(b"n" * 255, FILE, 1), (b"/".join([b"d" * 255] * 15), FILE, 2)])
    yield vector("a manifest of several chunks", [
        (b"%03d/file" % (n // 10) + b"%d" % n, n % 2, n) for n in range(100)])


    now = 1_795_000_000_123_456_789
    yield vector("times", [
        (b"a", FILE, 600, now), (b"b", EXECUTABLE, 1, 0), (b"c", FILE, 0, (1 << 63) - 1),
        (b"d", EMPTY, 0, 0)])


def corrupted():
    def case(why, head, length=None, entries=()):
        return {"why": why, "raw": head.hex(),
                "length": length_with(head, entries) if length is None else length}

    def of_paths(why, *paths):
        entries = [(path, FILE, 1) for path in paths]
        return case(why, manifest(entries), entries=entries)

    good = [(b"a", FILE, 1), (b"b/c", FILE, 2)]
    head = manifest(good)
    total = length_with(head, good)
    yield case("one byte longer than its entries", head, total + 1)
    yield case("one byte shorter than its entries", head, total - 1)
    yield case("no room for the manifest", head, len(head) - 1)
    yield case("version 2 without times", manifest(good, 2), total)
    timed = [(b"a", FILE, 1, 5), (b"b/c", FILE, 2, 6)]
    yield case("version 1 with times", manifest(timed, 1), entries=timed)
    yield case("a later version", manifest(timed, 3), entries=timed)
    after = [(b"a", FILE, 1, 1 << 63)]
    yield case("a time that overflows", manifest(after), entries=after)
    inside = [(b"a", FILE, 1, 5), (b"b", EMPTY, 0, 6)]
    yield case("an empty directory with a time", manifest(inside), entries=inside)
    some = [(b"a", EMPTY, 0, 0)]
    yield case("version 2 without a file", manifest(some), entries=some)
    yield of_paths("a path is empty", b"")
    yield of_paths("a path is absolute", b"/a")
    yield of_paths("a path ends in a slash", b"a/")
    yield of_paths("a part is empty", b"a//b")
    yield of_paths("the directory itself", b".")
    yield of_paths("the directory above", b"..")
    yield of_paths("out and back", b"a/../../b")
    yield of_paths("a dot inside", b"a/./b")
    yield of_paths("a zero octet", b"a\0b")
    yield of_paths("a new line", b"a\nb")
    yield of_paths("a terminal's escape", b"\x1b[2J")
    yield of_paths("delete", b"\x7f")
    yield of_paths("a backslash", b"..\\a")
    yield of_paths("a part of 256 octets", b"n" * 256)
    yield of_paths("a path of 4096 octets", b"/".join([b"d" * 254] * 16) + b"/" + b"e" * 16)
    yield of_paths("not sorted", b"b", b"a")
    yield of_paths("twice the same", b"a", b"a")
    yield of_paths("a file that is a directory too", b"a", b"a/b")
    yield of_paths("the same, with another in between", b"a", b"a!", b"a/b")
    inside = [(b"a", EMPTY, 0), (b"a/b", FILE, 1)]
    yield case("an empty directory that is not", manifest(inside), entries=inside)
    yield case("an empty directory with a length", manifest([(b"a", EMPTY, 1)]),
               entries=[(b"a", EMPTY, 1)])
    yield case("an unknown type", manifest([(b"a", 3, 1)]), entries=[(b"a", 3, 1)])
    huge = [(b"a", FILE, (1 << 64) - 1)]
    yield case("a length that overflows", manifest(huge), len(manifest(huge)))
    many = [(b"%d" % n, FILE, 1 << 42) for n in range(5)]
    yield case("lengths whose sum no object has", manifest(many), entries=many)
    body = head[8:]
    yield case("an octet after the entries", framed(body + b"\0"), total)
    yield case("cut short", framed(body[:-1]), total)
    yield case("a number that is longer than needed",
               framed(b"\x92\x01\x91\x93" + pack_bin(b"a") + b"\x00\xcc\x01"), CHUNK + 1)
    yield case("an array that is longer than needed",
               framed(b"\x92\x01\xdc\x00\x01" + packed_entry(b"a", FILE, 1)), CHUNK + 1)
    yield case("a path that is text", framed(b"\x92\x01\x91\x93\xa1a\x00\x01"), CHUNK + 1)
    yield case("a field too many",
               framed(b"\x92\x01\x91\x94" + packed_entry(b"a", FILE, 1)[1:] + b"\0"), CHUNK + 1)
    yield case("a million entries that are not there", framed(b"\x92\x01\xdd\x00\x0f\x42\x40"), 99)
    yield case("four billion entries", framed(b"\x92\x01\xdd\xff\xff\xff\xff"), 99)
    yield case("not an array", framed(b"\x01"), 99)
    yield case("nothing", framed(b""), 8)
    yield case("a head that promises everything", b"\xff" * 8, 99)
    yield case("a head that is cut short", b"\0" * 7, 7)


def main():
    result = {"about": "Written by make_directory_vectors.py, which says what the fields mean. "
                       "Everything under 'corrupted' must be refused.",
              "directories": list(vectors()), "corrupted": list(corrupted())}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "directory.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump(result, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
