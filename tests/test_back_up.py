"""A backup has all that the database has, and brings back what that has lost, and nothing else."""

import gzip
import json
import os
import shutil

import msgspec
import pytest

from common import links, locks
from get_data import back_up, edit_labels, search_and_download, upload_data, upload_to_db
from get_data.database.backup import lines
from get_data.database.connection import open_database
from get_data.database.interfaces import picture_key
from get_data.database.search.search_query import SearchQuery
from get_data.labels import edits, label_file, session
from tests.conftest import START, document, picture, save
from tests.helpers.permissions import permissions_enforced
from tests.servers.addresses import new_name

NOBODY_TO_ASK = 1
SOME_FAILED = 3
PICTURES = 12
KINDS = ["local", pytest.param("team", marks=pytest.mark.servers)]


@pytest.fixture
def select(request, home, monkeypatch):
    """Return a function that selects the database of a kind for all that follows."""

    def select(kind):
        environment = {"PATATE_DATABASE": "local"}
        if kind == "team":
            team = request.getfixturevalue("reused_team_environment")
            environment = team | {"PATATE_DATABASE": ""}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return select


@pytest.fixture(params=KINDS)
def drive(request, call, tmp_path, select):
    """The folder of a drive that the selected database has."""
    select(request.param)
    labels = [document(number, steering=number / 6 - 1, laps=1.50) for number in range(PICTURES)]
    folder = save(tmp_path / "drive", labels)
    assert call(upload_data, folder)[0] == 0
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backup"


def contents():
    """All labels as the index has them, all tombstones, and all pictures."""
    with open_database() as db:
        db.index.refresh()
        labels = list(db.index.search(SearchQuery()))
        pictures = {each.key: db.store.get(each.key) for each in db.store.list_pictures()}
        return labels, list(db.index.all_tombstones()), pictures


def without_bucket(contents):
    labels, tombstones, pictures = contents
    decoded = [json.loads(label) | {"s3_bucket": ""} for label in labels]
    return decoded, tombstones, pictures


def lose_everything():
    """Throw the database away, as with its disk."""
    with open_database() as db:
        db.index.refresh()
        labels = [
            json.loads(label)["label_fingerprint"] for label in db.index.search(SearchQuery())
        ]
        db.index.remove(labels)
        db.index.remove_tombstones([one.fingerprint for one in db.index.all_tombstones()])
        for each in list(db.store.list_pictures()):
            db.store.delete(each.key)


def lose(*, labels=(), tombstones=(), pictures=()):
    """Lose some of the database, as by a copy of another day."""
    with open_database() as db:
        db.index.remove(labels)
        db.index.remove_tombstones(tombstones)
        for key in pictures:
            db.store.delete(key)


def stored_labels():
    with open_database() as db:
        db.index.refresh()
        return [json.loads(label) for label in db.index.search(SearchQuery())]


def correct(call, tmp_path, labels, *, by="Ada", direction=4):
    """Apply corrections of these labels, and return the new labels."""
    file = tmp_path / f"{by}.json"
    corrected = [
        edits.corrected(label, created_by=by, direction=direction, speed=1, created_on=START)
        for label in labels
    ]
    label_file.write(file, {label["img_id"]: label for label in corrected})
    code, _, err = call(upload_to_db, file, "-y")
    assert code == 0, err
    return corrected


def delete(call, tmp_path, labels):
    file = tmp_path / "deleted.json"
    marked = [edits.marked_for_deletion(label) for label in labels]
    label_file.write(file, {label["img_id"]: label for label in marked})
    code, _, err = call(upload_to_db, file, "-y")
    assert code == 0, err


def work_on(call, tmp_path):
    """Correct, delete and amend labels of the drive."""
    labels = stored_labels()
    correct(call, tmp_path, labels[:4])
    delete(call, tmp_path, labels[4:6])
    query = json.dumps({"img_id": {"type": "terms", "value": [labels[7]["img_id"]]}})
    assert call(edit_labels, "-q", query, "--set", "track=park", "-y")[0] == 0


