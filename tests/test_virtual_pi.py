"""What `make virtualpi` says when the virtual Pi cannot be had, or ends too early.

What runs in it: tests/environments/virtual_pi.
"""

import os
import subprocess
import sys
from pathlib import Path

import path
from tests.environments.virtual_pi import machine

TESTS = ("tests/test_prompts.py",)


def run(folder, *, programs, cache):
    """Run tests in a virtual Pi, with these shell scripts as the only programs."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    plugin = ("-p", "tests.environments.virtual_pi.running", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-q", *TESTS],
        cwd=path.ROOT,
        env=os.environ | {"PATH": str(folder), "PATATE_SERVER_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_missing_is_named_in_one_line(tmp_path):
    (tmp_path / "bin").mkdir()
    ended = run(tmp_path / "bin", programs={}, cache=tmp_path)
    assert ended.returncode == 4
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("ERROR: qemu-system-x86_64: is missing; cpio: is missing; git: is")
    assert "install it: sudo apt-get install apt cpio dpkg git qemu-system-x86 util-linux" in line


def test_tests_that_the_machine_does_not_report_have_failed(tmp_path):
    """QEMU is killed after its start."""
    image = tmp_path / machine.image_name()
    image.mkdir()
    for name in ("vmlinuz", "root.cpio"):
        (image / name).touch()
    (tmp_path / "bin").mkdir()
    programs = {
        "qemu-system-x86_64": 'case $1 in --version) exit;; esac; echo "out of memory"; kill -9 $$',
        "cpio": "exit",
    }
    for name in ("git", "sh", "find", "sort"):
        found = next(folder for folder in os.get_exec_path() if Path(folder, name).exists())
        (tmp_path / "bin" / name).symlink_to(Path(found, name))
    ended = run(tmp_path / "bin", programs=programs, cache=tmp_path)
    assert ended.returncode == 1
    assert "the virtual Pi ended before this test did:\nout of memory" in ended.stdout
    assert " passed" not in ended.stdout
