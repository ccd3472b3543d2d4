#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts the power of a file system under a node, again and again. See scripts/power-cuts."""

import argparse
import fcntl
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import lab

PROGRAM = lab.REPOSITORY / "build" / "tests" / "fault" / "fault_points"
CANNOT = 3
# _IOR('X', 125, __u32) of both file systems, and what is to become of their journal: its buffered
# part is written, or not even that. (0 would first write everything.)
SHUTDOWN = 0x8004587D
WITH_LOG, WITHOUT_LOG = 1, 2
IMAGE_BYTES = 512 << 20  # xfs takes no less than 300 MB
CUTS_PER_IMAGE = 10  # then a new one, so that young stores come often
WORK_SECONDS_MAX = 3.0
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}


class Cannot(Exception):
    """This machine does not allow it."""


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Cannot(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


class Disk:
    """A file system in a file, on a loop device of its own."""

    def __init__(self, kind, place):
        self.image, self.mounted = place / "image", place / "mounted"
        self.node = self.mounted / "node"
        self.device = None
        self.mounted.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_BYTES)
        run(*MAKE[kind], self.image)
        self.device = run("losetup", "--find", "--show", self.image)
        self.mount()
        self.node.mkdir()
        os.sync()
        self.unmount()

    def mount(self):
        run("mount", self.device, self.mounted)

    def cut(self, how):
        descriptor = os.open(self.mounted, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", how))
        except OSError as error:
            raise Cannot(f"shutting a file system down: {error}") from error
        finally:
            os.close(descriptor)

    def unmount(self):
        run("umount", self.mounted)
        # Else the next mount would be of what is shut down still.
        lab.wait_until(self._is_free, "nobody else to have the file system mounted", 60)

    def _is_free(self):
        try:
            os.close(os.open(self.device, os.O_RDWR | os.O_EXCL))
        except OSError:
            return False
        return True

    def close(self):
        if os.path.ismount(self.mounted):
            subprocess.run(["umount", "--lazy", self.mounted], check=False)
        if self.device is not None:
            subprocess.run(["losetup", "--detach", self.device], check=False)


class Cuts:
    def __init__(self, place, seed):
        self.place = place
        self.random = random.Random(seed)
        self.cuts = self.acknowledged = 0
        self.wrong = []

    def series(self, kind, count):
        """Cuts on one file system, one after the other."""
        place = pathlib.Path(tempfile.mkdtemp(dir=self.place))
        arena = place / "arena"  # not on what is cut
        disk = Disk(kind, place)
        try:
            for number in range(count):
                disk.mount()
                self._cut_one(disk, arena, f"{kind}, cut {number + 1} of {count}")
        finally:
            disk.close()
            shutil.rmtree(place, ignore_errors=True)

    def _cut_one(self, disk, arena, name):
        how = self.random.choice((WITH_LOG, WITHOUT_LOG, WITHOUT_LOG))
        after = self.random.uniform(0.0, WORK_SECONDS_MAX)
        errors = open(disk.image.parent / "errors", "wb")
        work = subprocess.Popen([PROGRAM, "work", disk.node, arena],
                                stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
                                preexec_fn=lab.die_with_parent)
        try:
            if work.stdout.readline() != "begun\n":  # it makes its swarm first
                raise lab.LabError("the node did not begin")
            time.sleep(after)
            # Stopped first, as a power cut stops everything at once: xfs calls the sync of a directory
            # done after it was shut down.
            os.killpg(work.pid, signal.SIGSTOP)
            disk.cut(how)
        finally:
            os.killpg(work.pid, signal.SIGKILL)
            said = work.communicate()[0]
        disk.unmount()
        disk.mount()
        checked = subprocess.run([PROGRAM, "check", disk.node, arena],
                                 capture_output=True, text=True, check=False)
        disk.unmount()
        self.cuts += 1
        errors.close()
        trouble = lab.tail(errors.name) + "\n" + said + checked.stdout + checked.stderr
        if checked.returncode != 0 or said:
            self.wrong.append(name)
            print(f"{name}, after {after:.3f} s, journal {how}:\n{trouble}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="scripts/power-cuts")
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--file-system", choices=sorted(MAKE))
    parser.add_argument("--directory", default=None, help="where the images lie")
    options = parser.parse_args()
    lab.end_on_signals()
    kinds = [options.file_system] if options.file_system else sorted(MAKE)
    print(f"{options.cuts} power cuts on {' and '.join(kinds)}, seed {options.seed}", flush=True)
    place = pathlib.Path(tempfile.mkdtemp(prefix="flow29-power-", dir=options.directory))
    cuts = Cuts(place, options.seed)
    try:
        left = options.cuts
        while left > 0:
            for kind in kinds:
                count = min(left, CUTS_PER_IMAGE)
                cuts.series(kind, count)
                left -= count
                print(f"  {cuts.cuts} cuts, {len(cuts.wrong)} with something lost or torn",
                      flush=True)
    except Cannot as error:
        print(f"scripts/power-cuts: this machine cannot do it: {error}", file=sys.stderr)
        return CANNOT
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"{cuts.cuts} power cuts, {len(cuts.wrong)} with something lost or torn")
    return 1 if cuts.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