def test_a_lost_database_comes_back_byte_for_byte(call, drive, folder, tmp_path):
    work_on(call, tmp_path)
    before = contents()
    code, counts, err = call(back_up, folder)
    assert code == 0, err
    expected = {"labels": PICTURES - 2, "tombstones": 6, "pictures": PICTURES - 2, "lost": 0}
    assert expected.items() <= counts.items()
    lose_everything()
    assert contents() == ([], [], {})
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert code == 0, err
    assert (counts["created"], counts["tombstones"], counts["failed"]) == (PICTURES - 2, 6, 0)
    assert contents() == before
    # what was deleted or replaced stays so
    code, counts, _ = call(upload_data, drive)
    assert (code, counts["created"], counts["gone"]) == (0, 0, 6)
    assert contents() == before


def test_a_recording_is_no_place_for_a_backup(call, drive, folder):
    """Not even a killed one, which has no labels.json yet; a backup stays one whatever is added."""
    folder.mkdir()
    (folder / session.NAME).write_text("{}")
    assert call(back_up, folder)[0] == 2
    assert [file.name for file in folder.iterdir()] == [session.NAME]
    (folder / session.NAME).unlink()
    assert call(back_up, folder)[0] == 0
    label_file.write(folder / label_file.NAME, {})
    assert call(back_up, folder)[0] == 0
    assert call(back_up, folder, "--restore", "-y")[0] == 0


def test_a_restore_into_a_whole_database_changes_nothing(call, drive, folder, tmp_path):
    work_on(call, tmp_path)
    call(back_up, folder)
    before = contents()
    code, counts, _ = call(back_up, folder, "--restore")
    assert (code, counts["there"]) == (0, PICTURES - 2)
    assert counts["created"] + counts["amended"] + counts["tombstones"] == 0
    assert contents() == before


def test_a_second_backup_copies_only_what_is_new(call, drive, folder, tmp_path):
    assert call(back_up, folder)[1]["pictures_copied"] == PICTURES
    files = {file.name for file in folder.iterdir()}
    code, counts, _ = call(back_up, folder)
    assert (code, counts["pictures"], counts["pictures_copied"]) == (0, PICTURES, 0)
    assert {file.name for file in folder.iterdir()} == files
    call(upload_data, save(tmp_path / "more", [document(90)]))
    code, counts, _ = call(back_up, folder)
    assert (code, counts["labels"], counts["pictures_copied"]) == (0, PICTURES + 1, 1)
    assert len(list(folder.glob("labels-*"))) == len(list(folder.glob("tombstones-*"))) == 1


@pytest.mark.servers
@pytest.mark.parametrize(("source", "target"), [("local", "team"), ("team", "local")])
def test_a_backup_moves_a_database(call, tmp_path, folder, select, source, target):
    select(source)
    call(upload_data, save(tmp_path / "drive", [document(n) for n in range(PICTURES)]))
    work_on(call, tmp_path)
    before = contents()
    assert call(back_up, folder)[0] == 0
    select(target)
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["created"]) == (0, PICTURES - 2), err
    assert without_bucket(contents()) == without_bucket(before)
    buckets = {label["s3_bucket"] for label in stored_labels()}
    assert buckets == {os.environ["PATATE_S3_BUCKET"] if target == "team" else "local"}
    # the moved database is the one of the backup
    assert call(back_up, folder)[0] == 0


def test_a_restore_undoes_nothing_that_was_done_since(call, drive, folder, tmp_path):
    call(back_up, folder)
    labels = stored_labels()
    work_on(call, tmp_path)
    before = contents()
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert code == 0, err
    assert (counts["created"], counts["gone"], counts["differing"]) == (0, 6, 1)
    assert contents() == before
    assert len(labels) == PICTURES


