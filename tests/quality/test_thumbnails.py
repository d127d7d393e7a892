"""Thumbnails of pictures, and their cache."""

import os
import struct

import cv2
import numpy as np
import pytest

from get_data.labels import edits
from get_data.quality import samples, thumbnails
from get_data.quality.thumbnails import CACHE_NAME, read_thumbnails
from tests.conftest import document
from tests.helpers import jpeg_files
from tests.helpers.permissions import permissions_enforced

COUNT = 4


def jpeg(number, *, width=160, height=120):
    """Return a picture whose left part, a share of `number` tenths, is white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width * number // 10] = 255
    return cv2.imencode(".jpg", pixels)[1].tobytes()


class Counting:
    """A progress callback that knows how many pictures were decoded."""

    def __init__(self):
        self.decoded = 0

    def __call__(self, items, *, total, description, unit):
        self.decoded += total
        return items


@pytest.fixture
def labels(tmp_path):
    """Labels of pictures that lie in `tmp_path`."""
    return [save(tmp_path, number) for number in range(COUNT)]


def save(folder, number, content=None):
    content = jpeg(number) if content is None else content
    label = document(number) | {"picture_sha256": edits.sha256(content)}
    (folder / label["file_name"]).write_bytes(content)
    return label


def read(folder, labels):
    counting = Counting()
    found = samples.from_labels({each["img_id"]: each for each in labels})
    return read_thumbnails(folder, found, counting), counting.decoded


def white_share(thumbnail):
    return round(float(thumbnail.mean()) / 25.5)


def test_a_thumbnail_is_the_picture_made_small(tmp_path, labels):
    found, decoded = read(tmp_path, labels)
    assert found.grey.shape == (COUNT, 30, 40)
    assert found.grey.dtype == np.uint8
    assert [white_share(grey) for grey in found.grey] == list(range(COUNT))
    assert found.readable.all()
    assert decoded == COUNT
    assert found.notice == ""


@pytest.mark.parametrize(
    "size", [(8, 8), (40, 30), (60, 90), (320, 240), (640, 480), (1000, 50)], ids=str
)
def test_pictures_of_any_size_have_thumbnails_of_one_size(tmp_path, size):
    width, height = size
    label = save(tmp_path, 0, jpeg(5, width=width, height=height))
    found, _ = read(tmp_path, [label])
    assert found.readable.all()
    assert white_share(found.grey[0]) == 5


def test_what_is_no_whole_picture_has_no_thumbnail(tmp_path):
    whole = jpeg(5)
    contents = [b"", b"no picture", whole[: len(whole) // 2], jpeg_files.bomb(60_000), whole]
    labels = [save(tmp_path, number, content) for number, content in enumerate(contents)]
    folder, pipe, missing = (document(number) for number in range(5, 8))
    (tmp_path / folder["file_name"]).mkdir()
    os.mkfifo(tmp_path / pipe["file_name"])
    labels += [folder, pipe, missing]
    for _ in range(2):
        found, _ = read(tmp_path, labels)
        assert found.readable.tolist() == [False] * 4 + [True] + [False] * 3
        assert not found.grey[~found.readable].any()


def test_links_are_followed_only_inside_the_folder(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    inside, outside, itself = (document(number) for number in (1, 2, 3))
    target = save(folder, 0, jpeg(7))
    (tmp_path / "other.jpg").write_bytes(jpeg(7))
    (folder / inside["file_name"]).symlink_to(target["file_name"])
    (folder / outside["file_name"]).symlink_to("../other.jpg")
    (folder / itself["file_name"]).symlink_to(itself["file_name"])
    found, _ = read(folder, [target, inside, outside, itself])
    assert found.readable.tolist() == [True, True, False, False]
    assert white_share(found.grey[1]) == 7


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(thumbnails.InputError, match="nowhere"):
        read(tmp_path / "nowhere", [document(0)])


# --- the cache


def test_a_second_look_decodes_nothing(tmp_path, labels):
    first, _ = read(tmp_path, labels)
    second, decoded = read(tmp_path, labels)
    assert decoded == 0
    assert np.array_equal(first.grey, second.grey)
    assert second.readable.all()


def test_the_cache_serves_a_part_of_the_set_and_a_set_that_has_grown(tmp_path, labels):
    read(tmp_path, labels)
    part, decoded = read(tmp_path, labels[1:3])
    assert decoded == 0
    assert [white_share(grey) for grey in part.grey] == [1, 2]
    grown = [save(tmp_path, 8), *labels]
    _, decoded = read(tmp_path, grown)
    assert decoded == 1
    assert read(tmp_path, grown)[1] == 0


def test_a_replaced_picture_is_read_again(tmp_path, labels):
    """Also where the label still has the hash of the old one."""
    read(tmp_path, labels)
    (tmp_path / labels[1]["file_name"]).write_bytes(jpeg(9))
    found, decoded = read(tmp_path, labels)
    assert decoded == 1
    assert white_share(found.grey[1]) == 9


def test_pictures_without_a_hash_are_cached_by_name(tmp_path, labels):
    for label in labels:
        del label["picture_sha256"]
    read(tmp_path, labels)
    found, decoded = read(tmp_path, labels)
    assert decoded == 0
    assert [white_share(grey) for grey in found.grey] == list(range(COUNT))


def flip(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES = {
    "empty": lambda _: b"",
    "cut off": lambda content: content[:-1],
    "too short for a header": lambda content: content[:10],
    "longer": lambda content: content + b"\0",
    "a flipped bit": flip,
    "of another program": lambda _: os.urandom(5000),
    "of another version": lambda content: content[:8] + struct.pack("<I", 99) + content[12:],
    "without thumbnails": lambda content: content[:16] + bytes(8) + content[24:],
}


def test_a_cache_of_a_billion_pictures_is_not_read(tmp_path, labels):
    """A sparse file takes no place on the disk, and its checksum an hour."""
    first, _ = read(tmp_path, labels)
    cache, count = tmp_path / CACHE_NAME, 10**9
    header = bytearray(cache.read_bytes()[:32])
    header[16:24] = count.to_bytes(8, "little")
    with cache.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + count * (16 + first.grey[0].size))
    found, decoded = read(tmp_path, labels)
    assert decoded == len(labels)
    assert np.array_equal(found.grey, first.grey)
    assert cache.stat().st_size < 100_000


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_ignored_and_replaced(tmp_path, labels, damage):
    first, _ = read(tmp_path, labels)
    cache = tmp_path / CACHE_NAME
    cache.write_bytes(damage(cache.read_bytes()))
    second, decoded = read(tmp_path, labels)
    assert decoded == COUNT
    assert np.array_equal(first.grey, second.grey)
    assert read(tmp_path, labels)[1] == 0


@pytest.mark.parametrize("leads_to", ["a cache", "nothing"])
def test_a_link_in_the_place_of_the_cache_is_neither_read_nor_written(tmp_path, labels, leads_to):
    target = tmp_path / "other"
    if leads_to == "a cache":
        read(tmp_path, labels)
        (tmp_path / CACHE_NAME).rename(target)
    before = target.read_bytes() if target.exists() else None
    (tmp_path / CACHE_NAME).symlink_to(target)
    for _ in range(2):
        found, decoded = read(tmp_path, labels)
        assert decoded == COUNT
        assert found.readable.all()
        assert CACHE_NAME in found.notice
    assert (target.read_bytes() if target.exists() else None) == before
    assert (tmp_path / CACHE_NAME).is_symlink()


def test_a_folder_in_the_place_of_the_cache_stays(tmp_path, labels):
    (tmp_path / CACHE_NAME).mkdir()
    found, _ = read(tmp_path, labels)
    assert found.readable.all()
    assert CACHE_NAME in found.notice


def test_a_folder_that_cannot_be_written_does_without_a_cache(tmp_path, labels):
    tmp_path.chmod(0o555)
    try:
        with permissions_enforced():
            found, _ = read(tmp_path, labels)
    finally:
        tmp_path.chmod(0o755)
    assert found.readable.all()
    assert CACHE_NAME in found.notice
    assert not (tmp_path / CACHE_NAME).exists()


def test_a_full_disk_does_without_a_cache(tmp_path, labels, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.atomic_files.sync", full)
    found, _ = read(tmp_path, labels)
    assert found.readable.all()
    assert "No space left" in found.notice
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        each["file_name"] for each in labels
    ]
