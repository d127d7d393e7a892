"""How much processor time the import of a donkeycar tub takes.

python -m tests.benchmarks imports

The tub has so many pictures of a simulated drive, 160x120; the processor time is that of the script
and of the process that writes the recording, together.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import path
from get_data.cli import arguments
from get_data.recording.jpeg import encode_jpeg
from tests.benchmarks.processes import run_script
from tests.benchmarks.recorder import frames
from tests.helpers.tubs import record, write_v2

ASKED_S = 60.0  # of processor time for 100,000 pictures
DRIVE = 20_000  # pictures of one session


def write_tub(folder: Path, count: int) -> Path:
    """Write a tub of so many records, whose pictures repeat."""
    pictures = [encode_jpeg(frame, 75) for frame in frames(160, 120)]
    records = [record(n, _session_id=f"22-11-29_{n // DRIVE}") for n in range(count)]
    tub = write_v2(folder, records)
    for each in records:
        name = each["cam/image_array"]
        (tub / "images" / name).write_bytes(pictures[each["_index"] % len(pictures)])
    return tub


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  the table is the result


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    args = parser.parse_args(argv)
    say("| import of a tub | pictures | processor s | for 100,000 | s | peak MB | asked |")
    say("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as folder:
        tub = write_tub(Path(folder, "tub"), args.pictures)
        for name in ("first", "second, nothing new"):
            ended = run_script("import_drive.py", [str(tub), "-o", str(Path(folder, "drive"))], {})
            counts = json.loads(ended.output)
            done = counts["pictures"] + counts["there"]
            if done != args.pictures or counts["failed"]:
                raise SystemExit(f"imported {done} of {args.pictures}")
            whole_s = ended.cpu_s * 100_000 / args.pictures
            verdict = f"{ASKED_S:g}{'' if whole_s <= ASKED_S else ', missed'}"
            say(
                f"| {name} | {args.pictures:,} | {ended.cpu_s:.1f} | {whole_s:.1f} "
                f"| {ended.seconds:.1f} | {ended.peak_mb:.0f} | {verdict} |"
            )
