"""Standard streams, current folders and locales of a process."""

import os
import shutil
import subprocess
import sys

import pytest

import path
from tests.bad_input.rows import STEERING, correction
from tests.conftest import document, save
from tests.helpers.folders import snapshot

PROCESSES = [
    ("stdout is full", "upload_data.py drive >/dev/full", 1, "stdout cannot be written: No space"),
    (
        "template on a full disk",
        "write_label_template.py >/dev/full",
        1,
        "stdout cannot be written",
    ),
    (
        "version on a full disk",
        "upload_data.py --version >/dev/full",
        1,
        "stdout cannot be written",
    ),
    ("help on a full disk", "upload_data.py --help >/dev/full", 1, "stdout cannot be written"),
    ("version without a reader", "upload_data.py --version | true", 0, ""),
    ("stdout is closed", "upload_data.py drive >&-", 0, "Up to date"),
    ("stdin is closed", "upload_to_db.py corrected <&-", 1, "run with -y"),
    ("stderr is closed", "upload_data.py none.json 2>&-", 2, ""),
    ("stderr is full", "upload_data.py none.json 2>/dev/full", 2, ""),
    ("stdout has no reader and an item fails", "upload_data.py new | true", 3, "failed: "),
    ("current folder deleted", "upload_data.py none.json", 2, "none.json does not exist"),
    ("search from a deleted folder", "search_and_download.py -p out", 2, "cd to another"),
    (
        "drive in a deleted folder",
        "run_manual.py --simulate --duration 1 -o out",
        2,
        "cd to another",
    ),
    ("a name that is not UTF-8", "upload_data.py $'\\xff'", 2, r"\udcff does not exist"),
    ("wrong option", "search_and_download.py -p out --limit=0", 2, "got '0'"),
    ("an ASCII terminal", "contact_sheet.py Zo\u00e9 2>&1", 2, r"error: Zo\xe9 does not exist"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code", "fact"), [row[1:] for row in PROCESSES], ids=[row[0] for row in PROCESSES]
)
def test_a_process_ends_with_its_code_and_one_line(command, code, fact, workspace, request):
    correction(0, replaces=0)(workspace)
    shutil.move(workspace / "drive", workspace / "corrected")
    save(workspace / "drive", [document(number, steering=STEERING[number]) for number in range(5)])
    save(workspace / "new", [document(90), document(0, steering=STEERING[0])], pictures=False)
    (workspace / "new" / document(0)["file_name"]).write_bytes(b"")
    before = snapshot(workspace)
    is_deleted = "deleted" in request.node.name
    change_folder = "mkdir gone; cd gone; rmdir ../gone;" if is_deleted else ""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{change_folder} set -o pipefail; {sys.executable} {path.ROOT}/get_data/{command}",
        ],
        env={**os.environ, "PYTHONIOENCODING": "ascii:backslashreplace"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == code, output
    assert fact in output
    assert "Traceback" not in output
    assert "Exception" not in output
    assert output.count("error: ") == (code in (1, 2) and fact != "")
    assert snapshot(workspace) == before
