"""The upload: never a label without its picture, nothing sent twice, nothing undone."""

import os
from dataclasses import replace

import pytest

from common.errors import DatabaseError, InputError
from get_data.database.delete import delete
from get_data.database.entries import Entry, read_entries
from get_data.database.interfaces import CreateResult, Tombstone, picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.upload import upload
from get_data.labels import ids, label_file
from tests.conftest import document, picture, save
from tests.helpers.faults import Call, Recording, calls_recorded, names_of


def entries(folder):
    return read_entries(folder / label_file.NAME)


def restored(folder):
    """Return the same entries, to be restored if deleted."""
    return [replace(one, restore=True) for one in entries(folder)]


def outcome(db, what, **options):
    """What became of each label, in their order."""
    return [one.status for one in upload(what, db.index, db.store, **options)]


def test_labels_and_pictures_are_in(db, drive):
    results = list(upload(entries(drive), db.index, db.store))
    assert [one.status for one in results] == ["created"] * 10
    assert all(one.picture_sent for one in results)
    labels = db.labels()
    assert len(labels) == 10
    for one in labels.values():
        assert one["s3_key"] == picture_key(one["img_id"], one["picture_sha256"])
        assert one["s3_bucket"] == db.store.name
        assert one["upload_date"].endswith("Z")
        assert db.store.get(one["s3_key"]) == (drive / one["file_name"]).read_bytes()


def test_local_files_are_left_as_they_were(db, drive):
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in drive.iterdir()}
    outcome(db, entries(drive))
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in drive.iterdir()}
    assert after == before


def test_a_second_upload_sends_nothing(db, drive):
    outcome(db, entries(drive))
    before = db.labels()
    again = list(upload(entries(drive), db.index, db.store))
    assert {one.status for one in again} == {"existing"}
    assert not any(one.picture_sent for one in again)
    assert db.labels() == before


@pytest.mark.slow
def test_more_labels_than_a_batch_holds(db, tmp_path):
    folder = save(tmp_path / "long", [document(number) for number in range(1203)])
    assert outcome(db, entries(folder)) == ["created"] * 1203
    assert len(db.pictures()) == 1203


def test_the_same_label_twice_counts_once(db, drive):
    assert outcome(db, entries(drive) + entries(drive)) == ["created"] * 10


def test_a_dry_run_counts_the_same_and_changes_nothing(db, drive):
    outcome(db, entries(drive)[:3])
    (drive / document(5)["file_name"]).write_bytes(b"")
    planned = list(upload(entries(drive), db.index, db.store, dry_run=True))
    assert len(db.labels()) == 3
    assert db.store.sizes([one.key for one in planned if one.status == "created"]) == {}
    done = list(upload(entries(drive), db.index, db.store))
    assert [(one.status, one.picture_sent) for one in planned] == [
        (one.status, one.picture_sent) for one in done
    ]


def test_two_labels_of_one_picture_share_it(db, drive):
    second = document(0, steering=0.9, created_by="Ada")
    both = [*entries(drive), Entry(second, drive / second["file_name"])]
    results = list(upload(both, db.index, db.store))
    assert len(db.labels()) == 11
    assert len({one.key for one in results}) == 10


