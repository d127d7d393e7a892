"""The download: what matches, each picture once, only what is missing or damaged."""

import msgspec
import pytest

from common.errors import DatabaseError
from get_data.database.download import download, newest_labels, oldest_hits
from get_data.database.entries import Entry, read_entries
from get_data.database.interfaces import picture_key
from get_data.database.search.search_query import SearchQuery
from get_data.database.upload import upload
from get_data.labels import ids, label_file
from tests.conftest import document, picture
from tests.fakes.memory_database import MemoryStore
from tests.helpers.faults import calls_recorded, files_up_to
from tests.test_upload import Meddling

EVERYTHING = SearchQuery(())


@pytest.fixture
def full(db, drive):
    """A database with the ten labels and pictures of a drive."""
    list(upload(read_entries(drive / label_file.NAME), db.index, db.store))
    return db


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "training"
    folder.mkdir()
    return folder


def fetch(db, target, store=None, limit=None, **options):
    labels = target / label_file.NAME
    found = oldest_hits(db.index.search(EVERYTHING), limit)
    return list(download(found, store or db.store, pictures=target, labels=labels, **options))


def test_pictures_and_labels_are_here(full, target):
    assert [one.status for one in fetch(full, target)] == ["fetched"] * 10
    labels = label_file.read(target / label_file.NAME)
    assert list(labels.values()) == list(full.labels().values())
    for number in range(10):
        assert (target / document(number)["file_name"]).read_bytes() == picture(number)
    assert len(list(target.iterdir())) == 11


def test_a_second_download_fetches_nothing_and_touches_nothing(full, target):
    fetch(full, target)
    before = {file: file.stat().st_mtime_ns for file in target.glob("*.jpg")}
    assert [one.status for one in fetch(full, target)] == ["existing"] * 10
    assert {file: file.stat().st_mtime_ns for file in target.glob("*.jpg")} == before


def test_only_missing_empty_and_truncated_pictures_are_fetched(full, target):
    fetch(full, target)
    files = [target / document(number)["file_name"] for number in range(10)]
    files[0].unlink()
    files[1].write_bytes(b"")
    files[2].write_bytes(picture(2)[:-1])
    files[3].write_bytes(picture(3)[::-1])  # the right size: only --verify looks inside
    what = [one.status for one in fetch(full, target)]
    assert what == ["fetched"] * 3 + ["existing"] * 7
    assert [one.status for one in fetch(full, target, verify=True)][3] == "fetched"
    assert files[3].read_bytes() == picture(3)


def test_no_download_lists_and_fetches_nothing(full, target):
    assert [one.status for one in fetch(full, target, fetch=False)] == ["listed"] * 10
    assert [file.name for file in target.iterdir()] == [label_file.NAME]


def test_limit_takes_the_oldest_pictures(full, target):
    oldest = [document(number)["img_id"] for number in range(3)]
    assert [outcome.img_id for outcome in fetch(full, target, limit=3)] == oldest
    assert list(label_file.read(target / label_file.NAME)) == oldest


def test_nothing_found_is_an_empty_label_file(db, target):
    assert fetch(db, target) == []
    assert (target / label_file.NAME).read_text() == "{}\n"


def test_of_several_labels_the_newest_is_kept_and_the_others_counted(full, drive, target):
    newer = document(0, steering=0.9, created_by="Ada")
    newer["label"]["created_on_date"] = "2030-01-01T00:00:00Z"
    older = document(0, steering=0.9, created_by="Bob")
    older["label"]["created_on_date"] = ""
    both = [Entry(one, drive / one["file_name"]) for one in (newer, older)]
    list(upload(both, full.index, full.store))
    results = fetch(full, target)
    assert [one.other_labels for one in results] == [2] + [0] * 9
    kept = label_file.read(target / label_file.NAME)[newer["img_id"]]
    assert kept["label"]["created_by"] == "Ada"


def test_of_labels_equally_new_the_smallest_fingerprint_is_kept(full, drive, target):
    same = [document(0, steering=0.9, created_by=name) for name in ("Ada", "Bob", "Eve")]
    list(upload([Entry(one, drive / one["file_name"]) for one in same], full.index, full.store))
    fetch(full, target)
    kept = label_file.read(target / label_file.NAME)[same[0]["img_id"]]
    names = [document(0, steering=-0.9), *same]
    assert kept["label_fingerprint"] == min(one["label_fingerprint"] for one in names)


def test_a_picture_that_the_store_lost_is_reported_and_its_label_left_out(full, target):
    key = picture_key(document(4)["img_id"], ids.sha256(picture(4)))
    full.store.delete(key)
    failed = [one for one in fetch(full, target) if one.status == "failed"]
    (lost,) = failed
    assert lost.img_id == document(4)["img_id"]
    assert key in lost.reason
    assert "upload_data.py" in lost.reason
    assert document(4)["img_id"] not in label_file.read(target / label_file.NAME)


def test_a_picture_that_the_store_has_wrong_is_not_taken(full, target):
    key = picture_key(document(4)["img_id"], ids.sha256(picture(4)))
    full.store.delete(key)
    full.store.put_new(key, b"something else")
    (failed,) = [one for one in fetch(full, target) if one.status == "failed"]
    assert key in failed.reason
    assert not (target / document(4)["file_name"]).exists()


def test_a_backup_copy_is_downloaded_while_its_picture_is_deleted(full, target):
    key = picture_key(document(4)["img_id"], ids.sha256(picture(4)))
    full.store.back_up(key, "run")
    full.store.delete(key)
    assert [one.status for one in fetch(full, target)] == ["fetched"] * 10


