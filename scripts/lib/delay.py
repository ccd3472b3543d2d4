#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds every packet of a netfilter queue for the same time, and lets it go.

    iptables -t mangle -A OUTPUT -d 10.29.0.0/16 -j NFQUEUE --queue-num 29
    delay.py --queue 29 --ms 20

It speaks netlink itself: the kernel's queue needs no library. Prints "ready" once packets can come.
"""

import argparse
import collections
import select
import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
QUEUE_SUBSYSTEM = 3 << 8
PACKET, VERDICT, CONFIG, VERDICT_BATCH = (QUEUE_SUBSYSTEM | kind for kind in range(4))
REQUEST, ACK = 1, 4
ERROR = 2
CFG_CMD, CFG_PARAMS, CFG_QUEUE_MAXLEN = 1, 2, 3
PACKET_HDR, VERDICT_HDR = 1, 2
BIND = 1
COPY_META = 1
ACCEPT = 1
SO_RCVBUFFORCE = 33
PACKETS_HELD_MAX = 65_536


def attribute(kind, payload):
    padding = b"\0" * (-len(payload) % 4)
    return struct.pack("=HH", 4 + len(payload), kind) + payload + padding


def message(kind, queue, flags, *attributes):
    body = struct.pack("=BBH", 0, 0, socket.htons(queue)) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 0, 0) + body


def packet_ids(data):
    """The ids of the packets that a read from the socket announces. OSError for an error in it."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if kind == ERROR:
            number, = struct.unpack_from("=i", data, 16)
            if number:
                raise OSError(-number, "the kernel refused it")
        elif kind == PACKET:
            at = 20
            while at + 4 <= length:
                size, name = struct.unpack_from("=HH", data, at)
                if name == PACKET_HDR:
                    yield struct.unpack_from(">I", data, at + 4)[0]
                    break
                at += (size + 3) & ~3
        data = data[(length + 3) & ~3:]


def hold(queue, seconds):
    """Until it is killed."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    link.bind((0, 0))
    link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    for attributes in ([attribute(CFG_CMD, struct.pack(">BBH", BIND, 0, socket.AF_INET))],
                       [attribute(CFG_PARAMS, struct.pack(">IB", 0, COPY_META))],
                       [attribute(CFG_QUEUE_MAXLEN, struct.pack(">I", PACKETS_HELD_MAX))]):
        link.send(message(CONFIG, queue, ACK, *attributes))
        list(packet_ids(link.recv(1 << 16)))
    print("ready", flush=True)
    # One for all of them: memory that is new for each packet costs more than the packet.
    buffer = memoryview(bytearray(1 << 16))
    held = collections.deque()  # (when to let it go, id), in order of both
    while True:
        timeout = max(0.0, held[0][0] - time.monotonic()) if held else None
        readable, _, _ = select.select([link], [], [], timeout)
        now = time.monotonic()
        if readable:
            for packet in packet_ids(buffer[:link.recv_into(buffer)]):
                held.append((now + seconds, packet))
        last = None
        while held and held[0][0] <= now:
            last = held.popleft()[1]
        if last is not None:  # ids grow: one verdict for all up to this one
            link.send(message(VERDICT_BATCH, queue, 0,
                              attribute(VERDICT_HDR, struct.pack(">II", ACCEPT, last))))


def main():
    parser = argparse.ArgumentParser(prog="delay.py")
    parser.add_argument("--queue", type=int, required=True)
    parser.add_argument("--ms", type=float, required=True)
    options = parser.parse_args()
    try:
        hold(options.queue, options.ms / 1000)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
