#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tree.json, the test vectors of the object format.

An implementation of its own, from the definition alone and with nothing but hashlib:

    leaf(c)    = SHA-256(0x00 || c)          chunks of 512 bytes, the last one short, never padded
    node(l, r) = SHA-256(0x01 || l || r)
    tree(n=0)  = SHA-256("")   tree(n=1) = leaf
    tree(n>1)  = node(tree(first k), tree(rest)), k = largest power of two < n
    root       = SHA-256(0x02 || kind || length as 8 bytes big-endian || tree)

Content: byte i of every object is the low byte of (i * 2654435761 >> 16) XOR (i >> 24).

Lists of hashes of more than LISTED_MAX entries are given as the SHA-256 of their concatenation.
"""

import json
import os
from hashlib import sha256

CHUNK = 512
BLOCK = 1 << 24  # i * 2654435761 >> 16 modulo 256 repeats after 2^24 bytes
LISTED_MAX = 4


def make_block():
    return bytes((i * 2654435761 >> 16) & 255 for i in range(BLOCK))


BASE = make_block()


def content(first, last):
    """Bytes [first, last) of the endless content."""
    out = b""
    while first < last:
        number, offset = divmod(first, BLOCK)
        size = min(last - first, BLOCK - offset)
        mask = bytes(value ^ (number & 255) for value in range(256))
        out += BASE[offset:offset + size].translate(mask)
        first += size
    return out


def leaf(chunk):
    return sha256(b"\x00" + chunk).digest()


def node(left, right):
    return sha256(b"\x01" + left + right).digest()


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Tree:
    def __init__(self, length):
        self.length = length
        self.leaves = []
        for start in range(0, length, BLOCK):
            data = content(start, min(start + BLOCK, length))
            self.leaves += [leaf(data[i:i + CHUNK]) for i in range(0, len(data), CHUNK)]
        self.known = {}

    def hash(self, first, last):
        """The hash of the subtree over chunks [first, last)."""
        n = last - first
        if n == 0:
            return sha256(b"").digest()
        if n == 1:
            return self.leaves[first]
        if (first, last) in self.known:
            return self.known[first, last]
        k = split(n)
        result = node(self.hash(first, first + k), self.hash(first + k, last))
        if n >= 64:
            self.known[first, last] = result
        return result

    def top(self):
        return self.hash(0, len(self.leaves))

    def extents(self, level):
        size = 1 << level
        n = len(self.leaves)
        return [self.hash(i, min(i + size, n)) for i in range(0, n, size)]

    def proof(self, a, b, first=0, last=None):
        """The hashes of the maximal subtrees outside [a, b), left before right."""
        last = len(self.leaves) if last is None else last
        if a <= first and last <= b:
            return []
        if b <= first or last <= a:
            return [self.hash(first, last)]
        k = first + split(last - first)
        return self.proof(a, b, first, k) + self.proof(a, b, k, last)

    def root(self, kind):
        return sha256(b"\x02" + bytes([kind]) + self.length.to_bytes(8, "big") + self.top()).digest()


def default_level(length):
    chunks = (length + CHUNK - 1) // CHUNK
    level = 11
    while level < 17 and chunks > 256 << level:
        level += 1
    return level


def hash_list(hashes):
    entry = {"count": len(hashes)}
    if len(hashes) <= LISTED_MAX:
        entry["hashes"] = [h.hex() for h in hashes]
    else:
        entry["sha256"] = sha256(b"".join(hashes)).hexdigest()
    return entry


def pack_uint(value):
    for limit, head, size in ((0x80, b"", 1), (1 << 8, b"\xcc", 1), (1 << 16, b"\xcd", 2),
                              (1 << 32, b"\xce", 4), (1 << 64, b"\xcf", 8)):
        if value < limit:
            return head + value.to_bytes(size, "big")
    raise ValueError(value)


def pack_bin(value):
    for limit, head, size in ((1 << 8, b"\xc4", 1), (1 << 16, b"\xc5", 2), (1 << 32, b"\xc6", 4)):
        if len(value) < limit:
            return head + len(value).to_bytes(size, "big") + value
    raise ValueError(len(value))


def descriptor(kind, length, level, hashes, version=1):
    return (b"\x95" + pack_uint(version) + pack_uint(kind) + pack_uint(length) + pack_uint(level) +
            pack_bin(b"".join(hashes)))


def lengths():
    result = {0, 1, 511, 512, 513, 1023, 1024, 1025}
    for power in range(13):
        full = CHUNK << power
        result |= {full - CHUNK, full - 1, full, full + 1, full + CHUNK}
    return sorted(result)


def object_vector(tree, kind, levels):
    default = default_level(tree.length)
    entry = {
        "length": tree.length,
        "kind": kind,
        "level": default,
        "tree": tree.top().hex(),
        "root": tree.root(kind).hex(),
        "extents": [dict(level=level, **hash_list(tree.extents(level)))
                    for level in sorted(set(levels) | {default})],
    }
    entry["descriptor_sha256"] = sha256(
        descriptor(kind, tree.length, default, tree.extents(default))).hexdigest()
    return entry


def proof_vector(tree, a, b):
    return {"length": tree.length, "first": a, "last": b, "top": tree.top().hex(),
            "proof": [h.hex() for h in tree.proof(a, b)]}


def flipped(text, bit=0):
    raw = bytearray.fromhex(text)
    raw[bit // 8] ^= 1 << bit % 8
    return raw.hex()


def corrupted_proofs(base):
    """Each differs from a valid vector in one way and must be refused."""
    proof = base["proof"]

    def variant(why, **changes):
        return {**base, "why": why, **changes}

    yield variant("the first byte of the range is wrong", data_xor=[0, 1])
    size = (base["last"] - base["first"]) * CHUNK
    yield variant("the last byte of the range is wrong", data_xor=[size - 1, 128])
    yield variant("the expected hash is another", top=flipped(base["top"], 255))
    yield variant("the last hash is missing", proof=proof[:-1])
    yield variant("the first hash is missing", proof=proof[1:])
    yield variant("there is no proof", proof=[])
    yield variant("a hash is appended", proof=proof + [proof[-1]])
    yield variant("a hash is put in front", proof=[proof[0]] + proof)
    yield variant("two hashes are swapped", proof=[proof[1], proof[0]] + proof[2:])
    yield variant("the proof is reversed", proof=proof[::-1])
    for i in range(len(proof)):
        yield variant(f"a bit of hash {i} is wrong",
                      proof=proof[:i] + [flipped(proof[i], 8 * i)] + proof[i + 1:])
    yield variant("the range is claimed one chunk later", first=base["first"] + 1,
                  last=base["last"] + 1, data_first=base["first"])
    yield variant("the data are those of the chunk before", data_first=base["first"] - 1)


def corrupted_descriptors(tree, level):
    """Raw descriptors that must be refused under the root of `tree`."""
    hashes = tree.extents(level)
    good = descriptor(0, tree.length, level, hashes)

    def case(why, raw, errc):
        return {"why": why, "raw": raw.hex(), "errc": errc}

    lied, broken = "verification_failed", "peer_misbehaved"
    yield case("another kind", descriptor(1, tree.length, level, hashes), lied)
    yield case("one byte longer", descriptor(0, tree.length + 1, level, hashes), lied)
    yield case("one byte shorter", descriptor(0, tree.length - 1, level, hashes), lied)
    yield case("extents swapped", descriptor(0, tree.length, level, hashes[::-1]), lied)
    yield case("a bit of the last hash is wrong", good[:-1] + bytes([good[-1] ^ 1]), lied)
    yield case("an extent is missing", descriptor(0, tree.length, level, hashes[:-1]), broken)
    yield case("an extent too many", descriptor(0, tree.length, level, hashes + hashes[:1]), broken)
    yield case("half a hash", descriptor(0, tree.length, level, hashes[:-1] + [b"half"]), broken)
    yield case("another level", descriptor(0, tree.length, level + 1, hashes), broken)
    yield case("a level above the highest", descriptor(0, tree.length, 18, hashes), broken)
    yield case("an unknown kind", descriptor(3, tree.length, level, hashes), broken)
    yield case("an unknown version", descriptor(0, tree.length, level, hashes, version=2), broken)
    yield case("a length above the highest", descriptor(0, (1 << 64) - 1, level, hashes), broken)
    yield case("cut short", good[:-1], broken)
    yield case("an octet appended", good + b"\x00", broken)
    yield case("a field missing", b"\x94" + good[1:-2 - 32 * len(hashes)], broken)
    yield case("not an array", b"\x01", broken)
    yield case("nothing", b"", broken)


def main():
    trees = {length: Tree(length) for length in lengths()}
    objects = []
    for number, length in enumerate(lengths()):
        levels = [0, 3] if length > CHUNK << 4 else [0, 1]
        objects.append(object_vector(trees[length], number % 2, levels))

    proofs = []
    for chunks in (1, 2, 3, 5, 8, 11, 64, 65):
        length = chunks * CHUNK - 5
        tree = trees.setdefault(length, Tree(length))
        for a, b in {(0, 1), (chunks - 1, chunks), (0, chunks), (chunks // 2, chunks // 2 + 1),
                     (chunks // 3, (chunks * 2 + 2) // 3)}:
            proofs.append(proof_vector(tree, a, b))
    extent = trees[CHUNK << 11]
    proofs += [proof_vector(extent, a, b) for a, b in ((0, 128), (1337, 1338), (100, 900), (31, 33))]
    proofs.sort(key=lambda p: (p["length"], p["first"], p["last"]))

    gib = Tree(1 << 30)
    large = object_vector(gib, 0, [0, 11, 17])
    large["proofs"] = [proof_vector(gib, a, b)
                       for a, b in ((0, 1), (1234567, 1234568), (2097151, 2097152), (4095, 8193))]

    three = trees.setdefault(5 * CHUNK + 100, Tree(5 * CHUNK + 100))
    vectors = {
        "about": "Written by make_vectors.py, which says what the fields mean. "
                 "Everything under 'corrupted' must be refused.",
        "objects": objects,
        "proofs": proofs,
        "large": large,
        "descriptor": {"root": three.root(0).hex(), "length": three.length, "level": 1,
                       "raw": descriptor(0, three.length, 1, three.extents(1)).hex()},
        "corrupted": {
            "proofs": list(corrupted_proofs(proof_vector(extent, 1337, 1338))) +
                      list(corrupted_proofs(proof_vector(trees[11 * CHUNK - 5], 4, 6))),
            "descriptors": list(corrupted_descriptors(three, 1)),
        },
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump(vectors, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
