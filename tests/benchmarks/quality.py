"""How soon planted faults of labels are found, on simulated drives and on a real one.

python -m tests.benchmarks quality
python -m tests.benchmarks quality --real DIR
python -m tests.benchmarks quality --scale 100000

DIR holds pictures and `labels.json`, or `drive.csv` with file_name, timestamp_ms, steering and
throttle. `--scale` measures time and memory instead, on that many labels of few pictures.
"""

import argparse
import csv
import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from car.constants import TRACKS
from get_data.cli import arguments
from get_data.labels import label_file
from get_data.labels.classes import Classes
from get_data.quality import samples as quality_samples
from get_data.quality.samples import Samples
from get_data.quality.suspicion import Suspicion, find_suspects
from get_data.quality.thumbnails import Thumbnails, read_thumbnails
from tests.helpers import learning
from tests.quality.planted import joined, samples_of, thumbnails_of

CLASSES = Classes()
SHARE = 0.1  # of the labels
RUN = 10
MISTAKES = 0.05  # share of the pictures within a driver's mistake
CLIPS = 20
APART = 20  # pictures between the clips that an order of pictures gives
HEADER = (
    "| drives | planted | order | right among the first n | 95 % found after |",
    "|---|---|---|---|---|",
)
CLIPS_HEADER = (
    "",
    f"| drives | mistakes | order | hold one, of the first {CLIPS} clips |",
    "|---|---|---|---|",
)


@dataclass(frozen=True)
class Drive:
    """Right labels and their pictures."""

    name: str
    samples: Samples
    thumbnails: Thumbnails


@dataclass(frozen=True)
class Planted:
    """Labels of which some are wrong. `mistakes`: first and last row of each, of a driver."""

    samples: Samples
    wrong: np.ndarray
    mistakes: Sequence[tuple[int, int]] = ()


# --- faults


def labelled(samples: Samples, steering: np.ndarray, raw: np.ndarray) -> Samples:
    """Return the samples with other labels."""
    classes = np.array([CLASSES.direction(float(each)) for each in steering], np.int16)
    return replace(
        samples,
        steering=steering.astype(np.float32),
        raw_steering=raw.astype(np.float32),
        direction=classes,
        nb_dir=np.full(len(steering), CLASSES.nb_dir, np.int16),
    )


def centres(steering: np.ndarray) -> np.ndarray:
    """Return the middle of the class of each value."""
    return centre(np.array([CLASSES.direction(float(each)) for each in steering]))


def centre(classes: np.ndarray) -> np.ndarray:
    return -1 + (2 * classes + 1) / CLASSES.nb_dir


