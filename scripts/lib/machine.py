# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of its own for a test: systemd as the first process of new namespaces.

It sees the disk of the machine that it runs on, and what it writes goes to memory.
"""

import os
import pathlib
import shutil
import subprocess
import time

SYSTEMD = "/lib/systemd/systemd"
READY = ("running", "degraded")

# In namespaces already. What is written lies in memory, as an overlay's layers may not lie in each
# other.
BOOT = """
set -e
base=$1 stage=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
cp -a "$stage/." "$base/upper/"
root=$base/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for place in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$place"; done
chmod 755 "$root/run"
ip link set lo up
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other TERM=dumb \
  chroot "$root" """ + SYSTEMD + """ --system --unit=basic.target --log-target=journal
"""


def _cgroup2():
    """Where the unified hierarchy is, if this process may make groups in it; else nothing."""
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return pathlib.Path(place)
    return None


class Machine:
    def __init__(self, base):
        """`base`: an empty directory of its own."""
        self.base = pathlib.Path(base)
        self.stage = self.base / "stage"  # laid over this machine's disk before it boots
        self.stage.mkdir(parents=True)
        self.group = None
        self.outer = None
        self.first = None

    def boot(self, seconds=60):
        """OSError, or CalledProcessError, where there is no such machine."""
        tree = _cgroup2()
        if tree is None:
            raise OSError("no cgroup2 that may be written to")
        self.group = tree / f"flow29-{os.getpid()}-{id(self) & 0xffff:04x}"
        self.group.mkdir()
        (self.base / "disk").mkdir()
        self.outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--cgroup", "--uts", "--ipc",
             "--net", "sh", "-c", BOOT, "boot", str(self.base / "disk"), str(self.stage)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: (self.group / "cgroup.procs").write_text("0"))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.outer.poll() is not None:
                raise OSError("it ended while it booted")
            self.first = self._find_first()
            if self.first and self.run("systemctl", "is-system-running").stdout.strip() in READY:
                return
            time.sleep(0.1)
        raise OSError("it did not boot in time")

    def _find_first(self):
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        for pid in children.read_text().split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return pid
        return None

    def run(self, *command, user=None, seconds=60, **options):
        """Runs a command there, as root or as somebody else, to its end."""
        inside = ["nsenter", "-t", self.first, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        if user:
            inside += ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
        home = f"/home/{user}" if user else "/root"
        inside += ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"HOME={home}"]
        options = {"stdin": subprocess.DEVNULL, "text": True, **options}
        return subprocess.run([*inside, *map(str, command)], capture_output=True, check=False,
                              timeout=seconds, **options)

    def power_off(self):
        """All that runs there ends, and what was written is gone."""
        if self.outer:
            self.outer.kill()
            self.outer.wait()
        if not self.group:
            return
        for _ in range(100):
            try:
                for inner in sorted(self.group.glob("**/"), reverse=True):
                    inner.rmdir()
                return
            except OSError:
                time.sleep(0.1)


def possible(base):
    """Whether a machine boots here; `base` is an empty directory for it."""
    needed = ("unshare", "nsenter", "setpriv", "systemctl", "ip")
    if os.geteuid() != 0 or not os.path.exists(SYSTEMD) or not all(map(shutil.which, needed)):
        return False
    probe = Machine(base)
    try:
        probe.boot()
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        probe.power_off()
    return True
