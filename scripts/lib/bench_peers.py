# SPDX-License-Identifier: GPL-3.0-or-later
"""Who 29 Flow is measured beside: others that bring a file from one process to another, checked."""

from typing import Callable, NamedTuple, Optional

import bench_copiers
import bench_measure
import bench_syncthing
import bench_torrent
import bench_transmission
import lab


class Peer(NamedTuple):
    name: str
    missing: Callable[[], Optional[str]]  # why it cannot be measured here
    measure: Callable  # (path, folder) -> Sample
    runs_max: int = 100


PEERS = {
    "libtorrent": Peer("libtorrent, BitTorrent v2, not encrypted", bench_torrent.missing,
                       bench_torrent.transfer("v2")),
    "libtorrent-ssl": Peer("libtorrent, BitTorrent v2 over SSL", bench_torrent.missing,
                           bench_torrent.transfer("ssl")),
    "aria2": Peer("aria2 from libtorrent, v1, not encrypted", bench_torrent.missing_aria2,
                  bench_torrent.aria2),
    "transmission": Peer("Transmission, v1, not encrypted (one run)", bench_transmission.missing,
                         bench_transmission.transmission, 1),
    "syncthing": Peer("Syncthing over TLS", bench_syncthing.missing, bench_syncthing.syncthing),
    "nginx": Peer("nginx and curl over TLS 1.3, then openssl sha256", bench_copiers.missing_nginx,
                  bench_copiers.nginx_and_curl),
    "rsync": Peer("rsync over ssh, AES-128-GCM", bench_copiers.missing_rsync,
                  bench_copiers.rsync_over_ssh),
    "libtorrent-v1": Peer("libtorrent, BitTorrent v1, not encrypted", bench_torrent.missing,
                          bench_torrent.transfer("v1")),
}


def try_one(tag, path, folder):
    """One run of a peer that is here; None, and said why, when it fails."""
    try:
        return PEERS[tag].measure(path, folder)
    except (lab.LabError, OSError) as failure:
        bench_measure.say(f"{PEERS[tag].name}: {failure}")
        return None
