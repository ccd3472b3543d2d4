# SPDX-License-Identifier: GPL-3.0-or-later
"""Transmission beside 29 Flow: two daemons.

It takes no peer at 127.0.0.1, and one for each address, so both live in a network namespace whose
loopback has two more. Run as a program, this file is what goes on in there.
"""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import bench_copiers
import bench_measure
import bench_torrent
import bench_tracker
import lab

SENDER, RECEIVER = "10.29.0.1", "10.29.0.2"
GIVE_UP_SECONDS = 600  # it asks for some 4 MiB every half second, however fast the other end is
SETTINGS = {
    "rpc-bind-address": "127.0.0.1", "rpc-whitelist-enabled": False,
    "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False,
    "port-forwarding-enabled": False, "encryption": 0, "peer-port-random-on-start": False,
    "speed-limit-up-enabled": False, "speed-limit-down-enabled": False,
    "ratio-limit-enabled": False,
}


def missing():
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    return bench_copiers.missing("transmission-daemon", "transmission-create", "ip")


def transmission(path, folder):
    name = f"f29-bench-{os.getpid()}"
    place = folder / "transmission"
    place.mkdir()
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    try:
        for command in (["link", "set", "lo", "up"], ["addr", "add", SENDER + "/32", "dev", "lo"],
                        ["addr", "add", RECEIVER + "/32", "dev", "lo"]):
            subprocess.run(["ip", "-n", name, *command], check=True, capture_output=True)
        bench_measure.measured(["ip", "netns", "exec", name, sys.executable, "-B", __file__,
                                str(path), str(place)])
        return bench_measure.Sample(*json.loads((place / "sample").read_text()))
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        shutil.rmtree(place)


class Daemon(bench_measure.Background):
    def __init__(self, place, download, address, port):
        place.mkdir()
        self.rpc = bench_torrent.free_port()
        self.session = ""
        (place / "settings.json").write_text(json.dumps(
            {**SETTINGS, "rpc-port": self.rpc, "bind-address-ipv4": address, "peer-port": port,
             "download-dir": str(download)}))
        super().__init__(["transmission-daemon", "--foreground", "--config-dir", place],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.wait_until(self._answers, "transmission to answer", 30, 0.1)

    def call(self, method, **arguments):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.rpc}/transmission/rpc",
            data=json.dumps({"method": method, "arguments": arguments}).encode(),
            headers={"X-Transmission-Session-Id": self.session})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["arguments"]
        except urllib.error.HTTPError as refusal:
            if refusal.code != 409:
                raise
            self.session = refusal.headers["X-Transmission-Session-Id"]
            return self.call(method, **arguments)

    def _answers(self):
        try:
            return self.call("session-get")
        except (urllib.error.URLError, ConnectionError):
            return None

    def add(self, torrent, paused=False):
        self.call("torrent-add", paused=paused,
                  metainfo=base64.b64encode(torrent.read_bytes()).decode())

    def seeds(self):
        """Whether all of it is there and checked."""
        return [row["status"] for row in
                self.call("torrent-get", fields=["status"])["torrents"]] == [6]


def _inside(path, place):
    path, place = pathlib.Path(path), pathlib.Path(place)
    here, there = place / "here", place / "there"
    for folder in (here, there):
        folder.mkdir()
    os.link(path, here / path.name)
    port = bench_torrent.free_port()
    torrent = place / "file.torrent"
    with bench_tracker.Tracker(SENDER, SENDER, port) as tracker, \
         Daemon(place / "sender", here, SENDER, port) as sender, \
         Daemon(place / "receiver", there, RECEIVER, bench_torrent.free_port()) as receiver:
        subprocess.run(["transmission-create", "-t", tracker.url, "-o", torrent, path], check=True,
                       capture_output=True)
        sender.add(torrent)
        lab.wait_until(sender.seeds, "transmission to check its file", GIVE_UP_SECONDS)
        sender.begin()
        receiver.begin()
        began = time.monotonic()
        receiver.add(torrent)
        lab.wait_until(receiver.seeds, "transmission to finish", GIVE_UP_SECONDS, 0.05)
        sample = bench_measure.Sample(sender.cpu() + receiver.cpu(), time.monotonic() - began,
                                      max(sender.peak(), receiver.peak()))
    (place / "sample").write_text(json.dumps(sample))


if __name__ == "__main__":
    _inside(*sys.argv[1:])
