"""Correct labels by a program: a thumb that slipped in one picture goes where its neighbours are.

    python docs/examples/correct.py drives/monday corrected.json
    python get_data/upload_to_db.py corrected.json -p drives/monday

Most faults need a person, in the browser (run_labelizer.py); this one, a program can tell.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from get_data.labels import edits, label_file
from get_data.labels.classes import direction_bins
from get_data.labels.drives import split_into_drives
from get_data.labels.values import steering_of

SLIP = 0.08  # of full lock, between a picture and the mean of its neighbours


def correct(drive, now):
    """Return the corrected labels of a drive, which is in order of time."""
    labels = {}
    for before, label, after in zip(drive, drive[1:], drive[2:], strict=False):
        mean = (steering_of(before) + steering_of(after)) / 2
        if abs(steering_of(label) - mean) > SLIP:
            labels[label["img_id"]] = edits.corrected(
                label,
                created_by="correct.py",
                created_on=now,
                direction=direction_bins(label["label"]["nb_dir"]).class_of(mean),
                speed=label["label"]["label_speed"],
                steering=mean,
            )
    return labels


def main(folder, corrected_file):
    """Write the labels that change, each with the one that it replaces."""
    labels = label_file.read(folder / "labels.json")
    now = datetime.now(UTC)
    corrected = {}
    for drive in split_into_drives(labels[name] for name in sorted(labels)):
        corrected |= correct(drive, now)
    label_file.write(corrected_file, corrected)
    print(f"{len(corrected):,} of {len(labels):,} labels corrected")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
