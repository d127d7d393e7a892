"""A lost index: reported, and never taken for an empty database."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

import path
from get_data import (
    back_up,
    freeze_set,
    search_and_download,
    show_database,
    upload_data,
    upload_to_db,
)
from get_data.database.connection import open_database
from get_data.database.entries import read_entries
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.upload import upload
from get_data.labels import label_file
from tests.servers.addresses import Cluster

INDEX_FILES = "index.sqlite*"


@dataclass(frozen=True)
class Lossy:
    """A database whose index can be lost; `parts` are what it consists of."""

    parts: dict[str, str]
    cluster: Cluster | None = None

    def lose(self, part: str) -> None:
        """Lose a part, as when a disk or a cluster died."""
        if self.cluster:
            assert self.cluster.ask("DELETE", f"/{self.parts[part]}")[0] == 200
            return
        for file in path.database_folder().glob(INDEX_FILES):
            file.unlink()


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def lossy(request, monkeypatch) -> Lossy:
    """A database of each kind, named by the environment; nothing was uploaded yet."""
    if request.param == "local":
        return Lossy({"labels": "index.sqlite"})
    team = request.getfixturevalue("team_environment")
    for name, value in team.items():
        monkeypatch.setenv(name, value)
    index = team["PATATE_ES_INDEX"]
    cluster = request.getfixturevalue("elasticsearch_8")
    return Lossy({"labels": index, "tombstones": f"{index}-gone"}, cluster)


def marked(drive, number) -> Any:
    """A label file that asks to delete one label of the drive."""
    one = list(label_file.read(drive / label_file.NAME).values())[number]
    wish = drive.parent / "wish.json"
    label_file.write(wish, {one["img_id"]: one | {"to_delete": True}})
    return wish


def test_every_script_reports_it_and_changes_nothing(call, lossy, drive, tmp_path):
    call(upload_data, drive)
    wish = marked(drive, 0)
    call(upload_to_db, wish, "-y")
    out = tmp_path / "out"
    assert call(search_and_download, "-p", out)[1]["found"] == 9
    before = (out / label_file.NAME).read_bytes()
    lossy.lose("labels")
    for script, *arguments in (
        (search_and_download, "-p", out),
        (upload_data, drive),
        (upload_data, drive, "--dry-run"),
        (upload_data, drive, "--restore"),
        (upload_to_db, wish, "-y"),
        (upload_to_db, wish, "--dry-run"),
    ):
        code, counts, err = call(script, *arguments)
        assert (code, counts) == (1, None), (script, arguments)
        assert lossy.parts["labels"] in err
        assert "corrections and deletions are lost" in err
    assert (out / label_file.NAME).read_bytes() == before


def test_frozen_sets_without_pictures_tell_of_it_as_well(call, lossy, drive, tmp_path):
    """A folder of sets that a careless copy left is no empty database."""
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set")
    assert call(freeze_set, "base", tmp_path / "set")[0] == 0
    lossy.lose("labels")
    with open_database(new_index=True) as db:
        for each in list(db.store.list_pictures()):
            db.store.delete(each.key)
    for script, *arguments in (
        (search_and_download, "-p", tmp_path / "out"),
        (show_database,),
        (upload_data, drive),
        (back_up, tmp_path / "backup"),
        (freeze_set, "other", tmp_path / "set"),
    ):
        code, counts, err = call(script, *arguments)
        assert (code, counts) == (1, None), (script, err)
        assert lossy.parts["labels"] in err
    code, counts, err = call(upload_data, drive, "--new-index")
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 10), err
    assert call(show_database)[1]["sets"][0]["name"] == "base"


def test_new_index_starts_an_empty_one(call, lossy, drive, tmp_path):
    call(upload_data, drive)
    lossy.lose("labels")
    code, counts, err = call(upload_data, drive, "--new-index")
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 0), err
    code, counts, err = call(search_and_download, "-p", tmp_path / "out")
    assert (code, counts["fetched"]) == (0, 10), err


def test_restoring_a_copy_is_all_it_takes(call, drive, tmp_path):
    call(upload_data, drive)
    call(upload_to_db, marked(drive, 0), "-y")
    index = path.database_folder() / "index.sqlite"
    shutil.copy(index, tmp_path)
    index.unlink()
    assert call(upload_data, drive)[0] == 1
    shutil.copy(tmp_path / index.name, index)
    code, counts, err = call(upload_data, drive)
    assert (code, counts["there"], counts["gone"]) == (0, 9, 1), err


def test_an_index_that_is_moved_away_alone_damages_no_new_one(call, drive, tmp_path):
    """A killed upload leaves changes in a file beside it, which SQLite would write into any."""
    call(upload_data, drive)
    index = path.database_folder() / "index.sqlite"
    changes = index.with_name("index.sqlite-wal")
    with closing(sqlite3.connect(index)) as running:
        running.execute("DELETE FROM labels WHERE id > 2")
        running.commit()
        left = changes.read_bytes()
    index.rename(tmp_path / index.name)
    changes.write_bytes(left)
    code, counts, err = call(upload_data, drive, "--new-index")
    assert (code, counts) == (1, None)
    assert f"{changes} belongs" in err
    assert not index.exists()
    assert changes.read_bytes() == left
    changes.rename(tmp_path / changes.name)
    code, counts, err = call(upload_data, drive, "--new-index")
    assert (code, counts["created"]) == (0, 10), err
    assert call(search_and_download, "-p", tmp_path / "out")[1]["found"] == 10


@pytest.mark.parametrize("lossy", ["team"], indirect=True)
@pytest.mark.servers
def test_lost_tombstones_bring_no_deleted_label_back(call, lossy, drive, tmp_path):
    call(upload_data, drive)
    wish = marked(drive, 0)
    call(upload_to_db, wish, "-y")
    lossy.lose("tombstones")
    for script, *arguments in ((upload_data, drive), (upload_to_db, wish, "--dry-run")):
        code, _, err = call(script, *arguments)
        assert code == 1
        assert lossy.parts["tombstones"] in err
    code, counts, err = call(search_and_download, "-p", tmp_path / "out")
    assert (code, counts["found"]) == (0, 9), err


class Killed(Exception):
    """The process ends here."""


def test_an_index_is_there_before_the_first_picture(db, drive):
    """A first upload that is killed between its pictures and their labels leaves no lost index."""
    put = type(db.store).put_new

    def dying(self, key, picture):
        put(self, key, picture)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(db.store), "put_new", dying)
        with pytest.raises(Killed):
            list(upload(read_entries(drive / label_file.NAME), db.index, db.store))
    assert db.store.has_pictures()
    assert not db.index.missing_part(tombstones=True)
    assert db.labels() == {}


def test_a_first_upload_that_was_cut_off_is_completed(call, lossy, drive, monkeypatch):
    def killed(_):
        raise Killed

    with monkeypatch.context() as patch:
        for store in (LocalPictureStore, S3PictureStore):
            patch.setattr(store, "make_durable", killed)
        with pytest.raises(Killed):
            call(upload_data, drive)
    code, counts, err = call(upload_data, drive)
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 0), err
