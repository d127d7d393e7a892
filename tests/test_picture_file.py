"""What is a whole JPEG of sane size is told from everything else, without decoding it."""

import os
import socket
import time
from contextlib import closing, suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture, Size
from tests.helpers import jpeg_files
from tests.helpers.jpeg_files import (
    BASELINE,
    COMMENT,
    END,
    EXTENDED,
    PROGRESSIVE,
    START,
    codes,
    flat,
    frame,
    scan,
    segment,
    table,
)

PIXELS = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)


def encoded(pixels, *options):
    return cv2.imencode(".jpg", pixels, list(options))[1].tobytes()


@given(
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    grey=st.booleans(),
    flat=st.booleans(),
    quality=st.integers(0, 100),
    progressive=st.booleans(),
    optimize=st.booleans(),
    restart=st.integers(0, 20),
)
def test_what_opencv_encodes_is_a_picture(
    width, height, grey, flat, quality, progressive, optimize, restart
):
    shape = (height, width) if grey else (height, width, 3)
    pixels = np.full(shape, 7, np.uint8) if flat else np.resize(PIXELS, shape)
    jpeg = encoded(
        pixels,
        *(cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, int(optimize), cv2.IMWRITE_JPEG_RST_INTERVAL, restart),
    )
    assert picture_file.read_size(jpeg) == Size(width, height)


@pytest.mark.parametrize("sampling", [0x111111, 0x211111, 0x121111, 0x221111, 0x411111])
def test_every_chroma_sampling_is_a_picture(sampling):
    jpeg = encoded(PIXELS, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling)
    assert picture_file.read_size(jpeg) == Size(64, 48)


@pytest.mark.parametrize("quality", [1, 100])
def test_the_largest_that_is_recorded_is_a_picture(quality):
    noise = np.random.default_rng(2).integers(0, 255, (4096, 4096, 3), np.uint8)
    jpeg = encoded(noise, cv2.IMWRITE_JPEG_QUALITY, quality)
    assert picture_file.read_size(jpeg) == Size(4096, 4096)


WHOLE = encoded(PIXELS)
LADEN = (  # what cameras put in: a preview, a colour profile, comments, fill bytes
    segment(0xE1, b"Exif\0\0" + WHOLE)
    + segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000)) * 255
    + segment(COMMENT, b"\xff\xd9\xff\xda")
    + b"\xff\xff\xff"
)


@pytest.mark.parametrize(
    "jpeg",
    [
        START + LADEN + WHOLE[2:],
        WHOLE + bytes(5000),
        WHOLE + b"trailing bytes of some camera",
        WHOLE + WHOLE,
        flat(64, 48),
        START + table() + frame(64, 48, kind=EXTENDED) + codes() + scan() + bytes(12) + END,
    ],
    ids=["laden", "padded", "trailing", "a second one", "flat", "extended"],
)
def test_what_cameras_write_is_a_picture(jpeg):
    assert picture_file.read_size(jpeg) == Size(64, 48)


