"""Serving the labelizer until it is stopped."""

import argparse
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from common.errors import InputError
from get_data.cli import exit_codes, files, output, people
from get_data.labelizer import desktop, server
from get_data.labelizer.access import Access
from get_data.labelizer.apply_command import build_apply_command
from get_data.labelizer.comparison import Comparison
from get_data.labelizer.problems import PROBLEM_KINDS, Problems
from get_data.labelizer.workspace import open_workspace
from get_data.labels import label_file


def run(args: argparse.Namespace) -> int:
    """Do what the options ask for, and return the exit code."""
    user = args.user or get_login_name()
    folder = check_folder(args.pictures)
    if args.compare and not files.exists(args.compare):
        raise InputError(f"{args.compare} does not exist")
    build_apply_command(folder, folder)  # a wrong variable is refused before anything is corrected
    # Listen first: when the port is in use, no work file is written.
    with closing(server.listen(args.port)) as listener:
        labels = files.find_label_file(args.labels or folder, or_new=not args.labels)
        work = open_workspace(labels, folder, user, show_progress, compare=args.compare)
        with closing(work) as workspace:
            print_problems(workspace.catalogue.problems)
            print_comparison(workspace.comparison)
            access = Access(args.port)
            web_server = server.create_server(workspace, access, listener)
            workspace.start()
            output.print_message(f"Labelling {labels} as {user}")
            with (
                suppress(KeyboardInterrupt),
                desktop.page_open_in_browser(access.address, beside=labels),
            ):
                output.print_message(f"Open {access.address}")
                output.print_message("in a browser on this machine. Press Ctrl-C to stop.")
                web_server.run()
            counts = workspace.counts()
            if workspace.last_export:
                print_apply_command(workspace.last_export, folder)
            output.write_json({**counts, "file": str(workspace.last_export or "")})
    return exit_codes.DONE


def get_login_name() -> str:
    """Return the login name, for corrections without --user.

    Raises:
        InputError: it cannot be used as the name of a person.
    """
    try:
        return people.person_name(people.login_name())
    except argparse.ArgumentTypeError as error:
        raise InputError(f"your login name cannot be used: {error}; use --user NAME") from error


def check_folder(pictures: Path) -> Path:
    """Check that the path is a folder, and return it.

    Raises:
        InputError: it is not a folder.
    """
    if not pictures.is_dir():
        fault = "is a file" if files.exists(pictures) else "does not exist"
        raise InputError(f"{pictures} {fault}; give the folder of the pictures")
    return pictures


def show_progress(entries: Iterable[label_file.Entry]) -> Iterable[label_file.Entry]:
    """Return the entries behind a progress bar."""
    return output.progress_bar(entries, total=None, description="reading", unit="label")


def print_problems(problems: Problems) -> None:
    """Print how many problems there are of each kind; the page lists them."""
    for kind, found in problems.items():
        if found:
            output.print_message(f"warning: {PROBLEM_KINDS[kind].plural}: {len(found)}")


def print_comparison(comparison: Comparison | None) -> None:
    """Print how many labels of another file are compared, and how many are not."""
    if comparison is None:
        return
    compared = output.pluralize(comparison.common - comparison.other_classes, "label")
    output.print_message(f"Comparing {compared} with {comparison.file}")
    for count, reason in (
        (comparison.only_here, "only in your file"),
        (comparison.only_there, "only in the other file"),
        (comparison.invalid, "not valid in the other file"),
        (comparison.other_classes, "with other classes in the other file"),
    ):
        if count:
            output.print_message(f"  not compared: {count:,} {reason}")
    if comparison.is_doubtful:
        output.print_message("warning: few pictures are in both; are the files of one set?")


def print_apply_command(exported: Path, folder: Path) -> None:
    """Print the command that applies the latest exported file."""
    apply = build_apply_command(exported, folder)
    output.print_message(f"To apply {exported} to the database, run")
    output.print_verbatim(f"  {apply.command}")
    if apply.set_first:
        output.print_message(
            f"Set these variables first, to the same values: {', '.join(apply.set_first)}"
        )
