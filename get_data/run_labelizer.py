"""Corrects labels in a browser: one key sets a label, and a new label file comes out.

    python get_data/run_labelizer.py training/left

Open the address that it prints. Pictures and label file stay as they are; the work is kept beside
the label file, key by key, and goes on where it was. Ctrl-C ends it. Apply what was exported with
upload_to_db.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs uninstalled, from any folder

from common import signals

if __name__ == "__main__":
    signals.exit_on_signal()  # the other imports take time

import argparse
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress

from common import strict_json
from common.errors import InputError
from get_data.cli import arguments, exit_codes, files, output, process
from get_data.labelizer import applying, desktop, site
from get_data.labelizer.access import Access
from get_data.labelizer.catalogue import KINDS, Problems
from get_data.labelizer.desk import open_desk
from get_data.labels import schema

MOST_SIGNS = 100


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked for what argparse can check."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "pictures",
        type=arguments.path_argument,
        metavar="PICTURES",
        help="folder of pictures with a label file",
    )
    parser.add_argument(
        "--labels",
        type=arguments.path_argument,
        metavar="FILE",
        help="default: PICTURES/labels.json",
    )
    parser.add_argument(
        "--user",
        type=_person,
        metavar="NAME",
        help="who corrects, for created_by; default: your login name",
    )
    parser.add_argument(
        "--port",
        type=arguments.PORT,
        default=8000,
        metavar="N",
        help="on 127.0.0.1; default 8000",
    )
    return parser.parse_args(argv)


def _person(text: str) -> str:
    name = unicodedata.normalize("NFC", arguments.utf8_text(text)).strip()
    if not 0 < len(name) <= MOST_SIGNS or not name.isprintable():
        raise argparse.ArgumentTypeError(f"expected the name of a person, got {text!r}")
    if name.casefold() == schema.AUTO:
        raise argparse.ArgumentTypeError(
            f"{text!r} means that no person made a label; give the name of a person"
        )
    return name


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    args = parse_args(argv)
    user = args.user or login_name()
    folder = folder_of(args.pictures)
    with closing(site.listen(args.port)) as listener:
        labels = files.find_label_file(args.labels or folder)
        with closing(open_desk(labels, folder, user, reading)) as desk:
            say_problems(desk.catalogue.problems)
            access = Access(args.port)
            server = site.create_server(desk, access, listener)
            desk.examination.start()
            output.print_message(f"labelling as {user}: {labels}")
            with suppress(KeyboardInterrupt), desktop.opened(access.address, beside=labels):
                output.print_message(f"open {access.address} in a browser; Ctrl-C ends it")
                server.run()
            counts = desk.counts()
            if desk.last_export:
                say_how_to_apply(desk.last_export, folder)
            output.write_json({**counts, "file": str(desk.last_export or "")})
    return exit_codes.DONE


def folder_of(pictures: Path) -> Path:
    """The folder of the pictures. Raises: InputError when it is none."""
    if not pictures.is_dir():
        what = "is a file" if files.exists(pictures) else "does not exist"
        raise InputError(f"{pictures} {what}; name the folder of the pictures")
    return pictures


def login_name() -> str:
    """Who corrects when nobody is named. Raises: InputError when that is no person's name."""
    try:
        return _person(process.login_name())
    except argparse.ArgumentTypeError as error:
        raise InputError(f"your login name will not do: {error}; say --user NAME") from error


def reading(entries: Iterable[strict_json.Entry]) -> Iterable[strict_json.Entry]:
    """The entries, with a bar that counts them."""
    return output.progress_bar(entries, total=None, description="reading", unit="label")


def say_how_to_apply(exported: Path, folder: Path) -> None:
    """Print the command that applies the file which was exported last."""
    apply = applying.applying(exported, folder)
    output.print_message(f"apply {exported} to the database with")
    output.print_verbatim(f"  {apply.command}")
    if apply.set_first:
        output.print_message(f"where {', '.join(apply.set_first)} must be set as here")


def say_problems(problems: Problems) -> None:
    """What is not as it should be, in numbers; the page tells each."""
    for kind, found in problems.items():
        if found:
            output.print_message(f"warning: {KINDS[kind].many}: {len(found)}")


if __name__ == "__main__":
    raise SystemExit(process.run(main))
