"""The scripts as processes, and checks of their output and of what they leave."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

import path
from common.atomic_files import TEMPORARY_SUFFIX
from get_data.database.interfaces import picture_key
from get_data.database.local.documents import FILE_NAME
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LOCAL, LocalPictureStore
from get_data.labels import edits, ids
from get_data.labels.schema import Document
from get_data.recording import journal
from tests.conftest import Database, number_of, picture
from tests.helpers.recordings import assert_whole

RUN_MANUAL = [str(path.ROOT / "get_data" / "run_manual.py")]
UPLOAD = [str(path.ROOT / "get_data" / "upload_data.py")]
APPLY = [str(path.ROOT / "get_data" / "upload_to_db.py")]
FREE = [str(path.ROOT / "get_data" / "free_space.py"), "--until", "100%", "-y"]
DOWNLOAD = [str(path.ROOT / "get_data" / "search_and_download.py")]

_END_TIMEOUT_S = 900.0  # retries of a lost server, on a busy machine


@dataclass(frozen=True)
class Completed:
    """Exit code and output of a script."""

    code: int
    out: str
    err: str

    @property
    def counts(self) -> dict[str, Any]:
        """Result in JSON."""
        return msgspec.json.decode(self.out)

    @property
    def errors(self) -> list[str]:
        """Lines of stderr about failures."""
        return [line for line in self.err.splitlines() if line.startswith(("error: ", "failed: "))]


class TeamHome(Protocol):
    """A database of a team."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of the scripts for this database."""

    def contents(self) -> "Contents":
        """Return all of it except upload times, read without our own code."""


Home = Path | TeamHome  # a path is the folder of a local database


def start(
    command: list[str], *arguments: object, home: Home, stdout: Any = subprocess.PIPE
) -> "subprocess.Popen[str]":
    """Start the script as a process, with the database in `home`."""
    variables = {"PATATE_HOME": str(home)} if isinstance(home, Path) else home.environment
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PATATE_") and name != "DEBUG"
    }
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)],
        cwd=path.ROOT,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_end(process: "subprocess.Popen[str]", *, first_line: str = "") -> Completed:
    """Wait for the script to end; check that it printed no traceback.

    `first_line` is what has already been read from its stderr.
    """
    try:
        out, err = process.communicate(timeout=_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"did not end within {_END_TIMEOUT_S} s: {err}") from None
    err = first_line + err
    assert "Traceback" not in err, err
    return Completed(process.returncode, out or "", err)


def run(
    command: list[str], *arguments: object, home: Home, codes: tuple[int, ...] = (0,)
) -> Completed:
    """Run the script; check that its exit code is one of these."""
    ended = wait_for_end(start(command, *arguments, home=home))
    assert ended.code in codes, f"exit code {ended.code}: {ended.err}"
    return ended


def assert_whole_recording(folder: Path) -> tuple[dict[str, Document], dict[str, Document]]:
    """Check the labels and pictures, kept and erased; return both labels by id."""
    labels = assert_whole(folder)
    folder_of_erased = folder / journal.ERASED
    is_there = folder_of_erased.exists() and any(folder_of_erased.iterdir())
    erased = assert_whole(folder_of_erased) if is_there else {}
    assert not labels.keys() & erased.keys(), "a picture is both kept and erased"
    assert_no_temporary_file(folder)
    return labels, erased


def assert_no_temporary_file(folder: Path) -> None:
    """Check that no half-written file is left."""
    left = [str(file) for file in folder.rglob(f"*{TEMPORARY_SUFFIX}*")]
    assert not left, f"left behind: {left}"


@dataclass(frozen=True)
class Contents:
    """All of a database: labels by fingerprint, without upload time and bucket; files by path."""

    labels: dict[str, Document]
    files: dict[str, bytes]

    def by_picture(self) -> dict[str, tuple[dict[str, Document], bytes | None]]:
        """Return labels and content of each picture by key; any other file counts as a picture."""
        pictures: dict[str, tuple[dict[str, Document], bytes | None]] = {
            key: ({}, content) for key, content in self.files.items()
        }
        for name, document in self.labels.items():
            pictures.setdefault(document["s3_key"], ({}, None))[0][name] = document
        return pictures


def contents(home: Home) -> Contents:
    """Return all of a database, with every file in its folder."""
    if not isinstance(home, Path):
        return home.contents()
    folder = home / "database"
    labels = Database(SqliteIndex(folder), LocalPictureStore(folder)).labels()
    for document in labels.values():
        assert document.pop("upload_date")
        assert document.pop("s3_bucket") == LOCAL
    sqlite = {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"}
    return Contents(
        labels, {name: data for name, data in files(folder).items() if name not in sqlite}
    )


def files(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by relative path."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def uploaded(documents: Iterable[Document]) -> Contents:
    """Return the expected contents of a database with exactly these labels."""
    expected = Contents({}, {})
    for document in documents:
        content = picture(number_of(document))
        key = picture_key(document["img_id"], ids.sha256(content))
        sent = edits.uploaded(
            document, picture=content, bucket="", key=key, upload_time=datetime.now(UTC)
        )
        del sent["upload_date"], sent["s3_bucket"]
        expected.labels[document["label_fingerprint"]] = sent
        expected.files[key] = content
    return expected


def assert_each_picture_as_in_any(found: Contents, allowed: Sequence[Contents]) -> None:
    """Check that each picture, with its labels, is as in one of these databases, or absent there.

    It may be another one for each picture.
    """
    pictures, options = found.by_picture(), [contents.by_picture() for contents in allowed]
    for key in set(pictures).union(*options):
        state = pictures.get(key)
        assert any(state == option.get(key) for option in options), f"{key}: {_describe(state)}"


def _describe(state: tuple[dict[str, Document], bytes | None] | None) -> str:
    if state is None:
        return "neither a label nor a picture"
    labels, content = state
    return f"{len(labels)} labels and {'no' if content is None else 'a'} picture"


def assert_same(first: Contents, second: Contents) -> None:
    """Check that two databases are equal; name only what differs."""
    only_one = first.files.keys() ^ second.files.keys()
    assert not first.labels.keys() ^ second.labels.keys(), "labels in only one database"
    assert not only_one, only_one
    for name, label in first.labels.items():
        assert label == second.labels[name], f"the label {name} differs"
    assert all(first.files[key] == second.files[key] for key in first.files), "a picture differs"
