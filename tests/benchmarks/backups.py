"""A backup of a local database beside a copy of its folder: time, processor time, memory.

python -m tests.benchmarks.backups

Without such a script one copies the folder with `cp -a`, and nobody may write to it meanwhile.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from common.batching import batches
from get_data.cli import arguments
from get_data.database.interfaces import picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LOCAL
from get_data.labels import edits
from get_data.labels.schema import Document
from tests.benchmarks.local_index import documents
from tests.benchmarks.processes import Run, run, run_script
from tests.benchmarks.recorder import say
from tests.conftest import picture

PICTURE_BYTES = 6_000  # about those of 160x120 pixels


def make_database(home: Path, count: int) -> None:
    """Creates so many labels, each with a picture of its own."""
    folder = home / "database"
    index = SqliteIndex(folder)
    for batch in batches(_stored(folder, count)):
        index.create(batch)
    index.close()


def _stored(folder: Path, count: int) -> Iterator[Document]:
    """Yields labels whose pictures it has written."""
    for number, label in enumerate(documents(count)):
        content = picture(number).ljust(PICTURE_BYTES, b"\0")
        stored = edits.uploaded(
            label, picture=content, bucket=LOCAL, key="", upload_time=datetime.now(UTC)
        )
        stored["s3_key"] = picture_key(stored["img_id"], stored["picture_sha256"])
        file = folder / stored["s3_key"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        yield stored


def row(name: str, done: Run) -> None:
    """Prints a row of the table."""
    say(f"| {name} | {done.seconds:.1f} | {done.cpu_s:.1f} | {done.peak_mb:.0f} |")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--labels", type=int, default=100_000)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        make_database(folder, args.labels)
        here, there = {"PATATE_HOME": name}, {"PATATE_HOME": f"{name}/restored"}
        backup = f"{name}/backup"
        say(f"\n| {args.labels:,} labels and pictures, local | s | CPU s | peak MB |")
        say("|---|---|---|---|")
        row("`cp -a` of the database's folder", run(["cp", "-a", f"{name}/database", backup], {}))
        shutil.rmtree(backup)
        Path(backup).mkdir()
        row("first backup", run_script("back_up.py", [backup], here))
        row("second backup, nothing new", run_script("back_up.py", [backup], here))
        row("second backup, `--verify`", run_script("back_up.py", [backup, "--verify"], here))
        restoring = [backup, "--restore", "-y"]
        row("restore into an empty database", run_script("back_up.py", restoring, there))
        row("restore again, nothing lost", run_script("back_up.py", restoring, there))


if __name__ == "__main__":
    sys.exit(main())
