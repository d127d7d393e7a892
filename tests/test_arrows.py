"""Imports point down only, seen by running Python and looking at what came along."""

import subprocess
import sys

import pytest

import path

TEAM = {"boto3", "botocore", "elasticsearch", "django", "obstore"}


def loaded(module):
    """The top-level and project modules that importing `module` brings along."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=path.ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def within(module, package):
    return {name for name in loaded(module) if name == package or name.startswith(f"{package}.")}


def modules_of(folder):
    files = sorted((path.ROOT / folder).glob("*.py"))
    return [f"{folder.replace('/', '.')}.{file.stem}" for file in files if file.stem[0] != "_"]


def test_driving_needs_nothing_of_the_database():
    assert loaded("get_data.run_manual") & TEAM == set()
    assert within("get_data.run_manual", "get_data.database") == set()


@pytest.mark.parametrize("module", ["upload_data", "upload_to_db", "search_and_download"])
def test_the_desk_needs_no_opencv_and_no_car(module):
    modules = loaded(f"get_data.{module}")
    assert "cv2" not in modules
    assert "numpy" not in modules
    assert within(f"get_data.{module}", "car") == set()


@pytest.mark.parametrize("module", modules_of("car"))
def test_the_car_knows_nothing_of_the_data(module):
    assert within(module, "get_data") == set()


@pytest.mark.parametrize("module", modules_of("get_data/labels"))
def test_labels_stand_on_the_ground(module):
    ours = {name for name in loaded(module) if name.startswith("get_data.")}
    ground = {"get_data.labels", "get_data.strict_json", "get_data.durable"}
    assert {name for name in ours if not name.startswith("get_data.labels.")} <= ground
    assert "cv2" not in loaded(module)


@pytest.mark.parametrize("module", modules_of("get_data/recording"))
def test_recording_knows_no_database_and_no_car(module):
    assert within(module, "get_data.database") | within(module, "car") == set()
    assert loaded(module) & TEAM == set()


@pytest.mark.parametrize("module", modules_of("get_data/database"))
def test_the_database_knows_no_recording_no_car_and_no_opencv(module):
    assert within(module, "get_data.recording") | within(module, "car") == set()
    assert "cv2" not in loaded(module)


@pytest.mark.parametrize("module", ["errors", "path"])
def test_the_ground_floor_imports_nothing_of_ours(module):
    ours = {name for name in loaded(module) if name.partition(".")[0] in ("car", "get_data")}
    assert ours == set()
