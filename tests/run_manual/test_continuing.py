"""Drives into a folder that already has a recording."""

import json
import shutil
from pathlib import Path

import pytest

import path
from get_data import run_manual
from get_data.labels import label_file, session
from get_data.labels.constants import SESSION_KEYS
from get_data.labels.ids import fingerprint
from get_data.recording import journal
from tests.conftest import document, save
from tests.helpers import unhurried
from tests.helpers.recordings import assert_whole, interrupted_recording
from tests.run_manual.drives import record_briefly


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Return the folder of a drive, for tests that copy it."""
    folder = tmp_path_factory.mktemp("recording") / "drive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATATE_HOME", str(tmp_path_factory.mktemp("recording home")))
        unhurried.drives(patch, tmp_path_factory.mktemp("recording unhurried"))
        assert run_manual.main(["-o", str(folder), "--simulate", "--duration", "0.2"]) == 0
    return folder


@pytest.fixture
def recorded(recording, tmp_path):
    """Return a folder with a drive."""
    return Path(shutil.copytree(recording, tmp_path / "drive"))


def contents(folder):
    """Return the files of a folder, with what they hold."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_the_same_folder_is_continued_and_its_session_kept(tmp_path, call):
    folder = tmp_path / "drive"
    _, counts, err = record_briefly(call, folder, "--driver", "Zoé")
    drives = [counts["session_id"]]
    assert drives[0] in err
    first = label_file.read(folder / label_file.NAME)
    code, counts, err = record_briefly(call, folder)
    assert code == 0, err
    drives.append(counts["session_id"])
    labels = assert_whole(folder)
    assert labels.keys() > first.keys()
    assert {label["driver"] for label in labels.values()} == {"Zoé"}
    assert max(first) < min(labels.keys() - first.keys())
    assert sorted({label["session_id"] for label in labels.values()}) == sorted(set(drives))
    assert len(set(drives)) == 2


@pytest.mark.parametrize("key", SESSION_KEYS)
def test_an_option_that_contradicts_the_template_is_refused_before_the_drive(
    tmp_path, call, no_motors, key
):
    folder = tmp_path / "drive"
    folder.mkdir()
    template = folder / session.NAME
    session.write(template, {key: "this", "tyres": 4})
    before = contents(folder)
    code, out, err = record_briefly(call, folder, f"--{key.replace('_', '-')}", "that")
    assert (code, out) == (2, None)
    for fact in (str(template), key, "'this'", "'that'"):
        assert fact in err
    assert contents(folder) == before


def test_an_option_fills_an_empty_field_of_the_template(tmp_path, call):
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / session.NAME).write_text('{"event": "", "driver": "Zoe\\u0301", "tyres": 4}')
    code, _, err = record_briefly(call, folder, "--event", "race", "--driver", "Zo\u00e9")
    assert code == 0, err
    assert "warning" not in err
    kept = session.read(folder / session.NAME)
    assert (kept["event"], kept["tyres"]) == ("race", 4)
    labels = assert_whole(folder).values()
    assert {(label["event"], label["tyres"]) for label in labels} == {("race", 4)}


def test_earlier_pictures_without_a_field_given_now_are_reported(recorded, call):
    code, _, err = record_briefly(call, recorded, "--event", "race")
    assert code == 0
    assert f"{recorded}: earlier pictures do not have event" in err
    events = {label["event"] for label in assert_whole(recorded).values()}
    assert events == {"", "race"}


OTHER_SETTINGS = {
    "nb_dir": ["--nb-dir", "3"],
    "nb_speed": ["--nb-speed", "1"],
    "max_throttle": ["--max-throttle", "0.31"],
    "resolution": ["--resolution", "64x48"],
}


@pytest.mark.parametrize("option", [[], ["--check"]], ids=["drive", "check"])
@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_a_folder_is_not_continued_with_other_settings(recorded, call, no_motors, name, option):
    before = contents(recorded)
    code, out, err = record_briefly(call, recorded, *OTHER_SETTINGS[name], *option)
    assert (code, out) == (2, None)
    assert str(recorded) in err
    assert name in err
    assert "another folder" in err
    assert contents(recorded) == before


@pytest.mark.parametrize("where", [label_file.NAME, journal.NAME, f"{journal.ERASED}/labels.json"])
def test_classes_of_erased_and_unrepaired_labels_are_compared_too(tmp_path, call, no_motors, where):
    label = document(0)
    label["label"]["nb_dir"] = 7
    del label["label"]["steering"]  # which would be in another class
    label["label_fingerprint"] = fingerprint(label["img_id"], label["label"])
    folder = interrupted_recording(tmp_path / "drive", [label])
    session.write(folder / session.NAME, {})
    if where != journal.NAME:
        (folder / journal.NAME).unlink()
        (folder / where).parent.mkdir(exist_ok=True)
        label_file.write(folder / where, {label["img_id"]: label})
    code, _, err = record_briefly(call, folder)
    assert code == 2
    assert "nb_dir 7" in err
    assert "nb_dir 5" in err


def test_a_simulated_drive_is_not_mixed_with_real_pictures(tmp_path, call, no_motors):
    folder = save(tmp_path / "drive", [document(0)])
    labels = label_file.read(folder / label_file.NAME)
    for label in labels.values():
        label["car_setting"]["run"] = {"simulated": False}
    label_file.write(folder / label_file.NAME, labels)
    code, _, err = record_briefly(call, folder)
    assert code == 2
    assert "simulated false" in err


def test_another_rate_and_another_car_are_reported(tmp_path, recorded, call, monkeypatch):
    conf = json.loads(path.HARDWARE_CONF.read_text()) | {"car": "another"}
    monkeypatch.setattr(path, "HARDWARE_CONF", tmp_path / "conf.json")
    path.HARDWARE_CONF.write_text(json.dumps(conf))
    code, _, err = record_briefly(call, recorded, "--rate", "10")
    assert code == 0
    assert "rate_hz 20.0, this drive has rate_hz 10.0" in err
    assert "this drive has car another" in err


def test_an_interrupted_recording_is_repaired_with_a_message_and_continued(tmp_path, capsys):
    folder = interrupted_recording(tmp_path / "drive", [document(0)], torn=b"torn")
    session.write(folder / session.NAME, {})
    run_manual.main(["-o", str(folder), "--simulate", "--duration", "0.3"])
    output = capsys.readouterr()
    assert f"{folder}: repaired an interrupted recording: 1 label kept" in output.err
    assert "this line of the journal is torn" in output.err
    labels = assert_whole(folder)
    assert len(labels) == json.loads(output.out)["pictures"] + 1
    assert document(0)["img_id"] in labels
