# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are hostile, each in one way, in a lab: tests/hostile."""

import os
import pathlib
import signal
import subprocess

import lab


def find_program():
    """The hostile node to run: FLOW29_HOSTILE, else that of the release build."""
    path = pathlib.Path(os.environ.get(
        "FLOW29_HOSTILE", lab.REPOSITORY / "build" / "tests" / "hostile" / "hostile_node"))
    if not os.access(path, os.X_OK):
        raise lab.LabError(f"{path} is not an executable; build it, or set FLOW29_HOSTILE")
    return path.resolve()


def behaviours():
    """All of them, by name."""
    done = subprocess.run([find_program(), "--list"], capture_output=True, check=True)
    return done.stdout.decode().split()


class HostileProcess(lab.NodeProcess):
    """One hostile node. No command speaks to it, and it is killed, not stopped."""

    behaviour = None

    def begin(self):
        """Of one that was told to wait: it is hostile from now on."""
        self.process.send_signal(signal.SIGUSR1)

    def command(self):
        return [str(find_program()), "--behaviour", self.behaviour, "--listen", self.address,
                *self.options]


def add(the_lab, behaviour, *, bootstrap=(), waits=False):
    """A hostile node in a lab, ready, with an address of its own; honest until `begin` if it waits."""
    k = len(the_lab.nodes) + 1
    node = HostileProcess(the_lab, f"node{k}-{behaviour}", f"127.0.{k}.{the_lab.host}")
    node.behaviour = behaviour
    if waits:
        node.options += ["--wait"]
    for peer in bootstrap:
        node.options += ["--bootstrap", peer.at]
    the_lab.nodes.append(node)
    return node.start()
