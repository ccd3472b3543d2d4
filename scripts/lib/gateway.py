# SPDX-License-Identifier: GPL-3.0-or-later
"""A home: a private network behind a gateway that translates addresses, on a bridge of namespaces.

The gateway is a real one: nftables for the translation, and miniupnpd for who asks for a port.
"""

import atexit
import os
import pathlib
import shutil
import subprocess

MINIUPNPD = shutil.which("miniupnpd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
NFT = shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

# The chains that miniupnpd expects, in its own tables, and the translation of what leaves.
RULES = """
table inet filter {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname "inside" accept
        jump miniupnpd
    }
    chain miniupnpd { }
}
table inet nat {
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting {
        type nat hook postrouting priority 100;
        oifname "eth0" ip saddr 192.168.29.0/24 masquerade
        jump postrouting_miniupnpd
    }
    chain postrouting_miniupnpd { }
}
"""


def _run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options)


class Home:
    """A member of a `namespaces.Net` that is a gateway, and a machine behind it, 192.168.29.2."""

    INSIDE = "192.168.29.2"
    GATEWAY = "192.168.29.1"

    def __init__(self, net, member, directory):
        self.net = net
        self.member = member
        self.directory = pathlib.Path(directory)
        self.daemon = None
        self.outside = ""
        self.name = net.name(f"home{member}")
        atexit.register(self.remove)

    def create(self):
        """CalledProcessError or OSError where that cannot be had."""
        self.outside = self.net.add_member(self.member)
        gateway = self.net.name(self.member)
        _run("ip", "netns", "add", self.name)
        _run("ip", "-n", self.name, "link", "set", "lo", "up")
        _run("ip", "-n", gateway, "link", "add", "inside", "type", "veth", "peer", "name", "eth0",
             "netns", self.name)
        _run("ip", "-n", gateway, "addr", "add", f"{self.GATEWAY}/24", "dev", "inside")
        _run("ip", "-n", gateway, "link", "set", "inside", "up")
        _run("ip", "-n", self.name, "addr", "add", f"{self.INSIDE}/24", "dev", "eth0")
        _run("ip", "-n", self.name, "link", "set", "eth0", "up")
        _run("ip", "-n", self.name, "route", "add", "default", "via", self.GATEWAY)
        self._in_gateway("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._in_gateway(NFT, "-f", "-", input=RULES.encode())

    def _in_gateway(self, *command, **options):
        return _run("ip", "netns", "exec", self.net.name(self.member), *command, **options)

    def inside(self):
        """The start of a command that is to run behind the gateway."""
        return ["ip", "netns", "exec", self.name]

    def forward(self, port):
        """Has others dial the machine behind it at this port, as one who sets that up by hand."""
        self._in_gateway(NFT, "add", "rule", "inet", "nat", "prerouting", "iifname", "eth0",
                         "meta", "l4proto", "{ tcp, udp }", "th", "dport", str(port),
                         "dnat", "ip", "to", self.INSIDE)
        self._in_gateway(NFT, "insert", "rule", "inet", "filter", "forward", "ct", "status",
                         "dnat", "accept")

    def open_gateway(self, natpmp, upnp):
        """Starts what answers who asks for a port, by one way or both."""
        answer = {True: "yes", False: "no"}
        config = self.directory / f"miniupnpd{self.member}.conf"
        config.write_text(
            "ext_ifname=eth0\nlistening_ip=inside\nhttp_port=0\n"
            f"ext_ip={self.outside}\n"
            f"enable_natpmp={answer[natpmp]}\n"
            f"enable_upnp={answer[upnp]}\n"
            "upnp_table_name=filter\nupnp_nat_table_name=nat\nupnp_forward_chain=miniupnpd\n"
            "upnp_nat_chain=prerouting_miniupnpd\n"
            "upnp_nat_postrouting_chain=postrouting_miniupnpd\n"
            "secure_mode=yes\nsystem_uptime=yes\nmin_lifetime=120\nmax_lifetime=86400\n"
            "uuid=00000000-0000-4000-8000-000000000029\n"
            "allow 1024-65535 192.168.29.0/24 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n")
        self.log = open(self.directory / f"miniupnpd{self.member}.log", "wb")
        self.daemon = subprocess.Popen(
            ["ip", "netns", "exec", self.net.name(self.member), MINIUPNPD, "-d", "-f", str(config),
             "-P", str(self.directory / f"miniupnpd{self.member}.pid")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def close_gateway(self):
        """Ends that, and the openings that it made."""
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait()
            self.daemon = None

    def openings(self):
        """How many ports the gateway sends on."""
        listed = self._in_gateway(NFT, "list", "chain", "inet", "nat", "prerouting_miniupnpd").stdout
        return listed.decode().count("dnat")

    def remove(self):
        atexit.unregister(self.remove)
        self.close_gateway()
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def possible():
    """Whether there is what a gateway is made of; namespaces are another matter."""
    return bool(MINIUPNPD and NFT)
