# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that runs as another user and sees nothing of what the caller has.

As a system service does: it publishes from the caller's directories and fetches into them by the
descriptors that the command line passes, and what it makes belongs to the caller.
"""

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import unittest

import harness
import lab
from harness import wait_until

NOBODY = 65534
SEEN_BY_NOBODY = 0o711


def can_sandbox():
    """Whether this is root, and may have file systems and users of its own."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare"):
        return False
    mounts = "mount -t tmpfs none /mnt && mount -t proc -o subset=pid proc /proc"
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", mounts], capture_output=True,
                           check=False)
    return probe.returncode == 0


@unittest.skipUnless(can_sandbox(), "needs root, unshare and setpriv")
class OtherUser(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.lab.path.chmod(SEEN_BY_NOBODY)
        # It may lie where nobody else may look.
        self.lab.binary = pathlib.Path(shutil.copy(self.lab.binary, self.lab.path / "flow29"))
        # 0700 and root's; the daemon's own view of the file system has nothing there at all.
        self.home = self.lab.path / "callers"
        self.home.mkdir(mode=0o700)
        self.swarm = self.lab.add_swarm(5)
        self.daemon = self.lab.add_node(name="daemon", bootstrap=self.swarm[:1], start=False)
        self.daemon.data.mkdir()
        os.chown(self.daemon.data, NOBODY, NOBODY)
        hidden = f'mount -t tmpfs -o mode=0 none "{self.home}" && mount -t proc -o subset=pid proc /proc && exec setpriv ' \
                 f'--reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs ' \
                 '--inh-caps=-all --bounding-set=-all "$@"'
        self.daemon.prefix = ["unshare", "--mount", "sh", "-c", hidden, "sandbox"]
        self.daemon.environment = {"FLOW29_BOOT_ID": "0" * 32}  # as the unit says it
        self.daemon.start()
        self.lab.wait_connected(self.daemon)
        owner = os.stat(f"/proc/{self.daemon.pid}").st_uid
        self.assertEqual(owner, NOBODY, "the daemon does run as somebody else")

    def tree(self):
        source = self.home / "photos"
        (source / "inner" / "empty").mkdir(parents=True, mode=0o700)
        (source / "run.sh").write_bytes(b"#!/bin/sh\n")
        (source / "run.sh").chmod(0o700)
        (source / "inner" / "secret").write_bytes(os.urandom(300_000))
        (source / "inner" / "secret").chmod(0o600)
        return source

    def assert_callers(self, path, mode):
        facts = os.stat(path)
        self.assertEqual((facts.st_uid, facts.st_gid), (0, 0), path)
        self.assertEqual(stat.S_IMODE(facts.st_mode), mode, path)

    def test_a_file_goes_out_of_the_callers_directory_and_into_it(self):
        source = self.home / "source"
        shutil.copy(self.lab.file("noise", 3 << 20), source)
        source.chmod(0o600)
        link = self.publish(self.daemon, source)["link"]

        target = self.home / "fetched"
        result = self.assert_done(self.daemon.run("fetch", link, "-o", target))
        self.assert_same(source, target)
        self.assert_callers(target, 0o666 & ~current_umask())
        self.assertEqual(sorted(os.listdir(self.home)), ["fetched", "source"])
        self.assertEqual(result["shared"], "none")
        self.assertIn("--keep-copy", result["unshared_why"])

        (self.home / "into").mkdir(mode=0o700)
        self.assert_done(self.daemon.run("fetch", link, "-o", self.home / "into"))
        self.assert_same(source, self.home / "into" / "source")
        self.assert_error(self.daemon.run("fetch", link, "-o", target), harness.EXISTS, "fetched")
        self.assert_done(self.daemon.run("fetch", link, "-o", target, "--overwrite"))

    def test_a_copy_for_others_is_kept_when_asked_for(self):
        path = self.lab.file("source", 2 << 20)
        link = self.publish(self.swarm[0], path, "--copies", "2")["link"]
        before = self.daemon.status()["storage"]["used_bytes"]
        result = self.assert_done(
            self.daemon.run("fetch", link, "-o", self.home / "a", "--keep-copy"))
        self.assertEqual(result["shared"], "copy")
        after = self.daemon.status()["storage"]["used_bytes"]
        self.assertGreaterEqual(after - before, 2 << 20)

    def test_a_directory_goes_both_ways(self):
        source = self.tree()
        link = self.publish(self.daemon, source)["link"]
        target = self.home / "fetched"
        result = self.assert_done(self.daemon.run("fetch", link, "-o", target))
        self.assertEqual(result["files"], 2)
        self.assertTrue((target / "inner" / "empty").is_dir())
        for name in ("run.sh", "inner/secret"):
            self.assert_same(source / name, target / name)
        umask = current_umask()
        self.assert_callers(target / "run.sh", 0o777 & ~umask)
        self.assert_callers(target / "inner" / "secret", 0o666 & ~umask)
        self.assert_callers(target / "inner", 0o777 & ~umask)
        (target / "inner" / "secret").unlink()
        self.assert_error(self.daemon.run("fetch", link, "-o", target), harness.EXISTS)
        self.assert_done(self.daemon.run("fetch", link, "-o", target, "--overwrite"))
        self.assert_same(source / "inner/secret", target / "inner/secret")
        self.assertEqual(sorted(os.listdir(self.home)), ["fetched", "photos"])

    def test_a_fetch_goes_on_after_the_node_and_the_command_were_killed(self):
        size = 24 << 20
        path = self.lab.file("source", size)
        link = self.publish(self.swarm[0], path, "--copies", "2")["link"]
        target = self.home / "fetched"
        partial = self.home / "fetched.flow29-part"
        self.daemon.ask("limit", "--down", "4MiB")

        def begun(least):
            return lambda: lab.written_bytes(partial) >= least

        command = self.lab.start("fetch", link, "-o", target, data=self.daemon.data)
        wait_until(begun(4 << 20), "some of it")
        self.daemon.kill()
        command.communicate(timeout=60)
        self.assertNotEqual(command.returncode, 0)
        self.assert_callers(partial, 0o666 & ~current_umask())
        have = lab.written_bytes(partial)

        self.daemon.start()
        self.lab.wait_connected(self.daemon)
        command = self.lab.start("fetch", link, "-o", target, data=self.daemon.data)
        wait_until(begun(have + (2 << 20)), "more of it")
        command.send_signal(signal.SIGKILL)
        command.communicate(timeout=60)
        have = lab.written_bytes(partial)

        self.daemon.ask("limit", "--down", "off")
        # The node may still be writing for the command that is gone.
        result = wait_until(
            lambda: (outcome := self.daemon.run("fetch", link, "-o", target)).exit == 0
            and outcome.result, "the rest of it")
        self.assert_same(path, target)
        self.assertLess(result["fetched_bytes"], size - have // 2, "not from the beginning")

    def test_what_the_node_cannot_read_is_not_kept_by_reference(self):
        source = self.home / "source"
        shutil.copy(self.lab.file("noise", 1 << 20), source)
        self.assert_error(self.daemon.run("publish", source, "--by-reference"), harness.REFUSED,
                          "by reference")


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    harness.main()
