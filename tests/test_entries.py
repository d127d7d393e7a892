"""The labels of a file to upload: read twice, in a memory that does not grow with their number."""

import json
from functools import partial

import msgspec
import pytest

from common.errors import InputError
from get_data.database import entries as entries_module
from get_data.database.entries import EntryFile, FileChanged, read_entries
from get_data.labels import edits, label_file
from tests.conftest import document, save
from tests.helpers import peak_memory


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of three labels."""
    monkeypatch.setattr(entries_module, "batches", partial(entries_module.batches, size=3))


@pytest.fixture
def folder(tmp_path):
    return save(tmp_path / "drive", [document(n) for n in range(10)], pictures=False)


def documents_of(entries):
    return [entry.document for entry in entries]


def one_a_line(labels):
    return (
        "{\n" + ",\n".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in labels.items()) + "\n}\n"
    )


LAYOUTS = {
    "as written": lambda labels: msgspec.json.encode(labels).replace(b'},"2', b'},\n"2'),
    "one a line": lambda labels: one_a_line(labels).encode(),
    "indented": lambda labels: json.dumps(labels, indent=2).encode(),
    "with a mark": lambda labels: b"\xef\xbb\xbf" + json.dumps(labels).encode(),
    "in another order": lambda labels: one_a_line(dict(reversed(labels.items()))).encode(),
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_file_can_be_read_again_and_again_whatever_its_layout(folder, layout):
    labels = {one["img_id"]: {**one, "driver": "Zoé"} for one in map(document, range(10))}
    (folder / label_file.NAME).write_bytes(layout(labels))
    entries = EntryFile(folder / label_file.NAME)
    assert len(entries) == 10
    for _ in range(2):
        assert {one["img_id"]: one for one in documents_of(entries)} == labels
    assert [entry.picture.parent for entry in entries] == [folder] * 10


CHANGES = {
    "another value": lambda raw: raw.replace(b'"auto"', b'"Adam"', 1),
    "shorter": lambda raw: raw[: len(raw) // 2],
    "another key": lambda raw: raw.replace(b'"img_id"', b'"img_ie"', 1),
    "empty": lambda _: b"",
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_was_changed_since_it_was_checked_is_not_uploaded_further(folder, change):
    file = folder / label_file.NAME
    entries = EntryFile(file)
    before = file.read_bytes()
    file.write_bytes(change(before))
    with pytest.raises(FileChanged, match="was changed"):
        list(entries)
    file.unlink()
    with pytest.raises(FileChanged, match="was changed"):
        list(entries)
    file.write_bytes(before)
    assert len(list(entries)) == 10


@pytest.mark.usefixtures("small_blocks")
def test_labels_that_are_not_chosen_are_left_out_each_time(folder):
    marked = edits.marked_for_deletion(document(4))
    save(folder, [marked if n == 4 else document(n) for n in range(10)], pictures=False)
    asked = []
    entries = EntryFile(folder / label_file.NAME, select=lambda entry: bool(asked.append(entry)))
    assert documents_of(asked) == documents_of(entries.left_out) == [marked]
    assert len(entries) == len(list(entries)) == 9
    assert marked["img_id"] not in {entry.img_id for entry in entries}


def test_labels_that_were_read_already_are_taken_as_given(folder):
    labels = {one["img_id"]: one for one in map(document, range(3))}
    entries = EntryFile(folder / label_file.NAME, documents=labels)
    assert documents_of(entries) == list(labels.values())


@pytest.mark.usefixtures("small_blocks")
def test_a_wrong_label_or_key_anywhere_is_found_before_the_first_entry(folder):
    labels = {one["img_id"]: one for one in map(document, range(10))}
    last = document(9)
    for wrong in ({"s3_key": "elsewhere/a.jpg"}, {"timestamp": "yesterday"}):
        label_file.write(folder / label_file.NAME, {**labels, last["img_id"]: {**last, **wrong}})
        with pytest.raises(InputError, match=last["img_id"]):
            EntryFile(folder / label_file.NAME)


@pytest.mark.new_interpreter
def test_memory_does_not_grow_with_the_number_of_labels(tmp_path):
    """Four times the labels, of several blocks each, and hardly more than their ids.

    Caches that are full at one moment or another make the peak differ by 0.6 MB.
    """
    few, many = (
        save(tmp_path / str(count), list(map(document, range(count))), pictures=False)
        / label_file.NAME
        for count in (4000, 16_000)
    )
    code = """
        from pathlib import Path
        from get_data.database.entries import EntryFile
        def use(file):
            for _ in EntryFile(Path(file)):
                pass
    """
    _, peak_of_few, peak_of_many = peak_memory.peaks(code, few, few, many)  # the first imports
    assert peak_of_many < peak_of_few + 12_000 * 100


def test_all_entries_at_once_are_those_of_the_file(folder):
    file = folder / label_file.NAME
    assert read_entries(file) == list(EntryFile(file))
