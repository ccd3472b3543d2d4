# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that runs as another user and sees nothing of what the caller has.

As a system service does: it publishes from the caller's directories and fetches into them by the
descriptors that the command line passes, and what it makes belongs to the caller.
"""

import json
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

    def test_times_are_set_though_only_the_owner_may(self):
        source = self.tree()
        os.utime(source / "run.sh", (0, 1_000_000_000))
        link = self.publish(self.daemon, source, "--times")["link"]
        for path, target, made in (("", "fetched", "fetched/run.sh"), ("/run.sh", "one", "one")):
            self.assert_done(self.daemon.run("fetch", link.replace("?", path + "?"), "-o",
                                             self.home / target))
            self.assertEqual((self.home / made).stat().st_mtime, 1_000_000_000)

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


GROUP, MEMBER, STRANGER = 29029, 29030, 29031
CONNECTIONS_MAX = 64


@unittest.skipUnless(can_sandbox(), "needs root, unshare and setpriv")
class SharedWithAGroup(harness.SystemTest):
    """The same node, which the users of a group use as if it were theirs."""

    def setUp(self):
        super().setUp()
        self.lab.path.chmod(SEEN_BY_NOBODY)
        self.lab.binary = pathlib.Path(shutil.copy(self.lab.binary, self.lab.path / "flow29"))
        self.swarm = self.lab.add_swarm(5)
        self.run_directory = self.lab.path / "run"
        self.run_directory.mkdir()
        self.socket = self.run_directory / "control.sock"
        self.daemon = self.lab.add_node(name="daemon", bootstrap=self.swarm[:1], start=False)
        self.daemon.data.mkdir(mode=0o700)
        for path in (self.daemon.data, self.run_directory):
            os.chown(path, NOBODY, NOBODY)
        self.daemon.prefix = as_user(NOBODY, GROUP)
        self.daemon.options += ["--control-group", str(GROUP), "--control-socket",
                                str(self.socket)]
        self.daemon.start()
        self.lab.wait_connected(self.daemon)
        self.home = self.home_of(MEMBER)

    def home_of(self, user):
        home = self.lab.path / f"home{user}"
        home.mkdir(mode=0o700)
        os.chown(home, user, user)
        return home

    def run_as(self, user, *args, groups=(GROUP,), **options):
        """A command of somebody who has no node."""
        environment = {"HOME": str(self.lab.path / f"home{user}"), "XDG_DATA_HOME": "",
                       "XDG_CONFIG_HOME": "", "FLOW29_SOCKET": str(self.socket)}
        return self.lab.run(*args, prefix=as_user(user, *groups), environment=environment,
                            **options)

    def member(self, *args, **options):
        return self.run_as(MEMBER, *args, **options)

    def give(self, path, content):
        path.write_bytes(content)
        path.chmod(0o600)
        os.chown(path, MEMBER, MEMBER)

    def test_a_member_publishes_and_fetches_what_is_its_own(self):
        status = self.assert_done(self.member("status"))
        self.assertEqual(status["node"], self.daemon.id)
        source = self.home / "source"
        self.give(source, os.urandom(2 << 20))
        link = self.assert_done(self.member("publish", source))["link"]
        target = self.home / "fetched"
        self.assert_done(self.member("fetch", link, "-o", target))
        self.assert_same(source, target)
        facts = os.stat(target)
        self.assertEqual((facts.st_uid, facts.st_gid), (MEMBER, MEMBER))

        tree = self.home / "tree"
        (tree / "inner").mkdir(parents=True, mode=0o700)
        for directory in (tree, tree / "inner"):
            os.chown(directory, MEMBER, MEMBER)
        self.give(tree / "inner" / "secret", os.urandom(300_000))
        link = self.assert_done(self.member("publish", tree))["link"]
        self.assert_done(self.member("fetch", link, "-o", self.home / "copy"))
        self.assert_same(tree / "inner" / "secret", self.home / "copy" / "inner" / "secret")

        spooled = self.assert_done(self.member("publish", "-", stdin=b"from a pipe"))
        self.assertEqual(self.member("cat", spooled["link"]).stdout, b"from a pipe")
        self.assert_done(self.member("rm", spooled["link"]))

    def test_a_member_reads_and_writes_nothing_that_is_not_its_own(self):
        hidden = self.lab.path / "hidden"
        hidden.mkdir(mode=0o700)
        os.chown(hidden, NOBODY, NOBODY)
        (hidden / "secret").write_bytes(b"secret")
        self.assert_error(self.member("publish", hidden / "secret"), harness.FILE_ERROR)
        self.assert_error(self.member("publish", hidden), harness.FILE_ERROR)
        link = self.publish(self.daemon, self.lab.file("noise", 1 << 20))["link"]
        self.assert_error(self.member("fetch", link, "-o", hidden / "fetched"),
                          harness.FILE_ERROR)
        self.assertEqual(os.listdir(hidden), ["secret"])
        # What the command line would not do.
        for request, descriptor, words in (
                ({"method": "publish", "params": {"path": str(hidden / "secret")}}, None,
                 "cannot be named"),
                ({"method": "fetch", "params": {"link": link, "path": str(hidden / "x")}}, None,
                 "cannot be named"),
                ({"method": "publish", "params": {"name": "all"}}, "/", "a file that it opened")):
            answer = self.ask_as(MEMBER, request, descriptor)
            self.assertEqual((answer["event"], answer["code"]), ("error", "refused"), answer)
            self.assertIn(words, answer["message"])

    def test_the_node_itself_is_its_owners(self):
        for command in (["leave"], ["limit", "--up", "2MiB"], ["log"], ["invite"],
                        ["block", self.swarm[0].id], ["unblock", self.swarm[0].id],
                        ["web", "--print"]):
            self.assert_error(self.member(*command), harness.REFUSED, "whose node it is")
        for command in (["limit"], ["block"], ["peers"], ["ls"], ["transfers"]):
            self.assert_done(self.member(*command))
        joined = self.member("join", "--new", as_json=False)
        self.assertIn("a node of your own, with its data in", joined.stderr)
        # Its owner's socket is no way in, nor are its files.
        self.assertNotEqual(self.member("--data", self.daemon.data, "status").exit, harness.OK)
        self.assert_done(self.daemon.run("limit", "--up", "off"))
        self.assertTrue(self.daemon.running)

    def test_somebody_else_is_not_let_in(self):
        self.home_of(STRANGER)
        facts = os.stat(self.socket)
        self.assertEqual((facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)),
                         (NOBODY, GROUP, 0o660))
        self.assertEqual(stat.S_IMODE(os.stat(self.daemon.data / "control.sock").st_mode), 0o600)
        self.assert_error(self.run_as(STRANGER, "status", groups=()), harness.NO_NODE,
                          "not in the group")
        # Nor can it look into the package's directory, and is told whom to ask nevertheless.
        os.chown(self.run_directory, NOBODY, GROUP)
        self.run_directory.chmod(0o750)
        self.assert_error(self.run_as(STRANGER, "status", groups=()), harness.NO_NODE,
                          f"not in the group that may, number {GROUP}")
        self.run_directory.chmod(0o755)
        # Who is let in does not hang on the file's mode alone.
        self.socket.chmod(0o666)
        self.assertNotEqual(self.run_as(STRANGER, "status", groups=(GROUP + 7,)).exit, harness.OK)
        self.assert_done(self.run_as(STRANGER, "status", groups=(4, GROUP, 24)))
        by_main_group = self.lab.run(
            "status", prefix=["setpriv", f"--reuid={STRANGER}", f"--regid={GROUP}",
                              "--clear-groups"],
            environment={"FLOW29_SOCKET": str(self.socket), "XDG_DATA_HOME": "",
                         "XDG_CONFIG_HOME": "", "HOME": str(self.lab.path / f"home{STRANGER}")})
        self.assert_done(by_main_group)

    def test_however_many_use_it_its_owner_reaches_it(self):
        holding = subprocess.Popen(
            [*as_user(MEMBER, GROUP), "python3", "-c", HOLD, str(self.socket),
             str(CONNECTIONS_MAX)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holding.kill)
        self.assertEqual(holding.stdout.readline(), "held\n")
        self.assert_done(self.daemon.run("status"))
        holding.communicate("")

    def ask_as(self, user, request, descriptor=None):
        """The last line that a program of the user's gets for a request."""
        asked = subprocess.run(
            [*as_user(user, GROUP), "python3", "-c", ASK, str(self.socket), json.dumps(request),
             descriptor or ""], capture_output=True, check=True, text=True, timeout=60)
        return json.loads(asked.stdout.splitlines()[-1])


ASK = """
import os, socket, sys
path, request, descriptor = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as channel:
    channel.connect(path)
    fds = [os.open(descriptor, os.O_RDONLY)] if descriptor else []
    socket.send_fds(channel, [request.encode() + b"\\n"], fds)
    while got := channel.recv(65536):
        sys.stdout.buffer.write(got)
"""

# As many as there may be in all. Those past the members' share are told so at once; the others wait.
HOLD = """
import select, socket, sys
held = {}
poll = select.poll()
for _ in range(int(sys.argv[2])):
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(sys.argv[1])
    held[channel.fileno()] = channel
    poll.register(channel, select.POLLIN)
told = poll.poll(60_000)
print("held" if told and b"too many" in held[told[0][0]].recv(4096) else "none is refused",
      flush=True)
sys.stdin.read()
"""


def as_user(user, *groups):
    """What runs a command as somebody who is in these groups besides their own."""
    others = [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    return ["setpriv", f"--reuid={user}", f"--regid={user}", *others, "--inh-caps=-all"]


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


if __name__ == "__main__":
    harness.main()