DAMAGE = {
    "missing": (lambda file: file.unlink(), "does not exist"),
    "empty": (lambda file: file.write_bytes(b""), "is empty"),
    "short": (lambda file: file.write_bytes(picture(3)[:-1]), "is damaged: "),
    "other": (lambda file: file.write_bytes(picture(3)[::-1]), "is damaged: "),
    "folder": (lambda file: (file.unlink(), file.mkdir()), "is not a regular file"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
def test_a_label_whose_picture_is_damaged_stays_out(db, drive, damage, reason):
    bad = document(3, steering=0.5)
    damage(drive / bad["file_name"])
    results = list(upload(entries(drive), db.index, db.store))
    failed = [one for one in results if one.status == "failed"]
    assert [one.img_id for one in failed] == [bad["img_id"]]
    assert reason in failed[0].reason
    assert len(db.labels()) == len(db.pictures()) == 9


def test_a_picture_that_links_out_of_its_folder_is_not_sent(db, drive, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(picture(3))
    file = drive / document(3)["file_name"]
    file.unlink()
    file.symlink_to(secret)
    (failed,) = [
        one for one in upload(entries(drive), db.index, db.store) if one.status == "failed"
    ]
    assert "is a link out of its folder" in failed.reason


@pytest.mark.parametrize("make", [lambda file: file.symlink_to(file.name), os.mkfifo])
def test_a_picture_that_is_a_pipe_or_a_link_to_itself_is_not_read(db, drive, make):
    file = drive / document(3)["file_name"]
    file.unlink()
    make(file)
    failed = [one for one in upload(entries(drive), db.index, db.store) if one.status == "failed"]
    assert [one.img_id for one in failed] == [document(3)["img_id"]]


def test_a_label_from_elsewhere_gets_size_and_hash_of_its_picture(db, drive):
    plain = document(0, steering=-0.9)
    del plain["picture_size"], plain["picture_sha256"]
    outcome(db, [Entry(plain, drive / plain["file_name"])])
    (sent,) = db.labels().values()
    assert sent["picture_size"] == len(picture(0))
    assert sent["picture_sha256"] == ids.sha256(picture(0))


def test_a_picture_that_only_the_store_has_is_enough_for_another_label(db, drive):
    outcome(db, entries(drive))
    (drive / document(0)["file_name"]).unlink()
    second = document(0, steering=0.9, created_by="Ada")
    assert outcome(db, [Entry(second, drive / second["file_name"])]) == ["created"]


@pytest.mark.parametrize("was_there", [False, True], ids=["new label", "label that is in"])
def test_a_backup_copy_of_a_killed_deletion_is_enough(db, drive, was_there):
    """It is the only one: file and stored picture no longer exist."""
    entry = entries(drive)[0]
    outcome(db, [entry])
    if not was_there:
        db.index.remove([entry.fingerprint])
    key = picture_key(entry.img_id, ids.sha256(picture(0)))
    assert db.store.back_up(key, "run")
    db.store.delete(key)
    entry.picture.unlink()
    assert outcome(db, [entry]) == ["existing" if was_there else "created"]
    assert db.pictures() == {key: picture(0)}


def test_another_picture_of_the_same_id_is_a_conflict(db, drive, tmp_path):
    outcome(db, entries(drive))
    other = document(0, steering=0.9)
    file = tmp_path / other["file_name"]
    file.write_bytes(b"other content")
    other |= {"picture_size": 13, "picture_sha256": ids.sha256(b"other content")}
    (result,) = upload([Entry(other, file)], db.index, db.store)
    assert result.status == "failed"
    assert result.reason == "conflict: the database has another picture of this id"
    assert len(db.labels()) == 10


def test_two_pictures_of_one_id_in_the_input_are_a_conflict_and_neither_is_sent(db, tmp_path):
    first, second = document(0), document(0, steering=0.9)
    second |= {"picture_size": 5, "picture_sha256": ids.sha256(b"other")}
    (tmp_path / "a.jpg").write_bytes(picture(0))
    (tmp_path / "b.jpg").write_bytes(b"other")
    both = [Entry(first, tmp_path / "a.jpg"), Entry(second, tmp_path / "b.jpg")]
    results = list(upload(both, db.index, db.store))
    assert [one.status for one in results] == ["failed", "failed"]
    assert results[0].reason.startswith("conflict: ")
    assert db.labels() == {}


def test_deleted_labels_stay_out_until_they_are_restored(db, drive):
    outcome(db, entries(drive))
    list(
        delete(
            [Entry(document(0, steering=-0.9), drive).label],
            db.index,
            db.store,
            reason="deleted",
            removed_by="Ada",
        )
    )
    assert outcome(db, entries(drive)) == ["tombstoned"] + ["existing"] * 9
    assert len(db.labels()) == 9
    assert outcome(db, restored(drive), dry_run=True)[0] == "created"
    assert len(db.labels()) == 9
    assert outcome(db, entries(drive)) == ["tombstoned"] + ["existing"] * 9
    assert outcome(db, restored(drive)) == ["created"] + ["existing"] * 9
    assert len(db.labels()) == len(db.pictures()) == 10
    assert outcome(db, entries(drive)) == ["existing"] * 10


@pytest.mark.parametrize("content", [None, b"", b"cut"], ids=["missing", "empty", "damaged"])
def test_a_label_that_cannot_be_restored_stays_deleted(db, drive, content):
    outcome(db, entries(drive))
    gone = Entry(document(0, steering=-0.9), drive)
    list(delete([gone.label], db.index, db.store, reason="deleted", removed_by="Ada"))
    tombstones = db.index.find_tombstones([gone.fingerprint])
    file = drive / document(0)["file_name"]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert outcome(db, restored(drive)) == ["failed"] + ["existing"] * 9
    assert db.index.find_tombstones([gone.fingerprint]) == tombstones != {}
    file.write_bytes(picture(0))
    assert outcome(db, entries(drive)) == ["tombstoned"] + ["existing"] * 9
    assert outcome(db, restored(drive)) == ["created"] + ["existing"] * 9


def test_a_label_that_the_index_rejects_stays_deleted(db, drive):
    (entry, *_) = restored(drive)
    tombstone = Tombstone(entry.fingerprint, entry.img_id, "", "deleted", "Ada", "2026-01-01")
    db.index.add_tombstones([tombstone])
    index = Meddling(db.index)
    index.create = lambda _: CreateResult(rejected={entry.fingerprint: "too large"})
    (result,) = upload([entry], index, db.store)
    assert (result.status, "too large" in result.reason) == ("failed", True)
    assert db.index.find_tombstones([entry.fingerprint]) == {entry.fingerprint: tombstone}


def test_another_picture_under_the_same_label_is_a_conflict_in_input_and_database(db, tmp_path):
    one, two = document(0), document(0)
    two |= {"picture_size": 5, "picture_sha256": ids.sha256(b"other")}
    (tmp_path / "a.jpg").write_bytes(picture(0))
    (tmp_path / "b.jpg").write_bytes(b"other")
    both = [Entry(one, tmp_path / "a.jpg"), Entry(two, tmp_path / "b.jpg")]
    assert outcome(db, both) == ["failed"]
    assert outcome(db, both[:1]) == ["created"]
    (result,) = upload(both[1:], db.index, db.store)
    assert result.reason == "conflict: the database has another picture of this id"


def test_pictures_of_labels_without_a_hash_conflict_too(db, tmp_path):
    one, two = document(0), document(0, created_by="Ada")
    for number, document_ in enumerate((one, two)):
        del document_["picture_size"], document_["picture_sha256"]
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    both = [Entry(one, tmp_path / "0.jpg"), Entry(two, tmp_path / "1.jpg")]
    assert outcome(db, both) == ["failed", "failed"]


def test_of_a_label_given_twice_the_one_with_a_picture_counts(db, drive, tmp_path):
    elsewhere = [replace(one, picture=tmp_path / "none.jpg") for one in entries(drive)]
    assert outcome(db, entries(drive) + elsewhere) == ["created"] * 10


class Meddling:
    """A store or index in which another program acts just before a call."""

    def __init__(self, real, **before):
        self._real = real
        self.name = real.name
        self._before = before

    def __getattr__(self, name):
        method = getattr(self._real, name)
        if name not in self._before:
            return method

        def called(*arguments, **options):
            self._before.pop(name, lambda: None)()
            return method(*arguments, **options)

        return called


def test_a_label_that_is_restored_while_its_deletion_removes_it_is_created_again(db, drive):
    """D34: the deletion had written the tombstone, and the label was still there."""
    (entry, *_) = restored(drive)
    list(upload([entry], db.index, db.store))

    def remove_the_label():
        db.index.remove([entry.fingerprint])

    db.index.add_tombstones(
        [Tombstone(entry.fingerprint, entry.img_id, "", "deleted", "Ada", "2026-01-01T00:00:00Z")]
    )
    index = Meddling(db.index, create=remove_the_label)
    (result,) = upload([entry], index, db.store)
    assert result.status == "created"
    assert list(db.labels()) == [entry.fingerprint]
    assert db.index.find_tombstones([entry.fingerprint]) == {}


def test_a_picture_deleted_while_its_label_was_created_is_restored(db, drive):
    """A deletion of another label took the picture between its upload and the label's."""
    entry = entries(drive)[0]
    key = picture_key(entry.img_id, ids.sha256(picture(0)))
    index = Meddling(db.index, create=lambda: db.store.delete(key))
    results = list(upload([entry], index, db.store))
    assert [one.status for one in results] == ["created"]
    assert db.pictures() == {key: picture(0)}


def test_pictures_are_durable_before_their_labels_are_in_and_looked_at_after(db, drive):
    """Else a power cut or a deletion would leave a label without its picture."""
    calls: list[Call] = []
    entry = entries(drive)[0]
    key = picture_key(entry.img_id, ids.sha256(picture(0)))
    losing = Meddling(db.index, create=lambda: db.store.delete(key))
    list(upload([entry], Recording(losing, calls), Recording(db.store, calls)))
    once = ["put_new", "make_durable", "create", "sizes"]
    assert names_of(calls, *once) == once * 2  # the second time for the one that was lost


def test_pictures_are_on_the_disk_of_this_machine_before_their_labels_are_in(
    tmp_path, drive, monkeypatch
):
    calls = calls_recorded(monkeypatch.setattr)
    index, store = SqliteIndex(tmp_path / "index"), LocalPictureStore(tmp_path / "store")
    list(upload(entries(drive), Recording(index, calls), Recording(store, calls)))
    index.close()
    names = [call.name for call in calls]
    begin, end = names.index("make_durable"), names.index("create")
    assert Call("syncfs", tmp_path / "store") in calls[begin:end]


def test_a_lost_picture_is_restored_by_a_second_upload(db, drive):
    outcome(db, entries(drive))
    key = next(iter(db.pictures()))
    db.store.delete(key)
    results = list(upload(entries(drive), db.index, db.store))
    assert {one.status for one in results} == {"existing"}
    assert [one.key for one in results if one.picture_sent] == [key]
    assert len(db.pictures()) == 10


def test_pictures_that_another_program_keeps_deleting_are_an_error(db, drive):
    store = Meddling(db.store)
    store.sizes = lambda _keys: {}
    message = f"^picture store {db.store.name!r}: another program deletes"
    with pytest.raises(DatabaseError, match=message):
        list(upload(entries(drive)[:1], db.index, store))


@pytest.mark.parametrize("left", [b"", b"pict"], ids=["empty", "short"])
def test_a_picture_that_the_store_has_damaged_is_sent_again(db, drive, left):
    outcome(db, entries(drive))
    key = next(iter(db.pictures()))
    db.store.delete(key)
    db.store.put_new(key, left)
    for dry_run in (True, False):
        results = list(upload(entries(drive), db.index, db.store, dry_run=dry_run))
        assert {one.status for one in results} == {"existing"}
        assert [one.key for one in results if one.picture_sent] == [key]
    assert sorted(db.pictures().values()) == sorted(map(picture, range(10)))


def test_a_damaged_picture_without_an_intact_copy_is_reported(db, drive):
    outcome(db, entries(drive))
    key = picture_key(document(0)["img_id"], ids.sha256(picture(0)))
    db.store.delete(key)
    db.store.put_new(key, b"")
    (drive / document(0)["file_name"]).unlink()
    (failed,) = [
        one for one in upload(entries(drive), db.index, db.store) if one.status == "failed"
    ]
    assert failed.key == key
    assert "lost" in failed.reason
    assert "does not exist" in failed.reason


def test_a_label_deleted_while_it_was_created_stays_out(db, drive):
    entry = entries(drive)[0]
    going = [entry.label]

    def delete_it():
        list(delete(going, db.index, db.store, reason="deleted", removed_by="Ada"))

    store = Meddling(db.store, sizes=delete_it)
    results = list(upload([entry], db.index, store))
    assert [one.status for one in results] == ["tombstoned"]
    assert db.labels() == {}


def test_a_label_whose_picture_is_lost_is_reported(db, drive):
    outcome(db, entries(drive))
    key = next(iter(db.pictures()))
    db.store.delete(key)
    for file in drive.glob("*.jpg"):
        file.unlink()
    failed = [one for one in upload(entries(drive), db.index, db.store) if one.status == "failed"]
    assert [one.key for one in failed] == [key]
    assert "lost" in failed[0].reason


def test_only_a_label_that_the_index_rejects_fails(db, drive):
    def refusing(documents):
        created = db.index.create(documents[1:])
        return replace_refused(created, documents[0])

    def replace_refused(created, one):
        return replace(created, rejected={one["label_fingerprint"]: "too long"})

    index = Meddling(db.index)
    index.create = refusing
    results = list(upload(entries(drive), index, db.store))
    assert [one.status for one in results] == ["failed"] + ["created"] * 9
    assert results[0].reason.endswith(": too long")


def test_a_missing_pictures_folder_is_an_error(drive):
    with pytest.raises(InputError, match="is not a folder of pictures"):
        read_entries(drive / label_file.NAME, drive / "nowhere")
