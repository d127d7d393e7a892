"""The deletion: labels out, and the pictures that no label names any more, and no other."""

from dataclasses import replace
from pathlib import Path

import pytest

from common import times
from common.errors import DatabaseError
from get_data.database.delete import delete, plan, reconcile
from get_data.database.entries import Entry, read_entries
from get_data.database.interfaces import LabelReference, backup_path, picture_key
from get_data.database.upload import upload
from get_data.labels import edits, ids, label_file
from tests.conftest import document, picture
from tests.helpers.faults import Call, Recording, names_of
from tests.test_upload import Meddling

STEERING = [-0.9, -0.5, 0.0, 0.5, 0.9]


def in_drive(number):
    """The label of a picture as the `drive` fixture has it."""
    return document(number, steering=STEERING[number % 5])


def label_of(document):
    """A label as a deletion takes it."""
    return Entry(document, Path(document["file_name"])).label


def key_of(number):
    return picture_key(document(number)["img_id"], ids.sha256(picture(number)))


@pytest.fixture
def full(db, drive):
    """A database with the ten labels and pictures of a drive."""
    list(upload(read_entries(drive / label_file.NAME), db.index, db.store))
    return db


def remove(db, documents, store=None, index=None):
    targets = [label_of(one) for one in documents]
    return list(
        delete(targets, index or db.index, store or db.store, reason="deleted", removed_by="Ada")
    )


def test_labels_and_their_pictures_are_out(full):
    results = remove(full, [in_drive(0), in_drive(1)])
    assert [(one.status, one.picture) for one in results] == [("deleted", "deleted")] * 2
    assert len(full.labels()) == len(full.pictures()) == 8
    assert full.store.sizes([key_of(0), key_of(1)]) == {}
    assert full.store.backup_copies() == {}


def test_a_label_whose_tombstone_is_removed_meanwhile_goes_for_good(full):
    """D34: by an upload that restores it, and creates it again or has been killed."""
    going = label_of(in_drive(0))
    index = Meddling(full.index, remove=lambda: full.index.remove_tombstones([going.fingerprint]))
    (result,) = remove(full, [in_drive(0)], index=index)
    assert (result.status, result.picture) == ("deleted", "deleted")
    assert len(full.labels()) == 9
    assert full.index.find_tombstones([going.fingerprint]).keys() == {going.fingerprint}


def test_a_picture_with_another_label_stays(full, drive):
    second = document(0, steering=0.9, created_by="Ada")
    list(upload([Entry(second, drive / second["file_name"])], full.index, full.store))
    (result,) = remove(full, [in_drive(0)])
    assert (result.status, result.picture) == ("deleted", "kept")
    assert full.store.get(key_of(0)) == picture(0)
    (result,) = remove(full, [second])
    assert (result.status, result.picture) == ("deleted", "deleted")
    assert full.store.sizes([key_of(0)]) == {}


def test_two_pictures_with_second_labels_both_stay(full, drive):
    """Each picture is asked about by itself, however many are deleted together."""
    seconds = [document(number, steering=0.9, created_by="Ada") for number in (0, 1)]
    list(upload([Entry(one, drive / one["file_name"]) for one in seconds], full.index, full.store))
    results = remove(full, [in_drive(0), in_drive(1)])
    assert [one.picture for one in results] == ["kept", "kept"]
    assert set(full.store.sizes([key_of(0), key_of(1)])) == {key_of(0), key_of(1)}


def test_deleting_again_changes_nothing(full):
    remove(full, [in_drive(0)])
    (result,) = remove(full, [in_drive(0)])
    assert (result.status, result.picture) == ("absent", "absent")
    assert len(full.labels()) == 9


def test_who_deleted_what_is_kept(full):
    remove(full, [in_drive(0)])
    (tombstone,) = full.index.find_tombstones([in_drive(0)["label_fingerprint"]]).values()
    assert (tombstone.img_id, tombstone.reason, tombstone.removed_by) == (
        in_drive(0)["img_id"],
        "deleted",
        "Ada",
    )
    assert tombstone.s3_key == key_of(0)
    assert tombstone.removed_at.endswith("Z")


