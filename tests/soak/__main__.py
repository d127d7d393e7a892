"""Tries the promises at full length; a soak that was killed goes on where it was.

    python -m tests.soak
    python -m tests.soak --only power_cut --seed 17

Ends with a table, and with 1 when a property did not hold. Every failed trial keeps its folder.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import path
from get_data.cli import arguments, exit_codes, output, process
from tests.soak import (
    full_disk,
    jumping_clock,
    killed_recordings,
    power_cut,
    stalling_disk,
    team,
    uploads_and_downloads,
)
from tests.soak.trials import Property, Result, State, attempt, failures, open_seeds, table

PROPERTIES = {
    one.name: one
    for one in (
        *killed_recordings.PROPERTIES,
        *uploads_and_downloads.PROPERTIES,
        *full_disk.PROPERTIES,
        *stalling_disk.PROPERTIES,
        *jumping_clock.PROPERTIES,
        *power_cut.PROPERTIES,
        *team.PROPERTIES,
    )
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--only", choices=PROPERTIES, metavar="NAME", help=", ".join(PROPERTIES))
    parser.add_argument("--seed", type=int, metavar="N", help="only this trial of --only, again")
    parser.add_argument(
        "--trials-scale",
        type=arguments.positive_number,
        default=1.0,
        metavar="X",
        help="as many times the usual trials; at least one of each",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what was tried before")
    parser.add_argument(
        "--work", type=Path, default=path.ROOT / "soak", metavar="DIR", help="default: %(default)s"
    )
    args = parser.parse_args(argv)
    if args.seed is not None and not args.only:
        parser.error("--seed goes with --only")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs what was not tried yet; returns the exit code."""
    args = parse_args(argv)
    work: Path = args.work.absolute()
    if args.fresh:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    state = State(work)
    chosen = [PROPERTIES[args.only]] if args.only else list(PROPERTIES.values())
    if args.seed is None:
        planned = [
            (one, seed) for one in chosen for seed in open_seeds(one, state, args.trials_scale)
        ]
    else:
        planned = [(chosen[0], args.seed)]
    run(planned, state, work)
    return report({one: state.of(one.name) for one in chosen}, work)


def run(planned: Sequence[tuple[Property, int]], state: State, work: Path) -> None:
    """The trials are done, one after the other, and their results in the state."""
    with tqdm(planned, unit="trial", disable=not output.shows_progress()) as bar:
        for subject, seed in bar:
            bar.set_description(subject.name)
            result = attempt(subject, seed, work)
            state.add(subject.name, seed, result)
            if result.fault:
                output.print_message(f"{subject.name}, seed {seed}: {result.fault}")


def report(results: dict[Property, dict[int, Result]], work: Path) -> int:
    """Shows the table and what failed; returns the exit code."""
    for line in (*table(results), "", *failures(results, work)):
        sys.stdout.write(line + "\n")
    everything = [one for found in results.values() for one in found.values()]
    failed = any(one.fault and (one.possible or os.environ.get("CI")) for one in everything)
    return exit_codes.FAILED if failed else exit_codes.DONE


if __name__ == "__main__":
    raise SystemExit(process.run(main))
