# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of the package, run by systemd in all of its sandbox, and users of the machine.

systemd is the first process of namespaces of its own; skipped where that cannot be.
"""

import json
import os
import re
import subprocess
import tempfile
import unittest

import harness
import machine
from harness import wait_until

EXPOSURE_MAX = 2.0  # as systemd-analyze reckons it, of 10


def possible():
    with tempfile.TemporaryDirectory(prefix="flow29-machine-") as base:
        return machine.possible(base)


@unittest.skipUnless(possible(), "systemd cannot be run in namespaces here")
class Unit(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.machine = machine.Machine(self.lab.path / "machine")
        self.addCleanup(self.machine.power_off)
        subprocess.run(["meson", "install", "-C", os.environ["FLOW29_BUILD"], "--no-rebuild",
                        "--quiet", "--destdir", self.machine.stage.resolve()], check=True,
                       capture_output=True)
        # Where its prefix would have put it does not matter to the unit.
        settings = self.machine.stage / "etc/flow29"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "config.toml").write_text('capacity = "1GiB"\n')
        self.machine.boot()
        self.good("systemd-sysusers")
        for name in ("alice", "eve", "holder"):
            self.good("useradd", "--create-home", name)
        self.good("usermod", "--append", "--groups", "flow29", "alice")
        self.good("systemctl", "start", "flow29")
        self.good("systemd-run", "--unit=holder", "--uid=holder", "--setenv=HOME=/home/holder",
                  self.program(), "--data", "/home/holder/node", "node", "--listen", "127.0.0.2",
                  "--port", "2930", "--bootstrap", "127.0.0.1:2929", "--web", "off", "--gateway",
                  "off")
        wait_until(lambda: self.status().get("peers"), "the machine's node to have a peer")

    def program(self):
        return self.good("sh", "-c", "command -v flow29").strip()

    def good(self, *command, **options):
        done = self.machine.run(*command, **options)
        self.assertEqual(done.returncode, 0, (command, done.stdout, done.stderr, self.journal()))
        return done.stdout

    def journal(self):
        return self.machine.run("journalctl", "--no-pager", "--lines=50", "--unit=flow29",
                                "--unit=holder").stdout

    def flow29(self, user, *command):
        """The exit code and the last line."""
        done = self.machine.run("flow29", "--json", *command, user=user)
        lines = done.stdout.splitlines()
        return done.returncode, json.loads(lines[-1]) if lines else {}

    def status(self):
        done = self.machine.run("flow29", "--json", "--data", "/var/lib/flow29", "status")
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}

    def main_pid(self):
        return self.good("systemctl", "show", "--property=MainPID", "--value", "flow29").strip()

    def test_it_serves_its_group_in_its_sandbox_over_restarts_and_kills(self):
        facts = self.good("cat", f"/proc/{self.main_pid()}/status")
        for line in ("Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"):
            self.assertIn(line, facts)
        self.assertEqual(self.good("id", "--user", "flow29").strip(),
                         re.search(r"^Uid:\t(\d+)", facts, re.MULTILINE)[1])
        analysed = self.machine.run("systemd-analyze", "security", "--no-pager", "flow29").stdout
        exposure = re.search(r"Overall exposure level for flow29.service: ([\d.]+)", analysed)
        self.assertLessEqual(float(exposure[1]), EXPOSURE_MAX, analysed)

        # What nobody but she may read.
        self.good("sh", "-c", "umask 077; cd; mkdir -p folder/within; head -c 3000000 /dev/urandom "
                  ">file; echo one >folder/a; echo two >folder/within/b", user="alice")
        links = []
        for name in ("file", "folder"):
            code, result = self.flow29("alice", "publish", "--copies", "1", f"/home/alice/{name}")
            self.assertEqual(code, harness.OK, (result, self.journal()))
            self.assertEqual(result["copies"]["min"], 1)
            links.append(result["link"])
        self.assertEqual(self.flow29("eve", "status")[0], harness.NO_NODE)
        self.assertEqual(self.flow29("alice", "leave")[0], harness.REFUSED)

        def check_fetched(into):
            for name, link in zip(("file", "folder"), links):
                there = f"/home/alice/{into}-{name}"
                code, result = self.flow29("alice", "fetch", link, "-o", there)
                self.assertEqual(code, harness.OK, (result, self.journal()))
                self.good("diff", "--recursive", f"/home/alice/{name}", there)
                self.assertEqual(self.good("stat", "--format=%U", there).strip(), "alice")

        check_fetched("first")
        self.good("systemctl", "restart", "flow29")
        wait_until(self.status, "it to answer")
        check_fetched("restarted")
        killed = self.main_pid()
        self.good("kill", "-KILL", killed)
        wait_until(lambda: self.main_pid() not in ("0", killed), "systemd to start it again")
        wait_until(self.status, "it to answer again")
        check_fetched("killed")
        self.good("systemctl", "stop", "flow29")
        self.assertNotEqual(self.machine.run("ls", "/run/flow29").returncode, 0)
        self.assertEqual(self.flow29("alice", "status")[0], harness.NO_NODE)

    def test_a_user_has_one_of_their_own(self):
        self.good("systemctl", "stop", "flow29")
        uid = self.good("id", "--user", "eve").strip()
        if self.machine.run("systemctl", "start", f"user@{uid}").returncode != 0:
            self.skipTest("users have no manager of their own here")
        manager = ("env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "systemctl", "--user")
        self.good(*manager, "start", "flow29", user="eve")
        wait_until(lambda: self.flow29("eve", "status")[0] == harness.OK, "it to answer")
        self.assertEqual(self.flow29("alice", "status")[0], harness.NO_NODE)
        self.good(*manager, "stop", "flow29", user="eve")
        self.assertEqual(self.flow29("eve", "status")[0], harness.NO_NODE)


if __name__ == "__main__":
    harness.main()
