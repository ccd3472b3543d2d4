# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs flow29 as processes on this machine: nodes, and the commands that speak to them.

Everything lives below one temporary directory. Only processes started here are ever signalled, each
by its own id. Nothing of the user's own set-up is read: home and configuration are inside it too.
"""

import atexit
import contextlib
import ctypes
import errno
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent

# Upper bounds for things that normally take moments. They end a hang; nothing is measured by them.
READY_SECONDS = 60
COMMAND_SECONDS = 240
STOP_SECONDS = 30

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """A process did not do what it must."""


def find_binary():
    """The program to run: FLOW29_BINARY, else the release build."""
    path = pathlib.Path(os.environ.get("FLOW29_BINARY", REPOSITORY / "build" / "flow29"))
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not an executable; build it, or set FLOW29_BINARY")
    return path.resolve()


def written_bytes(path):
    """Bytes of a file that have been written: no holes, and no room that was only taken for it. 0 of
    a file that is not there."""
    total = end = 0
    try:
        with open(path, "rb") as file:
            while True:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                total += end - start
    except FileNotFoundError:
        return 0
    except OSError as nothing_more:
        if nothing_more.errno != errno.ENXIO:
            raise
        return total


def wait_until(condition, what, seconds=60.0, interval=0.1):
    """The first true value of `condition()`; LabError naming `what` when none comes."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(interval)


def die_with_parent():
    """A preexec_fn: the child is killed when the thread that started it ends, however that comes."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def tail(path, lines=25):
    """The last lines of a text file, or why there are none."""
    try:
        text = pathlib.Path(path).read_text(errors="replace").splitlines()
    except OSError as error:
        return f"({error})"
    return "\n".join(text[-lines:]) if text else "(empty)"


class Outcome:
    """How a command ended."""

    def __init__(self, args, exit_code, stdout, stderr):
        self.args = args
        self.exit = exit_code
        self.stdout = stdout  # bytes
        self.stderr = stderr  # str

    @property
    def events(self):
        """The JSON objects on standard output; LabError when anything else is there."""
        found = []
        for line in self.stdout.decode().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                raise LabError(f"not JSON on standard output of {self}: {line!r}") from None
        return found

    @property
    def result(self):
        """The last JSON object: "done" or "error"."""
        events = self.events
        return events[-1] if events else {}

    @property
    def stages(self):
        """The stages that progress lines named, in order, each once."""
        named = [event["stage"] for event in self.events if event.get("event") == "progress"]
        return list(dict.fromkeys(named))

    def __str__(self):
        return f"`flow29 {' '.join(map(str, self.args))}` (exit {self.exit})"

    def report(self):
        out = self.stdout[-2000:].decode(errors="replace")
        return f"{self}\n  stdout: {out.strip()}\n  stderr: {self.stderr.strip()[-2000:]}"


class NodeProcess:
    """One `flow29 node`. `start` returns when it says that it is ready."""

    def __init__(self, lab, name, address):
        self.lab = lab
        self.name = name
        self.address = address
        self.data = lab.path / name
        self.out_path = lab.path / f"{name}.out"
        self.err_path = lab.path / f"{name}.err"
        self.process = None
        self.ready = {}
        self.options = []
        self.prefix = []
        self.environment = {}

    def command(self):
        listen = ["--listen", self.address] if self.address else []
        return [*self.prefix, str(self.lab.binary), "--json", "-v", "--data", str(self.data), "node",
                *listen, *self.options]

    def launch(self):
        """Starts the process without waiting for it."""
        with open(self.out_path, "wb") as out, open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**self.lab.environment, **self.environment},
                start_new_session=self.lab.outlives,
                preexec_fn=None if self.lab.outlives else die_with_parent)

    def start(self):
        self.launch()
        self.ready = wait_until(self._ready_event, f"{self.name} to be ready", READY_SECONDS, 0.02)
        return self

    def _ready_event(self):
        for line in self.out_path.read_text(errors="replace").splitlines(keepends=True):
            if line.endswith("\n") and '"ready"' in line:
                return json.loads(line)
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended (exit {self.process.returncode}) before it was "
                           f"ready:\n{tail(self.out_path)}\n{tail(self.err_path)}")
        return None

    @property
    def pid(self):
        return self.process.pid

    @property
    def id(self):
        return self.ready["node"]

    @property
    def port(self):
        return self.ready["port"]

    @property
    def at(self):
        """HOST:PORT, for --bootstrap."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a power cut would end it."""
        if self.running:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self):
        """Asks it to end; its exit status, negative for a signal."""
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise LabError(f"{self.name} did not end within {STOP_SECONDS} s of SIGTERM:\n"
                               f"{tail(self.err_path)}") from None
        return self.process.returncode if self.process is not None else 0

    def run(self, *args, **options):
        """A command that speaks to this node."""
        return self.lab.run(*args, data=self.data, **options)

    def ask(self, *args, **options):
        """Like run, and the result; LabError unless it exits 0."""
        return self.lab.ask(*args, data=self.data, **options)

    def status(self):
        return self.ask("status")

    def proc_status(self, field):
        """A field of /proc/<pid>/status in bytes, such as VmHWM."""
        return proc_status(self.pid, field)

    def cpu_seconds(self):
        """User and system time so far, of all its threads."""
        return cpu_seconds(self.pid)


