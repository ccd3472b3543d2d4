# SPDX-License-Identifier: GPL-3.0-or-later
"""What `meson install` puts in place works from there: the program, the library, the examples."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import harness

BUILD = Path(os.environ["FLOW29_BUILD"])
SOURCE = Path(os.environ["FLOW29_SOURCE"])


def output_of(*command, **options):
    return subprocess.run(command, capture_output=True, check=True, text=True, **options).stdout


class Packages(harness.SystemTest):
    def test_who_waits_for_packages_is_told_that_it_takes_a_while(self):
        programs = self.lab.path / "programs"
        programs.mkdir()
        for name, text in {"apt-get": "exit 0", "dpkg-query": "exit 1",
                           "sudo": 'shift; exec "$@"'}.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        out = output_of(SOURCE / "scripts/install-deps", "build",
                        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"})
        self.assertRegex(out, r"^installing \d+ packages, which takes some minutes: .*libasio-dev")


@unittest.skipUnless(shutil.which("doxygen"), "there is no Doxygen here")
class Reference(harness.SystemTest):
    def test_it_is_made_of_the_headers(self):
        made = output_of(SOURCE / "scripts/reference", self.lab.path).splitlines()[-1]
        self.assertIn("The library", Path(made).read_text())
        pages = {page.name for page in Path(made).parent.iterdir()}
        for name in ("classflow29_1_1Node.html", "structflow29_1_1FetchRequest.html", "flow29_8h.html"):
            self.assertIn(name, pages)


class Installed(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.root = self.lab.path / "installed"
        output_of("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", self.root)
        pc = next(self.root.rglob("flow29.pc"))
        self.libraries = pc.parents[1]
        # Where it was put is not where it was configured to be.
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent),
                            "PKG_CONFIG_SYSROOT_DIR": str(self.root),
                            "LD_LIBRARY_PATH": str(self.libraries),
                            "TMPDIR": str(self.lab.path)}

    def compiled(self, name, *compiler):
        flags = output_of("pkg-config", "--cflags", "--libs", "flow29", env=self.environment)
        program = self.lab.path / Path(name).stem
        output_of(*compiler, SOURCE / "docs/examples" / name, "-o", program, *flags.split())
        return program

    def test_the_example_in_cpp(self):
        self.assertLess(len((SOURCE / "docs/examples/embed.cpp").read_text().splitlines()), 60)
        program = self.compiled("embed.cpp", "c++", "-std=c++20", "-Wall", "-Wextra", "-Werror")
        path = self.lab.file("noise", 3_000_000)
        copy = self.lab.path / "copy"
        out = output_of(program, path, copy, env=self.environment, timeout=120)
        self.assertIn("flow29:", out)
        self.assertIn("3000000 bytes", out)
        self.assert_same(path, copy)

    def test_the_example_in_c(self):
        program = self.compiled("embed.c", "cc", "-std=c17", "-Wall", "-Wextra", "-Werror",
                                "-pedantic")
        path = self.lab.file("noise", 3_000_000)
        data = self.lab.path / "nodes"
        data.mkdir()
        ran = subprocess.run([program, path, data], capture_output=True, check=True, timeout=120,
                             env=self.environment)
        self.assertEqual(ran.stdout, path.read_bytes())
        self.assertIn(b"#k=", ran.stderr)

    def test_the_library_shows_its_interface_and_nothing_else(self):
        library = next(self.libraries.glob("libflow29.so"))
        names = output_of("nm", "-DC", "--defined-only", library).splitlines()
        shown = [line.split(" ", 2)[2] for line in names]
        self.assertIn("flow29_publish", shown)
        inner = ("flow29::core::", "flow29::node::", "flow29::net::", "asio::", "fmt::")
        self.assertEqual([name for name in shown if name.startswith(inner)], [])

    def test_what_else_is_installed(self):
        def installed(pattern):
            return next(self.root.rglob(pattern), None)

        version = output_of(installed("bin/flow29"), "version")
        self.assertIn("0.1.0", version)
        for pattern in ("flow29.service", "user/flow29.service", "flow29.desktop",
                        "sysusers.d/flow29.conf",
                        "bash-completion/completions/flow29", "site-functions/_flow29",
                        "vendor_completions.d/flow29.fish"):
            self.assertIsNotNone(installed(pattern), pattern)
        if shutil.which("scdoc"):
            page = installed("man1/flow29.1").read_text()
            for words in (".SH NAME", "publish", "\\-\\-private"):
                self.assertIn(words, page.replace("--", "\\-\\-"))
        if shutil.which("systemd-analyze"):
            unit = installed("system/flow29.service")
            text = unit.read_text().replace("/usr/local/bin/flow29", "/bin/true")
            checked = self.lab.path / "flow29.service"
            checked.write_text(text)
            output_of("systemd-analyze", "verify", checked)


if __name__ == "__main__":
    harness.main()
