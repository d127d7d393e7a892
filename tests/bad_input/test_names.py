"""Names of files and folders that are unusual and valid."""

import json

import pytest

from get_data import contact_sheet, search_and_download, upload_data, write_label_template
from tests.bad_input.rows import NOT_UTF_8, run


@pytest.mark.parametrize(
    "name",
    ["a b", 'it\'s "x"', "Zo\u00e9 \U0001f697", "-p", "#?%41&;$(x)", NOT_UTF_8, "x" * 255],
    ids=ascii,
)
def test_a_folder_may_have_any_name(name, workspace, monkeypatch, capfd):
    """The folder holds the drive, its sheet, the fetched pictures and the database."""
    folder = workspace / name
    (workspace / "drive").rename(folder)
    monkeypatch.setenv("PATATE_HOME", str(folder / "home"))
    for script, arguments in [
        (upload_data, [f"./{name}"]),
        (search_and_download, ["-p", f"./{name}/out", "-o", f"./{name}/out/{'y' * 255}"]),
        (contact_sheet, [f"./{name}"]),
        (write_label_template, ["-o", f"./{name}/template.json"]),
    ]:
        assert run(script, arguments) == 0, capfd.readouterr().err
    assert (
        json.loads((folder / "out" / ("y" * 255)).read_bytes()).keys()
        == json.loads((folder / "labels.json").read_bytes()).keys()
    )
