"""The search for labels that look wrong: a process of its own, which the server survives."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import path
from get_data.labelizer import model
from get_data.labelizer.model import MIN_PICTURES, Model
from get_data.labels import label_file
from get_data.quality.samples import Samples, from_labels
from tests.browser.drives import document, drive, img_id, picture
from tests.browser.server import running
from tests.helpers.waiting import wait_until
from tests.labelizer.helpers import edit_label_file, read_folder

COUNT = MIN_PICTURES + 10


def reply_of(judge):
    """The reply of a model that has come to an end."""
    judge.start()
    wait_until(lambda: json.loads(judge.reply)["status"] != "computing")
    judge.close()
    return json.loads(judge.reply)


def break_some(folder):
    """Make a picture broken, another missing, and two labels invalid; one is from a person."""
    (folder / f"{img_id(4)}.jpg").write_bytes(b"no picture")
    (folder / f"{img_id(5)}.jpg").unlink()

    def edit(labels):
        labels[7]["label"]["label_direction"] = "2"
        labels[8]["label"] = None
        labels[9]["file_name"] = "../x.jpg"

    edit_label_file(folder, edit)


def test_the_labels_of_the_file_are_judged_whatever_is_wrong_with_some(tmp_path):
    folder = drive(tmp_path / "drive", COUNT)
    break_some(folder)
    reply = reply_of(Model(read_folder(folder)))
    assert reply["status"] == "ready", reply
    assert set(range(COUNT)) - set(reply["positions"]) <= {7, 8, 9}
    assert sorted(reply["order"]) == reply["positions"]
    assert len(reply["score"]) == len(reply["predicted"]) == len(reply["positions"])
    known = dict(zip(reply["positions"], reply["predicted"], strict=True))
    assert known[4] is None
    assert known[5] is None
    assert all(first <= last for first, last in reply["clips"])


def test_a_few_labels_are_not_judged(folder):
    judge = Model(read_folder(folder))
    judge.start()
    assert json.loads(judge.reply)["status"] == "none"
    judge.close()


def test_a_search_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_PROCESS", "get_data.labelizer.no_such_module")
    reply = reply_of(Model(read_folder(drive(tmp_path / "drive", COUNT))))
    assert reply["status"] == "failed"
    assert "no_such_module" in reply["message"]


def test_a_search_that_finds_no_folder_says_so(tmp_path):
    """The reason is the process's own, not that of its end."""
    folder = drive(tmp_path / "drive", COUNT)
    judge = Model(read_folder(folder))
    folder.rename(tmp_path / "moved")
    reply = reply_of(judge)
    assert reply["status"] == "failed"
    assert f"{folder} cannot be read" in reply["message"]


def test_samples_are_those_of_the_label_file(tmp_path):
    """In the order and with the values of a reader of the file, also for two drives at once."""
    folder = drive(tmp_path / "drive", 12)
    labels = label_file.read(folder / label_file.NAME)
    for number in range(30, 50):
        content = picture(number)
        label = document(number % 15 + 0.5, content, driver="Ada", comment="at once")
        label["label"].pop("steering")
        labels[label["img_id"]] = label
        (folder / label["file_name"]).write_bytes(content)
    label_file.write(folder / label_file.NAME, labels)
    catalogue = read_folder(folder)
    samples = model.read_samples(catalogue, model.find_judged(catalogue))
    expected = from_labels(label_file.read(folder / label_file.NAME))
    for field in fields(Samples):
        values, right = getattr(samples, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(values, right, field.name)
    assert samples.drive.max() == 1


def test_the_end_of_the_server_ends_the_search(tmp_path):
    """Closed or killed, no process of it stays."""
    folder = drive(tmp_path / "drive", COUNT)
    with running(folder) as labelizer:
        labelizer.kill()
    judge = Model(read_folder(folder))
    judge.start()
    judge.close()
    assert json.loads(judge.reply)["status"] in ("computing", "ready")
    wait_until(lambda: not _searches())


@pytest.mark.parametrize(
    "program", ["get_data.labelizer.model_process", "get_data.commands.check_set"]
)
@pytest.mark.new_interpreter
def test_small_matrices_keep_no_threads_waiting(program):
    """Threads of linear algebra would take five times the processor time, from the server too."""
    code = f"import {program}; print(open('/proc/self/status').read())"
    environment = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Threads:\t1\n" in done.stdout


def _searches():
    """Processes of a search."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"get_data.labelizer.model_process" in file.read_bytes():
                found.append(file)
    return found
