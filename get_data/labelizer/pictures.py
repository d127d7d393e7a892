"""What a picture file holds: whether it is whole, how it looks at a glance, contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (height, width, 3), blue green red

SHEET = 100  # pictures on a contact sheet
ROW = 10
TILE_WIDTH_PX, TILE_HEIGHT_PX = 160, 120
MOST_PIXELS = 20_000_000
MOST_BYTES = 20_000_000

_SCAN = 0xDA  # the marker before the pixels
_END = b"\xff\xd9"  # and the one after them
_QUALITY = 80
_PAPER = 40  # grey beside a picture of another shape
_DARK = 16.0  # mean grey, 0 .. 255
_FLAT = 3.0  # standard deviation of grey
_THUMB = (9, 8)  # width and height of what is compared


@dataclass(frozen=True, slots=True)
class Look:
    """A picture at a glance. `pattern`: 64 bits, which of neighbouring spots are the brighter."""

    fault: str
    pattern: int = 0
    dull: bool = False


def read(file: Path) -> bytes:
    """The bytes of a picture file; no more than it may have, and none when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except OSError:
        return b""


def fault_of(content: bytes) -> str:
    """Why this is no whole JPEG picture that can be shown, without decoding it; "" if it may be."""
    if not content:
        return "the picture is empty or cannot be read"
    if len(content) > MOST_BYTES:
        return f"the picture has more than {MOST_BYTES // 1_000_000} MB"
    size, scan = _header_of(content)
    if size is None:
        return "this is no JPEG picture"
    if size[0] * size[1] > MOST_PIXELS:
        return f"the picture is too large, {size[0]}x{size[1]} pixels"
    if scan is None or content.find(_END, scan) < 0:
        return "the picture is cut off"
    return ""


def _header_of(content: bytes) -> tuple[tuple[int, int] | None, int | None]:
    """Width and height of a JPEG picture, and where its pixels start; None for what is not there.

    Source: ITU-T T.81, B.1.1 (before a marker may be fill bytes) and B.1.1.5 (none among pixels).
    """
    size = None
    at = 2 if content[:2] == b"\xff\xd8" else len(content)
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if marker == 0xFF:
            at += 1
            continue
        if marker == _SCAN:
            return size, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            size = int.from_bytes(width), int.from_bytes(height)
        at += 2 + length
    return size, None


def look_at(content: bytes) -> Look:
    """The picture at a glance; decoded at an eighth of its size."""
    if fault := fault_of(content):
        return Look(fault)
    pixels = _decode(content, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if pixels is None:
        return Look("the picture cannot be decoded")
    small = cv2.resize(pixels, _THUMB, interpolation=cv2.INTER_AREA).astype(np.int16)
    brighter = small[:, 1:] > small[:, :-1]
    pattern = int.from_bytes(np.packbits(brighter).tobytes())
    return Look("", pattern, bool(pixels.mean() < _DARK or pixels.std() < _FLAT))


def _decode(content: bytes, how: int) -> NDArray[np.uint8] | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), how)
    except cv2.error:
        return None
    return None if pixels is None else pixels.astype(np.uint8, copy=False)


def sheet(files: Sequence[Path | None]) -> bytes:
    """The pictures as tiles of one JPEG picture, ten a row; grey where there is none to show."""
    rows = -(-len(files) // ROW)
    paper = np.full((rows * TILE_HEIGHT_PX, ROW * TILE_WIDTH_PX, 3), _PAPER, np.uint8)
    for number, file in enumerate(files):
        content = read(file) if file else b""
        pixels = None if fault_of(content) else _decode(content, cv2.IMREAD_COLOR)
        if pixels is not None:
            row, column = divmod(number, ROW)
            _place(paper, pixels, column * TILE_WIDTH_PX, row * TILE_HEIGHT_PX)
    _, encoded = cv2.imencode(".jpg", paper, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()


def _place(paper: Pixels, pixels: Pixels, left: int, top: int) -> None:
    """The picture stands whole in the middle of its tile."""
    height, width = pixels.shape[:2]
    scale = min(TILE_WIDTH_PX / width, TILE_HEIGHT_PX / height)
    wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
    if scale != 1:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        pixels = cv2.resize(pixels, (wide, high), interpolation=how).astype(np.uint8, copy=False)
    x, y = left + (TILE_WIDTH_PX - wide) // 2, top + (TILE_HEIGHT_PX - high) // 2
    paper[y : y + high, x : x + wide] = pixels
