"""WebDataset: tar files of about a gigabyte, the picture and the JSON of a sample side by side.

A tar file never has samples of two parts of a split: `train-000000.tar`, `val-000000.tar`, or
without a split `set-000000.tar`. The key of a sample, the name of its files up to the first dot, is
its `img_id` with other characters in place of dots. Times in the tar file are those of capture.

Source: webdataset/tariterators.py of webdataset 1.0 (`base_plus_ext`, `group_by_keys`).
"""

import io
import tarfile
from pathlib import Path

import msgspec

from common.progress import Progress
from get_data.sets.exporting.pictures import read_pictures
from get_data.sets.exporting.samples import ExportSet, as_row

SHARD_BYTES = 1_000_000_000
WHOLE = "set"  # in the name of the tar files of a set without a split
KEEPS_DELETED = False

_LATEST_S = 8**11 - 1  # that 11 octal digits can say
_FILE_BYTES = 2 * tarfile.BLOCKSIZE  # what a file takes beside its content, at most


def opened_by(exported: ExportSet, out: Path) -> list[str]:
    """Return the Python code that opens the tar files of each part."""
    lines = []
    for part in exported.parts():
        last = len(list(out.glob(f"{part or WHOLE}-*.tar"))) - 1
        numbers = f"{{000000..{last:06d}}}" if last else "000000"
        tars = str(out / f"{part or WHOLE}-{numbers}.tar")
        lines.append(f"webdataset.WebDataset({tars!r}, shardshuffle=False)")
    return lines


def write(exported: ExportSet, folder: Path, progress: Progress) -> int:
    """Write the tar files into the folder; return the number of samples.

    Raises:
        UnusablePictures: some cannot be exported.
        OSError: the folder cannot be written.
    """
    keys = _Keys(exported)
    shards = _Shards(folder)
    try:
        for picture in read_pictures(exported.folder, exported.frames_shown(progress)):
            frame = picture.frame
            key = keys.key_of(frame.sample.img_id)
            row = msgspec.json.encode(as_row(frame.sample, frame.number))
            files = {f"{key}.jpg": picture.content, f"{key}.json": row}
            shards.add(frame.episode.part or WHOLE, files, frame.sample.time_us // 1_000_000)
    finally:
        shards.close()
    return len(exported)


class _Keys:
    """Keys without dots, one for each id."""

    def __init__(self, exported: ExportSet) -> None:
        self._taken = {
            frame.sample.img_id for frame in exported.frames() if "." not in frame.sample.img_id
        }

    def key_of(self, img_id: str) -> str:
        """Return the key of an id that has not been asked for before."""
        if "." not in img_id:
            return img_id
        key = plain = img_id.replace(".", "_")
        number = 1
        while key in self._taken:
            number += 1
            key = f"{plain}-{number}"
        self._taken.add(key)
        return key


class _Shards:
    """Tar files, of which the last one is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = ""
        self._number = 0
        self._bytes = 0
        self._tar: tarfile.TarFile | None = None

    def add(self, part: str, files: dict[str, bytes], time_s: int) -> None:
        """Add the files of a sample, to another tar file if the last one is full."""
        size = sum(len(content) + _FILE_BYTES for content in files.values())
        if part != self._part:
            self._open(part, 0)
        elif self._bytes + size > SHARD_BYTES:
            self._open(part, self._number + 1)
        self._bytes += size
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = min(max(time_s, 0), _LATEST_S)
            self._tar.addfile(info, io.BytesIO(content))  # type: ignore[union-attr]

    def _open(self, part: str, number: int) -> None:
        self.close()
        self._part, self._number, self._bytes = part, number, 0
        file = self._folder / f"{part}-{number:06d}.tar"
        self._tar = tarfile.open(file, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  closed above

    def close(self) -> None:
        """Complete the last tar file."""
        if self._tar:
            self._tar.close()
            self._tar = None
