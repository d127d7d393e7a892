"""How well a model drives that learned from one simulated drive, as a markdown table.

python -m tests.benchmarks.learning
python -m tests.benchmarks.learning --seeds 10 --push-rate 0.3
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import chain

from car.constants import TRACKS
from get_data.cli import arguments
from tests.helpers import learning

HEADER = (
    "| seed | learned on | driven on | laps | R2 on another drive | rms offset m | pictures | s |",
    "|---|---|---|---|---|---|---|---|",
)


def rows(*, seeds: int, laps: int, pictures: int, push_rate_hz: float) -> Iterator[str]:
    """A row for each seed, track learned on and track driven on; seconds are of all its work."""
    for seed in range(1, seeds + 1):
        for learned_on in TRACKS:
            start_s = time.perf_counter()
            model = learning.fit(learning.record(learned_on, seed=seed, pictures=pictures))
            learned_s = time.perf_counter() - start_s
            for driven_on in TRACKS:
                start_s = time.perf_counter()
                outcome = learning.drive(
                    model, driven_on, seed=seed + 100, laps=laps, push_rate_hz=push_rate_hz
                )
                other = learning.record(driven_on, seed=seed + 200, pictures=pictures)
                r_squared = learning.r_squared(model, other)
                seconds = learned_s + time.perf_counter() - start_s
                done = f"{outcome.laps} of {laps}{', left the road' if outcome.left_road else ''}"
                yield (
                    f"| {seed} | {learned_on} | {driven_on} | {done} | {r_squared:.2f} "
                    f"| {outcome.rms_offset_m:.3f} | {pictures:,} | {seconds:.1f} |"
                )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many drives to learn from")
    parser.add_argument("--laps", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2000, help="how many to learn from")
    parser.add_argument(
        "--push-rate",
        type=float,
        default=0.0,
        metavar="HZ",
        help="of pushes while the model drives",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    table = rows(
        seeds=args.seeds, laps=args.laps, pictures=args.pictures, push_rate_hz=args.push_rate
    )
    for line in chain(HEADER, table):
        print(line, flush=True)  # noqa: T201  the table is the result
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
