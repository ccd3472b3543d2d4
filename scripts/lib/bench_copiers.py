# SPDX-License-Identifier: GPL-3.0-or-later
"""What else moves files from one place to another beside 29 Flow: nginx with curl, rsync over ssh.

Each function takes what is to be moved and a folder to work in, and gives a Sample of both ends.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import bench_measure
import bench_torrent
import lab

SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing(*commands):
    """Which of the commands is not installed, in words; nothing when all are."""
    for command in commands:
        if not shutil.which(command, path=SBIN):
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


def missing_nginx():
    return missing("nginx", "curl", "openssl")


def nginx_and_curl(path, folder):
    place = folder / "nginx"
    place.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-keyout", place / "key.pem",
                    "-out", place / "cert.pem"], check=True, capture_output=True)
    port = bench_torrent.free_port()
    (place / "nginx.conf").write_text(NGINX.format(folder=place, port=port, root=path.parent))
    target = place / "curled"
    try:
        with bench_measure.Background([shutil.which("nginx", path=SBIN), "-p", place, "-c",
                                       place / "nginx.conf", "-e", place / "error.log"]) as server:
            lab.wait_until((place / "nginx.pid").exists, "nginx to start", 10, 0.05)
            server.begin()
            began = time.monotonic()
            curl = bench_measure.measured(
                ["curl", "-sS", "--fail", "--insecure", "--tls13-ciphers",
                 "TLS_AES_128_GCM_SHA256", "-o", str(target),
                 f"https://127.0.0.1:{port}/{path.name}"])
            digest = bench_measure.measured(["openssl", "sha256", str(target)])
            wall = time.monotonic() - began
            return bench_measure.Sample(curl.cpu + digest.cpu + server.cpu(), wall,
                                        max(curl.peak, server.peak()))
    finally:
        shutil.rmtree(place)


# rsync over ssh

SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
"""
SEPARATION = pathlib.Path("/run/sshd")  # sshd wants it, for nothing to be in it


def missing_rsync():
    return missing("rsync", "sshd", "ssh", "ssh-keygen")


@contextlib.contextmanager
def _sshd(place):
    """A server of our own on loopback, with a key of its own; yields it and ssh's command line."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name],
                       check=True, capture_output=True)
    port = bench_torrent.free_port()
    (place / "sshd.conf").write_text(SSHD.format(folder=place, port=port))
    made = os.geteuid() == 0 and not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    try:
        with bench_measure.Background([shutil.which("sshd", path=SBIN), "-D", "-e", "-f",
                                       place / "sshd.conf"],
                                      stderr=subprocess.DEVNULL) as server:
            lab.wait_until((place / "sshd.pid").exists, "sshd to start", 10, 0.05)
            yield server, (f"ssh -p {port} -i {place}/user -F /dev/null -c aes128-gcm@openssh.com "
                           f"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
                           f"-o BatchMode=yes -o LogLevel=ERROR")
    finally:
        if made:
            SEPARATION.rmdir()


def rsync_over_ssh(path, folder):
    """A file, or a folder with all that is in it. rsync checks the whole with its own digest."""
    place = folder / "ssh"
    place.mkdir()
    try:
        with _sshd(place) as (server, ssh):
            server.begin()
            end = bench_measure.measured(["rsync", "-a", "--whole-file", "-e", ssh,
                                          f"127.0.0.1:{path}", str(place / "got")])
            # What its children used is the server's only when it has waited for them.
            children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children")
            lab.wait_until(lambda: not children.read_text().strip(), "sshd's children to end", 10,
                           0.02)
            return bench_measure.Sample(end.cpu + server.cpu(), end.wall,
                                        max(end.peak, server.peak()))
    finally:
        shutil.rmtree(place)
