# SPDX-License-Identifier: GPL-3.0-or-later
"""What 29 Flow is measured beside: others that move a file from one process to another and check it.

Each function takes the file and a folder, and returns (CPU seconds of both ends, wall seconds, peak
bytes of the larger end). Run as a program, this file is one end of a libtorrent transfer.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time


def _peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(command):
    """(CPU seconds, peak bytes, output) of a command that must succeed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise OSError(f"{command[0]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.decode()


def missing(tag):
    """Why a peer cannot be measured here; nothing when it can."""
    if tag == "libtorrent":
        found = subprocess.run(["/usr/bin/python3", "-c", "import libtorrent"], check=False,
                               capture_output=True).returncode == 0
        return None if found else "python3-libtorrent is not installed"
    for command in ("nginx", "curl", "openssl"):
        if not shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin"):
            return f"{command} is not installed"
    return None


# nginx and curl over TLS, then sha256

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    root {root};
  }}
}}
"""


def nginx_and_curl(path, folder):
    place = folder / "nginx"
    place.mkdir(exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-keyout", place / "key.pem",
                    "-out", place / "cert.pem"], check=True, capture_output=True)
    port = 20_000 + os.getpid() % 20_000
    (place / "nginx.conf").write_text(NGINX.format(folder=place, port=port, root=path.parent))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    server = subprocess.Popen([program, "-p", place, "-c", place / "nginx.conf",
                               "-e", place / "error.log"], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not (place / "nginx.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        target = folder / "curled"
        began = time.monotonic()
        curl = _wait(["curl", "-sS", "--fail", "--insecure", "--tls13-ciphers",
                      "TLS_AES_128_GCM_SHA256", "-o", str(target),
                      f"https://127.0.0.1:{port}/{path.name}"])
        digest = _wait(["openssl", "sha256", str(target)])
        wall = time.monotonic() - began
        used, peak = _cpu(server.pid), _peak(server.pid)
        target.unlink()
        return curl[0] + digest[0] + used, wall, max(peak, curl[1])
    finally:
        server.terminate()
        server.wait()


# libtorrent, BitTorrent v2

def libtorrent_v2(path, folder):
    place = folder / "torrent"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    this = [("/usr/bin/python3"), "-B", __file__]
    torrent = place / "file.torrent"
    _wait([*this, "make", str(path), str(torrent)])
    seeder = subprocess.Popen([*this, "seed", str(torrent), str(path.parent)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = seeder.stdout.readline().strip()
        before = _cpu(seeder.pid)
        cpu, peak, output = _wait([*this, "fetch", str(torrent), str(place), port])
        used = _cpu(seeder.pid) - before
        return cpu + used, float(output.split()[-1]), max(peak, _peak(seeder.pid))
    finally:
        seeder.stdin.close()
        seeder.wait(30)
        (place / path.name).unlink(missing_ok=True)


def _session():
    import libtorrent
    session = libtorrent.session({
        "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False,
        "enable_upnp": False, "enable_natpmp": False, "enable_outgoing_utp": False,
        "enable_incoming_utp": False, "allow_multiple_connections_per_ip": True,
        "in_enc_policy": 2, "out_enc_policy": 2})
    while session.listen_port() == 0:
        time.sleep(0.01)
    return libtorrent, session


def _make(path, torrent):
    import libtorrent
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, path)
    made = libtorrent.create_torrent(storage, 0, int(libtorrent.create_torrent.v2_only))
    libtorrent.set_piece_hashes(made, os.path.dirname(path))
    pathlib.Path(torrent).write_bytes(libtorrent.bencode(made.generate()))


def _seed(torrent, folder):
    libtorrent, session = _session()
    handle = session.add_torrent({
        "ti": libtorrent.torrent_info(torrent), "save_path": folder,
        "flags": libtorrent.torrent_flags.seed_mode})
    while not handle.status().is_seeding:
        time.sleep(0.01)
    print(session.listen_port(), flush=True)
    sys.stdin.read()


def _fetch(torrent, folder, port):
    libtorrent, session = _session()
    began = time.monotonic()
    handle = session.add_torrent({"ti": libtorrent.torrent_info(torrent), "save_path": folder})
    handle.connect_peer(("127.0.0.1", int(port)))
    while not handle.status().is_seeding:
        if time.monotonic() - began > 300:
            sys.exit("libtorrent: nothing came")
        time.sleep(0.01)
    print(time.monotonic() - began, flush=True)
    os._exit(0)


PEERS = {
    "libtorrent, BitTorrent v2, not encrypted": ("libtorrent", libtorrent_v2),
    "nginx and curl over TLS 1.3, then openssl sha256": ("nginx", nginx_and_curl),
}

if __name__ == "__main__":
    {"make": _make, "seed": _seed, "fetch": _fetch}[sys.argv[1]](*sys.argv[2:])
