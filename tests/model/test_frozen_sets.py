"""A frozen set keeps its pictures, whoever meets it at the database and whoever is killed.

The scenarios are those of the model; here the real code runs through them. All labels and sets are
of one picture.
"""

from types import SimpleNamespace

import pytest
from greenlet import getcurrent

from get_data.database.delete import reconcile
from get_data.database.frozen import frozen_sets
from get_data.database.frozen.frozen_sets import freeze, read_keys, throw_away
from get_data.database.interfaces import BACKUP_PREFIX, Tombstone
from get_data.labels import edits
from tests.conftest import START
from tests.fakes.memory_backup import MemoryBackup
from tests.helpers.frozen import path_of, set_of
from tests.helpers.serial_executor import SerialExecutor
from tests.model import test_backups, test_interleaving
from tests.model.interleaving import (
    OLD_S,
    Scenario,
    current_run_id,
    every_state,
    random_states,
)
from tests.model.test_backups import backing_up, restoring
from tests.model.test_interleaving import (
    CONTENT,
    KEY,
    LABELS,
    NAMES,
    Report,
    amending,
    deleting,
    every_order,
    file,
    freeing,
    holding,
    parked,
    relabelling,
    uploading,
)

__all__ = ["every_order", "file"]  # fixtures

pytestmark = pytest.mark.slow

_named_runs_of_all = test_interleaving._named_runs
folder = test_backups.folder

SET = set_of(
    edits.uploaded(LABELS["L1"], picture=CONTENT, bucket="memory", key=KEY, upload_time=START)
)
PATH, OTHER = path_of("base", SET), path_of("other", SET)


@pytest.fixture(autouse=True)
def _named_runs(monkeypatch):
    def named():
        is_run = hasattr(getcurrent(), "owner")  # or a database that is being prepared
        return SimpleNamespace(hex=current_run_id() if is_run else "prepared")

    monkeypatch.setattr(frozen_sets, "uuid4", named)


def freezing(name="base", picture=CONTENT):
    """S: freeze a set, with the picture in the folder or not."""

    def program(index, store):
        outcome = freeze(name, SET, index, store, copy_of=lambda _: picture, threads=SerialExecutor)
        return Report(failed=tuple(each.reason for each in outcome.failures))

    return program


def throwing_away(name="base"):
    """T: throw a set away."""
    path = path_of(name, SET)

    def program(index, store):
        stored = next((each for each in store.list_sets() if each.path == path), None)
        if stored is None:
            # it went before the kill; what that left is completed by the next deletion
            reconcile([], index, store, run=current_run_id(), threads=SerialExecutor)
            return Report()
        keys = read_keys(stored, store)
        throw_away(stored, keys, index, store, removed_by="test", threads=SerialExecutor)
        return Report()

    return program


def world(*labels, sets=(), tombstones=(), saved=None, folder=None, is_damaged=False):
    """Return a function that creates a database with the picture, labels and frozen sets.

    `is_damaged`: the labels of its sets are; which picture they name can still be read.
    """
    prepare = holding(*labels)

    def prepare_sets():
        database = prepare()
        database.has_sets = True
        if sets:
            database.store.put_new(KEY, CONTENT)
        for name in sets:
            freeze(name, SET, database.index, database.store, threads=SerialExecutor)
            if is_damaged:
                path = path_of(name, SET)
                content = database.store.sets[path]
                database.store.put_set(path, content[:-40] + b"x" * 40)
        if folder:
            database.backup = MemoryBackup(folder)
        if saved is not None:
            database.backup.pictures.put_new(KEY, CONTENT)
            for name in saved:
                freeze(name, SET, database.index, database.backup.pictures, threads=SerialExecutor)
            lines = SimpleNamespace(lines=[], count=0)
            database.backup.saved = SimpleNamespace(
                labels=lines,
                tombstones=lines,
                sets=[SimpleNamespace(path=path_of(name, SET)) for name in saved],
            )
        database.index.add_tombstones(
            [Tombstone(path, path, "", "deleted", "test", "") for path in tombstones]
        )
        return database

    return prepare_sets


def is_whole(path, store):
    return frozen_sets.find_states([path], store)[path] == "whole"


