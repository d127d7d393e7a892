"""The locks: exact versions with hashes, within the ranges of the requirements files."""

import os
import re
import subprocess
import sys

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

import path

LOCKS = {
    "desk.txt": ["requirements.txt"],
    "pi.txt": ["requirements-pi.txt"],
    "dev.txt": [
        *("requirements.txt", "requirements-export.txt"),
        *("requirements-dev.txt", "requirements-lint.txt"),
    ],
}
PYTHONS = ["3.11", "3.12", "3.13"]


def requirements(text: str) -> list[Requirement]:
    lines = re.sub(r"\\\n\s*--hash=\S+|\s*--hash=\S+", "", text).splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line and line[0] not in "# "]


def applying(found: list[Requirement], python: str) -> dict[str, Requirement]:
    """Those for a Linux with that Python, by name."""
    environment = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "aarch64",
    }
    return {
        one.name.lower(): one for one in found if not one.marker or one.marker.evaluate(environment)
    }


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_every_requirement_within_its_range(lock, python):
    locked = applying(requirements((path.ROOT / "locks" / lock).read_text()), python)
    for file in LOCKS[lock]:
        for name, needed in applying(requirements((path.ROOT / file).read_text()), python).items():
            (pinned,) = locked[name].specifier
            assert pinned.operator == "=="
            assert pinned.version in needed.specifier, f"{name}: say make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_has_hashes(lock):
    text = (path.ROOT / "locks" / lock).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) >= 5
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "http" not in text  # whichever index it came from


@pytest.mark.parametrize("python", ["3.11", "3.13"], ids=["bookworm", "trixie"])
@pytest.mark.parametrize("lock", ["desk.txt", "pi.txt"])
def test_every_locked_version_has_a_wheel_for_a_64_bit_pi(lock, python):
    """The resolver asks the package index, without installing or building anything."""
    file = path.ROOT / "locks" / lock
    found = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--no-header", file),
            *("--only-binary", ":all:", "--python-platform", "aarch64-manylinux_2_36"),
            *("--python-version", python),
        ],
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode and "error sending request" in found.stderr and not os.environ.get("CI"):
        pytest.skip("no package index is reached")
    assert found.returncode == 0, found.stderr
    names = applying(requirements(file.read_text()), python)
    assert names.keys() <= applying(requirements(found.stdout), python).keys()