def test_a_label_never_uploaded_stays_out_later_too(db, drive):
    remove(db, [in_drive(0)])
    results = list(upload(read_entries(drive / label_file.NAME), db.index, db.store))
    assert [one.status for one in results] == ["tombstoned"] + ["created"] * 9


def test_more_labels_than_a_batch_holds(full):
    absent = [document(number) for number in range(100, 900)]
    results = remove(full, [*absent, *map(in_drive, range(10))])
    assert [one.status for one in results] == ["absent"] * 800 + ["deleted"] * 10
    assert full.labels() == {}
    assert full.store.sizes([key_of(number) for number in range(10)]) == {}


def test_the_plan_is_what_the_deletion_does(full, drive):
    second = document(0, steering=0.9, created_by="Ada")
    list(upload([Entry(second, drive / second["file_name"])], full.index, full.store))
    going = [label_of(one) for one in (in_drive(0), in_drive(1), document(500))]
    before = (full.labels(), full.pictures())
    planned = list(plan(going, full.index, full.store))
    assert (full.labels(), full.pictures()) == before
    assert planned == list(
        delete(going, full.index, full.store, reason="deleted", removed_by="Ada")
    )
    assert [one.picture for one in planned] == ["kept", "deleted", "absent"]


def test_the_plan_counts_both_labels_of_one_picture_out(full, drive):
    second = document(0, steering=0.9, created_by="Ada")
    list(upload([Entry(second, drive / second["file_name"])], full.index, full.store))
    planned = plan([label_of(in_drive(0)), label_of(second)], full.index, full.store)
    assert [one.picture for one in planned] == ["deleted", "deleted"]


def test_the_plan_spares_pictures_about_to_be_named(full):
    planned = plan([label_of(in_drive(0))], full.index, full.store, kept={key_of(0)})
    assert [one.picture for one in planned] == ["kept"]


def test_a_picture_labelled_at_the_last_moment_is_restored(full, drive):
    """Somebody gives the picture a label after the deletion found it without one."""
    second = document(0, steering=0.9, created_by="Ada")

    def label_it():
        sent = edits.uploaded(
            second,
            picture=picture(0),
            bucket="local",
            key=key_of(0),
            upload_time=times.parse_time("2024-05-02"),
        )
        full.index.create([sent])

    (result,) = remove(full, [in_drive(0)], store=Meddling(full.store, delete=label_it))
    assert (result.status, result.picture) == ("deleted", "kept")
    assert full.store.get(key_of(0)) == picture(0)
    assert full.store.backup_copies() == {}


def test_a_backup_copy_is_durable_before_its_picture_is_deleted(full):
    calls: list[Call] = []
    remove(full, [in_drive(0)], store=Recording(full.store, calls))
    # The second deletion is that of the copy.
    order = ["back_up", "make_durable", "delete"]
    assert names_of(calls, *order)[:3] == order


def test_a_picture_without_a_backup_copy_is_not_deleted(full):
    """Somebody had it away for a moment, and has put it back since."""
    calls: list[Call] = []
    store = Recording(full.store, calls)
    asked = []

    def back_up(key, run):
        asked.append(full.store.sizes([key]))
        return len(asked) > 1 and full.store.back_up(key, run)

    store.back_up = back_up
    deleted_at = []
    store.delete = lambda path: (deleted_at.append(len(asked)), full.store.delete(path))
    (result,) = remove(full, [in_drive(0)], store=store)
    assert asked == [{key_of(0): len(picture(0))}] * 2
    assert min(deleted_at) == 2
    assert result.picture == "deleted"


def test_a_picture_that_cannot_be_copied_stays(full):
    def unreachable():
        raise DatabaseError("no space")

    store = Meddling(full.store, back_up=unreachable)
    with pytest.raises(DatabaseError):
        remove(full, [in_drive(0)], store=store)
    assert full.store.get(key_of(0)) == picture(0)


