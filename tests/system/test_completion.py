# SPDX-License-Identifier: GPL-3.0-or-later
"""The completions do what they are for, in the shells themselves."""

import os
import pty
import select
import shutil
import subprocess
import unittest

import harness

# What is typed, what must be offered, and what must not.
CASES = (
    (["flow29", "tran"], {"transfers"}, {"publish"}),
    (["flow29", "transfers", ""], {"pause", "resume", "cancel"}, set()),
    (["flow29", "transfers", "pa"], {"pause"}, {"resume"}),
    (["flow29", "completion", ""], {"bash", "zsh", "fish"}, set()),
    (["flow29", "publish", "--pri"], {"--private"}, {"--port"}),
    (["flow29", "publish", "--wait", "a"], {"announced"}, {"copies"}),
    (["flow29", "publish", "hol"], {"holiday.mp4"}, set()),
    (["flow29", "node", "--boot"], {"--bootstrap"}, set()),
    (["flow29", "--data", "/tmp/x", "fe"], {"fetch"}, {"publish"}),
)


class Completions(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.where = self.lab.path / "where"
        self.where.mkdir()
        (self.where / "holiday.mp4").touch()

    def script(self, shell, name):
        path = self.lab.path / name
        path.write_bytes(self.lab.run("completion", shell, as_json=False).stdout)
        return path

    def check(self, offers):
        for words, wanted, unwanted in CASES:
            with self.subTest(words=words):
                offered = offers(words)
                self.assertLessEqual(wanted, set(offered), offered)
                self.assertFalse(unwanted & set(offered), offered)
                self.assertEqual(len(offered), len(set(offered)), "nothing is offered twice")

    def test_bash(self):
        script = self.script("bash", "flow29.bash")

        def offers(words):
            # As bash calls it: the words, and which of them the cursor is in.
            run = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flow29 flow29; ' \
                'printf "%s\\n" "${COMPREPLY[@]}"'
            out = subprocess.run(["bash", "--norc", "-c", run, "bash", script, *words], check=True,
                                 capture_output=True, text=True, cwd=self.where).stdout
            return out.split()
        self.check(offers)
        offered = offers(["flow29", "publish", "-"])
        self.assertEqual(offered.count("--help"), 1, offered)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        script = self.script("fish", "flow29.fish")

        def offers(words):
            line = " ".join(words)
            out = subprocess.run(
                ["fish", "--no-config", "-c", f"source {script}; complete -C'{line}'"], check=True,
                capture_output=True, text=True, cwd=self.where, env=self.lab.environment).stdout
            return [line.split("\t")[0] for line in out.splitlines()]
        self.check(offers)

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        functions = self.lab.path / "functions"
        functions.mkdir()
        self.script("zsh", "functions/_flow29")
        # It completes at a terminal only, so there is one; every match is put onto a line of its own.
        setup = self.lab.path / "setup.zsh"
        setup.write_text(
            f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -d {self.lab.path}/dump\n"
            "PROMPT='go> '; unsetopt zle_bracketed_paste 2>/dev/null; LISTMAX=1000\n"
            "zstyle ':completion:*' list-grouped no\n"
            "compadd() { local -a found; builtin compadd -O found \"$@\"; "
            "builtin compadd \"$@\"; print -l -- \"<${^found}>\" >> $OFFERS }\n")

        def offers(words):
            found = self.lab.path / "offers"
            found.unlink(missing_ok=True)
            found.touch()
            pid, terminal = pty.fork()
            if pid == 0:
                os.chdir(self.where)
                os.execvpe("zsh", ["zsh", "-f", "-i"],
                           {**self.lab.environment, "OFFERS": str(found), "TERM": "dumb"})
            try:
                os.write(terminal, f"source {setup}\n".encode())
                # Its prompt says that it, and not the terminal, reads what is typed.
                self.read_until(terminal, b"go> ")
                os.write(terminal, " ".join(words).encode() + b"\t")
                os.write(terminal, b"\x15print done\"\"it\n")  # the line is killed, then a mark
                self.read_until(terminal, b"doneit")
            finally:
                os.close(terminal)
                os.waitpid(pid, 0)
            return list(dict.fromkeys(line.strip("<>") for line in found.read_text().split()))
        self.check(offers)

    def read_until(self, terminal, mark):
        seen = b""
        while mark not in seen:
            self.assertTrue(select.select([terminal], [], [], 120)[0], seen)
            seen += os.read(terminal, 65536)


if __name__ == "__main__":
    harness.main()
