"""A table with the pictures beside it: `metadata.csv` and `pictures/`.

Spreadsheets and pandas read it, and by its name and its column `file_name` the imagefolder of
Hugging Face. Fields of a team's own are columns after those that every label has; a value that is
neither a text nor a number is there as JSON.
"""

import csv
import json
from pathlib import Path
from typing import Any

from common.progress import Progress
from get_data.sets.exporting.pictures import place_pictures
from get_data.sets.exporting.samples import COLUMNS, SPLIT, ExportSet, as_row, own_column

NAME = "metadata.csv"
PICTURES = "pictures"
KEEPS_DELETED = False


def opened_by(_exported: ExportSet, out: Path) -> list[str]:
    """Return the Python code that opens the table, and that which opens the pictures as well."""
    return [
        f"pandas.read_csv({str(out / NAME)!r})",
        f"datasets.load_dataset('imagefolder', data_dir={str(out)!r})",
    ]


def write(exported: ExportSet, folder: Path, progress: Progress) -> int:
    """Write the table and the pictures into the folder; return the number of rows.

    Raises:
        UnusablePictures: some cannot be exported.
        OSError: the folder cannot be written.
    """
    pictures = folder / PICTURES
    pictures.mkdir()
    own = {own_column(key) for frame in exported.frames() for key in frame.sample.own}
    is_split = "" not in exported.parts()
    columns = [*(key for key in COLUMNS if is_split or key != SPLIT), *sorted(own)]
    with (folder / NAME).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        for frame in place_pictures(
            exported.folder,
            exported.frames_shown(progress),
            lambda frame: pictures / frame.sample.file_name,
        ):
            row = as_row(frame.sample, frame.number)
            row["file_name"] = f"{PICTURES}/{frame.sample.file_name}"
            table.writerow({key: _cell(value) for key, value in row.items()})
    return len(exported)


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | float) else json.dumps(value, ensure_ascii=False)