def test_a_picture_that_was_restored_meanwhile_is_downloaded(full, target):
    """A deletion backed it up, found it named again, restored it, and removed the copy."""
    key = picture_key(document(4)["img_id"], ids.sha256(picture(4)))
    full.store.delete(key)
    store = Meddling(full.store, backup_copies=lambda: full.store.put_new(key, picture(4)))
    assert [one.status for one in fetch(full, target, store=store)] == ["fetched"] * 10
    assert (target / document(4)["file_name"]).read_bytes() == picture(4)


def test_an_empty_picture_is_fetched_even_if_its_label_has_no_size(full, target):
    plain = next(iter(full.labels().values()))
    del plain["picture_size"], plain["picture_sha256"]
    (target / plain["file_name"]).write_bytes(b"")
    (result,) = download(
        newest_labels([msgspec.json.encode(plain)]),
        full.store,
        pictures=target,
        labels=target / "labels.json",
    )
    assert result.status == "fetched"
    assert (target / plain["file_name"]).read_bytes() == picture(0)


def test_a_picture_comes_whole_or_not_at_all(db, drive, target):
    """The disk takes only its beginning; what was there before stays, also when it is damaged."""
    large = document(0)
    content = picture(0) * 2000
    large |= {"picture_size": len(content), "picture_sha256": ids.sha256(content)}
    (drive / large["file_name"]).write_bytes(content)
    list(upload([Entry(large, drive / large["file_name"])], db.index, db.store))
    (target / large["file_name"]).write_bytes(b"old")
    with files_up_to(len(content) // 2):
        (failed,) = fetch(db, target)
    assert (failed.status, "cannot be written" in failed.reason) == ("failed", True)
    assert (target / large["file_name"]).read_bytes() == b"old"
    assert not list(target.glob(".*"))


def test_pictures_are_on_the_disk_before_the_label_file_names_them(full, target, monkeypatch):
    calls = calls_recorded(monkeypatch.setattr)
    fetch(full, target)
    ours = [call for call in calls if target in (call.path, call.path.parent)]
    names = [(call.name, call.path.suffix) for call in ours]
    pictures = [("replace", ".jpg")] * 10
    assert names[:11] == [*pictures, ("syncfs", "")]
    assert ("replace", ".json") in names[11:]


@pytest.mark.parametrize(
    "names",
    [(0, 0, 2), (2, 1, 2), ("a.jpg", 1, "a.jpg"), (7, 7, 2), (0, 1, 1)],
    ids=["earlier", "later", "of another form", "of none", "of the one before"],
)
def test_of_two_pictures_of_one_file_name_the_second_fails(target, tmp_path, names):
    documents = [document(number) for number in range(3)]
    for one, name in zip(documents, names, strict=True):
        one["file_name"] = document(name)["file_name"] if isinstance(name, int) else name
    given = [one["file_name"] for one in documents]
    twice = [name in given[:number] for number, name in enumerate(given)]
    store = MemoryStore()
    found = newest_labels(map(msgspec.json.encode, documents))
    results = download(found, store, pictures=target, labels=tmp_path / "l.json", fetch=False)
    assert [one.status == "failed" for one in results] == twice
    assert any(twice)


def test_two_pictures_of_one_file_name_are_told_apart(db, tmp_path, target):
    one, two = document(0), document(1)
    two["file_name"] = one["file_name"]
    for folder, number in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / one["file_name"]).write_bytes(picture(number))
    entries = [
        Entry(one, tmp_path / "a" / one["file_name"]),
        Entry(two, tmp_path / "b" / one["file_name"]),
    ]
    list(upload(entries, db.index, db.store))
    results = fetch(db, target)
    assert [one.status for one in results] == ["fetched", "failed"]
    assert one["file_name"] in results[1].reason
    assert (target / one["file_name"]).read_bytes() == picture(0)


@pytest.mark.parametrize("name", ["../up.jpg", "/etc/x.jpg", "a\0.jpg", ".."])
def test_a_file_name_out_of_the_folder_is_not_written(full, target, name):
    bad = {**next(iter(full.labels().values())), "file_name": name}
    (result,) = download(
        newest_labels([msgspec.json.encode(bad)]),
        full.store,
        pictures=target,
        labels=target / "labels.json",
    )
    assert (result.status, "is not a plain file name" in result.reason) == ("failed", True)
    assert [file.name for file in target.iterdir()] == ["labels.json"]


def test_a_folder_that_cannot_be_written_to_is_reported(full, target):
    (target / document(0)["file_name"]).mkdir()
    (failed,) = [one for one in fetch(full, target) if one.status == "failed"]
    assert "cannot be written" in failed.reason


def test_a_download_that_is_cut_leaves_the_old_labels(full, target):
    fetch(full, target, limit=2)
    before = (target / label_file.NAME).read_bytes()

    def unreachable():
        raise DatabaseError("gone")

    (target / document(0)["file_name"]).unlink()
    with pytest.raises(DatabaseError):
        fetch(full, target, store=Meddling(full.store, get=unreachable))
    assert (target / label_file.NAME).read_bytes() == before
    assert not list(target.glob(".*"))


def test_newest_labels_decodes_no_more_than_it_needs():
    documents = [msgspec.json.encode(document(n // 2, created_by=f"p{n}")) for n in range(6)]
    hits = list(newest_labels(documents))
    assert [hit.document for hit in hits] == documents[::2]
    assert [hit.other_labels for hit in hits] == [1, 1, 1]