def check(state, *, kept, gone, has_throw):
    """Assert that no set is without its picture, and in the end that nothing is left."""
    database = state.database
    store, sets = database.store, set(database.store.sets)
    copies = [path for path in store.pictures if path.startswith(BACKUP_PREFIX)]
    is_stored = store.pictures.get(KEY) == CONTENT
    failed = any(run.result.failed for run in state.runs.values() if isinstance(run.result, Report))
    reported = [
        run
        for run in state.runs.values()
        if run.name == "S" and isinstance(run.result, Report) and not run.result.failed
    ]
    if reported and sets:
        assert is_stored or copies, "a set that was reported as frozen is without its picture"
    if backup := database.backup:
        saved = backup.saved and {each.path for each in backup.saved.sets}
        assert not saved or KEY in backup.pictures.pictures
        are_whole = all(is_whole(path, backup.pictures) for path in saved or ())
        assert are_whole, "a damaged set is saved"
    if not state.is_final:
        return
    labels = {NAMES[fingerprint] for fingerprint in database.index.labels}
    assert not kept - sets, "a frozen set is not there"
    assert all(is_whole(path, store) for path in kept), "a frozen set is damaged"
    assert not gone & sets, "a set that was thrown away is there"
    if (labels or sets) and not failed:
        assert is_stored, "all have finished, and a picture is missing"
    is_killed = any(run.number > 1 for run in state.runs.values())
    if not labels and not sets and not (has_throw and is_killed):
        assert not is_stored, "all have finished, and nothing names the picture that is left"
    if not is_killed:
        assert not copies, "a backup copy is left"
    for path in copies:
        store.age_s[path] = OLD_S


def scenarios(file, folder):
    """Return scenarios by name: database, programs, sets that stay, and sets that go."""
    s, t, d, a = freezing(), throwing_away(), deleting, amending
    r = relabelling(file, "L2", "L1")
    both = {PATH, OTHER}
    damaged = {"sets": ["base"], "is_damaged": True}
    saved = {"saved": ["base"], "folder": folder}
    return {
        "freeze": (world("L1"), {"S": s}, {PATH}, ()),
        "freeze, deletion": (world("L1"), {"S": s, "D": d("L1")}, (), ()),
        "freeze elsewhere, deletion": (
            world("L1"),
            {"S": freezing(picture=None), "D": d("L1")},
            (),
            (),
        ),
        "freeze, relabel": (world("L1"), {"S": s, "R": r}, {PATH}, ()),
        "freeze, amend": (world("L1"), {"S": s, "A": a("L1", "Ada's")}, {PATH}, ()),
        "freeze, upload": (world("L1"), {"S": s, "U": uploading(file, "L2")}, {PATH}, ()),
        "two freeze": (world("L1"), {"S": s, "Z": s}, {PATH}, ()),
        "set, deletion": (world("L1", sets=["base"]), {"D": d("L1")}, {PATH}, ()),
        "set, two deletions": (
            world("L1", "L2", sets=["base"]),
            {"D": d("L1"), "E": d("L2")},
            {PATH},
            (),
        ),
        "set, freeze of another, deletion": (
            world("L1", sets=["base"]),
            {"S": freezing("other"), "D": d("L1")},
            both,
            (),
        ),
        "throw": (world(sets=["base"]), {"T": t}, (), {PATH}),
        "throw, deletion": (world("L1", sets=["base"]), {"T": t, "D": d("L1")}, (), {PATH}),
        "throw, upload": (
            world(sets=["base"]),
            {"T": t, "U": uploading(file, "L1")},
            (),
            {PATH},
        ),
        "throw, throw of another": (
            world(sets=["base", "other"]),
            {"T": t, "Q": throwing_away("other")},
            (),
            both,
        ),
        "throw of the last, freeze of another": (
            world(sets=["base"]),
            {"T": t, "S": freezing("other")},
            (),
            {PATH},
        ),
        "set, back up": (world(sets=["base"], folder=folder), {"B": backing_up}, {PATH}, ()),
        "set, back up, deletion": (
            world("L1", sets=["base"], folder=folder),
            {"B": backing_up, "D": d("L1")},
            {PATH},
            (),
        ),
        "throw, back up": (
            world("L1", sets=["base"], folder=folder),
            {"T": t, "B": backing_up},
            (),
            {PATH},
        ),
        "restore": (world(saved=["base"], folder=folder), {"P": restoring}, {PATH}, ()),
        "restore, thrown away since": (
            world(saved=["base"], tombstones=[PATH], folder=folder),
            {"P": restoring},
            (),
            {PATH},
        ),
        "restore, deletion": (
            world("L1", saved=["base"], folder=folder),
            {"P": restoring, "D": d("L1")},
            {PATH},
            (),
        ),
        "damaged, freeze": (world("L1", **damaged), {"S": s}, {PATH}, ()),
        "damaged, freeze, deletion": (world("L1", **damaged), {"S": s, "D": d("L1")}, {PATH}, ()),
        "damaged, freeze elsewhere, deletion": (
            world("L1", **damaged),
            {"S": freezing(picture=None), "D": d("L1")},
            {PATH},
            (),
        ),
        "damaged, two freeze": (world("L1", **damaged), {"S": s, "Z": s}, {PATH}, ()),
        "damaged, back up": (world(**damaged, folder=folder), {"B": backing_up}, (), ()),
        "damaged, back up, freeze": (
            world("L1", **damaged, folder=folder),
            {"B": backing_up, "S": s},
            {PATH},
            (),
        ),
        "damaged, restore": (world(**damaged, **saved), {"P": restoring}, {PATH}, ()),
        "damaged, restore, deletion": (
            world("L1", **damaged, **saved),
            {"P": restoring, "D": d("L1")},
            {PATH},
            (),
        ),
        "damaged, restore, freeze": (
            world("L1", **damaged, **saved),
            {"P": restoring, "S": s},
            {PATH},
            (),
        ),
        "damaged, restore, throw": (
            world("L1", **damaged, **saved),
            {"P": restoring, "T": t},
            (),
            {PATH},
        ),
        "restore, throw": (
            world("L1", sets=["base"], saved=["base"], folder=folder),
            {"P": restoring, "T": t},
            (),
            {PATH},
        ),
    }


