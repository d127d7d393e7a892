"""Drawing the pictures of a folder on one sheet."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.atomic_files import atomic_write
from common.errors import InputError
from common.links import resolve_picture
from get_data.cli import exit_codes, files, output
from get_data.labelizer import pictures
from get_data.labels import validation
from get_data.labels.schema import Document
from get_data.labels.values import steering_of, throttle_of

Pixels = NDArray[np.uint8]  # (height, width, 3), blue green red

WIDTH_PX, HEIGHT_PX, GAP_PX, CAPTION_PX = 200, 150, 6, 23
BACKGROUND = (32, 28, 26)
MISSING_GREY = 90
TEXT = (235, 235, 235)
NEEDLE = (60, 200, 255)


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    files.check_label_file(args.pictures)
    folder = files.folder_of(args.pictures)
    target = args.output or folder / "contact_sheet.png"
    files.check_output(target)
    if target.suffix.lower() != ".png":
        raise InputError(f"{target}: the sheet is a PNG picture; give a file that ends in .png")
    files.check_overwrites(target, "a picture in PNG", is_png)
    _, documents = files.read_labels(args.pictures)
    img_ids = sample_evenly(sorted(documents), args.most)
    chosen = [documents[img_id] for img_id in img_ids]
    for document in chosen:
        validation.parse(document)
    if not chosen:
        raise InputError(f"{args.pictures} has no labels to draw")
    progress = output.progress_bar(chosen, total=len(chosen), description="drawing", unit="picture")
    tiles = []
    not_drawn = []
    for document in progress:
        picture = read_pixels(folder, document)
        tiles.append(draw_tile(picture, document))
        if picture is None:
            not_drawn.append(folder / document["file_name"])
    encoded, png = cv2.imencode(".png", draw_sheet(tiles))
    if not encoded:
        raise InputError(f"{target} cannot be drawn")
    with atomic_write(target) as drawing:
        drawing.write(png.tobytes())
    output.print_message(
        f"Drew {len(chosen)} of {output.pluralize(len(documents), 'picture')} in {target}"
    )
    missing = sum(not files.exists(file) for file in not_drawn)
    if missing:
        output.print_message(
            f"warning: {output.pluralize(missing, 'picture')} not in {folder}; fetch them from the "
            "database with search_and_download.py, into another folder"
        )
    if unreadable := len(not_drawn) - missing:
        output.print_message(
            f"warning: {output.pluralize(unreadable, 'picture')} in {folder} cannot be drawn: "
            "damaged, no JPEG, or a link that leaves the folder; check_set.py lists them"
        )
    output.write_json(
        {
            "labels": len(documents),
            "drawn": len(chosen),
            "missing": missing,
            "unreadable": unreadable,
            "file": str(target),
        }
    )
    return exit_codes.DONE


def is_png(content: bytes) -> bool:
    """Return whether the first bytes of a file are those of a PNG."""
    return content.startswith(b"\x89PNG\r\n\x1a\n")


def sample_evenly(img_ids: Sequence[str], most: int) -> list[str]:
    """Return at most `most` of the ids, evenly spread."""
    step = max(len(img_ids) / most, 1.0)
    return [img_ids[int(number * step)] for number in range(min(most, len(img_ids)))]


def draw_sheet(tiles: Sequence[Pixels]) -> Pixels:
    """Arrange the tiles in rows on a sheet that is about square in tiles."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = WIDTH_PX + GAP_PX, HEIGHT_PX + GAP_PX
    sheet = np.empty((rows * step_y + GAP_PX, columns * step_x + GAP_PX, 3), np.uint8)
    sheet[:] = BACKGROUND
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        y, x = GAP_PX + row * step_y, GAP_PX + column * step_x
        sheet[y : y + HEIGHT_PX, x : x + WIDTH_PX] = tile
    return sheet


def draw_tile(pixels: Pixels | None, label: Document) -> Pixels:
    """Draw a picture with its valid label; grey if there is no picture."""
    if pixels is None:
        tile = np.full((HEIGHT_PX, WIDTH_PX, 3), MISSING_GREY, np.uint8)
        draw_text(tile, "no picture", (60, HEIGHT_PX // 2))
        return tile
    size = (WIDTH_PX, HEIGHT_PX)
    tile = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    draw_annotation(tile, label)
    return tile


def read_pixels(folder: Path, label: Document) -> Pixels | None:
    """Decode a label's picture, not much larger than a tile; None if it is missing or broken."""
    file = resolve_picture(folder, label["file_name"])
    if file is None:
        return None
    content = pictures.read_picture(file)
    return pictures.decode_picture(content, min_width_px=WIDTH_PX, min_height_px=HEIGHT_PX)


def draw_annotation(tile: Pixels, label: Document) -> None:
    """Draw what should be done, steering and throttle, and their classes."""
    draw_needle(tile, steering_of(label))
    draw_throttle_bar(tile, throttle_of(label))
    tile[:CAPTION_PX] //= 3
    annotation = label["label"]
    caption = f"direction {annotation['label_direction']}   speed {annotation['label_speed']}"
    draw_text(tile, caption, (8, 16))


def draw_needle(tile: Pixels, steering: float) -> None:
    """Draw the steering, -1 .. 1, as a needle that leans by up to 60 degrees."""
    foot = (WIDTH_PX // 2, HEIGHT_PX - 8)
    angle = steering * math.pi / 3
    tip = (foot[0] + round(46 * math.sin(angle)), foot[1] - round(46 * math.cos(angle)))
    cv2.line(tile, foot, tip, BACKGROUND, 6, cv2.LINE_AA)
    cv2.line(tile, foot, tip, NEEDLE, 3, cv2.LINE_AA)
    cv2.circle(tile, foot, 4, NEEDLE, -1, cv2.LINE_AA)


def draw_throttle_bar(tile: Pixels, throttle: float) -> None:
    """Draw the throttle as a bar from 0 to 1; reversing leaves it empty."""
    left, right, bottom = WIDTH_PX - 14, WIDTH_PX - 8, HEIGHT_PX - 8
    top = bottom - round(60 * min(max(throttle, 0.0), 1.0))
    cv2.rectangle(tile, (left, bottom - 60), (right, bottom), BACKGROUND, 1)
    cv2.rectangle(tile, (left, top), (right, bottom), NEEDLE, -1)


def draw_text(tile: Pixels, text: str, origin: tuple[int, int]) -> None:
    """Draw the text, whose baseline starts at `origin`."""
    cv2.putText(tile, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, TEXT, 1, cv2.LINE_AA)
