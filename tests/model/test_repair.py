"""A picture that is put back stays with its label, and goes with it, whoever else is at work.

The real code goes through every order of the calls of two programs.
"""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from get_data.database import repair as repairing_module
from get_data.database import survey as survey_module
from get_data.database.interfaces import BACKUP_PREFIX
from get_data.database.repair import Sources, remove_pictures, restore_pictures
from get_data.database.survey import Difference, Survey
from tests.conftest import document
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
    deleting,
    every_order,
    file,
    holding,
    uploading,
)

__all__ = ["every_order", "file"]  # fixtures

pytestmark = pytest.mark.slow

DAMAGED = b"damaged"


@pytest.fixture(autouse=True)
def _named_runs(monkeypatch):
    for module in (
        test_interleaving.deletion,
        test_interleaving.uploading_module,
        repairing_module,
    ):
        monkeypatch.setattr(module, "uuid4", lambda: SimpleNamespace(hex=current_run_id()))
    monkeypatch.setattr(test_interleaving.uploading_module, "datetime", test_interleaving._Clock)


def repairing(file, kind):
    """P: put the picture back, or remove it when no label names it."""

    def program(index, store):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            connection.executescript(survey_module._SCHEMA)
            survey = Survey(connection)
            survey.add_copies([(KEY, file)])
            name = "" if kind == "picture_without_label" else FINGERPRINTS["L1"]
            survey.add([Difference(kind, document(0)["img_id"], name, KEY)])
            if kind == "picture_without_label":
                list(remove_pictures(survey, index, store, threads=SerialExecutor))
            else:
                sources = Sources(survey, store, threads=SerialExecutor)
                list(restore_pictures(survey, index, store, sources))
        return Report()

    return program


def holding_picture(picture, *labels):
    """Return a function that creates a database with labels and this picture, None for none."""

    def prepare():
        database = holding("L1", *labels)()
        if not labels:
            database.index.remove([FINGERPRINTS["L1"]])
        database.store.pictures.clear()
        if picture is not None:
            database.store.put(KEY, picture)
        return database

    return prepare


def scenarios(file):
    """Return scenarios by name: the database, the programs, the labels that go."""
    lost = repairing(file, "label_without_picture")
    damaged = repairing(file, "wrong_content")
    unnamed = repairing(file, "picture_without_label")
    u, d = (lambda *names: uploading(file, *names)), deleting
    return {
        "lost": (holding_picture(None, "L1"), {"P": lost}, ""),
        "lost, deletion": (holding_picture(None, "L1"), {"P": lost, "D": d("L1")}, "L1"),
        "lost, upload": (holding_picture(None, "L1"), {"P": lost, "U": u("L3")}, ""),
        "damaged, deletion": (holding_picture(DAMAGED, "L1"), {"P": damaged, "D": d("L1")}, "L1"),
        "damaged, deletion of another": (
            holding_picture(DAMAGED, "L1", "L2"),
            {"P": damaged, "D": d("L2")},
            "L2",
        ),
        "damaged, upload": (holding_picture(DAMAGED, "L1"), {"P": damaged, "U": u("L3")}, ""),
        "unnamed, upload": (holding_picture(CONTENT), {"P": unnamed, "U": u("L3")}, ""),
        "unnamed, two": (holding_picture(CONTENT), {"P": unnamed, "Q": unnamed}, ""),
    }


NAMES_OF_SCENARIOS = list(scenarios(None))


def go_through(states, going, *, with_kills=False):
    """Check every final state and return the number of states."""
    number = 0
    for choices, state in states:
        number += 1
        if not state.is_final:
            continue
        labels = {NAMES[name] for name in state.database.index.labels}
        pictures = state.database.store.pictures
        copies = {path for path in pictures if path.startswith(BACKUP_PREFIX)}
        after = f"after: {' '.join(map(str, choices))}"
        assert not labels & set(going.split()), after
        if labels:
            assert pictures.get(KEY) == CONTENT, f"the picture is lost or damaged {after}"
        elif not with_kills:
            assert KEY not in pictures, f"a picture without a label {after}"
        assert with_kills or not copies, after
    return number


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_a_repair_meets_another_program_in_every_order(file, name):
    prepare, programs, going = scenarios(file)[name]
    assert go_through(every_state(Scenario(prepare, programs)), going) > 5


@pytest.mark.parametrize("name", NAMES_OF_SCENARIOS)
def test_a_repair_or_another_program_is_killed(file, name, every_order):
    prepare, programs, going = scenarios(file)[name]
    scenario = Scenario(prepare, programs, kills=1)
    states = every_state(scenario) if every_order else random_states(scenario, seed=1, paths=60)
    go_through(states, going, with_kills=True)
