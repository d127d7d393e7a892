"""The programs that `docs/training.md` prints, each where its library is there."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import path
from car.pilot import model
from get_data import search_and_download, upload_data
from get_data.labels import ids, label_file
from tests.helpers import driven_sets

PAGE = (path.ROOT / "docs" / "training.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
NUMPY, KERAS, TORCH, DATASETS, KERAS_SAVES, TORCH_SAVES = BLOCKS
WIDTH, HEIGHT = 40, 30

PROGRAMS = {  # the library, the program, and an expression for what it predicts of a grey picture
    "keras": (KERAS + KERAS_SAVES, "model.predict(grey, verbose=0).tolist()"),
    "torch": (TORCH + TORCH_SAVES, "model(torch.from_numpy(grey).float()).tolist()"),
}


@pytest.fixture
def fetched(tmp_path, call, monkeypatch):
    """Fetch two drives into a folder as the page names it, one to train and one to validate."""
    for seed in (1, 2):
        drive = tmp_path / f"drive{seed}"
        labels = driven_sets.record(drive, seed=seed, pictures=62)
        for label, author in zip(labels, ("pilot", "nobody"), strict=False):
            label["label"] |= {"created_by": author}
            label["label_fingerprint"] = ids.fingerprint(label["img_id"], label["label"])
        label_file.write(drive / label_file.NAME, {label["img_id"]: label for label in labels})
        call(upload_data, tmp_path / f"drive{seed}")
    monkeypatch.chdir(tmp_path)
    assert call(search_and_download, "-p", "training/all", "--split", "train=50,val=50")[0] == 0


@pytest.mark.usefixtures("fetched")
def test_the_numpy_program_reads_pictures_and_steering():
    names = {}
    exec(NUMPY, names)
    assert names["pictures"].shape == (60, 120, 160, 3)
    assert names["steering"].shape == (60,)
    assert names["steering"].std() > 0.1


def run(code, folder):
    """Run code with the interpreter of the tests, in a folder; return what it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.usefixtures("fetched")
@pytest.mark.parametrize(("library", "program"), PROGRAMS.items(), ids=PROGRAMS)
def test_a_network_of_another_library_becomes_a_pilot_that_predicts_the_same(
    tmp_path, library, program
):
    if not find_spec(library):
        pytest.skip(f"{library} is not installed")
    code, prediction = program
    grey = np.linspace(0, 1, 2 * WIDTH * HEIGHT).reshape(2, -1)
    given = f"import numpy as np\ngrey = np.linspace(0, 1, {2 * WIDTH * HEIGHT}).reshape(2, -1)"
    theirs = run(f"{code}\n{given}\nprint(json.dumps({prediction}))", tmp_path)
    pilot = model.read(tmp_path / "pilot.json")
    assert pilot.predict(grey) == pytest.approx(np.array(theirs), abs=1e-4)


@pytest.mark.usefixtures("fetched")
def test_the_datasets_program_has_the_pictures_of_its_side(tmp_path, datasets_reader):
    code = f"""
import json, os, sys
os.chdir(sys.argv[1])
{DATASETS}
print(json.dumps(len(train)))
"""
    assert datasets_reader(code, tmp_path) == 60
