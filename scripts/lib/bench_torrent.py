# SPDX-License-Identifier: GPL-3.0-or-later
"""BitTorrent beside 29 Flow: libtorrent, plain and over SSL, and aria2, from a libtorrent seeder.

Run as a program, by the Python that has libtorrent, this file is one end of a transfer.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import bench_measure
import bench_tracker
import lab

PYTHON = "/usr/bin/python3"  # whose libtorrent is the distribution's
THIS = [PYTHON, "-B", __file__]
GIVE_UP_SECONDS = 120


def missing():
    """Why libtorrent cannot be measured here; nothing when it can."""
    found = shutil.which(PYTHON) and subprocess.run(
        [PYTHON, "-c", "import libtorrent"], check=False, capture_output=True).returncode == 0
    return None if found else "python3-libtorrent is not installed"


def missing_aria2():
    if not shutil.which("aria2c"):
        return "aria2 is not installed"
    return missing()


def free_port():
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Seeder(bench_measure.Background):
    """A process that has the whole of what a torrent names."""

    def __init__(self, kind, place, path):
        super().__init__([*THIS, "seed", kind, place, path.parent], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = self.process.stdout.readline().strip()
        if not self.port:
            raise lab.LabError("libtorrent's seeder did not start")
        self.begin()


def make(kind, path, place):
    """Puts what the ends of a transfer need into an empty folder: the torrent, and for SSL an
    authority with a certificate and key for anybody who takes part."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if kind == "ssl":
        _make_certificates(place)
    bench_measure.measured([*THIS, "make", kind, place, path])


def _make_certificates(place):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=place, check=True, capture_output=True)
    key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key, "-subj", "/CN=*", "-keyout", "peer.key", "-out", "peer.csr")
    (place / "names").write_text("subjectAltName=DNS:*\n")
    openssl("x509", "-req", "-in", "peer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-CAcreateserial", "-extfile", "names", "-out", "peer.pem")
    openssl("genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048",
            "-out", "dh.pem")


def transfer(kind):
    """Measures one seeder and one who fetches, both libtorrent: kind is v1, v2 or ssl (v2)."""
    def measure(path, folder):
        place = folder / "torrent"
        make(kind, path, place)
        target = place / "got"
        target.mkdir()
        try:
            with Seeder(kind, place, path) as seeder:
                end = bench_measure.measured([*THIS, "fetch", kind, place, target, seeder.port])
                wall = float((place / "wall").read_text())  # without the interpreter's start
                return bench_measure.Sample(end.cpu + seeder.cpu(), wall,
                                            max(end.peak, seeder.peak()))
        finally:
            shutil.rmtree(place)
    return measure


def aria2(path, folder):
    place = folder / "torrent"
    make("v1", path, place)
    target = place / "got"
    target.mkdir()
    try:
        with Seeder("v1", place, path) as seeder, \
             bench_tracker.Tracker("127.0.0.1", "127.0.0.1", int(seeder.port)) as tracker:
            end = bench_measure.measured(_aria2_command(place, target, tracker))
            return bench_measure.Sample(end.cpu + seeder.cpu(), end.wall,
                                        max(end.peak, seeder.peak()))
    finally:
        shutil.rmtree(place)


def _aria2_command(place, target, tracker):
    return ["aria2c", "--no-conf", "--console-log-level=error", "--summary-interval=0",
            "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", "--file-allocation=none", "--seed-time=0",
            f"--listen-port={free_port()}", f"--bt-tracker={tracker.url}", "--interface=127.0.0.1",
            f"--dir={target}", str(place / "file.torrent")]


def frozen_seeder(path, folder):
    """Wall seconds of a fetch from four seeders: all well, and one stopped when 30 % is there; the
    second is None when it was not done after GIVE_UP_SECONDS."""
    walls = []
    for freeze in (False, True):
        place = folder / "torrent"
        make("v2", path, place)
        target = place / "got"
        target.mkdir()
        seeders = []
        fetch = None
        try:
            for _ in range(4):
                seeders.append(Seeder("v2", place, path))
            fetch = bench_measure.Background([*THIS, "fetch", "v2", place, target,
                                              *(seeder.port for seeder in seeders)])
            if freeze and bench_measure.await_bytes(target / path.name,
                                                    path.stat().st_size * 3 // 10, fetch.process):
                os.kill(seeders[0].pid, signal.SIGSTOP)
            fetch.process.wait()
            if fetch.process.returncode == 0:
                walls.append(float((place / "wall").read_text()))
            else:
                walls.append(None)
        finally:
            for process in [*seeders, *([fetch] if fetch else [])]:
                if process.process.poll() is None:
                    os.kill(process.pid, signal.SIGCONT)
                process.__exit__()
            shutil.rmtree(place)
    return walls


# What follows runs in processes of its own, with libtorrent.

def _session(kind):
    import libtorrent
    port = free_port()
    session = libtorrent.session({
        "listen_interfaces": f"127.0.0.1:{port}{'s' if kind == 'ssl' else ''}",
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True,
        # Plain text is what it is measured with; aria2 opens with an encrypted handshake.
        "in_enc_policy": 1 if kind == "v1" else 2, "out_enc_policy": 2,
        "alert_mask": 0})
    return libtorrent, session, port


def _add(kind, place, options):
    libtorrent, session, port = _session(kind)
    place = pathlib.Path(place)
    handle = session.add_torrent({"ti": libtorrent.torrent_info(str(place / "file.torrent")),
                                  **options(libtorrent)})
    if kind == "ssl":
        handle.set_ssl_certificate(*(str(place / name) for name in
                                     ("peer.pem", "peer.key", "dh.pem")))
    return session, handle, port


def _await_seeding(handle):
    began = time.monotonic()
    while not handle.status().is_seeding:
        if time.monotonic() - began > GIVE_UP_SECONDS:
            sys.exit(f"libtorrent: not done after {GIVE_UP_SECONDS} s")
        time.sleep(0.01)


def _make(kind, place, path):
    import libtorrent
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, path)
    maker = libtorrent.create_torrent
    made = maker(storage, 0, int(maker.v1_only if kind == "v1" else maker.v2_only))
    if kind == "ssl":
        made.set_root_cert((pathlib.Path(place) / "ca.pem").read_text())
    libtorrent.set_piece_hashes(made, os.path.dirname(path))
    (pathlib.Path(place) / "file.torrent").write_bytes(libtorrent.bencode(made.generate()))


def _seed(kind, place, folder):
    session, handle, port = _add(kind, place, lambda libtorrent: {
        "save_path": folder, "flags": libtorrent.torrent_flags.seed_mode})
    _await_seeding(handle)
    print(port, flush=True)
    sys.stdin.read()
    del session


def _fetch(kind, place, target, *ports):
    session, handle, _ = _add(kind, place, lambda _libtorrent: {"save_path": target})
    began = time.monotonic()
    for port in ports:
        handle.connect_peer(("127.0.0.1", int(port)))
    _await_seeding(handle)
    (pathlib.Path(place) / "wall").write_text(json.dumps(time.monotonic() - began))
    del session
    os._exit(0)


if __name__ == "__main__":
    {"make": _make, "seed": _seed, "fetch": _fetch}[sys.argv[1]](*sys.argv[2:])