@pytest.mark.parametrize(
    "jpeg",
    [
        flat(32, 32, b"comment"),
        encoded(PIXELS),
        encoded(PIXELS, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(PIXELS[:, :, 0], cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        START + segment(0xE1, flat(32, 32)) + flat(32, 32)[2:],
    ],
    ids=["flat", "baseline", "progressive", "restart markers", "with a preview"],
)
def test_a_picture_that_is_cut_anywhere_is_none(jpeg):
    picture_file.read_size(jpeg)
    for end in range(len(jpeg)):
        with pytest.raises(NotAPicture):
            picture_file.read_size(jpeg[:end])
        with pytest.raises(NotAPicture):  # as a power cut leaves it on some file systems
            picture_file.read_size(jpeg[:end] + bytes(len(jpeg) - end))


def other_formats():
    for suffix in (".png", ".bmp", ".webp", ".tiff", ".jp2", ".gif", ".ppm", ".hdr", ".pbm"):
        try:
            done, content = cv2.imencode(suffix, PIXELS)
        except cv2.error:
            continue
        if done:
            yield suffix, content.tobytes()


HEAD = START + table()
MANY = 200
BAD = {
    **dict(other_formats()),
    "nothing": b"",
    "zeros": bytes(5000),
    "page": b"<html>404 not found</html>",
    "text before": b" " + WHOLE,
    "start only": START,
    "start and end": START + END,
    "random": START + bytes(range(256)) * 20 + END,
    "one without a table": START + frame(64, 48) + codes() + scan() + bytes(12) + END,
    "without a frame": HEAD + codes() + scan() + bytes(12) + END,
    "without pixels": HEAD + frame(64, 48) + codes() + scan() + END,
    "with too few pixels": HEAD + frame(640, 480) + codes() + scan() + bytes(12) + END,
    "without a scan": HEAD + frame(64, 48) + codes() + END,
    "one colour of three": HEAD + frame(64, 48, colours=3) + codes() + scan() + bytes(99) + END,
    "scan of another colour": HEAD + frame(64, 48) + codes() + scan((2,)) + bytes(12) + END,
    "two frames": HEAD + frame(64, 48) * 2 + codes() + scan() + bytes(12) + END,
    "a second start": flat(64, 48)[:-2] + flat(64, 48),
    "0 wide": flat(0, 48),
    "0 high": flat(64, 0),
    "1x1": flat(1, 1),
    "16000x16000": flat(16000, 16000),
    "65535x65535": flat(65535, 65535),
    "many pixels of few bytes": jpeg_files.bomb(16000),
    "12 bits": HEAD + frame(64, 48, kind=EXTENDED, bits=12) + codes() + scan() + bytes(12) + END,
    "16 bits": HEAD + frame(64, 48, bits=16) + codes() + scan() + bytes(12) + END,
    "2 colours": HEAD + frame(64, 48, colours=2) + codes() + scan((1, 2)) + bytes(99) + END,
    "CMYK": HEAD + frame(64, 48, colours=4) + codes() + scan((1, 2, 3, 4)) + bytes(99) + END,
    **{
        f"kind {kind:X}": HEAD + frame(64, 48, kind=kind) + codes() + scan() + bytes(12) + END
        for kind in (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
    },
    "length 0": START + b"\xff\xfe\0\0" + WHOLE[2:],
    "length 1": START + b"\xff\xfe\0\1" + WHOLE[2:],
    "bytes between segments": START + b"garbage" + WHOLE[2:],
    "short frame": HEAD + segment(BASELINE, b"\x08\0\x30\0\x40") + codes() + scan() + END,
    "empty frame": HEAD + segment(BASELINE, b"") + codes() + scan() + END,
    "empty scan": HEAD + frame(64, 48) + codes() + segment(0xDA, b"") + bytes(12) + END,
    "sampling 0": HEAD + frame(64, 48).replace(b"\x01\x11\0", b"\x01\x01\0") + codes() + END,
    "many scans": HEAD
    + frame(64, 48, kind=PROGRESSIVE)
    + codes()
    + (scan(last=0) + bytes(12)) * MANY
    + END,
    "many segments": START + segment(COMMENT, b"") * 100_000 + WHOLE[2:],
    "huge": WHOLE + bytes(picture_file.MAX_BYTES),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_everything_else_is_no_picture(content):
    with pytest.raises(NotAPicture):
        picture_file.read_size(content)


@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255))))
@settings(max_examples=300)
def test_bytes_of_any_kind_are_told(tail, changes):
    """No bytes bring up another error."""
    damaged = bytearray(flat(64, 48) + tail)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    for content in (bytes(damaged), START + tail, HEAD + tail, HEAD + frame(64, 48) + tail):
        with suppress(NotAPicture):
            picture_file.read_size(content)


@pytest.mark.parametrize(
    "filler",
    [b"\xff", b"\xff\x00", b"\x00", b"\xff\xd0", b"\xff\xff\x00", codes()],
    ids=["fill", "stuffed", "zeros", "restarts", "fill and zero", "tables"],
)
@pytest.mark.parametrize("head", [START, flat()[:-3]], ids=["header", "pixels"])
def test_the_time_it_takes_grows_with_the_file_and_no_faster(head, filler):
    def seconds(length):
        content = head + (filler * length)[:length]
        least = float("inf")
        for _ in range(3):
            before = time.process_time()
            with pytest.raises(NotAPicture):
                picture_file.read_size(content)
            least = min(least, time.process_time() - before)
        return least

    assert seconds(4_000_000) < 10 * seconds(1_000_000) + 0.01


def test_what_is_no_file_or_larger_than_any_picture_is_not_read(tmp_path):
    huge, pipe = tmp_path / "huge.jpg", tmp_path / "pipe.jpg"
    with huge.open("wb") as file:
        file.truncate(10**9)
    os.mkfifo(pipe)
    endpoint = tmp_path / "socket.jpg"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(endpoint))
    for file in (huge, pipe, endpoint, tmp_path):
        with pytest.raises(NotAPicture):
            picture_file.read(file)
    with pytest.raises(FileNotFoundError):
        picture_file.read(tmp_path / "none.jpg")


def test_a_picture_is_whole_where_the_disk_gives_a_few_bytes_at_a_time(tmp_path, monkeypatch):
    file = tmp_path / "picture.jpg"
    file.write_bytes(flat())
    real = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, _size: real(descriptor, 100))
    assert picture_file.read(file) == flat()
