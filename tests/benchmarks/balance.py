"""What `--per-class` is worth for a straight-heavy drive, as a markdown table.

python -m tests.benchmarks.balance
"""

import argparse
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from get_data.cli import arguments
from get_data.database.download import newest_labels
from get_data.database.interfaces import encode_document
from get_data.labels import edits
from get_data.labels.classes import Classes
from get_data.quality.balance import find_balance
from get_data.sets import request
from get_data.sets.request import PerClass, Request
from tests.helpers import learning
from tests.quality.planted import samples_of

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
HEADER = (
    "| seed | straight-heavy | share | learned from | pictures | rms offset m | left the road |",
    "|---|---|---|---|---|---|---|",
)


def rows(*, track: str, seeds: int, pictures: int, laps: int) -> Iterator[str]:
    """A row for each drive and each choice of its pictures."""
    for seed in range(1, seeds + 1):
        lesson = straight_heavy(learning.record(track, seed=seed, pictures=pictures), seed=seed)
        balance = find_balance(samples_of(lesson.steering))
        count = len(lesson.steering)
        chosen = per_class(lesson.steering, balance.per_class, seed=seed)
        random = np.random.default_rng(seed).permutation(count)[: len(chosen)]
        choices = {"all": np.arange(count), "`--per-class`": chosen, "random": random}
        for name, chosen in choices.items():
            part = learning.Lesson(lesson.pictures[chosen], lesson.steering[chosen])
            outcome = learning.drive(learning.fit(part), track, seed=seed + 100, laps=laps)
            yield (
                f"| {seed} | {'told' if balance.is_straight_heavy else 'not told'} "
                f"| {balance.middle_share:.2f} | {name} | {len(chosen):,} "
                f"| {outcome.rms_offset_m:.3f} | {'yes' if outcome.left_road else 'no'} |"
            )


def per_class(steering: learning.Floats, count: int, *, seed: int) -> NDArray[np.intp]:
    """Return the rows that `--per-class label.label_direction=COUNT` fetches of a drive."""
    rows = {}
    documents = []
    for row, value in enumerate(steering.tolist()):
        label = edits.new_label(
            captured=START + timedelta(seconds=row / learning.RATE_HZ),
            picture=b"",
            width=160,
            height=120,
            steering=value,
            throttle=0.3,
            classes=Classes(),
            session={},
            car_setting={},
        )
        rows[label["img_id"]] = row
        documents.append(encode_document(label))
    wanted = Request(per_class=PerClass("label.label_direction", count), seed=seed)
    with request.answer(newest_labels(documents), wanted) as answer:
        chosen = [rows[hit.outline.img_id] for hit in answer.hits]
    return np.array(chosen)


def straight_heavy(lesson: learning.Lesson, *, seed: int) -> learning.Lesson:
    """Return a lesson without most bends: four fifths are in the middle class."""
    samples = samples_of(lesson.steering)
    middle = np.flatnonzero(samples.direction == samples.nb_dir // 2)
    others = np.flatnonzero(samples.direction != samples.nb_dir // 2)
    few = np.random.default_rng(seed).choice(others, len(middle) // 4, replace=False)
    kept = np.sort(np.concatenate([middle, few]))
    return learning.Lesson(lesson.pictures[kept], lesson.steering[kept])


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--track", default="park", help="the one to learn and drive on")
    parser.add_argument("--seeds", type=int, default=3, help="how many drives to learn from")
    parser.add_argument("--pictures", type=int, default=6000, help="of a drive, bends included")
    parser.add_argument("--laps", type=int, default=5)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    table = rows(track=args.track, seeds=args.seeds, pictures=args.pictures, laps=args.laps)
    for line in chain(HEADER, table):
        print(line, flush=True)  # noqa: T201  the table is the result
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
