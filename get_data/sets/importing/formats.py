"""Recognition of what a source is, and its reader."""

from contextlib import suppress
from pathlib import Path

from common.errors import InputError
from get_data.labels import label_file
from get_data.recording import journal
from get_data.sets.importing import original_labels, tub_v1, tub_v2
from get_data.sets.importing.bare_pictures import BarePictures
from get_data.sets.importing.format_names import ORIGINAL, PICTURES, TUB
from get_data.sets.importing.original_labels import OriginalLabels
from get_data.sets.importing.records import PICTURE_SUFFIXES, Source
from get_data.sets.importing.tub_v1 import TubV1
from get_data.sets.importing.tub_v2 import TubV2

_TUBS_SHOWN = 5


def open_source(path: Path, name: str | None = None) -> Source:
    """Return the source at a path: of the format of that name, or of the one recognised.

    Raises:
        InputError: it does not exist, is of no known format, or cannot be read.
    """
    try:
        return _open(path, name)
    except OSError as error:
        raise InputError(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _open(path: Path, name: str | None) -> Source:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_dir():
        return _open_file(path, name)
    is_v2 = (path / tub_v2.MANIFEST).exists() or bool(tub_v2.list_catalogs(path))
    if name == TUB or (name is None and (is_v2 or tub_v1.list_records(path))):
        if is_v2:
            return TubV2(path, manifest_required=name is None)
        if not tub_v1.list_records(path):
            raise InputError(
                f"{path} is not a donkeycar tub: it has neither catalogs nor records"
                f"{_describe_tubs_inside(path)}"
            )
        return TubV1(path)
    if name == ORIGINAL:
        return OriginalLabels(path)
    if name == PICTURES:
        return _open_pictures(path)
    return _open_labels_or_pictures(path)


def _open_file(path: Path, name: str | None) -> Source:
    if name not in (None, ORIGINAL) or path.suffix != ".json":
        raise InputError(f"{path} is not a folder; give the folder of a drive")
    if name is None and not original_labels.is_original(path):
        raise InputError(f"{path} is not a label file of the original project; give its folder")
    return OriginalLabels(path)


def _open_labels_or_pictures(path: Path) -> Source:
    files = original_labels.find_label_files(path)
    if any(original_labels.is_original(file) for file in files):
        return OriginalLabels(path)
    if (path / label_file.NAME).exists() or (path / journal.NAME).exists():
        raise InputError(
            f"{path} is a recording or a set already; upload it with upload_data.py, or give "
            "--format pictures to import its pictures without their labels"
        )
    return _open_pictures(path)


def _open_pictures(path: Path) -> Source:
    source = BarePictures(path)
    if not (source.pictures.sizes or source.pictures.others):
        raise InputError(
            f"{path} has no pictures ({', '.join(PICTURE_SUFFIXES[:2])}), no tub and no labels of "
            f"the original project{_describe_tubs_inside(path)}"
        )
    return source


def _describe_tubs_inside(path: Path) -> str:
    """Return which folders in this one are tubs, as in an export with a split; "" for none."""
    tubs = []
    for folder in sorted(path.iterdir()):
        with suppress(InputError):  # no folder, or one that cannot be read
            if folder.is_dir() and (tub_v2.list_catalogs(folder) or tub_v1.list_records(folder)):
                tubs.append(folder)
    if not tubs:
        return ""
    names = ", ".join(folder.name for folder in tubs[:_TUBS_SHOWN])
    more = f" and {len(tubs) - _TUBS_SHOWN:,} more" if len(tubs) > _TUBS_SHOWN else ""
    return f"; folders in it are tubs ({names}{more}): import each by itself, such as {tubs[0]}"
