"""The removal of local pictures: the order of its questions, and what may change meanwhile."""

import os

import pytest

from get_data.database import free as free_module
from get_data.database.entries import Entry
from get_data.database.free import free
from get_data.database.interfaces import PictureState, picture_key
from get_data.database.upload import upload
from get_data.labels import label_file
from get_data.labels.local_pictures import list_pictures, read_label_files
from tests.conftest import document, picture
from tests.fakes.memory_database import MemoryIndex, MemoryStore
from tests.helpers.faults import Call, Recording, names_of

EVERYTHING = 10**12


class UnlistedStore(MemoryStore):
    """A store that lists no hashes, as a bucket with an encryption of its own."""

    def __init__(self):
        super().__init__()
        self.read = []

    def examine(self, pictures, *, read=False):
        if read:
            self.read += pictures
            return super().examine(pictures)
        sizes = {key: len(self.pictures[key]) for key in pictures if key in self.pictures}
        return {key: PictureState(size, True, is_verified=False) for key, size in sizes.items()}


@pytest.fixture(params=[MemoryStore, UnlistedStore])
def store(request):
    return request.param()


@pytest.fixture
def index():
    return MemoryIndex()


@pytest.fixture
def uploaded(drive, index, store):
    """The pictures of a drive that is uploaded."""
    labels = label_file.read(drive / label_file.NAME).values()
    entries = [Entry(label, drive / label["file_name"]) for label in labels]
    assert {each.status for each in upload(entries, index, store)} == {"created"}
    return list_pictures(drive, read_label_files(drive))


def statuses(outcomes):
    return [(outcome.status, outcome.kept) for outcome in outcomes]


def test_a_picture_without_a_listed_hash_is_read(uploaded, index, store):
    label = document(3, steering=0.5)
    key = picture_key(label["img_id"], label["picture_sha256"])
    store.pictures[key] = picture(3)[:-2] + b"\xff\xff"
    found = statuses(free(uploaded, index, store, needed_bytes=EVERYTHING))
    assert found == [
        ("kept", "not_stored") if number == 3 else ("freed", None) for number in range(10)
    ]
    if isinstance(store, UnlistedStore):
        assert len(store.read) == 10


def test_each_batch_asks_the_index_then_the_store_and_then_removes(
    uploaded, index, store, monkeypatch
):
    """D24, and what was stored a moment ago is durable before its other copy goes."""
    calls = []
    unlink = free_module.os.unlink

    def removing(name, **options):
        calls.append(Call("unlink"))
        unlink(name, **options)

    monkeypatch.setattr(free_module.os, "unlink", removing)
    outcomes = free(
        uploaded, Recording(index, calls), Recording(store, calls), needed_bytes=EVERYTHING
    )
    assert statuses(outcomes) == [("freed", None)] * 10
    order = names_of(calls, "read", "find_tombstones", "examine", "make_durable", "unlink")
    assert order == ["read", "find_tombstones", "examine", "make_durable", "unlink"]


@pytest.mark.parametrize("change", ["another", "touched", "linked", "gone"])
def test_a_file_that_changes_after_its_proof_stays(uploaded, index, store, change):
    file = uploaded[3].file
    real = store.make_durable

    def make_durable():
        real()
        if change == "another":
            file.with_suffix(".new").write_bytes(picture(13))
            file.with_suffix(".new").replace(file)
        elif change == "touched":
            os.utime(file, (1, 1))
        elif change == "linked":
            os.link(file, file.with_suffix(".copy"))
        else:
            file.unlink()

    store.make_durable = make_durable
    found = statuses(free(uploaded, index, store, needed_bytes=EVERYTHING))
    assert found[3] == (("failed", None) if change == "gone" else ("kept", "not_as_recorded"))
    assert found.count(("freed", None)) == 9
    assert file.exists() == (change != "gone")


def test_a_picture_folder_that_becomes_a_link_is_not_followed(uploaded, index, store, tmp_path):
    """Somebody else's picture of the same name stays."""
    drive = uploaded[0].file.parent
    theirs = tmp_path / "theirs"
    real = store.make_durable

    def make_durable():
        real()
        if not theirs.exists():
            drive.rename(tmp_path / "moved")
            theirs.mkdir()
            for local in uploaded:
                (theirs / local.file.name).write_bytes(b"theirs")
            drive.symlink_to(theirs)

    store.make_durable = make_durable
    assert {status for status, _ in statuses(free(uploaded, index, store, needed_bytes=1))} == {
        "kept"
    }
    assert len(list(theirs.glob("*.jpg"))) == 10
