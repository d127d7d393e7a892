"""Options, settings and folders that are refused before the motors are opened."""

import json

import pytest

import path
from common.errors import InputError
from get_data import run_manual
from get_data.cli import process
from get_data.labels import label_file, session
from get_data.recording import journal


@pytest.mark.parametrize("option", [[], ["--simulate"], ["--duration", "1"]])
def test_a_drive_needs_a_folder(option, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(option)
    assert caught.value.code == 2
    assert "-o" in capsys.readouterr().err


BAD_OPTIONS = [  # and what else the message contains
    (["--rate", "0"], ["0.1", "200"]),
    (["--rate", "nan"], ["0.1", "200"]),
    (["--rate", "1000"], ["0.1", "200"]),
    (["--duration", "-1"], ["above 0"]),
    (["--duration", "inf"], ["above 0"]),
    (["--resolution", "0x0"], ["WxH", "16", "4096"]),
    (["--resolution", "160"], ["WxH"]),
    (["--resolution", "axb"], ["WxH"]),
    (["--nb-dir", "0"], ["2", "99"]),
    (["--nb-dir", "1"], ["2", "99"]),
    (["--nb-dir", "1000"], ["2", "99"]),
    (["--nb-speed", "0"], ["1", "99"]),
    (["--max-throttle", "1.5"], ["0.01", "1"]),
    (["--sim-track", "gym"], ["school", "park"]),
    (["--seed", "-1"], ["0", "4294967295"]),
    (["--pilot", "x.json", "--rate", "5"], ["10"]),
]


@pytest.mark.parametrize(("options", "facts"), BAD_OPTIONS, ids=lambda value: str(value)[:30])
def test_wrong_options_are_refused_before_anything_is_created(tmp_path, options, facts, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), "--simulate", *options])
    assert caught.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert [fact for fact in [options[0], *facts] if fact not in message] == []
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize(
    "option", [["--sim-track", "park"], ["--seed", "0"], ["--pilot", "pilot.json"]]
)
def test_options_of_a_simulated_drive_are_refused_for_a_real_one(tmp_path, option, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), *option])
    assert caught.value.code == 2
    assert "--simulate" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", [[], ["--check"], ["--check-pad"]])
def test_a_broken_pad_map_is_refused_by_every_option(tmp_path, monkeypatch, call, option):
    conf = tmp_path / "hardware_conf.json"
    pad = {"map": "my_pad.json"}
    conf.write_text(json.dumps({**json.loads(path.HARDWARE_CONF.read_text()), "pad": pad}))
    (tmp_path / "my_pad.json").write_text("{")
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    code, out, err = call(run_manual, "-o", tmp_path / "drive", *option)
    assert (code, out) == (2, None)
    assert err.startswith(f"error: {tmp_path}/my_pad.json, line 1, column 2: not JSON")
    assert not (tmp_path / "drive").exists()


BROKEN_CONF = [
    ("{", "line 1, column 2: not JSON"),
    ('{"car": "x", "max_throttle": "fast", "jpeg_quality": 90}', "max_throttle: Expected float"),
    ('{"car": "x", "max_throttle": 2, "jpeg_quality": 90}', "max_throttle: Expected float <= 1"),
    ('{"car": "x", "max_throttle": 0.5}', "missing key jpeg_quality"),
    ('{"car": "x", "max_throtle": 1}', "unknown field max_throtle"),
]


@pytest.mark.parametrize(("content", "complaint"), BROKEN_CONF)
def test_a_broken_hardware_conf_is_reported_with_its_key(tmp_path, monkeypatch, content, complaint):
    conf = tmp_path / "hardware_conf.json"
    conf.write_text(content)
    monkeypatch.setattr(path, "HARDWARE_CONF", conf)
    with pytest.raises(InputError) as caught:
        run_manual.main(["-o", str(tmp_path / "drive"), "--simulate"])
    assert str(conf) in str(caught.value)
    assert complaint in str(caught.value)
    assert not (tmp_path / "drive").exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (session.NAME, '{"img_id": "x"}', "img_id: every label has a key of that name"),
        (session.NAME, "[", "not JSON"),
        (label_file.NAME, "{}", "has labels that were not recorded there"),
    ],
)
def test_a_folder_that_is_no_recording_is_refused(tmp_path, name, content, complaint, capsys):
    folder = tmp_path / "drive"
    folder.mkdir()
    (folder / name).write_text(content)
    code = process.run(lambda: run_manual.main(["-o", str(folder), "--simulate"]))
    output = capsys.readouterr()
    assert (code, output.out) == (2, "")
    assert complaint in output.err
    assert [file.name for file in folder.iterdir()] == [name]


@pytest.mark.parametrize("place", ["drive", "drive/monday"])
def test_a_file_in_place_of_the_folder_is_reported_before_the_motors_are_opened(
    tmp_path, call, no_motors, place
):
    (tmp_path / "drive").write_text("mine")
    code, _, err = call(run_manual, "-o", tmp_path / place, "--simulate")
    assert code == 2
    assert str(tmp_path / place) in err
    assert f"{tmp_path / 'drive'} is a file" in err
    assert (tmp_path / "drive").read_text() == "mine"


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_folder_in_use_by_another_drive_is_reported_before_the_motors_are_opened(
    tmp_path, monkeypatch, call, no_motors, option
):
    monkeypatch.setattr(journal, "LOCK_TIMEOUT_S", 0.1)
    with journal.folder_lock(tmp_path):
        code, _, err = call(run_manual, "-o", tmp_path, "--simulate", *option)
    assert code == 1
    assert "is being recorded into by another process" in err
    assert list(tmp_path.glob("*.json")) == []


def test_an_unreadable_folder_is_reported_before_the_motors_are_opened(
    tmp_path, monkeypatch, call, no_motors
):
    def refuses(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(journal, "acquire_lock", refuses)
    code, _, err = call(run_manual, "-o", tmp_path, "--simulate")
    assert code == 2
    assert str(tmp_path) in err
    assert "Permission denied" in err
