"""How well the delay of labels is told on simulated drives, as a markdown table.

python -m tests.benchmarks.delay
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from car.constants import TRACKS
from get_data.cli import arguments
from get_data.quality.delay import SHIFTS, Delay, estimate_delay
from tests.helpers import learning
from tests.quality.planted import late, samples_of, thumbnails_of

PLANTED = (0, 2, 3, 5)
HEADER = (
    f"| track | seed | {' | '.join(f'{late} late' for late in PLANTED)} | R2 peak at 0 late "
    "| shuffled |",
    "|---|---|" + "---|" * (len(PLANTED) + 2),
)


def rows(*, seeds: int, pictures: int) -> Iterator[str]:
    """A row for each simulated drive: what is told, and the fraction behind it."""
    for track in TRACKS:
        for seed in range(1, seeds + 1):
            lesson = learning.record(track, seed=seed, pictures=pictures)
            found = [estimate(lesson, late(lesson.steering, each)) for each in PLANTED]
            shuffled = np.random.default_rng(seed).permutation(lesson.steering)
            cells = [
                *map(describe, found),
                str(SHIFTS[found[0].fit.argmax()]),
                describe(estimate(lesson, shuffled)),
            ]
            yield f"| {track} | {seed} | {' | '.join(cells)} |"


def estimate(lesson: learning.Lesson, steering: np.ndarray) -> Delay:
    """Return the delay that is told for these labels of a lesson."""
    labelled = replace(lesson, steering=steering)
    return estimate_delay(samples_of(steering), thumbnails_of(labelled)).whole


def describe(delay: Delay) -> str:
    """Return a delay for the table."""
    return "cannot tell" if delay.pictures is None else f"{delay.pictures} ({delay.offset:.2f})"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="drives on each track")
    parser.add_argument("--pictures", type=int, default=2000, help="of a drive")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    for line in chain(HEADER, rows(seeds=args.seeds, pictures=args.pictures)):
        print(line, flush=True)  # noqa: T201  the table is the result
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