def test_a_label_that_was_uploaded_again_on_purpose_stays(call, drive, folder, tmp_path):
    delete(call, tmp_path, stored_labels()[:2])
    call(back_up, folder)
    assert call(upload_data, drive, "--restore")[1]["created"] == 2
    before = contents()
    code, counts, _ = call(back_up, folder, "--restore", "-y")
    assert (code, counts["tombstones"]) == (0, 0)
    assert contents() == before
    code, counts, _ = call(back_up, folder)
    assert (code, counts["labels"], counts["tombstones"]) == (0, PICTURES, 0)


def test_what_the_database_has_lost_stays_in_the_backup_and_comes_back(
    call, drive, folder, tmp_path
):
    work_on(call, tmp_path)
    call(back_up, folder)
    before = contents()
    labels, tombstones, pictures = before
    lose(
        labels=[json.loads(labels[0])["label_fingerprint"]],
        tombstones=[tombstones[0].fingerprint],
        pictures=[list(pictures)[1]],
    )
    code, counts, err = call(back_up, folder)
    assert (code, counts["lost"]) == (SOME_FAILED, 2)
    assert (counts["labels"], counts["tombstones"]) == (len(labels), len(tombstones))
    assert "--restore" in err
    assert call(back_up, folder, "--restore", "-y")[0] == 0
    assert contents() == before
    assert call(back_up, folder)[0] == 0


def test_a_lost_amendment_comes_back(call, drive, folder):
    call(edit_labels, "-q", "{}", "--set", "track=park", "-y")
    amended = contents()
    call(back_up, folder)
    lose_everything()
    call(upload_data, drive)
    assert call(back_up, folder)[0] == NOBODY_TO_ASK
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["amended"], counts["created"]) == (0, PICTURES, 0), err
    assert contents() == amended


@pytest.mark.parametrize("damage", ["missing", "cut off", "flipped", "empty"])
def test_what_a_backup_lacks_is_had_again_from_its_recording(call, drive, folder, damage):
    """Nobody edits the labels of a backup, which are sealed: the recording is named."""
    call(back_up, folder)
    before = contents()
    lose_everything()
    (picture, *_) = sorted((folder / "pictures").rglob("*.jpg"))
    content = picture.read_bytes()
    match damage:
        case "missing":
            picture.unlink()
        case "cut off":
            picture.write_bytes(content[:-9])
        case "flipped":
            picture.write_bytes(content[:-9] + b"x" + content[-8:])
        case "empty":
            picture.write_bytes(b"")
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["created"], counts["failed"]) == (SOME_FAILED, PICTURES - 1, 1)
    assert "upload_data.py --verify" in err
    assert "label file" not in err
    assert call(upload_data, drive, "--verify")[0] == 0
    assert call(back_up, folder, "--restore", "-y")[0] == 0
    assert contents()[2] == before[2]


def test_a_picture_that_the_backup_has_damaged_is_taken_from_the_store(call, drive, folder):
    """As after the loss of an index: the store has all pictures."""
    call(back_up, folder)
    file = next(folder.rglob("*.jpg"))
    file.write_bytes(b"x" * len(file.read_bytes()))
    with open_database() as db:
        db.index.remove([label["label_fingerprint"] for label in stored_labels()])
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["created"], counts["failed"]) == (0, PICTURES, 0), err


def test_a_restored_picture_has_the_content_of_its_key(call, drive, folder):
    """Also where the label has no hash of it."""
    label = edits.uploaded(document(50), picture=picture(50), bucket="", key="", upload_time=START)
    key = picture_key(label["img_id"], label["picture_sha256"])
    label = {name: label[name] for name in label if not name.startswith("picture_")}
    with open_database() as db:
        db.store.put(key, picture(50))
        db.index.create([label | {"s3_key": key}])
    call(back_up, folder)
    (folder / key).write_bytes(picture(51))
    lose_everything()
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["failed"]) == (SOME_FAILED, 1), err
    assert label["img_id"] not in {each["img_id"] for each in stored_labels()}


def test_deleted_labels_that_a_recording_brought_back_are_told(call, drive, folder, tmp_path):
    delete(call, tmp_path, stored_labels()[:2])
    call(back_up, folder)
    lose_everything()
    call(upload_data, drive)
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["undeleted"], counts["tombstones"]) == (0, 2, 0)
    assert "edit_labels.py" in err


