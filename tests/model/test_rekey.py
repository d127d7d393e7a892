"""A label that gets another key keeps its picture, whoever else is at work and whoever is killed.

The real code goes through every order of the calls of two programs.
"""

from types import SimpleNamespace

import pytest

from get_data.database import rekey as rekeying_module
from get_data.database.interfaces import BACKUP_PREFIX, Tombstone
from get_data.database.rekey import rekey
from tests.helpers.faults import Recording, names_of
from tests.helpers.serial_executor import SerialExecutor
from tests.model import test_interleaving
from tests.model.interleaving import (
    Scenario,
    current_run_id,
    every_state,
    random_states,
)
from tests.model.test_interleaving import (
    CONTENT,
    FINGERPRINTS,
    KEY,
    NAMES,
    Report,
    amending,
    deleting,
    every_order,
    file,
    holding,
    relabelling,
    uploading,
)

__all__ = ["every_order", "file"]  # fixtures

pytestmark = pytest.mark.slow

OLD_KEY = "pictures/old/1.jpg"


@pytest.fixture(autouse=True)
def _named_runs(monkeypatch):
    for module in (test_interleaving.deletion, test_interleaving.uploading_module, rekeying_module):
        monkeypatch.setattr(module, "uuid4", lambda: SimpleNamespace(hex=current_run_id()))
    for module in (test_interleaving.amending_module, test_interleaving.uploading_module):
        monkeypatch.setattr(module, "datetime", test_interleaving._Clock)


def holding_old(*others):
    """Return a function that creates a database: L1 with its picture under OLD_KEY, and others."""

    def prepare():
        database = holding("L1", *others)()
        label = database.index.labels[FINGERPRINTS["L1"]]
        database.index.labels[FINGERPRINTS["L1"]] = {**label, "s3_key": OLD_KEY}
        database.store.put(OLD_KEY, CONTENT)
        if not others:
            database.store.delete(KEY)
        return database

    return prepare


def rekeying(name):
    """M: give a label its own key."""

    def program(index, store):
        failed = rekey([FINGERPRINTS[name]], index, store, lambda _: {}, threads=SerialExecutor)
        return Report(failed=tuple(each.reason for each in failed))

    return program


def scenarios(file):
    """Return scenarios by name: the database, the programs, the labels that go."""
    m = rekeying("L1")
    return {
        "alone": (holding_old(), {"M": m}, ""),
        "beside another label": (holding_old("L2"), {"M": m}, ""),
        "twice": (holding_old(), {"M": m, "N": m}, ""),
        "deletion": (holding_old(), {"M": m, "D": deleting("L1")}, "L1"),
        "deletion of another": (holding_old("L2"), {"M": m, "D": deleting("L2")}, "L2"),
        "deletion of both": (holding_old("L2"), {"M": m, "D": deleting("L1", "L2")}, "L1 L2"),
        "upload": (holding_old(), {"M": m, "U": uploading(file, "L3")}, ""),
        "amend": (holding_old(), {"M": m, "A": amending("L1", "Ada's")}, ""),
        "relabel": (holding_old(), {"M": m, "R": relabelling(file, "L2", "L1")}, "L1"),
    }


NAMES_OF_SCENARIOS = list(scenarios(None))


def go_through(states, going, *, with_kills=False):
    """Check every state and return their number."""
    number = 0
    for choices, state in states:
        number += 1
        try:
            check(state, set(going.split()), with_kills=with_kills)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter: {' '.join(map(str, choices))}") from error
    return number


def check(state, going, *, with_kills):
    """Assert that no label is lost, and in the end that each has its picture."""
    index, store = state.database.index, state.database.store
    keys = {NAMES[name]: label["s3_key"] for name, label in index.labels.items()}
    assert "L1" in keys or "L1" in going
    assert not keys or CONTENT in store.pictures.values(), "the picture is lost"
    if not state.is_final:
        return
    for name, key in keys.items():
        assert store.pictures.get(key) == CONTENT, f"{name} is without its picture"
    failed = any(run.result.failed for run in state.runs.values())
    if "L1" in keys and not failed:
        assert keys["L1"] == KEY
    assert not going & keys.keys() or failed
    copies = [path for path in store.pictures if path.startswith(BACKUP_PREFIX)]
    if not with_kills:
        # a deletion that read the label under its old key leaves the picture that moved meanwhile
        possible = {KEY} if "L1" in going else set()
        unnamed = store.pictures.keys() - {*copies, *keys.values()}
        assert unnamed <= possible, "pictures without a label"
        assert copies == []


def test_a_label_that_has_a_tombstone_does_not_move(monkeypatch):
    monkeypatch.setattr(rekeying_module, "uuid4", lambda: SimpleNamespace(hex="M1"))
    database = holding_old()()
    database.index.add_tombstones(
        [Tombstone(FINGERPRINTS["L1"], "x", OLD_KEY, "deleted", "test", "2024-05-01T12:00:00Z")]
    )
    assert rekeying("L1")(database.index, database.store) == Report()
    assert database.index.labels[FINGERPRINTS["L1"]]["s3_key"] == OLD_KEY


def test_a_label_names_its_new_key_once_the_picture_is_durable(monkeypatch):
    monkeypatch.setattr(rekeying_module, "uuid4", lambda: SimpleNamespace(hex="M1"))
    database, calls = holding_old()(), []
    rekeying("L1")(Recording(database.index, calls), Recording(database.store, calls))
    steps = ("put_new", "make_durable", "replace", "delete")
    assert names_of(calls, *steps)[:4] == ["put_new", "make_durable", "replace", "delete"]


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_a_label_that_moves_keeps_its_picture_in_every_order(file, name):
    prepare, programs, going = scenarios(file)[name]
    assert go_through(every_state(Scenario(prepare, programs)), going) > 5


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_a_label_that_moves_keeps_its_picture_when_a_program_is_killed(file, name, every_order):
    prepare, programs, going = scenarios(file)[name]
    scenario = Scenario(prepare, programs, kills=1)
    states = every_state(scenario) if every_order else random_states(scenario, seed=1, paths=60)
    go_through(states, going, with_kills=True)
