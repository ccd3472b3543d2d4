# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs what a document shows: its commands in one shell, and their output beside what is written.

In a Markdown file, a block marked `sh` is run, and the block marked `text` that follows it, if one does,
is what it printed. Blocks marked otherwise are only read. All commands run in one bash in a temporary
directory, with a home of its own, so that one goes on where the other stopped.

What differs from run to run (hashes, keys, sizes, times, ports) is compared by its shape; a line that is
only an ellipsis stands for any lines. The document's ports are those that a node has by itself; here they
are others, which are free.

    python3 scripts/lib/tutorial.py docs/tutorial.md            says what differs
    python3 scripts/lib/tutorial.py --write docs/tutorial.md    writes what was printed into it
"""

import contextlib
import difflib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys

import lab

STEP_SECONDS = 200  # ends a hang; nothing is measured by it
PORTS = (2929, 2930, 2931)  # of a node, its page and its gateway
SHOWN_PLACE = "/home/you/flow"  # where the commands seem to run
ANY_LINES = "…"
OPTIONAL = "clock "  # begins a line that is there only when clocks differ

# What a word stands for, the first that fits. Numbers come last.
SHAPES = (
    (r"\x1b\[[0-9;]*[A-Za-z]", ""),
    (r"^reach .*", "reach WORDS"),  # whether another node has dialled it by then
    (r"#k=[a-z2-7]+", "#k=KEY"),
    (r"\b[a-z2-7]{52}\b", "ROOT"),
    (r"\bflow29i:[a-z2-7]+", "flow29i:WORD"),
    (r"\b[0-9a-f]{12,64}\b", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?", "TIME"),
    (r"\b\d+(\.\d+)? (B|[KMGT]iB)(/s)?", "SIZE"),
    (r"\b\d+(\.\d+)? (ms|s|min|h)\b( \d+ (s|min|h)\b)?", "DURATION"),
    (r"\d+(\.\d+)?", "N"),
    (r"\b(node|peer|extent|record|address group|holder|copie|copy)s?\b", r"\1"),
    (r"\s+", " "),
)


class Block:
    """Commands, and where what they print stands, as a slice of the document's lines."""

    def __init__(self, first_line, commands):
        self.first_line = first_line
        self.commands = commands
        self.output = None
        self.place = None


def blocks_of(text):
    """The blocks to be run, in order."""
    found = []
    kind = None
    begin = 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if kind is None and line.startswith("```"):
            kind, begin = line[3:].strip(), number + 1
        elif kind is not None and line == "```":
            content = lines[begin:number]
            if kind == "sh":
                found.append(Block(begin + 1, "\n".join(content)))
            elif kind == "text" and found and found[-1].output is None:
                found[-1].output, found[-1].place = content, (begin, number)
            kind = None
    return found


def shape_of(line):
    for pattern, word in SHAPES:
        line = re.sub(pattern, word, line)
    return line.strip()


def difference(written, printed):
    """What differs in shape between two lists of lines; empty when nothing does."""
    wanted, got = ([shape_of(line) for line in lines if not line.startswith(OPTIONAL)]
                   for lines in (written, printed))
    at = 0
    for number, line in enumerate(wanted):
        if line == ANY_LINES:
            rest = [other for other in wanted[number + 1:] if other != ANY_LINES]
            if not rest:
                return ""
            while at < len(got) and got[at] != rest[0]:
                at += 1
            continue
        if at >= len(got) or got[at] != line:
            break
        at += 1
    else:
        if at == len(got):
            return ""
    return "\n".join(difflib.unified_diff(wanted, got, "written", "printed", lineterm=""))


def free_ports(count):
    """Numbers that nobody uses on loopback now, as long as those that they are shown as: columns stay
    in line."""
    sockets = []
    while len(sockets) < count:
        with contextlib.suppress(OSError):
            sockets.append(socket.create_server(("127.0.0.1", random.randrange(3000, 10000))))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Shell:
    """A bash that is told one block after the other. What it started ends with it."""

    END = "flow29-end-of-block"

    def __init__(self, place):
        self.ports = free_ports(len(PORTS))
        environment = dict(place.environment)
        config = place.path / "home" / "config" / "flow29"
        config.mkdir(parents=True)
        node, page, gateway = self.ports
        (config / "config.toml").write_text(
            f'port = {node}\nweb = "127.0.0.1:{page}"\ngateway = "127.0.0.1:{gateway}"\n')
        environment["PATH"] = f"{place.binary.parent}:{environment['PATH']}"
        self.where = place.path / "work"
        self.where.mkdir()
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-O", "expand_aliases"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=self.where, env=environment, text=True, start_new_session=True,
            preexec_fn=lab.die_with_parent)

    def substitute(self, text, back=False):
        for own, other in zip(PORTS, self.ports):
            first, second = (other, own) if back else (own, other)
            text = re.sub(rf"\b{first}\b", str(second), text)
        return text.replace(str(self.where), SHOWN_PLACE) if back else text

    @staticmethod
    def _too_long(_number, _frame):
        raise lab.LabError(f"a block of commands did not end within {STEP_SECONDS} s")

    def run(self, commands):
        """The exit status of the last command, and the lines that were printed."""
        self.process.stdin.write(f"{self.substitute(commands)}\necho \"{self.END} $?\"\n")
        self.process.stdin.flush()
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(STEP_SECONDS)
        printed = []
        try:
            for line in self.process.stdout:
                if line.startswith(self.END):
                    return int(line.split()[1]), printed
                printed.append(self.substitute(line.rstrip("\n"), back=True))
        finally:
            signal.alarm(0)
        raise lab.LabError(f"the shell ended within:\n{commands}\n" + "\n".join(printed))

    def close(self):
        """Ends the shell and what it started, which is all in its session."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        self.process.stdin.close()
        self.process.stdout.close()


def run(document, tell=None):
    """Runs the document; for each block, itself, the exit status and what it printed."""
    results = []
    with lab.Lab("flow29-tutorial-") as place:
        shell = Shell(place)
        try:
            for block in blocks_of(pathlib.Path(document).read_text()):
                if tell:
                    tell(block)
                results.append((block, *shell.run(block.commands)))
        finally:
            shell.close()
    return results


def write(document, results):
    """Puts what was printed into the document; blocks with an ellipsis are left as they are."""
    lines = pathlib.Path(document).read_text().splitlines()
    for block, _, printed in reversed(results):
        if block.place and ANY_LINES not in block.output:
            lines[block.place[0]:block.place[1]] = printed
    pathlib.Path(document).write_text("\n".join(lines) + "\n")


def main(arguments):
    wants_write = arguments[:1] == ["--write"]
    [document] = arguments[1:] if wants_write else arguments
    results = run(document, lambda block: print(block.commands, flush=True))
    failed = False
    for block, status, printed in results:
        differs = difference(block.output, printed) if block.output is not None else ""
        if status != 0 or (differs and not wants_write):
            failed = True
            print(f"line {block.first_line}, exit {status}:\n{block.commands}\n{differs}\n" +
                  "\n".join(printed))
    if wants_write and not failed:
        write(document, results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