def test_a_label_with_a_key_of_another_tool_is_restored(call, drive, folder):
    label = stored_labels()[0]
    key = "pictures/old/1.jpg"
    with open_database() as db:
        db.store.put(key, db.store.get(label["s3_key"]))
        db.index.remove([label["label_fingerprint"]])
        db.index.create([label | {"s3_key": key}])
    before = contents()
    assert call(back_up, folder)[0] == 0
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["there"]) == (0, PICTURES), err
    assert contents() == before
    lose_everything()
    assert call(back_up, folder, "--restore", "-y")[0] == 0
    assert stored_labels()[0] == label  # under its own key


def test_every_label_of_a_picture_is_saved(call, drive, folder, tmp_path):
    old = stored_labels()[0]
    file = tmp_path / "second.json"
    new = edits.corrected(old, created_by="Bob", direction=4, speed=1, created_on=START)
    label_file.write(file, {new["img_id"]: new})
    assert call(upload_to_db, file, "--keep-replaced", "-y")[0] == 0
    before = contents()
    assert call(back_up, folder)[1]["labels"] == PICTURES + 1
    lose_everything()
    call(back_up, folder, "--restore", "-y")
    assert contents() == before


def test_a_backup_of_another_database_is_not_added_to_unasked(call, drive, folder, tmp_path, home):
    call(back_up, folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    lose_everything()
    call(upload_data, save(tmp_path / "other", [document(number) for number in range(50, 53)]))
    code, counts, err = call(back_up, folder)
    assert (code, counts) == (NOBODY_TO_ASK, None)
    assert "--restore" in err
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    code, counts, _ = call(back_up, folder, "--restore", "-y")
    assert (code, counts) == (NOBODY_TO_ASK, None)
    assert len(stored_labels()) == 3


def test_a_restore_asks_first_and_a_dry_run_changes_nothing(call, drive, folder):
    call(back_up, folder)
    lose_everything()
    code, counts, err = call(back_up, folder, "--restore")
    assert (code, counts) == (NOBODY_TO_ASK, None)
    assert f"{PICTURES} labels" in err
    code, counts, _ = call(back_up, folder, "--restore", "--dry-run")
    assert (code, counts["created"]) == (0, PICTURES)
    assert contents() == ([], [], {})


def test_a_lost_picture_is_named_and_its_label_saved(call, drive, folder):
    _, _, pictures = contents()
    lost, damaged, *_ = pictures
    lose(pictures=[lost])
    with open_database() as db:
        db.store.put(damaged, b"x" * len(pictures[damaged]))
    code, counts, err = call(back_up, folder)
    assert (code, counts["labels"], counts["failed"]) == (SOME_FAILED, PICTURES, 2)
    for key in (lost, damaged):
        assert key.rpartition("/")[2].rpartition("-")[0] in err
    assert "upload_data.py --verify" in err
    assert call(upload_data, drive, "--verify")[0] == 0
    code, counts, _ = call(back_up, folder)
    assert (code, counts["pictures_copied"], counts["failed"]) == (0, 2, 0)


def test_a_damaged_picture_is_known_by_its_key_where_the_label_has_no_hash(call, drive, folder):
    """As one that another tool has uploaded."""
    label = edits.uploaded(document(50), picture=picture(50), bucket="", key="", upload_time=START)
    key = picture_key(label["img_id"], label["picture_sha256"])
    label = {name: label[name] for name in label if not name.startswith("picture_")}
    with open_database() as db:
        db.store.put(key, b"x")
        db.index.create([label | {"s3_key": key}])
    code, counts, err = call(back_up, folder)
    assert (code, counts["failed"]) == (SOME_FAILED, 1)
    assert label["img_id"] in err
    assert not (folder / key).exists()


def test_an_intact_picture_in_the_backup_outlives_a_damaged_one(call, drive, folder):
    call(back_up, folder)
    _, _, pictures = contents()
    key = next(iter(pictures))
    with open_database() as db:
        db.store.put(key, b"x" * len(pictures[key]))
    for options in ([], ["--verify"]):
        assert call(back_up, folder, *options)[0] == 0
    assert (folder / key).read_bytes() == pictures[key]


@pytest.mark.parametrize("damage", [b"", b"short", "flipped"], ids=["empty", "short", "flipped"])
def test_a_damaged_picture_in_the_backup_is_replaced(call, drive, folder, damage):
    call(back_up, folder)
    file = next(folder.rglob("*.jpg"))
    good = file.read_bytes()
    file.write_bytes(bytes([good[0] ^ 1]) + good[1:] if damage == "flipped" else damage)
    options = ["--verify"] if damage == "flipped" else []  # another size is seen without reading
    code, counts, err = call(back_up, folder, *options)
    assert (code, counts["pictures_copied"]) == (0, 1), err
    assert file.read_bytes() == good


def test_a_picture_that_the_backup_lacks_fails_alone(call, drive, folder):
    call(back_up, folder)
    missing, flipped, *_ = sorted(folder.rglob("*.jpg"))
    missing.unlink()
    flipped.write_bytes(b"x" * len(flipped.read_bytes()))
    lose_everything()
    code, counts, err = call(back_up, folder, "--restore", "-y")
    assert (code, counts["created"], counts["failed"]) == (SOME_FAILED, PICTURES - 2, 2)
    assert missing.name in err
    assert flipped.name in err
    assert len(stored_labels()) == PICTURES - 2


class TestBadFolders:
    """One line, the documented exit code, and nothing changed."""

    @pytest.fixture(autouse=True)
    def _local(self, select):
        select("local")

    @pytest.fixture
    def backup(self, call, tmp_path, folder):
        """A backup of a database that was lost since."""
        labels = [document(number, steering=number / 6 - 1) for number in range(PICTURES)]
        call(upload_data, save(tmp_path / "drive", labels))
        delete(call, tmp_path, stored_labels()[:1])
        call(back_up, folder)
        lose_everything()
        return folder

    def refuses(self, call, *arguments, code=2):
        before = contents()
        given, counts, err = call(back_up, *arguments)
        assert (given, counts) == (code, None), err
        assert err.count("error: ") == 1
        assert contents() == before
        return err

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b'{"format": "1"}',
            b'{"format": 99}',
            b'{"format": 1, "database": "x", "made_at": "", "labels": 1, "tombstones": 2}',
        ],
    )
    @pytest.mark.parametrize("options", [[], ["--restore", "-y"]])
    def test_a_damaged_manifest(self, call, backup, content, options):
        (backup / "backup.json").write_bytes(content)
        assert "backup.json" in self.refuses(call, backup, *options)

    @pytest.mark.parametrize("name", ["../labels.gz", "/etc/passwd", "labels-x.jsonl.gz", ""])
    def test_a_manifest_that_names_a_file_elsewhere(self, call, backup, name):
        manifest = json.loads((backup / "backup.json").read_bytes())
        manifest["labels"]["file"] = name
        (backup / "backup.json").write_text(json.dumps(manifest))
        self.refuses(call, backup, "--restore", "-y")

    @pytest.mark.parametrize("kind", ["labels", "tombstones"])
    @pytest.mark.parametrize("damage", ["missing", "cut off", "flipped", "empty", "other", "link"])
    @pytest.mark.parametrize("options", [[], ["--restore", "-y"]])
    def test_a_damaged_part(self, call, backup, kind, damage, options, tmp_path):
        (part,) = backup.glob(f"{kind}-*")
        content = part.read_bytes()
        part.unlink()
        middle = len(content) // 2
        match damage:
            case "cut off":
                part.write_bytes(content[:middle])
            case "flipped":
                flipped = bytes([content[middle] ^ 1])
                part.write_bytes(content[:middle] + flipped + content[middle + 1 :])
            case "empty":
                part.write_bytes(b"")
            case "other":
                part.write_bytes(gzip.compress(b"{}\n"))
            case "link":
                (tmp_path / "elsewhere").write_bytes(content)
                part.symlink_to(tmp_path / "elsewhere")
        assert part.name in self.refuses(call, backup, *options)

    def test_lines_that_are_no_labels(self, call, backup):
        """As in a backup that somebody made by hand."""
        manifest = json.loads((backup / "backup.json").read_bytes())
        part = backup / manifest["labels"]["file"]
        for content in (b"not JSON\n", b"[]\n", b'{"img_id": 1}\n', b"\xff\n"):
            part.write_bytes(gzip.compress(content))
            manifest["labels"]["sha256"] = edits.sha256(part.read_bytes())
            (backup / "backup.json").write_text(json.dumps(manifest))
            assert part.name in self.refuses(call, backup, "--restore", "-y")

    def test_a_label_whose_picture_key_leads_elsewhere(self, call, backup, tmp_path):
        manifest = json.loads((backup / "backup.json").read_bytes())
        part = backup / manifest["labels"]["file"]
        labels = [json.loads(line) for line in gzip.decompress(part.read_bytes()).splitlines()]
        labels[0]["s3_key"] = "../../drive/" + labels[0]["file_name"]
        lines = b"".join(msgspec.json.encode(label) + b"\n" for label in labels)
        part.write_bytes(gzip.compress(lines))
        manifest["labels"]["sha256"] = edits.sha256(part.read_bytes())
        (backup / "backup.json").write_text(json.dumps(manifest))
        code, counts, err = call(back_up, backup, "--restore", "-y")
        assert (code, counts["failed"]) == (SOME_FAILED, 1)
        assert labels[0]["img_id"] in err

    def test_no_folder_or_no_backup(self, call, tmp_path):
        (tmp_path / "file").write_text("x")
        (tmp_path / "empty").mkdir()
        for name in ("file", "empty", "missing"):
            assert str(tmp_path / name) in self.refuses(call, tmp_path / name, "--restore", "-y")
        for place in (tmp_path / "file", tmp_path / "missing" / "folder"):
            self.refuses(call, place)
        assert not (tmp_path / "missing").exists()

    def test_a_folder_of_something_else(self, call, home, tmp_path, backup):
        for place in (home / "database", tmp_path / "drive"):
            files = sorted(place.rglob("*"))
            for options in ([], ["--restore", "-y"]):
                assert str(place) in self.refuses(call, place, *options)
            assert sorted(place.rglob("*")) == files

    def test_pictures_that_are_a_link(self, call, tmp_path, backup):
        call(upload_data, tmp_path / "drive")
        target = tmp_path / "elsewhere"
        shutil.move(backup / "pictures", target)
        (backup / "pictures").symlink_to(target)
        files = sorted(target.rglob("*"))
        assert "link" in self.refuses(call, backup)
        assert sorted(target.rglob("*")) == files

    def test_a_day_of_pictures_that_is_a_link(self, call, tmp_path, backup):
        call(upload_data, tmp_path / "drive")
        (day,) = (backup / "pictures").iterdir()
        shutil.move(day, tmp_path / "elsewhere")
        day.symlink_to(tmp_path / "elsewhere")
        assert "link" in self.refuses(call, backup)

    def test_a_place_inside_the_database(self, call, tmp_path, backup, home):
        call(upload_data, tmp_path / "drive")
        place = home / "database" / "pictures" / "backup"
        assert str(place) in self.refuses(call, place)
        assert not place.exists()

    def test_a_line_that_never_ends(self, call, backup, monkeypatch):
        monkeypatch.setattr(lines, "_MAX_LINE_BYTES", 500)
        (part,) = backup.glob("labels-*")
        assert part.name in self.refuses(call, backup, "--restore", "--dry-run")

    def test_a_folder_that_cannot_be_written_to(self, call, tmp_path, backup):
        call(back_up, backup, "--restore", "-y")
        call(upload_data, save(tmp_path / "more", [document(77)]))
        before = (backup / "backup.json").read_bytes()
        backup.chmod(0o555)
        with permissions_enforced():
            assert str(backup) in self.refuses(call, backup, code=1)
        assert (backup / "backup.json").read_bytes() == before

    def test_a_backup_that_another_program_is_writing(self, call, backup):
        with links.open_folder(backup) as descriptor:
            assert locks.acquire(descriptor)
            for options in ([], ["--restore", "-y"]):
                assert str(backup) in self.refuses(call, backup, *options, code=1)

    def test_nothing_to_back_up(self, call, folder):
        assert call(back_up, folder)[0] == 1
        assert not (folder / "backup.json").exists()

    @pytest.mark.parametrize(
        "options",
        [["--dry-run"], ["-y"], ["--create-bucket"], ["--restore", "--verify"], ["--restor=x"]],
    )
    def test_options_that_do_not_belong_together(self, call, folder, options, capsys):
        with pytest.raises(SystemExit) as ended:
            back_up.main([str(folder), *options])
        assert ended.value.code == 2
        assert not folder.exists()


