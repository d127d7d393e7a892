"""JPEG files made segment by segment, including ones that no encoder writes."""

import struct
from collections.abc import Iterable

START, END = b"\xff\xd8", b"\xff\xd9"
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
TABLE, CODES, SCAN, COMMENT = 0xDB, 0xC4, 0xDA, 0xFE


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment with its length."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def table() -> bytes:
    """Return a quantization table."""
    return segment(TABLE, b"\0" + bytes([1] * 64))


def frame(
    width: int, height: int, *, kind: int = BASELINE, bits: int = 8, colours: int = 1
) -> bytes:
    """Return the header of a frame."""
    components = b"".join(bytes([number, 0x11, 0]) for number in range(1, colours + 1))
    return segment(kind, struct.pack(">BHHB", bits, height, width, colours) + components)


def codes() -> bytes:
    """Return Huffman tables in which the bit 0 is a zero difference, or the end of a block."""
    shortest = bytes([1] + [0] * 15) + b"\0"
    return segment(CODES, b"\x00" + shortest + b"\x10" + shortest)


def scan(colours: Iterable[int] = (1,), *, first: int = 0, last: int = 63) -> bytes:
    """Return the header of a scan."""
    chosen = b"".join(bytes([number, 0]) for number in colours)
    return segment(SCAN, bytes([len(chosen) // 2]) + chosen + bytes([first, last, 0]))


def flat(width: int = 160, height: int = 120, comment: bytes = b"") -> bytes:
    """Return the smallest complete grey picture; a comment makes it unique."""
    blocks = -(-width // 8) * -(-height // 8)
    return b"".join(
        [
            START,
            segment(COMMENT, comment),
            table(),
            frame(width, height),
            codes(),
            scan(),
            bytes(blocks * 2 // 8 + 1),
            END,
        ]
    )


def bomb(side: int) -> bytes:
    """Return a small progressive file that decodes to gigabytes of pixels."""
    blocks = (-(-side // 8)) ** 2 * 3
    return b"".join(
        [
            START,
            table(),
            frame(side, side, kind=PROGRESSIVE, colours=3),
            codes(),
            scan((1, 2, 3), last=0),
            bytes(blocks // 8 + 1),
            END,
        ]
    )
