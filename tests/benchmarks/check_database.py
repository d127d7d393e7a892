"""The check of a database on this machine, without reading pictures.

python -m tests.benchmarks.check_database

Asked: 1,000,000 labels in 60 s of processor time within 150 MB. Each label has its own picture, a
file of a few bytes, so listing the folders costs what it does with real ones.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.batching import batches
from get_data.cli import arguments
from get_data.database.interfaces import picture_key
from get_data.database.local.label_index import SqliteIndex
from tests.benchmarks.local_index import documents
from tests.benchmarks.processes import run_script
from tests.benchmarks.recorder import say

BATCH = 10_000
ASKED_S, ASKED_MB = 60, 150


def fill(folder: Path, count: int) -> None:
    """Creates so many labels with their pictures."""
    index = SqliteIndex(folder)
    number = 0
    for batch in batches(documents(count), BATCH):
        for label in batch:
            label["s3_key"] = picture_key(label["img_id"], label["picture_sha256"])
            file = folder / label["s3_key"]
            if number % BATCH == 0 or not file.parent.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(str(number).encode())
            number += 1
        index.create(batch)
    index.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        fill(Path(home) / "database", args.labels)
        say("\n| check_database.py | labels | pictures | CPU s | wall s | MB | asked |")
        say("|---|---|---|---|---|---|---|")
        for options in [[]] * args.rounds:
            run = run_script("check_database.py", options, {"PATATE_HOME": home})
            counts = json.loads(run.output)
            is_met = run.cpu_s < ASKED_S and run.peak_mb < ASKED_MB
            say(
                f"| without data | {counts['labels']:,} | {counts['pictures']:,} "
                f"| {run.cpu_s:.1f} | {run.seconds:.1f} | {run.peak_mb:.0f} "
                f"| {ASKED_S} s, {ASKED_MB} MB{'' if is_met else ', missed'} |"
            )


if __name__ == "__main__":
    sys.exit(main())