def test_backup_copies_are_listed_before_the_index_is_asked_and_pictures_after(full):
    """A copy made after the question may be the last of a picture named since."""
    calls: list[Call] = []
    remove(full, [in_drive(0)], Recording(full.store, calls), Recording(full.index, calls))
    asked = [
        call.name for call in calls if call.name in ("backup_copies", "find_references", "sizes")
    ]
    assert asked == ["backup_copies", "find_references", "sizes"] * 2


class Killed(BaseException):
    pass


CALLS = [
    ("index", "add_tombstones"),
    ("index", "remove"),
    ("store", "backup_copies"),
    ("index", "find_references"),
    ("store", "sizes"),
    ("store", "back_up"),
    ("store", "delete"),
]


@pytest.mark.parametrize(("part", "call"), CALLS, ids=lambda value: value)
def test_a_killed_deletion_is_completed_by_a_second_run(full, part, call):
    def kill():
        raise Killed

    meddling = {part: Meddling(getattr(full, part), **{call: kill})}
    with pytest.raises(Killed):
        remove(full, [in_drive(0)], **meddling)
    for one in full.labels().values():
        assert full.store.sizes([one["s3_key"]])
    remove(full, [in_drive(0)])
    assert in_drive(0)["label_fingerprint"] not in full.labels()
    assert full.store.sizes([key_of(0)]) == {}


class Aged:
    """A store in which the backup copies of one run have a given age."""

    def __init__(self, real, run, age_s=3700.0):
        self._real = real
        self._run = run
        self._age_s = age_s

    def __getattr__(self, name):
        return getattr(self._real, name)

    def backup_copies(self):
        return {
            key: [
                replace(copy, age_s=self._age_s) if copy.path.endswith(self._run) else copy
                for copy in copies
            ]
            for key, copies in self._real.backup_copies().items()
        }


def test_an_old_backup_copy_is_removed_by_the_next_deletion(full):
    full.store.back_up(key_of(5), "killed run")
    remove(full, [in_drive(0)], store=Aged(full.store, "killed run"))
    assert full.store.backup_copies() == {}
    assert full.store.get(key_of(5)) == picture(5)


def test_a_backup_copy_of_a_killed_deletion_is_restored(full):
    full.store.back_up(key_of(5), "killed run")
    full.store.delete(key_of(5))
    remove(full, [in_drive(0)], store=Aged(full.store, "killed run"))
    assert full.store.get(key_of(5)) == picture(5)
    assert full.store.backup_copies() == {}


def test_a_damaged_backup_copy_is_not_restored(full):
    """It would take the place of an intact one that an upload stores at the same time."""
    full.store.delete(key_of(5))
    full.store.put_new(key_of(5), b"")
    full.store.back_up(key_of(5), "killed run")
    full.store.delete(key_of(5))
    assert reconcile([key_of(5)], full.index, full.store, run="r") == {key_of(5): "lost"}
    assert full.store.sizes([key_of(5)]) == {}


def test_a_young_copy_of_another_deletion_is_left_alone(full):
    full.store.back_up(key_of(5), "other run")
    remove(full, [in_drive(0)])
    assert set(full.store.backup_copies()) == {key_of(5)}


@pytest.mark.parametrize("number", [0, 5])
def test_a_copy_that_is_not_an_hour_old_may_be_needed(full, number):
    """Also one of the picture that is deleted: its deletion runs in two places."""
    full.store.back_up(key_of(number), "other run")
    remove(full, [in_drive(0)], store=Aged(full.store, "other run", age_s=3500.0))
    (copy,) = full.store.backup_copies()[key_of(number)]
    assert copy.path == backup_path(key_of(number), "other run")


def test_a_lost_picture_that_a_label_names_is_reported(full):
    full.store.delete(key_of(0))
    assert reconcile([key_of(0)], full.index, full.store, run="r") == {key_of(0): "lost"}


def test_the_key_is_known_from_the_index_where_the_file_does_not_tell(full):
    label = in_drive(0)
    unknown = LabelReference(label["label_fingerprint"], label["img_id"])
    (result,) = delete([unknown], full.index, full.store, reason="deleted", removed_by="Ada")
    assert result.picture == "deleted"
