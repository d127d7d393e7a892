"""The orders of amend, relabel, freeze, back up, restore and free space keep their promises.

Every order of the steps of two programs is tried, with every kill, on the programs of
`protocols.py`; the real ones follow those step by step. `MUTANTS` break one rule each, and each is
found out, so none of the rules is idle. `pytest --every-order` takes more kills and more programs.
"""

from dataclasses import replace

import pytest

from tests.model.protocols import MUTANTS
from tests.model.scenarios import frozen, hole, larger, pairs

pytestmark = pytest.mark.slow

INDEXES = {"version": "Elasticsearch", "document": "SQLite"}
MANY = {  # states
    "restore, upload",
    "restore, delete",
    "restore, delete of the last",
    "free, upload, delete of another",
    "upload again, delete",
    "upload again, deletion that was killed",
}
# A killed relabel that has no picture at hand: as in test_interleaving.py
KNOWN_HOLE = {"free, relabel elsewhere, delete"}
# A restore that is killed after it has created or replaced a set, which somebody has thrown away
# in the same moment, leaves it: nothing is lost, and it is thrown away again.
WITHOUT_KILLS = {
    "set, restore, frozen and thrown away meanwhile",
    "damaged set, restore, throw",
}
VERY_MANY = {
    "restore, upload, delete",
    "free, upload, two delete",
    "upload again, two delete",
    "upload again, upload, delete",
}


def violations(scenario):
    found, _ = scenario.explore()
    return found


@pytest.fixture
def every_order(request):
    """True with `--every-order`."""
    return request.config.getoption("every_order")


@pytest.mark.parametrize("by", INDEXES, ids=INDEXES.values())
@pytest.mark.parametrize("name", pairs((), "version"))
def test_two_programs_of_which_any_is_killed(name, by, every_order):
    is_small = name not in MANY and by == "version"
    scenario = replace(pairs((), by)[name], kills=2 if every_order or is_small else 1)
    assert not [str(violation) for violation in violations(scenario)]


@pytest.mark.parametrize("name", frozen((), "version"))
def test_programs_that_meet_frozen_sets(name, every_order):
    kills = 0 if name in WITHOUT_KILLS else 2 if every_order else 1
    assert not violations(replace(frozen((), "version")[name], kills=kills))


def pytest_generate_tests(metafunc):
    """Leave out what takes a minute, unless every order is asked for."""
    if "three" in metafunc.fixturenames:
        names = larger((), "version").keys()
        if not metafunc.config.getoption("every_order"):
            names -= VERY_MANY
        metafunc.parametrize("three", sorted(names))


def test_three_programs(three, every_order):
    kills = int(every_order and three not in VERY_MANY | KNOWN_HOLE)
    scenario = replace(larger((), "version")[three], kills=kills)
    assert not [str(violation) for violation in violations(scenario)]


CAUGHT_BY = {
    "amend: in place": "amend, absent",
    "amend: version": "two amend",
    "amend: one answer": "two amend",
    "amend: base": "amend, overtaken",
    "amend: key": "amend",
    "amend: tombstone": "amend of a label that goes, upload",
    "amend: picture": "amend, absent",
    "amend: lost answer": "amend",
    "upload: create only": "amend, upload",
    "upload: restores all": "upload again, delete",
    "upload: restores last": "upload again, picture lost",
    "delete: tombstones again": "upload again, delete",
    "relabel: base": "amend, relabel",
    "relabel: unchanged": "amend, relabel",
    "relabel: tombstone last": "amend, relabel",
    "backup: tombstones before": "back up, relabel",
    "backup: tombstones after": "back up, delete",
    "backup: until nothing is new": "back up, relabel",
    "backup: leaves tombstoned labels out": "back up, delete",
    "backup: lost labels": "restore, back up",
    "backup: lost tombstones": "back up and restore after a loss",
    "backup: lost amendments": "back up and restore after a loss",
    "backup: pictures first": "back up",
    "restore: tombstones": "restore, deleted since",
    "restore: saved tombstones": "restore, upload once it looks restored",
    "restore: tombstones first": "restore, upload once it looks restored",
    "restore: label there": "restore, restored since",
    "restore: look after tombstone": "restore, upload",
    "restore: create only": "restore, amended since",
    "restore: never amended": "restore, amended twice",
    "restore: compare again": "restore, upload of the same",
    "restore: amended": "restore, recordings uploaded since",
    "restore: tombstones again": "restore, delete of the last",
    "restore: reconcile": "restore, relabel",
    "restore: picture first": "restore, empty",
    "restore: look again": "restore, picture lost",
    "restore: verbatim": "restore, empty",
    "delete: sets": "set, delete",
    "delete: sets again": "freeze, delete",
    "freeze: pictures first": "freeze, lost",
    "freeze: look again": "freeze, delete",
    "freeze: damaged": "damaged set, freeze",
    "freeze: one step": "damaged set, freeze elsewhere, delete",
    "freeze: tombstone": "freeze again, back up, lost, restore",
    "throw: tombstone first": "throw, back up",
    "throw: settle": "throw",
    "backup: sets": "set, back up",
    "backup: lost sets": "set lost, back up",
    "backup: damaged sets": "damaged set, back up",
    "backup: thrown sets": "throw, back up again",
    "restore: set there": "set, restore of its tombstone",
    "restore: set tombstones": "set, restore, thrown away since",
    "restore: set tombstones again": "set, restore, frozen and thrown away meanwhile",
    "restore: damaged set": "damaged set, restore",
    "restore: damaged set again": "damaged set, restore, throw",
    "restore: set looks again": "set, restore, delete",
    "free: index first": "free, upload, delete of another",
    "free: index": "free, upload, delete of another",
    "free: store": "free, lost",
    "free: hash": "free, damaged",
}
ONLY_BY_A_KILL = {
    "backup: pictures first",
    "freeze: one step",
    "restore: reconcile",
    "restore: picture first",
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_each_rule_is_needed(mutant):
    scenarios = pairs((mutant,), "version") | frozen((mutant,), "version")
    scenario = scenarios[CAUGHT_BY[mutant]]
    kills = int(mutant in ONLY_BY_A_KILL)
    assert violations(replace(scenario, kills=kills)), f"a program that {MUTANTS[mutant]} is right"


def test_an_amendment_of_a_label_that_is_created_while_it_is_replaced_is_the_known_hole():
    titles = [violation.title for violation in violations(hole((), "version"))]
    assert titles == ["an amendment that was reported is lost, and nobody was told"]
