"""The contract of every picture store; a new one joins by one more param of the fixture."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.atomic_files import temporary_file
from common.errors import DatabaseError, PictureMissing, SetMissing
from get_data.database.frozen.frozen_file import FrozenSetWriter
from get_data.database.interfaces import PictureState, backup_path, picture_key, read_picture
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.s3_utils import settings as s3_settings
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.labels import ids
from get_data.labels.label_lines import Line
from tests.fakes.memory_database import MemoryStore

KEY = picture_key("20240501T12-00-00-000000", "ab" * 32)
OTHER = picture_key("20240501T12-00-00-100000", "cd" * 32)
FILE_TIME_S = 2.0  # times of files are this coarse on some disks
WHOLE = picture_key("20240501T12-00-00-200000", ids.sha256(b"picture"))


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.servers)])
def store(request, tmp_path):
    match request.param:
        case "s3":
            gateway = request.getfixturevalue("s3")
            bucket = gateway.make_bucket()
            return S3PictureStore(s3_settings.from_environment(gateway.environment(bucket)))
        case "local":
            return LocalPictureStore(tmp_path / "database")
        case "memory":
            return MemoryStore()


def test_a_key_contains_day_id_and_hash():
    assert KEY == "pictures/20240501/20240501T12-00-00-000000-abababababab.jpg"
    assert picture_key("holiday_1", "ab" * 32) == "pictures/other/holiday_1-abababababab.jpg"


@pytest.mark.parametrize("key", [KEY, picture_key("a..b", "ab" * 32)])
def test_a_picture_comes_back_byte_for_byte(store, key):
    assert store.put_new(key, b"\0\xff jpeg")
    assert store.get(key) == b"\0\xff jpeg"
    assert store.sizes([key]) == {key: 7}
    assert store.back_up(key, "run-1")
    assert list(store.backup_copies()) == [key]


def test_a_picture_that_is_there_stays_as_it_was(store):
    assert store.put_new(KEY, b"picture")
    assert not store.put_new(KEY, b"picture")
    assert store.get(KEY) == b"picture"


@pytest.mark.parametrize("left", [b"", b"pict"], ids=["empty", "short"])
def test_a_picture_that_is_damaged_makes_room(store, left):
    store.put_new(KEY, left)
    assert store.put_new(KEY, b"picture")
    assert store.get(KEY) == b"picture"


def test_a_picture_of_the_right_size_and_other_content_makes_room(store):
    store.put_new(WHOLE, bytes(7))
    assert store.put_new(WHOLE, b"picture")
    assert store.get(WHOLE) == b"picture"
    assert not store.put_new(WHOLE, b"picture")


def test_a_picture_is_put_over_whatever_has_its_key(store):
    for content in (b"", b"other", b"picture"):
        store.put(WHOLE, content)
        assert store.get(WHOLE) == content


@pytest.mark.parametrize("read", [False, True], ids=["listed", "read"])
@pytest.mark.parametrize(
    ("content", "is_intact"), [(b"picture", True), (bytes(7), False), (b"qicture", False)]
)
def test_intact_and_damaged_pictures_are_distinguished(store, content, is_intact, read):
    store.put_new(WHOLE, content)
    found = store.examine({WHOLE: lambda: b"picture", OTHER: lambda: None}, read=read)
    assert found == {WHOLE: PictureState(7, is_intact)}


@pytest.mark.parametrize("content", [b"picture", bytes(7)])
def test_without_a_copy_to_compare_with_a_picture_can_still_be_read(store, content):
    store.put_new(WHOLE, content)
    found = store.examine({WHOLE: lambda: None}, read=True)
    assert found == {WHOLE: PictureState(7, is_intact=content == b"picture")}


def test_a_local_picture_that_cannot_be_read_is_damaged_and_makes_room(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(OTHER, b"x")
    (tmp_path / WHOLE).symlink_to(WHOLE.rpartition("/")[2])
    assert not store.examine({WHOLE: lambda: None})[WHOLE].is_intact
    store.put(WHOLE, b"picture")
    assert store.get(WHOLE) == b"picture"


def test_of_many_writers_of_one_key_exactly_one_wins(store):
    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(lambda _: store.put_new(KEY, b"picture"), range(64)))
    assert won.count(True) == 1
    assert store.get(KEY) == b"picture"


def test_what_is_not_there_is_missing(store):
    with pytest.raises(PictureMissing, match=KEY):
        store.get(KEY)
    store.put_new(OTHER, b"x")
    with pytest.raises(PictureMissing):
        store.get(KEY)


def test_has_pictures(store):
    assert not store.has_pictures()
    store.put_new(KEY, b"picture")
    assert store.has_pictures()
    store.back_up(KEY, "run-1")
    store.delete(KEY)
    assert not store.has_pictures()


def test_sizes_returns_existing_pictures(store):
    assert store.sizes([KEY, OTHER]) == {}
    store.put_new(KEY, b"12345")
    assert store.sizes([KEY, OTHER]) == {KEY: 5}


def test_sizes_takes_thousands_of_keys(store):
    keys = [picture_key(f"20240501T12-00-00-{number:06}", "ab" * 32) for number in range(2500)]
    for key in keys[::2]:
        store.put_new(key, b"x")
    assert set(store.sizes(keys)) == set(keys[::2])


def test_all_pictures_are_listed_with_their_sizes(store):
    assert list(store.list_pictures()) == []
    keys = [picture_key(f"20240501T12-00-00-{number:06}", "ab" * 32) for number in range(1200)]
    expected = {key: 1 + number % 3 for number, key in enumerate([*keys, OTHER])}
    for key, size in expected.items():
        store.put_new(key, b"x" * size)
    store.back_up(KEY, "run-1")
    pictures = list(store.list_pictures())
    assert len(pictures) == len(expected)
    assert {picture.key: picture.size for picture in pictures} == expected
    assert all(picture.age_s < 3600 for picture in pictures)


def test_delete_leaves_nothing_and_may_be_repeated(store):
    store.put_new(KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    assert store.sizes([KEY]) == {}
    assert store.put_new(KEY, b"again")


def test_an_intact_backup_copy_is_preferred_to_a_damaged_picture(store):
    key = picture_key("20240501T12-00-00-000000", ids.sha256(b"picture"))
    store.put_new(key, b"picture")
    store.back_up(key, "run-1")
    store.delete(key)
    store.put_new(key, b"pic")
    assert read_picture(store, key) == b"picture"
    store.delete(backup_path(key, "run-1"))
    assert read_picture(store, key) == b"pic"  # for the caller to say that it is damaged


def test_a_backup_copy_outlives_its_picture(store):
    store.put_new(KEY, b"x")
    assert store.back_up(KEY, "run-1")
    store.delete(KEY)
    assert [copy.path for copy in store.backup_copies()[KEY]] == [backup_path(KEY, "run-1")]
    assert store.get(backup_path(KEY, "run-1")) == read_picture(store, KEY) == b"x"
    store.delete(backup_path(KEY, "run-1"))
    assert store.backup_copies() == {}
    with pytest.raises(PictureMissing, match=KEY):
        read_picture(store, KEY)


def test_a_missing_picture_is_not_backed_up(store):
    assert not store.back_up(KEY, "run-1")
    assert store.backup_copies() == {}


def test_backup_copies_are_listed_by_picture_and_run(store):
    for key in (KEY, OTHER):
        store.put_new(key, b"x")
    store.back_up(KEY, "run-1")
    store.back_up(KEY, "run-2")
    store.back_up(OTHER, "run-1")
    found = {
        key: sorted(copy.path for copy in copies) for key, copies in store.backup_copies().items()
    }
    assert found == {
        KEY: [backup_path(KEY, "run-1"), backup_path(KEY, "run-2")],
        OTHER: [backup_path(OTHER, "run-1")],
    }


def test_pictures_are_not_backup_copies(store):
    store.put_new(KEY, b"x")
    assert store.backup_copies() == {}


def test_make_durable_may_be_called_at_any_time(store):
    store.make_durable()
    store.put_new(KEY, b"x")
    store.make_durable()


def test_local_copy_is_young_even_of_an_old_picture(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    os.utime(tmp_path / KEY, (0, 0))
    before_s = time.time()
    store.back_up(KEY, "run-1")
    (copy,) = store.backup_copies()[KEY]
    assert 0 <= copy.age_s < time.time() - before_s + FILE_TIME_S


def test_local_copy_ages_by_the_file_systems_clock(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    store.back_up(KEY, "run-1")
    file = tmp_path / backup_path(KEY, "run-1")
    before = file.stat().st_mtime
    os.utime(file, (before - 4000, before - 4000))
    (copy,) = store.backup_copies()[KEY]
    assert 4000 - FILE_TIME_S < copy.age_s < 4000 + time.time() - before + FILE_TIME_S


def test_what_a_killed_upload_left_half_written_goes_with_the_next_one(tmp_path):
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / f".{'0a' * 16}.tmp").write_bytes(b"half")
    with temporary_file(incoming) as other:
        LocalPictureStore(tmp_path).put_new(KEY, b"x")
        assert list(incoming.iterdir()) == [Path(other.name)]


def test_reading_leaves_what_a_killed_upload_left_half_written(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    name = f"incoming/.{'0a' * 16}.tmp"
    (tmp_path / name).write_bytes(b"half")
    reader = LocalPictureStore(tmp_path)
    assert (reader.sizes([KEY]), reader.backup_copies()) == ({KEY: 1}, {})
    with temporary_file(tmp_path / "incoming") as other:
        assert reader.stale_files() == [name]
        reader.remove_stale_files()
        assert list((tmp_path / "incoming").iterdir()) == [Path(other.name)]
    assert reader.stale_files() == []


def test_what_is_no_file_is_no_local_picture(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    (tmp_path / KEY).rename(tmp_path / "x.jpg")
    os.mkfifo(tmp_path / KEY)
    assert list(store.list_pictures()) == []
    assert store.sizes([KEY]) == {}
    assert store.put_new(KEY, b"x")
    assert store.get(KEY) == b"x"


def test_a_folder_of_local_pictures_may_be_a_link(tmp_path):
    store = LocalPictureStore(tmp_path / "database")
    store.put_new(KEY, b"x")
    folder = (tmp_path / "database" / KEY).parent
    folder.rename(tmp_path / "other disk")
    folder.symlink_to(tmp_path / "other disk")
    assert [picture.key for picture in store.list_pictures()] == [KEY]
    (folder / "back").symlink_to(folder)
    assert KEY in [picture.key for picture in store.list_pictures()]


@pytest.mark.parametrize("key", ["", "index.sqlite", "pictures/../index.sqlite"])
def test_what_no_picture_may_be_called_is_not_in_the_store(store, key):
    store.put_new(KEY, b"x")
    assert store.sizes([key, KEY]) == {KEY: 1}


@pytest.mark.parametrize("key", ["pictures/\0", f"pictures/{'x' * 9999}", f"{KEY}/x"])
def test_what_no_file_may_be_called_is_no_local_picture(tmp_path, key):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    assert store.sizes([key, KEY]) == {KEY: 1}


def test_the_age_of_a_local_picture_is_that_of_its_file(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    moment = (tmp_path / KEY).stat().st_mtime - 4000
    os.utime(tmp_path / KEY, (moment, moment))
    (found,) = store.list_pictures()
    assert found.age_s == pytest.approx(4000, abs=60)


def test_a_local_picture_that_is_put_again_leaves_nothing_else(tmp_path):
    store = LocalPictureStore(tmp_path)
    store.put_new(KEY, b"x")
    store.back_up(KEY, "run-1")
    store.put_new(KEY, b"x")
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == {
        tmp_path / KEY,
        tmp_path / backup_path(KEY, "run-1"),
    }


def test_asking_a_local_store_creates_nothing(tmp_path):
    store = LocalPictureStore(tmp_path / "database")
    store.sizes([KEY])
    store.backup_copies()
    store.delete(KEY)
    with pytest.raises(PictureMissing):
        store.get(KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_local_store_below_a_file_is_named(tmp_path):
    (tmp_path / "database").write_text("")
    with pytest.raises(DatabaseError, match="picture store: "):
        LocalPictureStore(tmp_path / "database").put_new(KEY, b"x")


SET = "sets/base-0123456789ab.json.gz"


def test_a_frozen_set_comes_back_and_is_never_replaced(store):
    content = bytes(range(256)) * 5000  # more than a block
    assert store.list_sets() == []
    assert store.put_new_set(SET, content)
    assert not store.put_new_set(SET, b"other")
    (stored,) = store.list_sets()
    assert (stored.path, stored.size) == (SET, len(content))
    assert (stored.name, stored.short_hash) == ("base", "0123456789ab")
    assert b"".join(store.read_set(stored)) == content
    assert not list(store.list_pictures())
    assert not store.has_pictures()
    store.delete_set(SET)
    store.delete_set(SET)
    assert store.list_sets() == []
    with pytest.raises(SetMissing):
        b"".join(store.read_set(stored))


def test_a_damaged_set_is_replaced_in_one_step(store):
    store.put_new_set(SET, b"damaged")
    store.put_set(SET, b"whole, and longer")
    (stored,) = store.list_sets()
    assert stored.size == len(b"whole, and longer")
    assert b"".join(store.read_set(stored)) == b"whole, and longer"
    store.delete_set(SET)
    store.put_set(SET, b"new")
    assert [each.path for each in store.list_sets()] == [SET]


def test_the_pictures_of_frozen_sets_are_known_as_sets_come_and_go(store):
    writer = FrozenSetWriter(count=1, sha256="0" * 64, description=b"{}")
    writer.add_picture(KEY)
    document = json.dumps({"img_id": "20240501T12-00-00-000000"}).encode()
    content = writer.close([Line("20240501T12-00-00-000000", document)])
    assert store.find_set_references([KEY, OTHER]) == set()
    store.put_new_set(SET, content)
    assert store.find_set_references([KEY, OTHER]) == {KEY}
    store.put_new_set("sets/other-0123456789ab.json.gz", content)
    store.delete_set(SET)
    assert store.find_set_references([KEY, OTHER]) == {KEY}
    store.delete_set("sets/other-0123456789ab.json.gz")
    assert store.find_set_references([KEY]) == set()
    store.put_new_set(SET, content[:20])
    with pytest.raises(DatabaseError, match="base"):
        store.find_set_references([KEY])


@pytest.mark.parametrize("path", ["sets/../index.sqlite", "pictures/x.jpg", "sets/base.json.gz"])
def test_only_frozen_sets_are_stored_as_such(store, path):
    store.put_new(KEY, b"picture")
    for action in (
        lambda: store.put_new_set(path, b"x"),
        lambda: store.put_set(path, b"x"),
        lambda: store.delete_set(path),
    ):
        with pytest.raises(DatabaseError):
            action()
    with pytest.raises(DatabaseError):
        store.delete(SET)  # as a picture: labels may name anything
