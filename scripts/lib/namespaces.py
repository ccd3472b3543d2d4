# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces on a bridge of their own: cables that can be pulled, nets that fall apart."""

import atexit
import os
import pathlib
import subprocess
import sys


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Net:
    """A bridge in a namespace of its own, and namespaces on it: nothing outside is touched.

    Members are numbers from 1; member k has the address 10.29.k.1, an address group of its own.
    Another `network` is for what tells private addresses from others.
    """

    def __init__(self, network="10.29"):
        self.network = network
        self.stem = f"f29-{os.getpid()}-{id(self) & 0xffff:04x}"
        self.made = []
        atexit.register(self.remove)

    def create(self):
        self._add_namespace("hub")
        for bridge in ("bridge0", "bridge1"):  # the second one is the far side of a partition
            _ip("-n", self.name("hub"), "link", "add", bridge, "type", "bridge")
            _ip("-n", self.name("hub"), "link", "set", bridge, "up")

    def name(self, member):
        return f"{self.stem}-{member}"

    def _add_namespace(self, member):
        _ip("netns", "add", self.name(member))
        self.made.append(self.name(member))
        _ip("-n", self.name(member), "link", "set", "lo", "up")

    def add_member(self, member):
        """Plugs a new namespace in; its address."""
        self._add_namespace(member)
        hub, name = self.name("hub"), self.name(member)
        _ip("-n", hub, "link", "add", f"p{member}", "type", "veth", "peer", "name", "eth0",
            "netns", name)
        _ip("-n", hub, "link", "set", f"p{member}", "master", "bridge0", "up")
        address = f"{self.network}.{member}.1"
        _ip("-n", name, "addr", "add", f"{address}/16", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        return address

    def take_v4(self, member):
        """Leaves a member the IPv6 address of its link, unless it is given others."""
        _ip("-n", self.name(member), "-4", "addr", "flush", "dev", "eth0")

    def switch(self, member, up):
        """Its interface itself, not the cable."""
        _ip("-n", self.name(member), "link", "set", "eth0", "up" if up else "down")

    def add_v6(self, member, only=False):
        """Gives a member an IPv6 address too, a /48 group of its own, and takes the other; it."""
        name = self.name(member)
        if only:
            self.take_v4(member)
        address = f"fd29:0:{member}::1"
        # Without asking whether somebody has it already, which takes a second.
        _ip("-n", name, "addr", "add", f"{address}/32", "dev", "eth0", "nodad")
        return address

    def forbid_v6(self, member):
        """As on a machine without IPv6: not even that of the machine itself."""
        for device in ("all", "default"):
            subprocess.run([*self.inside(member), "sysctl", "-qw",
                            f"net.ipv6.conf.{device}.disable_ipv6=1"], check=True,
                           capture_output=True, stdin=subprocess.DEVNULL)

    def unplug(self, member):
        """As a pulled cable: no reset, no refusal, only silence."""
        _ip("-n", self.name("hub"), "link", "set", f"p{member}", "down")

    def plug(self, member):
        _ip("-n", self.name("hub"), "link", "set", f"p{member}", "up")

    def set_side(self, member, far):
        """Who is on the far side hears only who is there too."""
        _ip("-n", self.name("hub"), "link", "set", f"p{member}", "master",
            "bridge1" if far else "bridge0")

    def slow(self, member, slow):
        """Holds what the member sends to 8 Mbit/s. CalledProcessError without tc and its tbf."""
        self.limit_sent(member, 1_000_000 if slow else None)

    def limit_sent(self, member, rate):
        """Holds what the member sends to `rate` bytes a second; None: no longer."""
        self._limit(self.inside(member), "eth0", rate)

    def limit_received(self, member, rate):
        """The same for what is sent to the member."""
        self._limit(["ip", "netns", "exec", self.name("hub")], f"p{member}", rate)

    @staticmethod
    def _limit(inside, device, rate):
        """The bucket has what comes in 20 ms, so that the kernel's clock is not what limits."""
        action = ["del", "dev", device, "root"] if rate is None else \
            ["replace", "dev", device, "root", "tbf", "rate", f"{rate * 8}bit", "burst",
             str(max(rate // 50, 64 << 10)), "latency", "400ms"]
        subprocess.run([*inside, "tc", "qdisc", *action], check=True, capture_output=True,
                       stdin=subprocess.DEVNULL)

    def can_slow(self, member):
        try:
            self.slow(member, True)
            self.slow(member, False)
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def inside(self, member):
        """The start of a command that is to run in the member's namespace."""
        return ["ip", "netns", "exec", self.name(member)]

    def remove(self):
        atexit.unregister(self.remove)
        while self.made:
            subprocess.run(["ip", "netns", "del", self.made.pop()], check=False,
                           capture_output=True)


class Distance:
    """One namespace in which the addresses 10.29.k.1 are `one_way_ms` away from each other."""

    QUEUE = 29

    def __init__(self, one_way_ms):
        self.one_way_ms = one_way_ms
        self.name = f"f29-{os.getpid()}-far-{id(self) & 0xffff:04x}"
        self.delay = None
        atexit.register(self.remove)

    def create(self, members):
        """CalledProcessError or OSError where that cannot be had: see can_delay."""
        _ip("netns", "add", self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        for member in members:
            _ip("-n", self.name, "addr", "add", f"10.29.{member}.1/32", "dev", "lo")
        # The queue first: what nobody takes from it is dropped.
        script = pathlib.Path(__file__).parent / "delay.py"
        self.delay = subprocess.Popen(
            [*self.inside(), sys.executable, "-B", str(script), "--queue", str(self.QUEUE), "--ms",
             str(self.one_way_ms)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.delay.stdout.readline() != b"ready\n":
            raise OSError("packets cannot be queued here")
        subprocess.run([*self.inside(), "iptables", "-t", "mangle", "-A", "OUTPUT", "-d", "10.29.0.0/16",
                        "-j", "NFQUEUE", "--queue-num", str(self.QUEUE)], check=True,
                       capture_output=True, stdin=subprocess.DEVNULL)

    def inside(self):
        """The start of a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def remove(self):
        atexit.unregister(self.remove)
        if self.delay:
            self.delay.kill()
            self.delay.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def can_delay():
    """Whether packets can be held back here."""
    if os.geteuid() != 0:
        return False
    probe = Distance(1)
    try:
        probe.create([1])
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        probe.remove()
    return True


def possible():
    """Whether namespaces can be made here."""
    if os.geteuid() != 0:
        return False
    probe = Net()
    try:
        probe.create()
        probe.add_member(1)
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        probe.remove()
    return True
