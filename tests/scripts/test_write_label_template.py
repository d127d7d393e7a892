"""`write_label_template.py`: exit code, stdout, stderr and effect."""

import json
import subprocess
import sys

import path
from get_data import write_label_template
from get_data.labels import validation


def test_template_is_a_valid_label_on_stdout(call):
    code, example, err = call(write_label_template)
    assert (code, err) == (0, "")
    validation.parse(example)


def test_the_json_schema_describes_the_fields(call):
    code, schema, _ = call(write_label_template, "--json-schema")
    assert code == 0
    assert schema["$defs"]["Label"]["properties"]["img_id"]["description"]


def test_template_is_written_and_never_replaces_another_file(call, tmp_path):
    file = tmp_path / "template.json"
    assert call(write_label_template, "-o", file)[0] == 0
    validation.parse(json.loads(file.read_text()))
    file.write_text("mine")
    code, _, err = call(write_label_template, "-o", file)
    assert code == 1
    assert f"{file} exists" in err
    assert file.read_text() == "mine"


def test_template_names_a_missing_folder(call, tmp_path):
    code, _, err = call(write_label_template, "-o", tmp_path / "none" / "template.json")
    assert code == 1
    assert "none/template.json cannot be written: No such file or directory" in err


def test_a_closed_pipe_is_not_an_error(drive):
    command = f"{sys.executable} {path.ROOT}/get_data/write_label_template.py | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
