"""Pictures of clips, small enough to be part of a page."""

from pathlib import Path

import cv2
import numpy as np

from common.links import resolve_picture
from get_data.labels import picture_file
from get_data.labels.picture_file import NotAPicture

MAX_WIDTH_PX = 240
_JPEG_QUALITY = 72
_REDUCED_MODES = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}


def read_small(folder: Path, name: str) -> bytes:
    """Return a picture of the folder as a JPEG of at most `MAX_WIDTH_PX`; b"" if it is broken."""
    file = resolve_picture(folder, name)
    if file is None:
        return b""
    try:
        content = picture_file.read(file)
        size = picture_file.read_size(content)
        modes = (mode for by, mode in _REDUCED_MODES.items() if size.width_px >= MAX_WIDTH_PX * by)
        mode = next(modes, cv2.IMREAD_COLOR)
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    except (OSError, NotAPicture, cv2.error):
        return b""
    if pixels is None:
        return b""
    height, width = pixels.shape[:2]
    if width > MAX_WIDTH_PX:
        small = (MAX_WIDTH_PX, max(1, round(height * MAX_WIDTH_PX / width)))
        pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    encoded, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes() if encoded else b""
