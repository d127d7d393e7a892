"""What an export holds, read with the standard library and pyarrow alone.

The readers of other projects are in test_other_readers.py.
"""

import csv
import json
import tarfile
from dataclasses import dataclass

import pyarrow.parquet as pq

from get_data.labels import ids


@dataclass(frozen=True)
class Row:
    """A picture of an export; `part` and `episode` as the format has them, "" and -1 if not."""

    sha256: str
    steering: float
    throttle: float
    part: str
    episode: int = -1


def read(folder, name):
    """Return the rows of an export, in its order."""
    return list(READERS[name](folder))


def read_tub(folder):
    tubs = [folder] if (folder / "manifest.json").exists() else sorted(folder.iterdir())
    for tub in tubs:
        for record in records(tub):
            content = (tub / "images" / record["cam/image_array"]).read_bytes()
            part = "" if tub == folder else tub.name
            yield Row(ids.sha256(content), record["user/angle"], record["user/throttle"], part)


def records(tub):
    """Return the records of a tub, deleted ones as well."""
    manifest = [json.loads(line) for line in (tub / "manifest.json").read_text().splitlines()]
    return [
        json.loads(line)
        for name in manifest[4]["paths"]
        for line in (tub / name).read_text().splitlines()
    ]


def read_tar_files(folder):
    for file in sorted(folder.glob("*.tar")):
        part = file.name.partition("-")[0]
        with tarfile.open(file) as tar:
            names = tar.getnames()
            for picture, values in zip(names[::2], names[1::2], strict=True):
                assert (picture, values) == (f"{picture[:-4]}.jpg", f"{picture[:-4]}.json")
                row = json.load(tar.extractfile(values))
                assert row.get("split", "") == part.removesuffix("set")
                content = tar.extractfile(picture).read()
                yield Row(
                    ids.sha256(content),
                    row["steering"],
                    row["throttle"],
                    row.get("split", ""),
                    row["episode"],
                )


def read_table(folder):
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Row(
                ids.sha256((folder / row["file_name"]).read_bytes()),
                float(row["steering"]),
                float(row["throttle"]),
                row.get("split", ""),
                int(row["episode"]),
            )


def read_lerobot(folder):
    info = json.loads((folder / "meta/info.json").read_text())
    part_of = {
        episode: part
        for part, span in info["splits"].items()
        for episode in range(*map(int, span.split(":")))
    }
    for row in lerobot_rows(folder):
        part = part_of[row["episode_index"]]
        yield Row(
            ids.sha256(row["observation.images.front"]["bytes"]),
            *row["action"],
            "" if len(info["splits"]) == 1 else part,
            row["episode_index"],
        )


def lerobot_rows(folder):
    """Return the rows of a LeRobotDataset."""
    return [
        row
        for file in sorted(folder.glob("data/*/*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


READERS = {
    "tub": read_tub,
    "webdataset": read_tar_files,
    "csv": read_table,
    "lerobot": read_lerobot,
}
