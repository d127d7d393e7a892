"""What `make virtualpi ARCH=arm64` would do: which commands of the page it runs, which tests, and
when a count of instructions is wrong.
"""

import os
import re
import subprocess

import pytest

import path
from tests.environments.arm64 import costs, documented, what_a_pi_runs
from tests.environments.arm64.costs import Cost

PAGE = documented.PAGE.read_text()


def command(text):
    (found,) = documented.commands(f"```sh\n{text}\n```\n")
    return found


def test_every_command_of_the_page_runs_or_is_skipped_by_name():
    found = list(documented.commands(PAGE))
    assert documented.unused_names(PAGE) == []
    assert len({one.documented for one in found}) == len(found)
    for one in found:
        assert bool(one.text) != bool(one.reason), one
    run = [one.documented for one in found if one.text]
    for needed in (
        "sudo apt update && sudo apt full-upgrade -y",
        "python3 -m venv --system-site-packages .venv",
        ".venv/bin/pip install -r requirements-pi.txt",
        ".venv/bin/pip install -r requirements-pi.txt -r requirements.txt",
    ):
        assert needed in run
    assert any("--simulate" in one and "run_manual.py" in one for one in run)


def test_each_block_of_the_page_says_what_it_is():
    """Only then it is known which are commands."""
    opened = re.findall(r"(?m)^```(\w*)$", PAGE)[::2]
    assert set(opened) == {"sh", "ini", "json", "text"}
    assert not re.findall(r"(?m)^    \S", re.sub(r"(?ms)^```.*?^```$", "", PAGE))


def test_a_name_that_the_page_no_longer_has_is_told():
    without = PAGE.replace("sudo usermod", "sudo adduser").replace("python3-rpi.gpio", "")
    assert documented.unused_names(without) == ["sudo usermod", "python3-rpi.gpio"]


@pytest.mark.parametrize(
    ("text", "run", "reason"),
    [
        ("sudo apt install -y git python3-picamera2", "sudo apt install -y git python3-numpy", ""),
        ("sudo apt install -y python3-rpi-lgpio", "", "only Raspberry Pi OS"),
        ("sudo apt install python3-unknown", "sudo apt install python3-unknown", ""),
        (
            "sudo apt install -y dkms linux-headers-rpi-$(uname -r | sed 's/.*-//') curl",
            "sudo apt install -y dkms curl --simulate",
            "",
        ),
        ("sudo reboot", "", "booted"),
        ("nothing-known --of this  # a comment", "nothing-known --of this", ""),
    ],
)
def test_packages_of_raspberry_pi_os_are_left_out_and_the_rest_runs(text, run, reason):
    found = command(text)
    assert found.text == run
    assert reason in found.reason
    assert bool(found.reason) == bool(reason)


def test_a_command_of_the_page_runs_in_a_shell_that_fails_with_it():
    for text, code in (("false | true", 1), ("true && exit 3", 3), ("printf a | cat", 0)):
        ran = subprocess.run(documented.shell(text), capture_output=True, check=False)
        assert ran.returncode == code


def test_the_tests_of_a_pi_are_those_of_driving_and_recording():
    files = {str(file.relative_to(what_a_pi_runs.TESTS)) for file in what_a_pi_runs.test_files()}
    assert {
        "test_drive.py",
        "test_guard.py",
        "simulator/test_track.py",
        "pad/test_ranges.py",
    } <= files
    assert not {"labelizer/test_shifting.py", "model/test_interleaving.py"} & files
    assert len(files) > 40


FIGURES = """\
## What a picture costs a Pi

| thousands of instructions | bookworm, Python 3.11 | trixie, Python 3.13 |
|---|---|---|
| control tick, drive | 100 | 90 |
| picture, writer | 2,000.5 | not measured |

## Another

| a | bookworm |
|---|---|
| b | 1 |
"""


def test_the_figures_of_a_system_are_read_from_its_column():
    assert costs.read_figures(FIGURES, "bookworm") == {
        "control tick, drive": 100_000,
        "picture, writer": 2_000_500,
    }
    assert costs.read_figures(FIGURES, "trixie") == {"control tick, drive": 90_000}
    assert costs.read_figures(FIGURES, "forky") == {}


def test_every_count_has_a_figure():
    parts = {"ticks": ("drive", "guard"), "pictures": ("drive", "writer")}
    names = {Cost(kind, part, 0).name for kind in parts for part in parts[kind]}
    for system in ("bookworm", "trixie"):
        figures = costs.read_figures(costs.FIGURES.read_text(), system)
        assert set(figures) == names or (system, figures) == ("trixie", {})


@pytest.mark.parametrize(
    ("thousands", "wrong"),
    [(100, False), (104.9, False), (95.1, False), (105.1, True), (94.9, True)],
)
def test_a_count_more_than_5_percent_away_is_wrong_in_either_direction(thousands, wrong):
    found = costs.compare([Cost("ticks", "drive", thousands * 1000)], {"control tick, drive": 1e5})
    assert bool(found) == wrong
    assert all("control tick, drive" in line for line in found)


def test_a_count_without_a_figure_is_wrong():
    assert "no figure" in costs.compare([Cost("pictures", "writer", 1.0)], {})[0]


def test_another_architecture_than_arm64_is_a_usage_error():
    script = path.ROOT / "tests/environments/fresh_machine.sh"
    ran = subprocess.run(
        ["sh", str(script), "bookworm", "true"],
        env=os.environ | {"PATATE_FRESH_ARCH": "riscv64"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "riscv64" in ran.stderr
