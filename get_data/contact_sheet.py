"""Draws one picture of many: what a folder holds, with each label drawn on its picture.

    python get_data/contact_sheet.py training/left

A needle shows the steering, a column the throttle, the numbers their classes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from common.atomic_files import atomic_write
from common.errors import InputError
from common.links import resolve_picture
from get_data.cli import arguments, exit_codes, files, output, process
from get_data.labelizer import pictures
from get_data.labels import validation
from get_data.labels.schema import Label

Pixels = NDArray[np.uint8]  # (height, width, 3), blue green red

WIDTH_PX, HEIGHT_PX, GAP_PX, BAND_PX = 200, 150, 6, 23
MOST = arguments.integer_between(1, 2000, "pictures on a sheet")  # of half a gigabyte
PAPER = (32, 28, 26)
INK = (235, 235, 235)
NEEDLE = (60, 200, 255)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "pictures",
        type=arguments.path_argument,
        metavar="DIR",
        help="pictures with a label file",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=arguments.path_argument,
        metavar="PNG",
        help="default: DIR/contact_sheet.png",
    )
    parser.add_argument(
        "--most", type=MOST, default=42, metavar="N", help="default 42, at most 2000"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    file, labels = files.read_labels(args.pictures)
    folder = file.parent
    chosen = evenly([validation.parse(labels[img_id]) for img_id in sorted(labels)], args.most)
    if not chosen:
        raise InputError(f"{args.pictures} has no labels to draw")
    target = args.output or folder / "contact_sheet.png"
    files.check_output(target)
    if target.suffix.lower() != ".png":
        raise InputError(f"{target}: a sheet is a picture in PNG; name a file that ends in .png")
    files.check_overwrites(target, "a picture in PNG", is_png)
    tiles = [
        tile(folder, one)
        for one in output.progress_bar(
            chosen, total=len(chosen), description="drawing", unit="picture"
        )
    ]
    encoded, png = cv2.imencode(".png", sheet(tiles))
    if not encoded:
        raise InputError(f"{target} cannot be drawn")
    with atomic_write(target) as drawing:
        drawing.write(png.tobytes())
    output.print_message(f"{len(chosen)} of {len(labels)} pictures drawn in {target}")
    output.write_json({"labels": len(labels), "drawn": len(chosen), "file": str(target)})
    return exit_codes.DONE


def is_png(beginning: bytes) -> bool:
    """Whether a file that begins so is a picture in PNG."""
    return beginning.startswith(b"\x89PNG\r\n\x1a\n")


def evenly(labels: Sequence[Label], most: int) -> list[Label]:
    """At most so many of the labels, spread over all of them."""
    step = max(len(labels) / most, 1.0)
    return [labels[int(number * step)] for number in range(min(most, len(labels)))]


def tile(folder: Path, one: Label) -> Pixels:
    """A picture with its label drawn on it; grey where there is no picture."""
    file = resolve_picture(folder, one.file_name)
    pixels = picture(file) if file else None
    if pixels is None:
        canvas = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)
        write(canvas, "no picture", (60, HEIGHT_PX // 2))
        return canvas
    canvas = cv2.resize(pixels, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC).astype(
        np.uint8
    )
    said = one.label
    steering = said.raw_direction if isinstance(said.raw_direction, float) else 0.0
    throttle = said.raw_speed if isinstance(said.raw_speed, float) else 0.0
    foot = (WIDTH_PX // 2, HEIGHT_PX - 8)
    angle = steering * math.pi / 3
    tip = (foot[0] + round(46 * math.sin(angle)), foot[1] - round(46 * math.cos(angle)))
    cv2.line(canvas, foot, tip, PAPER, 6, cv2.LINE_AA)
    cv2.line(canvas, foot, tip, NEEDLE, 3, cv2.LINE_AA)
    cv2.circle(canvas, foot, 4, NEEDLE, -1, cv2.LINE_AA)
    top = HEIGHT_PX - 8 - round(60 * min(max(throttle, 0.0), 1.0))
    cv2.rectangle(canvas, (WIDTH_PX - 14, HEIGHT_PX - 68), (WIDTH_PX - 8, HEIGHT_PX - 8), PAPER, 1)
    cv2.rectangle(canvas, (WIDTH_PX - 14, top), (WIDTH_PX - 8, HEIGHT_PX - 8), NEEDLE, -1)
    canvas[:BAND_PX] //= 3
    write(canvas, f"direction {said.label_direction}   speed {said.label_speed}", (8, 16))
    return canvas


def picture(file: Path) -> Pixels | None:
    """The picture of a file, not much larger than a tile needs; None where there is none."""
    return pictures.decoded(pictures.read(file), least_width_px=WIDTH_PX, least_height_px=HEIGHT_PX)


def write(canvas: Pixels, text: str, at: tuple[int, int]) -> None:
    """The text stands on the picture."""
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)


def sheet(tiles: Sequence[Pixels]) -> Pixels:
    """The tiles in rows, on one sheet a little wider than high."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = WIDTH_PX + GAP_PX, HEIGHT_PX + GAP_PX
    paper = np.empty((rows * step_y + GAP_PX, columns * step_x + GAP_PX, 3), np.uint8)
    paper[:] = PAPER
    for number, one in enumerate(tiles):
        row, column = divmod(number, columns)
        y, x = GAP_PX + row * step_y, GAP_PX + column * step_x
        paper[y : y + HEIGHT_PX, x : x + WIDTH_PX] = one
    return paper


if __name__ == "__main__":
    raise SystemExit(process.run(main))