@pytest.mark.servers
class TestTeams:
    """What only a team's database can refuse."""

    @pytest.fixture(autouse=True)
    def _uploaded(self, call, select, tmp_path):
        select("team")
        call(upload_data, save(tmp_path / "drive", [document(number) for number in range(3)]))

    def test_a_login_that_may_only_search_is_told(
        self, call, folder, monkeypatch, elasticsearch_8, s3
    ):
        index, bucket = os.environ["PATATE_ES_INDEX"], os.environ["PATATE_S3_BUCKET"]
        searcher = elasticsearch_8.environment(index, elasticsearch_8.searcher)
        searcher |= s3.environment(bucket, s3.searcher)
        for name, value in searcher.items():
            monkeypatch.setenv(name, value)
        code, counts, err = call(back_up, folder)
        assert (code, counts) == (1, None)
        assert "maintenance" in err
        assert not (folder / "backup.json").exists()

    @pytest.mark.parametrize("options", [[], ["--restore", "-y"]])
    @pytest.mark.parametrize("name", ["PATATE_ES_USER_PWD", "PATATE_S3_KEY"])
    def test_a_wrong_password_changes_nothing(self, call, folder, monkeypatch, options, name):
        call(back_up, folder)
        before = (folder / "backup.json").read_bytes()
        monkeypatch.setenv(name, "wrong")
        code, counts, err = call(back_up, folder, *options)
        assert (code, counts) == (1, None)
        assert name in err
        assert (folder / "backup.json").read_bytes() == before

    def test_a_bucket_is_created_if_asked_for(self, call, folder, monkeypatch, s3):
        call(back_up, folder)
        for name, value in s3.environment(new_name("bucket"), s3.admin).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATATE_ES_INDEX", new_name("labels"))
        assert call(back_up, folder, "--restore", "-y")[0] == 1
        code, counts, err = call(back_up, folder, "--restore", "-y", "--create-bucket")
        assert (code, counts["created"]) == (0, 3), err


def test_what_a_killed_backup_left_is_removed(call, drive, folder):
    call(back_up, folder)
    left = folder / f".lines.{'0' * 32}.tmp"
    left.write_bytes(b"x")
    old = folder / f"labels-{'0' * 12}.jsonl.gz"
    old.write_bytes(b"x")
    assert call(back_up, folder)[0] == 0
    assert not left.exists()
    assert not old.exists()


def test_a_fetched_set_is_as_before_the_loss(call, drive, folder, tmp_path):
    work_on(call, tmp_path)
    call(search_and_download, "-p", tmp_path / "before")
    call(back_up, folder)
    lose_everything()
    call(back_up, folder, "--restore", "-y")
    call(search_and_download, "-p", tmp_path / "after")
    before, after = (
        # but for `set.json`, which has the time of the fetch
        {f.name: f.read_bytes() for f in (tmp_path / name).iterdir() if f.name != "set.json"}
        for name in ("before", "after")
    )
    assert before == after