def cpu_seconds(pid, with_children=False):
    """User and system time of a process so far; of the children it waited for as well, if asked."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(map(int, fields[11:15 if with_children else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def proc_status(pid, field):
    """A field of /proc/<pid>/status in bytes, such as VmHWM."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def empty_files(path):
    """Gives back the room of all files below, but of those that have another name elsewhere."""
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                facts = os.lstat(file)
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
                    os.truncate(file, 0)


class Lab:
    """A temporary directory, the nodes in it, and commands run against them.

    As a context manager it stops its nodes and removes the directory, whatever happened, unless
    `keep` was set.
    """

    # Of those with a parent, which whoever made it removes in the end, only the content goes. Where
    # a file system has no journal, as ext4 may have none, new files are dear for minutes after many
    # were removed: each looks past the numbers of those. What is measured next is not to pay for it.
    parents_are_removed = False

    def __init__(self, prefix="flow29-", binary=None, outlives=False, parent=None, host=1):
        self.host = host  # the last octet of its nodes' addresses
        self.binary = pathlib.Path(binary) if binary else find_binary()
        self.outlives = outlives  # nodes may run on after this process
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self.stays = parent is not None and self.parents_are_removed
        self.nodes = []
        self.keep = False
        atexit.register(self.close)  # an interrupted test runner skips its clean-up
        self.environment = {
            key: value for key, value in os.environ.items()
            if not key.startswith("FLOW29_") and key != "XDG_RUNTIME_DIR"}
        home = self.path / "home"
        home.mkdir()
        self.environment.update(HOME=str(home), XDG_DATA_HOME=str(home / "data"),
                                XDG_CONFIG_HOME=str(home / "config"), NO_COLOR="1",
                                # Not the one that this machine may have.
                                FLOW29_SOCKET=str(home / "no-shared-node"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        atexit.unregister(self.close)
        if self.keep:
            return
        for node in self.nodes:
            node.kill()
        if self.stays:
            empty_files(self.path)
        else:
            shutil.rmtree(self.path, ignore_errors=True)

    def add_node(self, address=None, *, name=None, bootstrap=(), options=(), port=0, prefix=(),
                 environment=None, start=True):
        """A new node. Its address defaults to 127.0.k.1 (or another host) with k counted from 1; if
        that is empty, it listens on what it listens on by default."""
        k = len(self.nodes) + 1
        address = f"127.0.{k}.{self.host}" if address is None else address
        node = NodeProcess(self, name or f"node{k}", address)
        node.prefix = list(prefix)
        node.environment = dict(environment or {})
        node.options = ["--port", str(port), *options]
        for peer in bootstrap:
            node.options += ["--bootstrap", peer if isinstance(peer, str) else peer.at]
        self.nodes.append(node)
        if start:
            node.start()
        return node

    def add_swarm(self, count, *, options=(), options_of=None):
        """`count` storing nodes, each joined through the first, all connected to the DHT.

        `options_of` has further options for some of them, by their place counted from 0."""
        added = []
        for place in range(count):
            own = (options_of or {}).get(place, ())
            added.append(self.add_node(bootstrap=added[:1], options=[*options, *own]))
        if count > 1:
            for node in added:
                self.wait_connected(node)
        return added

    @staticmethod
    def wait_connected(node):
        wait_until(lambda: node.status()["dht"]["connected"], f"{node.name} to join the DHT")

    def run(self, *args, data=None, stdin=None, seconds=COMMAND_SECONDS, as_json=True,
            environment=None, cwd=None, prefix=()):
        """Runs a command to its end."""
        options = ["--json"] if as_json else []
        if data is not None:
            options += ["--data", str(data)]
        command = [*prefix, str(self.binary), *options, *map(str, args)]
        try:
            done = subprocess.run(
                command, input=stdin if stdin is not None else b"", capture_output=True,
                timeout=seconds, cwd=cwd or self.path, check=False,
                env={**self.environment, **(environment or {})}, preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired as hung:
            raise LabError(f"`flow29 {' '.join(map(str, args))}` did not end within {seconds} s; "
                           f"stdout: {(hung.stdout or b'')[-1500:]!r}; "
                           f"stderr: {(hung.stderr or b'')[-1500:]!r}") from None
        return Outcome(args, done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def ask(self, *args, **options):
        """Like run, and the result; LabError unless it exits 0."""
        outcome = self.run(*args, **options)
        if outcome.exit != 0:
            raise LabError(outcome.report())
        return outcome.result

    def start(self, *args, data=None, environment=None, as_json=True):
        """Starts a command and returns its Popen; whoever calls waits for it."""
        options = ["--json"] if as_json else []
        options += ["--data", str(data)] if data is not None else []
        return subprocess.Popen(
            [str(self.binary), *options, *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.path,
            env={**self.environment, **(environment or {})}, preexec_fn=die_with_parent)

    def file(self, name, size, seed=29):
        """A file of `size` bytes that do not repeat, the same ones for the same seed."""
        path = self.path / name
        write_noise(path, size, seed)
        return path

    def logs(self):
        """What the nodes wrote to standard error, the last lines of each."""
        parts = []
        for node in self.nodes:
            if node.process is None:
                continue
            state = "running" if node.running else f"exit {node.process.returncode}"
            parts.append(f"--- {node.name} {node.address} ({state})\n{tail(node.err_path)}")
        return "\n".join(parts)


def write_noise(path, size, seed=29):
    """Fills a file from a seeded generator, 1 MiB at a time."""
    import random
    generator = random.Random(seed)
    with open(path, "wb") as file:
        left = size
        while left > 0:
            part = min(left, 1 << 20)
            file.write(generator.randbytes(part))
            left -= part


def same_bytes(first, second):
    """Whether two files have the same content, compared byte for byte."""
    with open(first, "rb") as a, open(second, "rb") as b:
        while True:
            left, right = a.read(1 << 20), b.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def end_on_signals():
    """Lets SIGTERM and SIGHUP end the program as Ctrl-C does, so that everything is cleaned up."""
    def interrupt(number, _frame):
        raise KeyboardInterrupt(f"signal {number}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def exit_with(main, name):
    """Runs a program's main and exits with its status; what a lab could not do is said in a line."""
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def verdict(broken):
    """Says which bounds do not hold; the exit status of whoever measured them."""
    for line in broken:
        print(f"- does not hold: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit("lab.py is a library; see scripts/demo, scripts/bench and tests/system")
