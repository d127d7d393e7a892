"""Readers of other projects, in environments of their own."""

import pytest

from tests.environments import readers
from tests.servers.fetching import Missing


def test_the_readers_of_data_sets_run(datasets_reader):
    code = (
        "import json, sys, datasets, lerobot_doctor.cli, webdataset\n"
        "print(json.dumps([datasets.__version__, sys.argv[1:]]))"
    )
    assert datasets_reader(code, "a", 1) == ["5.2.0", ["a", "1"]]


def test_the_reader_of_tubs_runs(donkeycar_reader, tmp_path):
    code = (
        "import json, sys\nfrom donkeycar.parts.tub_v2 import Tub\n"
        "with_tub = Tub(sys.argv[1], inputs=['user/angle'], types=['float'])\n"
        "print(json.dumps(len(with_tub)))"
    )
    assert donkeycar_reader(code, tmp_path / "tub") == 0


def test_other_versions_are_another_environment():
    other = readers.Readers("datasets", ("datasets==5.1.0",), megabytes=1)
    assert other.folder_name != readers.DATASETS.folder_name


def test_a_python_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATATE_SERVER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(Missing, match=r"2\.99"):
        readers.fetch(readers.Readers("any", (), megabytes=0, python="2.99"))
    assert [one.suffix for one in (tmp_path / "cache").iterdir()] == [".lock"]
