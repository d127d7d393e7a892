"""The versions that the requirements promise are tested: the lowest and the newest."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement

import path
from tests.environments import versions

pytestmark = pytest.mark.new_interpreter


def run(tmp_path, *, ci):
    """Run the tests of all versions on a machine that has no Python to offer."""
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), **({"CI": "1"} if ci else {})}
    return subprocess.run(
        [sys.executable, "-m", "tests.environments.versions", "--collect-only"],
        cwd=path.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("ci", "code"), [(False, 0), (True, 1)])
def test_a_python_that_is_missing_is_named_with_its_remedy_and_fails_in_ci(tmp_path, ci, code):
    ran = run(tmp_path, ci=ci)
    assert ran.returncode == code, ran.stderr
    for environment in versions.ENVIRONMENTS:
        assert f"uv python install {environment.python}" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_python_of_pyenv_is_found_though_it_is_not_switched_on(tmp_path, monkeypatch):
    version = "{}.{}".format(*sys.version_info)
    folder = tmp_path / f"versions/{version}.0/bin"
    folder.mkdir(parents=True)
    (folder / f"python{version}").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert versions.find_python(version) == str(folder / f"python{version}")


def test_lowest_and_newest_are_tested_on_the_pythons_of_both_raspberry_pi_systems():
    tested = {one.resolution: one.python for one in versions.ENVIRONMENTS}
    assert tested == {"lowest-direct": "3.11", "highest": "3.13"}


def test_every_requirements_file_is_tested():
    """Except for lint's, which no test needs."""
    there = {file.name for file in path.ROOT.glob("requirements*.txt")}
    assert set(versions.REQUIREMENTS) == there - {"requirements-lint.txt"}


def test_every_requirement_has_a_lowest_version():
    """Without one, the lowest would be the first that was ever published."""
    for name in versions.REQUIREMENTS:
        for line in (path.ROOT / name).read_text().splitlines():
            if line and not line.startswith("#"):
                bounds = Requirement(line).specifier
                assert any(one.operator in (">=", "==") for one in bounds), line


def test_ci_runs_all_tests_and_then_those_of_all_versions():
    lines = (path.ROOT / ".ci/run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make ")] == ["make test", "make versions"]
