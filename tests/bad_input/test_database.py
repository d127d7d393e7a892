"""A local database that is damaged, unreadable or read-only."""

import os
import sqlite3
import subprocess
import sys

import pytest

import path
from get_data import search_and_download, upload_data, upload_to_db
from tests.bad_input.rows import (
    DEEP,
    INDEX,
    SEARCH_ALL,
    Prepare,
    Row,
    all_of,
    as_params,
    assert_one_line,
    fifo,
    file_with,
    folder,
    without_folder,
    without_permission,
)
from tests.conftest import document, save
from tests.helpers.folders import snapshot


def truncated(name: str, share: float) -> Prepare:
    """Truncate a file to this share of its length."""

    def prepare(workspace):
        content = (workspace / name).read_bytes()
        (workspace / name).write_bytes(content[: int(len(content) * share)])

    return prepare


def after_sql(statement: str, *values: object) -> Prepare:
    """Execute SQL in the index."""

    def prepare(workspace):
        index = sqlite3.connect(workspace / INDEX)
        index.execute(statement, values)
        index.commit()
        index.close()

    return prepare


LABEL_DAMAGED = ["home/database", "label index is damaged"]

DB_DAMAGED = ["index.sqlite", "damaged"]

ROWS = [
    *[
        Row(name, script, arguments, 1, DB_DAMAGED, prepare, output="out")
        for name, prepare in [
            ("index is not a database", file_with(INDEX, "mine " * 2000)),
            ("index is truncated", truncated(INDEX, 0.5)),
            ("index has no tables", after_sql("DROP TABLE labels")),
        ]
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, SEARCH_ALL),
        ]
    ],
    *[
        Row(
            f"{name}, {'one field' if query else 'all'} searched",
            search_and_download,
            [*SEARCH_ALL, *query],
            1,
            LABEL_DAMAGED,
            prepare,
            output="out",
        )
        for name, prepare in [
            ("a label is no JSON", after_sql("UPDATE labels SET document = ?", b"{")),
            (
                "a label is no UTF-8",
                after_sql("UPDATE labels SET document = ?", b'{"\xff":1}'),
            ),
            ("a label is a list", after_sql("UPDATE labels SET document = ?", b"[]")),
            ("a label is a number", after_sql("UPDATE labels SET document = 5")),
            ("a label is empty", after_sql("UPDATE labels SET document = ?", b"{}")),
            ("a label is too deep", after_sql("UPDATE labels SET document = ?", b"[" * DEEP)),
        ]
        for query in ([], ["-q", '{"event": {"type": "exists", "bool": "must_not"}}'])
    ],
    Row(
        "index is empty",
        search_and_download,
        SEARCH_ALL,
        1,
        ["index.sqlite", "version 0"],
        file_with(INDEX, ""),
        output="out",
    ),
    *[
        Row(
            f"index of a later version that {says}, {holds}",
            upload_data,
            ["drive"],
            1,
            ["index.sqlite", "version 9", "update this toolkit"],
            all_of(after_sql(statement), after_sql(deletion), after_sql("PRAGMA user_version = 9")),
        )
        for says, statement in [
            ("excludes us", "UPDATE layout SET oldest_writer = 9"),
            ("names no writer", "DELETE FROM layout"),
            ("names a writer by no number", "UPDATE layout SET oldest_writer = 'nine'"),
            ("knows no writers", "DROP TABLE layout"),
        ]
        for holds, deletion in [
            ("with labels", "DELETE FROM labels WHERE id = 1"),
            ("without labels", "DELETE FROM labels"),
        ]
    ],
    Row(
        "index is a folder",
        search_and_download,
        SEARCH_ALL,
        1,
        ["index.sqlite cannot be opened: it is not a regular file; move it"],
        folder(INDEX),
        output="out",
    ),
    Row(
        "index is a pipe",
        search_and_download,
        SEARCH_ALL,
        1,
        ["index.sqlite cannot be opened: it is not a regular file; move it"],
        fifo(INDEX),
        output="out",
    ),
    Row(
        "index is unreadable",
        search_and_download,
        SEARCH_ALL,
        1,
        ["index.sqlite", "check the rights of"],
        without_permission(INDEX),
        output="out",
    ),
    Row(
        "database is unreadable",
        upload_data,
        ["drive"],
        1,
        ["home/database", "check the rights of"],
        without_permission("home/database"),
    ),
    Row(
        "pictures of the store are a file",
        upload_data,
        ["new"],
        1,
        ["picture store", "home/database"],
        all_of(
            lambda workspace: save(workspace / "new", [document(90)]),
            without_folder("home/database/pictures"),
            file_with("home/database/pictures", "mine"),
        ),
    ),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)


UPLOAD = """
import sys
from get_data import upload_data
from tests.helpers.permissions import permissions_enforced
from tests.bad_input.rows import run
with permissions_enforced():
    sys.exit(run(upload_data, ["new"]))
"""


@pytest.mark.slow
def test_a_read_only_store_is_reported(workspace):
    """In a process of its own: threads keep the capabilities that they were started with."""
    save(workspace / "new", [document(90)])
    for name in ("home/database/pictures", "home/database/pictures/20240501"):
        (workspace / name).chmod(0o555)
    before = snapshot(workspace)
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD],
        cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(path.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    facts = ["picture store", "home/database", "Permission denied"]
    assert_one_line(done.stdout, done.stderr, 1, facts)
    assert done.returncode == 1
    assert snapshot(workspace) == before