NAMES_OF_SCENARIOS = list(scenarios(None, None))
# A restore that is killed after it has replaced a set, which somebody has thrown away in the same
# moment, leaves it: as in test_protocols.py
WITHOUT_KILLS = {"damaged, restore, throw"}
LARGE = {"throw, throw of another", "throw of the last, freeze of another"}


def go_through(states, kept, gone, programs):
    """Check every state and return their number."""
    number = 0
    for choices, state in states:
        number += 1
        try:
            check(state, kept=set(kept), gone=set(gone), has_throw="T" in programs)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter: {' '.join(map(str, choices))}") from error
    return number


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_sets_in_every_order(file, folder, name, every_order):
    prepare, programs, kept, gone = scenarios(file, folder)[name]
    scenario = Scenario(prepare, programs)
    is_whole = every_order or name not in LARGE
    states = every_state(scenario) if is_whole else random_states(scenario, seed=1, paths=80)
    assert go_through(states, kept, gone, programs) > 3


@pytest.mark.parametrize("name", sorted(set(NAMES_OF_SCENARIOS) - WITHOUT_KILLS))
def test_sets_with_kills(file, folder, name, every_order):
    prepare, programs, kept, gone = scenarios(file, folder)[name]
    scenario = Scenario(prepare, programs, kills=1)
    states = every_state(scenario) if every_order else random_states(scenario, seed=1, paths=60)
    go_through(states, kept, gone, programs)


def test_a_picture_that_only_a_set_names_is_freed_and_stays_in_the_store(tmp_path):
    """D33: and so it does while its label is deleted."""
    (tmp_path / "car").mkdir()
    file = tmp_path / "car" / LABELS["L1"]["file_name"]
    prepare = parked(file, "L1")

    def prepare_set():
        database = prepare()
        database.has_sets = True
        freeze("base", SET, database.index, database.store, threads=SerialExecutor)
        return database

    programs = {"D": deleting("L1"), "F": freeing(file, "L1")}
    outcomes = set()
    for _, state in every_state(Scenario(prepare_set, programs)):
        if state.is_final:
            outcomes.add(file.exists())
            assert state.database.store.pictures.get(KEY) == CONTENT
    assert False in outcomes
