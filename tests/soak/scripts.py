"""The scripts as processes, and what must hold of what they said and left."""

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
from get_data.database.local.label_index import FILE_NAME, SqliteIndex
from get_data.database.local.picture_store import LOCAL, LocalPictureStore
from get_data.labels import edits, ids
from get_data.labels.schema import Document
from get_data.recording import journal
from tests.conftest import Database, number_of, picture
from tests.helpers.recordings import assert_whole

RUN_MANUAL = [str(path.ROOT / "get_data" / "run_manual.py")]
UPLOAD = [str(path.ROOT / "get_data" / "upload_data.py")]
APPLY = [str(path.ROOT / "get_data" / "upload_to_db.py")]
DOWNLOAD = [str(path.ROOT / "get_data" / "search_and_download.py")]

_ENDS_WITHIN_S = 900.0  # a server that was lost is waited for, and machines may be busy


@dataclass(frozen=True)
class Ended:
    """How a script ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def counts(self) -> dict[str, Any]:
        """The result for programs."""
        return msgspec.json.decode(self.out)

    @property
    def errors(self) -> list[str]:
        """The lines that say what failed."""
        return [line for line in self.err.splitlines() if line.startswith(("error: ", "failed: "))]


class TeamHome(Protocol):
    """A database of a team."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead the scripts there."""

    def contents(self) -> "Contents":
        """All of it but the moments of upload, asked past our own code."""


Home = Path | TeamHome  # a path is the folder that holds a database of this machine


def start(
    command: list[str], *arguments: object, home: Home, stdout: Any = subprocess.PIPE
) -> "subprocess.Popen[str]":
    """A process that runs the script, with the database in `home`."""
    leading = {"PATATE_HOME": str(home)} if isinstance(home, Path) else home.environment
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PATATE_") and name != "DEBUG"
    }
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)],
        cwd=path.ROOT,
        env={**environment, **leading},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_of(process: "subprocess.Popen[str]", *, said: str = "") -> Ended:
    """Waits for the script; there is no traceback, whatever came of it.

    `said` is what was read of its stderr already.
    """
    try:
        out, err = process.communicate(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"did not end within {_ENDS_WITHIN_S} s: {err}") from None
    err = said + err
    assert "Traceback" not in err, err
    return Ended(process.returncode, out or "", err)


def run(command: list[str], *arguments: object, home: Home, codes: tuple[int, ...] = (0,)) -> Ended:
    """The script, run to its end, with one of these exit codes."""
    ended = end_of(start(command, *arguments, home=home))
    assert ended.code in codes, f"exit code {ended.code}: {ended.err}"
    return ended


def assert_whole_recording(folder: Path) -> tuple[dict[str, Document], dict[str, Document]]:
    """Labels and pictures are whole, the erased ones too; returns both, by id."""
    labels = assert_whole(folder)
    aside = folder / journal.ERASED
    erased = assert_whole(aside) if aside.exists() and any(aside.iterdir()) else {}
    assert not labels.keys() & erased.keys(), "a picture is both kept and erased"
    assert_no_temporary_file(folder)
    return labels, erased


def assert_no_temporary_file(folder: Path) -> None:
    """Nothing half-written is left."""
    left = [str(file) for file in folder.rglob(f"*{TEMPORARY_SUFFIX}*")]
    assert not left, f"left behind: {left}"


@dataclass(frozen=True)
class Contents:
    """All of a database: labels by fingerprint, without its name and their moments of upload; files
    by path."""

    labels: dict[str, Document]
    files: dict[str, bytes]

    def by_picture(self) -> dict[str, tuple[dict[str, Document], bytes | None]]:
        """The labels and the file of each picture, by its key; any other file counts as one too."""
        pictures: dict[str, tuple[dict[str, Document], bytes | None]] = {
            key: ({}, content) for key, content in self.files.items()
        }
        for name, document in self.labels.items():
            pictures.setdefault(document["s3_key"], ({}, None))[0][name] = document
        return pictures


def contents(home: Home) -> Contents:
    """What a database holds, with every file that lies there."""
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
    """Every file below a folder, by its path in there."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def uploaded(documents: Iterable[Document]) -> Contents:
    """What a database holds of these labels and no others; worked out without a script."""
    whole = Contents({}, {})
    for document in documents:
        content = picture(number_of(document))
        key = picture_key(document["img_id"], ids.sha256(content))
        sent = edits.uploaded(
            document, picture=content, bucket="", key=key, upload_time=datetime.now(UTC)
        )
        del sent["upload_date"], sent["s3_bucket"]
        whole.labels[document["label_fingerprint"]] = sent
        whole.files[key] = content
    return whole


def assert_each_is_as_in_one(found: Contents, allowed: Sequence[Contents]) -> None:
    """Each picture, with its file and its labels, is as one of those databases has it, or has not;
    which of them may differ from picture to picture."""
    seen, options = found.by_picture(), [one.by_picture() for one in allowed]
    for key in seen.keys() | {key for one in options for key in one}:
        state = seen.get(key)
        assert any(state == one.get(key) for one in options), f"{key}: {_in_words(state)}"


def _in_words(state: tuple[dict[str, Document], bytes | None] | None) -> str:
    if state is None:
        return "neither a label nor a picture"
    labels, content = state
    return f"{len(labels)} labels and {'no' if content is None else 'a'} picture"


def assert_same(one: Contents, other: Contents) -> None:
    """Two databases hold the same; names what only one of them has, and not all the rest."""
    assert not one.labels.keys() ^ other.labels.keys(), "labels that only one database has"
    assert not one.files.keys() ^ other.files.keys(), one.files.keys() ^ other.files.keys()
    assert all(one.labels[name] == other.labels[name] for name in one.labels), "a label differs"
    assert all(one.files[name] == other.files[name] for name in one.files), "a picture differs"
