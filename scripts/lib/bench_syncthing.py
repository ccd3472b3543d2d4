# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncthing beside 29 Flow: two daemons on loopback, without discovery, relays or anything outside.

The sender has hashed its folder before the clock starts; then the receiver is let to it.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request

import bench_copiers
import bench_measure
import bench_torrent
import lab

CONFIG = """<configuration version="36">
  <folder id="bench" label="bench" path="{folder}" type="{kind}" rescanIntervalS="0"
          fsWatcherEnabled="false">
    <device id="{own}"></device><device id="{other}"></device>
  </folder>
  <device id="{own}" name="own"><address>dynamic</address></device>
  <device id="{other}" name="other"><address>{address}</address><paused>{paused}</paused></device>
  <gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>bench</apikey></gui>
  <options>
    <listenAddress>tcp://127.0.0.1:{port}</listenAddress>
    <globalAnnounceEnabled>false</globalAnnounceEnabled>
    <localAnnounceEnabled>false</localAnnounceEnabled>
    <relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
    <startBrowser>false</startBrowser><urAccepted>-1</urAccepted>
    <autoUpgradeIntervalH>0</autoUpgradeIntervalH>
    <crashReportingEnabled>false</crashReportingEnabled>
    <setLowPriority>false</setLowPriority><reconnectionIntervalS>1</reconnectionIntervalS>
    <stunKeepaliveStartS>0</stunKeepaliveStartS>
  </options>
</configuration>
"""
GIVE_UP_SECONDS = 300


def missing():
    return bench_copiers.missing("syncthing")


class Daemon(bench_measure.Background):
    def __init__(self, place, settings):
        self.gui = settings["gui"]
        (place / "config.xml").write_text(CONFIG.format(**settings))
        # The outer of its two processes only restarts the inner one.
        super().__init__(["syncthing", "serve", f"--home={place}", "--no-browser"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, "STMONITORED": "yes", "STNOUPGRADE": "1"})
        lab.wait_until(self._answers, "syncthing to answer", 60, 0.1)

    def call(self, path, method="GET", body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui}/rest/{path}", method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"X-API-Key": "bench"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def _answers(self):
        try:
            return self.call("system/ping")
        except OSError:
            return None

    def has(self, count):
        """Whether the folder is at rest with so many bytes in it."""
        folder = self.call("db/status?folder=bench")
        return folder["state"] == "idle" and folder["localBytes"] >= count


def _generate(place):
    place.mkdir(parents=True)
    subprocess.run(["syncthing", "generate", f"--home={place}", "--no-default-folder"],
                   check=True, capture_output=True)
    return subprocess.run(["syncthing", "serve", f"--home={place}", "--device-id"], check=True,
                          capture_output=True, text=True).stdout.strip()


def syncthing(path, folder):
    """A file, or a folder with all that is in it."""
    place = folder / "syncthing"
    ids = [_generate(place / end) for end in ("sender", "receiver")]
    ports = [bench_torrent.free_port() for _ in ids]
    here, there = place / "here", place / "there"
    there.mkdir()
    if path.is_dir():
        shutil.copytree(path, here, copy_function=os.link)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    else:
        here.mkdir()
        os.link(path, here / path.name)
        size = path.stat().st_size
    for data in (here, there):
        (data / ".stfolder").mkdir()

    def settings(end, data, kind, paused):
        return {"folder": data, "kind": kind, "own": ids[end], "other": ids[1 - end],
                "address": f"tcp://127.0.0.1:{ports[1 - end]}", "port": ports[end],
                "gui": bench_torrent.free_port(), "paused": paused}
    try:
        with Daemon(place / "sender", settings(0, here, "sendonly", "false")) as sender, \
             Daemon(place / "receiver", settings(1, there, "receiveonly", "true")) as receiver:
            lab.wait_until(lambda: sender.has(size), "syncthing to hash", GIVE_UP_SECONDS, 0.2)
            time.sleep(1)  # until both have done what they do at the start
            sender.begin()
            receiver.begin()
            began = time.monotonic()
            receiver.call(f"config/devices/{ids[0]}", "PATCH", {"paused": False})
            lab.wait_until(lambda: receiver.has(size), "syncthing to finish", GIVE_UP_SECONDS, 0.05)
            return bench_measure.Sample(sender.cpu() + receiver.cpu(), time.monotonic() - began,
                                        max(sender.peak(), receiver.peak()))
    finally:
        shutil.rmtree(place, ignore_errors=True)
