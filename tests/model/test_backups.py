"""A backup is whole and a restore undoes nothing, whoever uses the database meanwhile.

The scenarios are those of the model; here the real code runs through them.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from get_data.database.backup.folder import decode_label
from get_data.database.backup.restore import restore
from get_data.database.backup.save import read_database, save
from get_data.database.interfaces import Tombstone, encode_document
from get_data.labels import edits
from tests.conftest import START
from tests.fakes.memory_backup import MemoryBackup
from tests.helpers.serial_executor import SerialExecutor
from tests.model import test_interleaving
from tests.model.interleaving import Database, Scenario, every_state, random_states
from tests.model.test_interleaving import (
    CONTENT,
    FINGERPRINTS,
    KEY,
    LABELS,
    NAMES,
    Report,
    amending,
    deleting,
    relabelling,
    uploading,
)

pytestmark = pytest.mark.slow

_named_runs = test_interleaving._named_runs
file = test_interleaving.file
every_order = test_interleaving.every_order


@pytest.fixture
def folder(tmp_path):
    """A folder with the picture file that a restore reads."""
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).write_bytes(CONTENT)
    return tmp_path


def stored(name, **more):
    """A label as an index has it."""
    uploaded = edits.uploaded(
        LABELS[name], picture=CONTENT, bucket="memory", key=KEY, upload_time=START
    )
    return uploaded | more


AMENDED = stored("L1", comment="Ada's", amended_by="Ada", upload_date="2024-05-02T00:00:00Z")


def buried(name, reason="deleted"):
    return Tombstone(
        FINGERPRINTS[name], LABELS[name]["img_id"], KEY, reason, "test", "2024-05-01T12:00:00Z"
    )


def world(folder, labels=(), tombstones=(), saved=None):
    """Return a function that creates a database, and a backup if `saved` has its contents."""

    def prepare():
        database = Database(backup=MemoryBackup(folder))
        if labels:
            database.store.put_new(KEY, CONTENT)
        database.index.create(list(labels))
        database.index.add_tombstones(list(tombstones))
        if saved is not None:
            lines = [decode_label(encode_document(label)) for label in saved[0]]
            database.backup.pictures.put_new(KEY, CONTENT)
            database.backup.saved = SimpleNamespace(
                labels=SimpleNamespace(lines=lines, count=len(lines)),
                tombstones=SimpleNamespace(lines=list(saved[1]), count=len(saved[1])),
                sets=[],
            )
        return database

    return prepare


def backing_up(index, store):
    """B: back up."""
    backup = store._run.database.backup
    with read_database(index, store, backup, backup.read_manifest()) as snapshot:
        outcome = save(snapshot, backup, store, database="", threads=SerialExecutor)
    return Report(failed=tuple(failure.reason for failure in outcome.failures))


def restoring(index, store):
    """P: restore."""
    backup = store._run.database.backup
    counts = restore(backup, backup.read_manifest(), index, store, threads=SerialExecutor)
    return Report(failed=tuple(failure.reason for failure in counts.failures))


def check_backup(database, known, half_replaced):
    """Assert that a database restored from this backup would be right."""
    saved = database.backup.saved
    live = {NAMES[label.fingerprint] for label in saved.labels.lines}
    dead = {NAMES[tombstone.fingerprint]: tombstone.reason for tombstone in saved.tombstones.lines}
    assert not live or database.backup.pictures.pictures.get(KEY) == CONTENT
    assert not live & dead.keys(), "the backup has a label that it knows as deleted"
    missing = known - live - dead.keys() - half_replaced
    assert not missing, f"the backup has neither {missing} nor its tombstone"
    is_orphaned = "replaced" in dead.values() and not live and "deleted" not in dead.values()
    assert not is_orphaned, "the backup has a replaced label's tombstone, and not its correction"


def go_through(states, *, known=(), half_replaced=(), kept=(), gone=(), says=()):
    """Check every state; return their number.

    `known`: labels that a backup knows, alive or dead. `kept` and `gone`: labels that are there, or
    not, in the end. `says`: comments that L1 may have in the end.
    """
    number, first = 0, None
    for choices, state in states:
        number += 1
        database = state.database
        first = first or database.backup.state()
        try:
            if database.backup.saved and database.backup.state() != first:
                check_backup(database, set(known), set(half_replaced))
            if state.is_final:
                check_end(state, kept=kept, gone=gone, says=says)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter: {' '.join(map(str, choices))}") from error
    return number


def check_end(state, *, kept, gone, says):
    database = state.database
    labels = {NAMES[fingerprint] for fingerprint in database.index.labels}
    assert not set(kept) - labels, f"{set(kept) - labels} is not there"
    assert not set(gone) & labels, f"{set(gone) & labels} is there"
    assert not database.index.labels.keys() & database.index.tombstones.keys()
    if labels:
        assert database.store.pictures.get(KEY) == CONTENT, "a label is without its picture"
    if says and "L1" in labels:
        comment = database.index.labels[FINGERPRINTS["L1"]].get("comment", "")
        assert comment in says, f"L1 says {comment!r}"
    for run in state.runs.values():
        for name in run.result.deleted:
            assert name not in labels, f"{run.id} deleted {name}, and that was undone"
        for name, comment in run.result.amended:
            if label := database.index.labels.get(FINGERPRINTS[name]):
                assert label["comment"] == comment, "an amendment that was reported is lost"
        assert not run.result.failed or set(state.runs) & {"A", "R"}, run.result.failed


def scenarios(folder, file):
    """Return database, programs and what `go_through` checks, by name."""
    u, r = (lambda *names: uploading(file, *names)), lambda *names: relabelling(file, *names)
    d, a, b, p = deleting, amending, backing_up, restoring
    one, two = [stored("L1")], [stored("L1"), stored("L2")]
    after = [stored("L2")]
    return {
        "back up": (world(folder, one), {"B": b}, {"known": ["L1"], "kept": ["L1"]}),
        "back up, delete": (
            world(folder, two),
            {"B": b, "D": d("L1")},
            {"known": ["L1", "L2"], "kept": ["L2"]},
        ),
        "back up, delete of the last": (
            world(folder, one),
            {"B": b, "D": d("L1")},
            {"known": ["L1"], "gone": ["L1"]},
        ),
        "back up, relabel": (
            world(folder, one),
            {"B": b, "R": r("L2", "L1")},
            {"known": ["L1"], "half_replaced": ["L1"], "kept": ["L2"], "gone": ["L1"]},
        ),
        "back up, upload": (world(folder, one), {"B": b, "U": u("L2")}, {"known": ["L1"]}),
        "back up, amend": (world(folder, one), {"B": b, "A": a("L1", "Ada's")}, {"known": ["L1"]}),
        "back up, amend one of two": (
            world(folder, two),
            {"B": b, "A": a("L1", "Ada's")},  # the second in the order becomes the first
            {"known": ["L1", "L2"], "kept": ["L1", "L2"]},
        ),
        "back up after a loss": (
            world(folder, after, saved=(one, [buried("L3")])),
            {"B": b},
            {"known": ["L1", "L2", "L3"]},
        ),
        "back up after a lost amendment": (
            world(folder, one, saved=([AMENDED], [])),
            {"B": b},
            {"known": ["L1"]},
        ),
        "restore into an empty database": (
            world(folder, saved=(one, [buried("L3")])),
            {"P": p},
            {"kept": ["L1"]},
        ),
        "restore, deleted since": (
            world(folder, tombstones=[buried("L1")], saved=(one, [])),
            {"P": p},
            {"gone": ["L1"]},
        ),
        "restore, replaced since": (
            world(folder, after, [buried("L1", "replaced")], saved=(one, [])),
            {"P": p},
            {"gone": ["L1"], "kept": ["L2"]},
        ),
        "restore, amended since": (
            world(folder, [AMENDED], saved=(one, [])),
            {"P": p},
            {"says": ["Ada's"]},
        ),
        "restore, recordings uploaded since": (
            world(folder, one, saved=([AMENDED], [])),
            {"P": p},
            {"says": ["Ada's"]},
        ),
        "restore, restored since": (
            world(folder, one, saved=([], [buried("L1")])),
            {"P": p},
            {"kept": ["L1"]},
        ),
        "restore, upload": (
            world(folder, saved=(after, [buried("L1")])),
            {"P": p, "U": u("L1")},
            {"kept": ["L2"]},
        ),
        "restore, upload of the same": (
            world(folder, saved=([AMENDED], [])),
            {"P": p, "U": u("L1")},
            {"says": ["Ada's"], "kept": ["L1"]},
        ),
        "restore, delete": (
            world(folder, saved=(two, [])),
            {"P": p, "D": d("L1")},
            {"kept": ["L2"]},
        ),
        "restore, delete of another": (
            world(folder, after, saved=(one, [])),
            {"P": p, "D": d("L2")},
            {"kept": ["L1"], "gone": ["L2"]},
        ),
        "restore, amend": (
            world(folder, one, saved=([AMENDED], [])),
            {"P": p, "A": a("L1", "Bob's")},
            {"says": ["Ada's", "Bob's"]},
        ),
        "two restore": (
            world(folder, saved=([AMENDED], [buried("L2")])),
            {"P": p, "Q": p},
            {"says": ["Ada's"], "kept": ["L1"]},
        ),
    }


NAMES_OF_SCENARIOS = list(scenarios(None, None))


LARGE = {"restore, upload"}  # takes two minutes in every order


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_in_every_order(folder, file, name, every_order):
    prepare, programs, expected = scenarios(folder, file)[name]
    scenario = Scenario(prepare, programs)
    is_whole = every_order or name not in LARGE
    states = every_state(scenario) if is_whole else random_states(scenario, seed=1, paths=120)
    assert go_through(states, **expected) >= 5


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_with_kills(folder, file, name, every_order):
    prepare, programs, expected = scenarios(folder, file)[name]
    scenario = Scenario(prepare, programs, kills=2)
    states = every_state(scenario) if every_order else random_states(scenario, seed=1, paths=60)
    go_through(states, **expected)


BACKUPS = [name for name in NAMES_OF_SCENARIOS if name.startswith("back up")]


@pytest.mark.parametrize("name", BACKUPS)
def test_with_a_server_that_loses_its_snapshots(folder, file, name):
    """Rule D35: what is read is of several moments."""
    prepare, programs, expected = scenarios(folder, file)[name]
    scenario = Scenario(lambda: replace(prepare(), keeps_snapshots=False), programs)
    assert go_through(every_state(scenario), **expected) >= 5


def test_what_a_backup_keeps_of_what_was_lost(folder, file):
    prepare, _, _ = scenarios(folder, file)["back up after a lost amendment"]
    database = prepare()
    index, store = database.index, database.store
    store._run = SimpleNamespace(database=database)
    assert backing_up(index, store) == Report()
    (label,) = database.backup.saved.labels.lines
    assert json.loads(label.line) == AMENDED