def other_class(steering: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the middle of another class for each value."""
    right = np.array([CLASSES.direction(float(each)) for each in steering])
    other = rng.integers(0, CLASSES.nb_dir - 1, len(right))
    return centre(other + (other >= right))


def single_faults(steering: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the steering with single labels of another class."""
    changed = steering.copy()
    rows = rng.choice(len(steering), round(share * len(steering)), replace=False)
    changed[rows] = other_class(steering[rows], rng)
    return changed


def runs(steering: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the steering with runs of one class; where that is right, nothing changes."""
    changed = steering.copy()
    count = len(steering)
    for run in rng.choice(count // RUN, round(share * count / RUN), replace=False):
        rows = slice(run * RUN, (run + 1) * RUN)
        wrong = other_class(np.median(steering[rows], keepdims=True), rng)
        stays = centres(steering[rows]) == wrong
        changed[rows] = np.where(stays, steering[rows], wrong)
    return changed


def both(steering: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return the steering with half of the share in runs, and half single."""
    in_runs = runs(steering, share / 2, rng)
    single = single_faults(steering, share / 2, rng)
    return np.where(in_runs != steering, in_runs, single)


def mistakes(steering: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list]:
    """Return the steering with mistakes of a driver, and first and last row of each."""
    changed, found, free = steering.copy(), [], np.ones(len(steering), np.bool_)
    while np.sum(changed != steering) < MISTAKES * len(steering):
        length = round(rng.uniform(0.3, 1) * learning.RATE_HZ)
        start = rng.integers(0, len(steering) - length)
        rows = slice(start, start + length)
        ramp = np.minimum(1, np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / 3)
        off = rng.uniform(0.5, 1) * rng.choice([-1, 1])
        steered = np.clip(steering[rows] + off * ramp, -1, 1)
        # At full lock nobody can steer further.
        if not free[rows].all() or np.abs(steered - steering[rows]).max() < 0.4:
            continue
        changed[rows] = steered
        free[max(start - APART, 0) : start + length + APART] = False
        found.append((start, start + length - 1))
    return changed, found


def plant(drive: Drive, seed: int) -> Iterator[tuple[str, Planted]]:
    """Yield each kind of fault by name."""
    right = drive.samples.steering.astype(np.float64)
    rng = np.random.default_rng(seed)
    wrong = single_faults(right, SHARE, rng)
    yield "class, steering right", _planted(drive.samples, right, wrong, raw=right)
    yield "class and steering", _planted(drive.samples, right, wrong, raw=wrong)
    unknown = np.full(len(right), np.nan)
    by_class = centres(right)
    wrong = single_faults(by_class, SHARE, rng)
    yield "class, steering unknown", _planted(drive.samples, by_class, wrong, raw=unknown)
    for name, fault in (("runs of ten", runs), ("half single, half in runs", both)):
        wrong = fault(right, SHARE, rng)
        yield name, _planted(drive.samples, right, wrong, raw=wrong)
    wrong, where = mistakes(right, rng)
    changed = _planted(drive.samples, right, wrong, raw=wrong)
    yield "mistakes of a driver", replace(changed, mistakes=where)


def _planted(samples: Samples, right: np.ndarray, wrong: np.ndarray, *, raw: np.ndarray) -> Planted:
    return Planted(labelled(samples, wrong, raw), wrong != right)


# --- orders


def page_score(samples: Samples) -> np.ndarray:
    """Return what the labelizer's page gave a label before it had a model.

    A class that is not the one steered counts 3 and its distance, one unlike both neighbours 2, a
    jump of the steering 1.5.
    """
    raw, found = samples.raw_steering, np.zeros(len(samples))
    steered = np.array([-1 if np.isnan(each) else CLASSES.direction(float(each)) for each in raw])
    other = (steered >= 0) & (steered != samples.direction)
    found += np.where(other, 3 + np.abs(steered - samples.direction), 0)
    for drive in samples.drives():
        classes = samples.direction[drive]
        alone = (classes[:-2] == classes[2:]) & (classes[1:-1] != classes[2:])
        found[drive][1:-1] += 2 * alone
        found[drive][1:] += 1.5 * (np.abs(np.diff(raw[drive])) > 0.6)
    return found


def neighbours_score(samples: Samples) -> np.ndarray:
    """Return the distance to the median of two labels before and two after."""
    found = np.zeros(len(samples))
    for drive in samples.drives():
        around = np.pad(samples.steering[drive], 2, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(around, 5)
        median = np.median(np.delete(windows, 2, axis=1), axis=1)
        found[drive] = np.abs(samples.steering[drive] - median)
    return found


def model_score(samples: Samples, found: Suspicion) -> np.ndarray:
    """Return the distance to what a model predicts."""
    return np.nan_to_num(np.abs(samples.steering - found.predicted))


def figures(score: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Return the share of faults among the first n, and the share to look at for 95 %."""
    ties = np.random.default_rng(0).random(len(score))
    ranks = np.flatnonzero(wrong[np.lexsort((ties, -score))])
    count = len(ranks)
    return float(np.mean(ranks < count)), float((ranks[-(-95 * count // 100) - 1] + 1) / len(score))


def clips_of(score: np.ndarray) -> list[tuple[int, int]]:
    """Return the pictures that an order gives first, each as a clip, apart from each other."""
    ties = np.random.default_rng(0).random(len(score))
    free, found = np.ones(len(score), np.bool_), []
    for row in np.lexsort((ties, -score)):
        if free[row] and len(found) < CLIPS:
            found.append((row, row))
            free[max(row - APART, 0) : row + APART + 1] = False
    return found


def hold_one(clips: Sequence[tuple[int, int]], where: Sequence[tuple[int, int]]) -> int:
    """Return how many of the first clips hold a mistake."""
    return sum(any(a <= last and first <= b for a, b in where) for first, last in clips[:CLIPS])


# --- drives


def simulated(seed: int, pictures: int) -> Drive:
    """Return a drive on each track as one set."""
    lessons = [learning.record(track, seed=seed, pictures=pictures) for track in TRACKS]
    thumbnails = [thumbnails_of(lesson) for lesson in lessons]
    return Drive(
        f"{' and '.join(TRACKS)}, seed {seed}",
        joined(*[samples_of(lesson.steering) for lesson in lessons]),
        Thumbnails(
            np.concatenate([each.grey for each in thumbnails]),
            np.concatenate([each.readable for each in thumbnails]),
        ),
    )


def real(folder: Path) -> Drive:
    """Return the drive in a folder."""
    if (folder / label_file.NAME).exists():
        samples = quality_samples.from_labels(label_file.read(folder / label_file.NAME))
    else:
        with (folder / "drive.csv").open(newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["timestamp_ms"]))
        samples = replace(
            samples_of(
                np.array([float(row["steering"]) for row in rows]),
                throttle=np.array([float(row["throttle"]) for row in rows]),
                time_us=np.array([int(row["timestamp_ms"]) * 1000 for row in rows]),
            ),
            file_names=[row["file_name"] for row in rows],
        )
    with tempfile.TemporaryDirectory() as name:  # so that no cache is left in the folder
        copy = Path(name)
        for file_name in samples.file_names:
            shutil.copy(folder / file_name, copy)
        return Drive("real", samples, read_thumbnails(copy, samples))


# --- tables


def rows(drives: Sequence[Drive], seeds: int) -> Iterator[str]:
    """A row for each kind of fault and order, the mean over the seeds; then those of clips."""
    clip_rows = [*CLIPS_HEADER]
    yield from HEADER
    for drive in drives:
        collected: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for seed in range(1, seeds + 1):
            for kind, planted in plant(drive, seed):
                found = find_suspects(planted.samples, drive.thumbnails)
                orders = {
                    "page": page_score(planted.samples),
                    "neighbours": neighbours_score(planted.samples),
                    "model": model_score(planted.samples, found),
                    "suspicion": found.score,
                }
                if planted.mistakes:
                    clip_rows += _clip_rows(drive.name, planted, orders["page"], found)
                    continue
                for order, score in orders.items():
                    key = kind, order
                    collected.setdefault(key, []).append(figures(score, planted.wrong))
        for (kind, order), values in collected.items():
            precision, looks = np.mean(values, axis=0)
            yield f"| {drive.name} | {kind} | {order} | {precision:.2f} | {100 * looks:.0f} % |"
    yield from clip_rows


def _clip_rows(name: str, planted: Planted, page: np.ndarray, found: Suspicion) -> Iterator[str]:
    for order, clips in (("page", clips_of(page)), ("suspicion", found.clips)):
        held = hold_one(clips, planted.mistakes)
        yield f"| {name} | {len(planted.mistakes)} | {order} | {held} |"


def scale_rows(count: int) -> Iterator[str]:
    """Time and memory for `count` labels; their pictures are names of 2,000 files."""
    lesson = learning.record("school", seed=1, pictures=2000)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = samples_of(np.resize(lesson.steering, count))
        _write_pictures(folder, lesson, data.file_names)
        yield f"| {count:,} labels | CPU s | peak MB of the process so far |"
        yield "|---|---|---|"
        for name in ("thumbnails", "thumbnails from the cache"):
            thumbnails = None  # before there are others: only one set of them is in memory
            thumbnails, line = _measured(name, lambda: read_thumbnails(folder, data))
            yield line
        yield _measured("suspicion", lambda: find_suspects(data, thumbnails))[1]


def _write_pictures(folder: Path, lesson: learning.Lesson, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        if number < len(lesson.pictures):
            grey = (lesson.pictures[number] * 255).astype(np.uint8).reshape(30, 40)
            picture = cv2.cvtColor(cv2.resize(grey, (160, 120)), cv2.COLOR_GRAY2BGR)
            (folder / name).write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        else:
            os.link(folder / names[number % len(lesson.pictures)], folder / name)


def _measured(name: str, work: Callable) -> tuple[object, str]:
    start = resource.getrusage(resource.RUSAGE_SELF)
    outcome = work()
    end = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime
    return outcome, f"| {name} | {cpu_s:.1f} | {end.ru_maxrss / 1024:.0f} |"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--real", type=Path, metavar="DIR", help="a real drive, instead")
    parser.add_argument("--drives", type=int, default=2, help="simulated sets, of two drives each")
    parser.add_argument("--seeds", type=int, default=1, help="times that faults are planted in one")
    parser.add_argument("--pictures", type=int, default=3000, help="of a simulated drive")
    parser.add_argument("--scale", type=int, metavar="N", help="measure N labels instead")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.scale:
        lines = scale_rows(args.scale)
    elif args.real:
        lines = rows([real(args.real)], args.seeds)
    else:
        lines = rows([simulated(n, args.pictures) for n in range(1, args.drives + 1)], args.seeds)
    for line in lines:
        print(line, flush=True)  # noqa: T201  the table is the result
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
