"""What a picture file holds: whether it is whole, how it looks at a glance, contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture

Pixels = NDArray[np.uint8]  # (height, width, 3), blue green red

SHEET = 100  # pictures on a contact sheet
ROW = 10
TILE_WIDTH_PX, TILE_HEIGHT_PX = 160, 120

_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
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
    """The bytes of a picture file; none when it cannot be read, or is larger than any picture."""
    try:
        return picture_file.read(file)
    except (OSError, NotAPicture):
        return b""


def fault_of(content: bytes) -> str:
    """Why this is no whole JPEG picture that can be shown, without decoding it; "" if it may be."""
    if not content:
        return "the picture is empty or cannot be read"
    try:
        picture_file.read_size(content)
    except NotAPicture as error:
        return f"the picture {error}"
    return ""


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


def decoded(content: bytes, *, least_width_px: int, least_height_px: int) -> Pixels | None:
    """The picture, no smaller than asked for if it has as many pixels, nor much larger.

    None for what is no picture. Only a whole JPEG of sane size reaches the decoder.
    """
    try:
        size = picture_file.read_size(content)
    except NotAPicture:
        return None
    for part, how in _REDUCED.items():
        if size.width_px >= least_width_px * part and size.height_px >= least_height_px * part:
            return _decode(content, how)
    return _decode(content, cv2.IMREAD_COLOR)


def sheet(files: Sequence[Path | None]) -> bytes:
    """The pictures as tiles of one JPEG picture, ten a row; grey where there is none to show."""
    rows = -(-len(files) // ROW)
    paper = np.full((rows * TILE_HEIGHT_PX, ROW * TILE_WIDTH_PX, 3), _PAPER, np.uint8)
    for number, file in enumerate(files):
        content = read(file) if file else b""
        pixels = decoded(content, least_width_px=TILE_WIDTH_PX, least_height_px=TILE_HEIGHT_PX)
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
