"""Imports point down only, seen by running Python and looking at what came along."""

import subprocess
import sys
from functools import cache

import pytest

import path
from tests.helpers.scripts import SCRIPTS

pytestmark = pytest.mark.new_interpreter  # they look at what is imported

TEAM = {"boto3", "botocore", "elastic_transport", "django", "obstore"}


@cache
def loaded(*modules):
    """The top-level and project modules that importing these brings along."""
    code = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=path.ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def within(package, modules):
    """Those of the modules that are that package's."""
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


def loaded_by(folder):
    """What the modules of a folder bring along, all together."""
    files = sorted((path.ROOT / folder).glob("*.py"))
    names = [f"{folder.replace('/', '.')}.{file.stem}" for file in files if file.stem[0] != "_"]
    assert names
    return loaded(*names)


def test_driving_needs_nothing_of_the_database():
    modules = loaded("get_data.commands.run_manual")
    assert modules & TEAM == set()
    assert within("get_data.database", modules) == set()
    assert within("get_data.quality", modules) == set()


def loaded_by_commands(*names):
    """What these scripts bring along once their options are read, all together."""
    return loaded(*(f"get_data.commands.{name}" for name in names))


def test_the_desk_needs_no_opencv_no_django_and_no_car():
    modules = loaded_by_commands(
        "upload_data", "upload_to_db", "search_and_download", "free_space", "export_set"
    )
    assert modules & {"cv2", "numpy", "pyarrow", "django"} == set()
    assert within("car", modules) == set()


def test_the_car_knows_nothing_of_the_data():
    assert within("get_data", loaded_by("car")) == set()


def test_labels_stand_on_the_ground():
    modules = loaded_by("get_data/labels")
    ground = {"get_data", "common.atomic_files", "common.links", "common.locks"}
    assert within("get_data", modules) - within("get_data.labels", modules) <= ground
    assert "cv2" not in modules


def test_recording_knows_no_database_and_no_car():
    modules = loaded_by("get_data/recording")
    assert within("get_data.database", modules) | within("car", modules) == set()
    assert modules & TEAM == set()


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ("get_data.recording.recorder", "get_data.recording.writer"),
        ("get_data.live.web_view", "get_data.live.view_server"),
        ("get_data.labelizer.model", "get_data.labelizer.model_process"),
    ],
)
def test_a_parent_does_not_import_its_child_process(parent, child):
    assert child not in loaded(parent)


def test_the_database_knows_no_recording_no_sets_no_car_and_no_opencv():
    modules = loaded_by("get_data/database")
    for other in ("get_data.recording", "get_data.sets", "car"):
        assert within(other, modules) == set()
    assert "cv2" not in modules


def test_the_quality_of_a_set_needs_labels_and_pictures_only():
    modules = loaded_by("get_data/quality")
    assert "cv2" in modules
    ours = within("get_data", modules)
    assert {name.split(".")[1] for name in ours if "." in name} == {"labels", "quality"}
    assert within("car", modules) | (modules & TEAM) == set()


def test_exports_need_labels_and_pictures_only():
    modules = loaded_by("get_data/sets/exporting")
    assert "pyarrow" in modules
    ours = within("get_data", modules)
    assert {name.split(".")[1] for name in ours if "." in name} == {"labels", "sets"}
    assert within("car", modules) | (modules & TEAM) == set()


def test_the_labelizer_knows_no_database_and_no_car():
    modules = loaded_by("get_data/labelizer") | loaded("get_data.commands.run_labelizer")
    assert "django" in modules
    assert within("get_data.database", modules) | within("car", modules) == set()
    assert modules & (TEAM - {"django"}) == set()
    recording = within("get_data.recording", modules)
    assert recording == {
        "get_data.recording",
        "get_data.recording.journal",
        "get_data.recording.merge",
    }


def test_progress_bars_are_loaded_where_one_is_shown():
    assert "tqdm" not in loaded_by_commands(*(file.stem for file in SCRIPTS))


def test_the_ground_floor_imports_nothing_of_ours():
    modules = loaded_by("common") | loaded("path")
    assert within("car", modules) | within("get_data", modules) == set()
