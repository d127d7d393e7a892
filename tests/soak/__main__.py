"""Try the guarantees at full length; a soak that was killed continues where it was.

    python -m tests.soak
    python -m tests.soak --only power_cut --seed 17

Prints a table; exit code 1 if a property did not hold. Each failed trial keeps its folder.
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
    backups,
    full_disk,
    jumping_clock,
    killed_recordings,
    power_cut,
    repairs,
    stalling_disk,
    team,
    uploads_and_downloads,
)
from tests.soak.trials import Property, Result, State, failures, pending_seeds, run_trial, table

PROPERTIES = {
    subject.name: subject
    for subject in (
        *killed_recordings.PROPERTIES,
        *uploads_and_downloads.PROPERTIES,
        *full_disk.PROPERTIES,
        *backups.PROPERTIES,
        *repairs.PROPERTIES,
        *stalling_disk.PROPERTIES,
        *jumping_clock.PROPERTIES,
        *power_cut.PROPERTIES,
        *team.PROPERTIES,
    )
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--only", choices=PROPERTIES, metavar="NAME", help=", ".join(PROPERTIES))
    parser.add_argument("--seed", type=int, metavar="N", help="run only this trial of --only")
    parser.add_argument(
        "--trials-scale",
        type=arguments.positive_number,
        default=1.0,
        metavar="X",
        help="factor on the number of trials; at least one of each",
    )
    parser.add_argument("--fresh", action="store_true", help="discard earlier results")
    parser.add_argument(
        "--work", type=Path, default=path.ROOT / "soak", metavar="DIR", help="default: %(default)s"
    )
    args = parser.parse_args(argv)
    if args.seed is not None and not args.only:
        parser.error("--seed goes with --only")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pending trials; return the exit code."""
    args = parse_args(argv)
    work: Path = args.work.absolute()
    if args.fresh:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    state = State(work)
    chosen = [PROPERTIES[args.only]] if args.only else list(PROPERTIES.values())
    if args.seed is None:
        planned = [
            (subject, seed)
            for subject in chosen
            for seed in pending_seeds(subject, state, args.trials_scale)
        ]
    else:
        planned = [(chosen[0], args.seed)]
    run(planned, state, work)
    return report({subject: state.of(subject.name) for subject in chosen}, work)


def run(planned: Sequence[tuple[Property, int]], state: State, work: Path) -> None:
    """Run the trials one after the other; add each result to the state."""
    with tqdm(planned, unit="trial", disable=not output.shows_progress()) as bar:
        for subject, seed in bar:
            bar.set_description(subject.name)
            result = run_trial(subject, seed, work)
            state.add(subject.name, seed, result)
            if result.fault:
                output.print_message(f"{subject.name}, seed {seed}: {result.fault}")


def report(results: dict[Property, dict[int, Result]], work: Path) -> int:
    """Print the table and the failures; return the exit code."""
    for line in (*table(results), "", *failures(results, work)):
        sys.stdout.write(line + "\n")
    every_result = [result for found in results.values() for result in found.values()]
    is_ci = bool(os.environ.get("CI"))
    failed = any(result.fault and (result.possible or is_ci) for result in every_result)
    return exit_codes.FAILED if failed else exit_codes.DONE


if __name__ == "__main__":
    raise SystemExit(process.run(main))
