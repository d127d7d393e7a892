"""Picture files: whether they are whole, a quick inspection, contact sheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture

Pixels = NDArray[np.uint8]  # (height, width, 3), blue green red

SHEET_PICTURES = 100
SHEET_COLUMNS = 10
TILE_WIDTH_PX, TILE_HEIGHT_PX = 160, 120

_REDUCED_MODES = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
_JPEG_QUALITY = 80
_BACKGROUND = 40  # grey around a picture of another aspect ratio
_DARK_MEAN = 16.0  # mean grey, 0 .. 255
_FLAT_DEVIATION = 3.0  # standard deviation of grey
_HASH_SIZE_PX = (9, 8)  # width and height


@dataclass(frozen=True, slots=True)
class PictureInspection:
    """Result of a quick inspection.

    `fault`: why the picture cannot be shown, "" if it can. `pattern`: a difference hash of 64 bits,
    one for each pixel of 8x8 that is brighter than its left neighbour. `dull`: dark or without
    detail.
    """

    fault: str
    pattern: int = 0
    dull: bool = False


def read_picture(file: Path) -> bytes:
    """Return the content of a picture file; empty if it is unreadable or too large."""
    try:
        return picture_file.read(file)
    except (OSError, NotAPicture):
        return b""


def find_fault(content: bytes) -> str:
    """Return why this is not a whole JPEG picture, "" if it seems to be; decodes nothing."""
    if not content:
        return "the picture is empty or cannot be read"
    try:
        picture_file.read_size(content)
    except NotAPicture as error:
        return f"the picture {error}"
    return ""


def inspect_picture(content: bytes) -> PictureInspection:
    """Inspect a picture, decoded at an eighth of its size."""
    if fault := find_fault(content):
        return PictureInspection(fault)
    pixels = _decode(content, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    if pixels is None:
        return PictureInspection("the picture cannot be decoded")
    small = cv2.resize(pixels, _HASH_SIZE_PX, interpolation=cv2.INTER_AREA).astype(np.int16)
    is_brighter = small[:, 1:] > small[:, :-1]
    pattern = int.from_bytes(np.packbits(is_brighter).tobytes())
    dull = bool(pixels.mean() < _DARK_MEAN or pixels.std() < _FLAT_DEVIATION)
    return PictureInspection("", pattern, dull)


def decode_picture(content: bytes, *, min_width_px: int, min_height_px: int) -> Pixels | None:
    """Decode a JPEG at the smallest scale that keeps the minimum size; None if it is broken.

    Only a whole JPEG of a sane size reaches the decoder.
    """
    try:
        size = picture_file.read_size(content)
    except NotAPicture:
        return None
    for divisor, mode in _REDUCED_MODES.items():
        if size.width_px >= min_width_px * divisor and size.height_px >= min_height_px * divisor:
            return _decode(content, mode)
    return _decode(content, cv2.IMREAD_COLOR)


def _decode(content: bytes, mode: int) -> NDArray[np.uint8] | None:
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except cv2.error:
        return None
    return None if pixels is None else pixels.astype(np.uint8, copy=False)


def draw_sheet(files: Sequence[Path | None]) -> bytes:
    """Draw the pictures as tiles of one JPEG, ten a row; grey where there is no picture."""
    rows = -(-len(files) // SHEET_COLUMNS)
    shape = (rows * TILE_HEIGHT_PX, SHEET_COLUMNS * TILE_WIDTH_PX, 3)
    canvas = np.full(shape, _BACKGROUND, np.uint8)
    for number, file in enumerate(files):
        content = read_picture(file) if file else b""
        pixels = decode_picture(content, min_width_px=TILE_WIDTH_PX, min_height_px=TILE_HEIGHT_PX)
        if pixels is not None:
            row, column = divmod(number, SHEET_COLUMNS)
            _draw_tile(canvas, pixels, column * TILE_WIDTH_PX, row * TILE_HEIGHT_PX)
    _, encoded = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


def _draw_tile(canvas: Pixels, pixels: Pixels, left: int, top: int) -> None:
    """Draw a picture, scaled to fit, in the middle of the tile at `left`, `top`."""
    height, width = pixels.shape[:2]
    scale = min(TILE_WIDTH_PX / width, TILE_HEIGHT_PX / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    if scale != 1:
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        pixels = cv2.resize(pixels, size, interpolation=mode).astype(np.uint8, copy=False)
    x, y = left + (TILE_WIDTH_PX - size[0]) // 2, top + (TILE_HEIGHT_PX - size[1]) // 2
    canvas[y : y + size[1], x : x + size[0]] = pixels
