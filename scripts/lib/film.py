# SPDX-License-Identifier: GPL-3.0-or-later
"""A WebM film of any length and size from single pictures, for tests: no encoder is needed.

A lossy WebP picture is one VP8 key frame, so a browser that can make such pictures can make a film
of them. Each second has one frame and is filled up with noise, in an element that players skip.
"""

import os
import struct

TIMECODE_SCALE_NS = 1_000_000


def _size(count):
    """A length in EBML, always of eight octets."""
    return (count | 1 << 56).to_bytes(8, "big")


def _element(name, content):
    return bytes.fromhex(name) + _size(len(content)) + content


def _number(name, value):
    return _element(name, value.to_bytes(8, "big"))


def _text(name, value):
    return _element(name, value.encode())


def frame_of(webp):
    """The VP8 key frame in a lossy WebP picture."""
    at = webp.index(b"VP8 ")
    length = int.from_bytes(webp[at + 4:at + 8], "little")
    return webp[at + 8:at + 8 + length]


def write(path, pictures, seconds, bytes_total, width, height):
    """Second k shows picture k modulo their number."""
    frames = [frame_of(picture) for picture in pictures]
    second_bytes = bytes_total // seconds
    header = _element("1A45DFA3", _number("4286", 1) + _number("42F7", 1) + _number("42F2", 4)
                      + _number("42F3", 8) + _text("4282", "webm") + _number("4287", 2)
                      + _number("4285", 2))
    duration = _element("4489", struct.pack(">d", seconds * 1000.0))
    info = _element("1549A966", _number("2AD7B1", TIMECODE_SCALE_NS) + duration
                    + _text("4D80", "test") + _text("5741", "test"))
    video = _element("E0", _number("B0", width) + _number("BA", height))
    track = _element("AE", _number("D7", 1) + _number("73C5", 1) + _number("83", 1)
                     + _text("86", "V_VP8") + video)
    tracks = _element("1654AE6B", track)

    def cues(first):
        points = []
        for k in range(seconds):
            where = _element("B7", _number("F7", 1) + _number("F1", first + k * second_bytes))
            points.append(_element("BB", _number("B3", k * 1000) + where))
        return _element("1C53BB6B", b"".join(points))
    # All numbers have one length, so the index is as long wherever it says that things are.
    first = len(info) + len(tracks) + len(cues(0))
    with open(path, "wb") as file:
        file.write(header)
        file.write(bytes.fromhex("18538067") + _size(first + seconds * second_bytes))
        file.write(info + tracks + cues(first))
        for k in range(seconds):
            block = _element("A3", b"\x81\x00\x00\x80" + frames[k % len(frames)])
            said = _number("E7", k * 1000) + block
            void = second_bytes - 12 - len(said) - 9
            file.write(bytes.fromhex("1F43B675") + _size(second_bytes - 12))
            file.write(said + bytes.fromhex("EC") + _size(void) + os.urandom(void))
