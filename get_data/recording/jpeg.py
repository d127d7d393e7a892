"""JPEG encoding of camera frames."""

import errno

import cv2
import numpy as np
from numpy.typing import NDArray


def encode_jpeg(frame: NDArray[np.uint8], quality: int) -> bytes:
    """Return a frame (height, width, 3) in BGR as a JPEG file; quality is 1 to 100.

    Raises:
        OSError: OpenCV cannot encode the frame.
    """
    done, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError(errno.EIO, "the picture cannot be encoded")
    return jpeg.tobytes()
