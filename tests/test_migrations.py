"""A file of an earlier layout becomes the newest one: whole or not at all, and read meanwhile."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from functools import partial
from types import SimpleNamespace

import pytest

from common import migrations
from common.errors import DatabaseError, InputError
from common.migrations import Migration
from get_data.database.local import documents, index_file
from get_data.database.local import layout as index_layout
from get_data.database.local.label_index import SqliteIndex
from get_data.labelizer import work_database, work_file
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file
from tests.helpers.index_labels import fingerprint_of, search, uploaded_label
from tests.labelizer.helpers import make_operation, read_folder, save_operations
from tests.test_layouts import assert_finds, assert_holds, assert_same_work


def add_column(database):
    """What a later version may do: a column more, filled from the stored documents."""
    database.execute("ALTER TABLE labels ADD COLUMN weather TEXT")
    for number, document in database.execute("SELECT id, document FROM labels").fetchall():
        value = (b"sunny" in document) or None
        database.execute("UPDATE labels SET weather = ? WHERE id = ?", (value, number))


def rewrite(database):
    """What a later version may do: a table anew, with tombstones in another order."""
    database.execute("ALTER TABLE gone RENAME TO old")
    database.execute(
        "CREATE TABLE gone (fingerprint TEXT PRIMARY KEY, img_id TEXT, s3_key TEXT, at TEXT,"
        " by_whom TEXT, why TEXT, note TEXT) WITHOUT ROWID"
    )
    database.execute(
        "INSERT INTO gone SELECT fingerprint, img_id, s3_key, at, by_whom, why, 'old' FROM old"
    )
    database.execute("DROP TABLE old")


def add_to_entry(database):
    database.execute("ALTER TABLE entry ADD COLUMN brightness REAL")
    database.execute("UPDATE entry SET brightness = direction / 2.0 - 1")


OURS = tuple(index_layout.MIGRATIONS)
NEWEST = migrations.latest(index_layout.BASE_VERSION, OURS)
LATER = [
    *OURS,
    Migration(NEWEST + 1, add_column),
    Migration(NEWEST + 2, rewrite, is_additive=False),
]
WORK = tuple(work_database.MIGRATIONS)
NEXT_WORK = migrations.latest(work_database.BASE_VERSION, WORK) + 1
LATER_WORK = [*WORK, Migration(NEXT_WORK, add_to_entry)]


@pytest.fixture
def file(layout):
    return layout / "database" / documents.FILE_NAME


def version_of(file):
    with closing(sqlite3.connect(file)) as database:
        return migrations.version_of(database)


def test_versions_follow_each_other():
    assert migrations.latest(1, LATER) == NEWEST + 2
    assert migrations.latest(1, []) == 1
    for wrong in ([Migration(3, add_column)], LATER[::-1], [*LATER, LATER[0]]):
        with pytest.raises(ValueError, match="follow"):
            migrations.latest(1, wrong)
    for module in (index_layout, work_database):
        migrations.latest(module.BASE_VERSION, module.MIGRATIONS)


def test_an_index_is_migrated_by_the_first_write(layout, expected, file, monkeypatch):
    before = version_of(file)
    monkeypatch.setattr(index_layout, "MIGRATIONS", LATER)
    index = SqliteIndex(file.parent)
    assert_holds(index, expected)
    assert version_of(file) == before
    assert index.create([uploaded_label()]).created == {fingerprint_of(uploaded_label())}
    assert version_of(file) == NEWEST + 2
    assert_holds(index, expected, more=[uploaded_label()])
    with closing(sqlite3.connect(file)) as database:
        filled = database.execute("SELECT count(*) FROM labels WHERE weather = 1").fetchone()
    assert filled == (sum("sunny" in str(one) for one in expected["documents"].values()),)


def test_an_index_made_anew_has_the_newest_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(index_layout, "MIGRATIONS", LATER)
    index = SqliteIndex(tmp_path)
    index.create([uploaded_label()])
    assert version_of(tmp_path / documents.FILE_NAME) == NEWEST + 2
    assert search(index) == [uploaded_label()]


def test_who_may_only_read_needs_no_migration(layout, expected, file, monkeypatch):
    with closing(sqlite3.connect(file)) as database:  # no log of a killed writer
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = file.read_bytes()
    monkeypatch.setattr(index_layout, "MIGRATIONS", LATER)
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    assert_holds(SqliteIndex(file.parent), expected)
    assert file.read_bytes() == content


def test_a_later_layout_is_read_and_written_if_that_is_additive(
    layout, expected, file, monkeypatch
):
    index = SqliteIndex(file.parent)
    monkeypatch.setattr(index_layout, "MIGRATIONS", LATER[:-1])
    index.add_tombstones([])
    monkeypatch.setattr(index_layout, "MIGRATIONS", OURS)
    assert version_of(file) == NEWEST + 1
    index.create([uploaded_label()])
    assert_holds(index, expected, more=[uploaded_label()])
    monkeypatch.setattr(index_layout, "MIGRATIONS", LATER)
    index.remove([fingerprint_of(uploaded_label())])
    monkeypatch.setattr(index_layout, "MIGRATIONS", OURS)
    assert version_of(file) == NEWEST + 2
    assert_holds(index, expected)
    with pytest.raises(DatabaseError, match=rf"version {NEWEST + 2}.* update"):
        index.create([uploaded_label()])
    assert_holds(index, expected)


PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])  # once, not in each of a hundred processes


class Killed(sqlite3.Connection):
    """A connection whose process is killed before it has executed `left` statements."""

    left = 0

    def execute(self, *arguments):
        Killed.left -= 1
        if Killed.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)


def migrate(file, statements, steps):
    Killed.left = statements
    database = sqlite3.connect(file, isolation_level=None, factory=Killed)
    migrations.migrate(database, steps)


def migrate_killed(file, statements, steps):
    """Migrate in a process that is killed before so many statements; whether it was."""
    process = PROCESSES.Process(target=migrate, args=(file, statements, steps))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.slow
def test_a_migration_killed_at_any_statement_is_whole_or_not_at_all(
    layout, expected, file, monkeypatch, tmp_path
):
    statements, was_killed = 0, True
    while was_killed:
        copy = shutil.copytree(file.parent, tmp_path / f"killed {statements}")
        was_killed = migrate_killed(copy / file.name, statements, LATER)
        assert version_of(copy / file.name) == (1 if was_killed else NEWEST + 2), statements
        if was_killed:
            assert_holds(SqliteIndex(copy), expected)
        with monkeypatch.context() as later:
            later.setattr(index_layout, "MIGRATIONS", LATER)
            index = SqliteIndex(copy)
            index.create([uploaded_label()])
            assert_holds(index, expected, more=[uploaded_label()])
        shutil.rmtree(copy)
        statements += 7 if statements > 20 else 1
    assert statements > 20


def update_slowly(folder, statements):
    index_layout._BATCH_SIZE = 7
    Killed.left = statements
    index_file.sqlite3 = SimpleNamespace(
        **{**vars(sqlite3), "connect": partial(sqlite3.connect, factory=Killed)}
    )
    SqliteIndex(folder).update(dry_run=False)


@pytest.mark.slow
def test_an_index_that_is_killed_while_it_gets_its_contexts_stays_whole(
    layout, expected, file, tmp_path
):
    """They are filled some labels at a time; what is done stays done, what is not is done later."""
    statements, was_killed, filled = 0, True, set()
    while was_killed:
        copy = shutil.copytree(file.parent, tmp_path / f"killed {statements}")
        process = PROCESSES.Process(target=update_slowly, args=(copy, statements))
        process.start()
        process.join()
        was_killed = process.exitcode == -signal.SIGKILL
        assert was_killed or process.exitcode == 0
        index = SqliteIndex(copy)
        assert_holds(index, expected)
        assert_finds(index, expected)
        if version_of(copy / file.name) == NEWEST:
            with closing(sqlite3.connect(copy / file.name)) as database:
                filled |= set(database.execute("SELECT count(context) FROM labels"))
        index.create([uploaded_label()])
        assert_holds(index, expected, more=[uploaded_label()])
        shutil.rmtree(copy)
        statements += 3
    assert len(filled) > 2  # it was killed in between, too


def test_a_work_file_is_migrated_and_continued(layout, expected, monkeypatch):
    folder = layout / "labelizer"
    file = work_file.path_for(folder / label_file.NAME)
    monkeypatch.setattr(work_database, "MIGRATIONS", LATER_WORK)
    with closing(Workspace(read_folder(folder), "Ada")) as workspace:
        assert version_of(file) == NEXT_WORK
        assert_same_work(workspace, expected)
    # the earlier labelizer goes on, since a column more is additive
    monkeypatch.setattr(work_database, "MIGRATIONS", WORK)
    with closing(Workspace(read_folder(folder), "Ada")) as workspace:
        epoch = workspace.take_lease("a browser", take_over=True)
        save_operations(workspace, epoch, make_operation(99, positions=[(15, 15)], direction=0))
        assert_same_work(workspace, expected, without=workspace.catalogue.ids[15])


def test_a_new_work_file_has_the_newest_layout(layout, monkeypatch):
    folder = layout / "drive"
    monkeypatch.setattr(work_database, "MIGRATIONS", LATER_WORK)
    Workspace(read_folder(folder), "Ada").close()
    assert version_of(work_file.path_for(folder / label_file.NAME)) == NEXT_WORK
    Workspace(read_folder(folder), "Ada").close()


def test_a_work_file_that_only_a_later_version_may_write_is_left_alone(layout, monkeypatch):
    folder = layout / "labelizer"
    file = work_file.path_for(folder / label_file.NAME)
    changed = [*WORK, Migration(NEXT_WORK, add_to_entry, is_additive=False)]
    monkeypatch.setattr(work_database, "MIGRATIONS", changed)
    Workspace(read_folder(folder), "Ada").close()
    content = file.read_bytes()
    monkeypatch.setattr(work_database, "MIGRATIONS", WORK)
    with pytest.raises(InputError, match=r"newer version.* update") as error:
        Workspace(read_folder(folder), "Ada")
    assert "move" not in str(error.value)
    assert file.read_bytes() == content


@pytest.mark.slow
def test_a_work_files_migration_killed_at_any_statement_loses_no_edit(
    layout, expected, monkeypatch, tmp_path
):
    folder, statements, was_killed = layout / "labelizer", 0, True
    untouched = shutil.copytree(folder, tmp_path / "untouched")
    version = version_of(work_file.path_for(untouched / label_file.NAME))
    while was_killed:
        copy = shutil.copytree(folder, tmp_path / f"killed {statements}")
        file = work_file.path_for(copy / label_file.NAME)
        was_killed = migrate_killed(file, statements, LATER_WORK)
        assert version_of(file) == (version if was_killed else NEXT_WORK)
        with monkeypatch.context() as later:
            if not statements % 2:
                later.setattr(work_database, "MIGRATIONS", LATER_WORK)
            with closing(Workspace(read_folder(copy), "Ada")) as workspace:
                assert_same_work(workspace, expected)
        statements += 1
    assert statements > 5


def test_a_step_that_fails_changes_nothing(layout, expected, file, monkeypatch):
    def fail(database):
        rewrite(database)
        database.execute("SELECT nonsense")

    monkeypatch.setattr(index_layout, "MIGRATIONS", [*LATER[:-1], Migration(NEWEST + 2, fail)])
    with pytest.raises(DatabaseError):
        SqliteIndex(file.parent).create([uploaded_label()])
    monkeypatch.setattr(index_layout, "MIGRATIONS", OURS)
    assert version_of(file) == 1
    assert_holds(SqliteIndex(file.parent), expected)
