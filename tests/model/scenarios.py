"""Who meets whom at the database: one picture with a few labels, and two or three programs."""

from collections.abc import Collection
from typing import Any

from tests.model.explorer import Program, StartProgram
from tests.model.invariants import Scenario
from tests.model.protocols import (
    Report,
    amend,
    back_up,
    delete,
    free,
    freeze,
    relabel,
    restore,
    throw,
    upload,
)
from tests.model.world import (
    DAMAGED,
    PICTURE,
    Backup,
    Label,
    Reason,
    Tombstone,
    World,
    find,
    remove_set,
)

L1, L2, L3 = (Label(name, "v0", "then") for name in ("L1", "L2", "L3"))
AMENDED = Label("L1", "v1", "later", content="Ada's", is_amended=True)


def labels(*them: Label) -> frozenset[Label]:
    return frozenset(them)


def there(*them: Label, **others: Any) -> World:
    """A database with the picture and these labels; the picture is on the car, too."""
    return World(labels(*them), picture=PICTURE if them else None, recording=PICTURE, **others)


def tombstone(name: str, reason: Reason = "deleted") -> frozenset[Tombstone]:
    return frozenset({Tombstone(name, reason)})


def backup(
    *them: Label, tombstones: frozenset[Tombstone] = frozenset(), sets: Collection[str] = ()
) -> dict[str, Any]:
    """A backup's folder."""
    saved = Backup(labels(*them), tombstones, True, frozenset(sets))
    return {"backup": saved, "saved_picture": True}


def after(names: tuple[str, ...], program: StartProgram) -> StartProgram:
    """A program that runs only once one of these labels is there."""

    def start(run: str) -> Program:
        if (yield find(*names)):
            return (yield from program(run))
        return Report()

    return start


def one_after_another(*programs: StartProgram) -> StartProgram:
    """A program that runs these, each once; its report is the last one's."""

    def start(run: str) -> Program:
        report = Report()
        for program in programs:
            report = yield from program(run)
        return report

    return start


def losing_set(_run: str) -> Program:
    """A disk that loses the frozen set."""
    yield remove_set("S")
    return Report()


def pairs(without: Collection[str], by: str) -> dict[str, Scenario]:
    """Return scenarios of one or two programs by name; programs leave out the rules `without`."""
    options: dict[str, Any] = {"by": by, "without": without}

    def a(name: str, content: str, **more: Any) -> StartProgram:
        return amend(name, content, **options, **more)

    def r(new: str, old: str, **more: Any) -> StartProgram:
        return relabel(new, old, **options, **more)

    def u(*names: str, **more: Any) -> StartProgram:
        return upload(*names, without=without, **more)

    def d(*names: str) -> StartProgram:
        return delete(*names, without=without)

    b, f = back_up(without=without), free("L1", without=without)
    back = restore(**options)
    then = frozenset({"then"})
    either: dict[str, Any] = {"deleted_meanwhile": {"L1"}, "restored_meanwhile": {"L1"}}
    return {
        # an upload that restores
        "upload again, delete": Scenario(
            there(L1), {"U": u("L1", restore=True), "D": d("L1")}, **either
        ),
        "upload again, delete again": Scenario(
            there(L2, tombstones=tombstone("L1")),
            {"U": u("L1", restore=True), "D": d("L1")},
            **either,
        ),
        "upload again, deletion that was killed": Scenario(
            there(L1, tombstones=tombstone("L1")),
            {"U": u("L1", restore=True), "D": d("L1")},
            **either,
        ),
        "upload again, picture lost": Scenario(
            World(tombstones=tombstone("L1")), {"U": u("L1", restore=True)}, gone={"L1"}
        ),
        "two upload again": Scenario(
            World(tombstones=tombstone("L1"), recording=PICTURE),
            {"U": u("L1", restore=True), "V": u("L1", restore=True)},
            restored_meanwhile={"L1"},
            kept={"L1"},
        ),
        "upload again, amend": Scenario(
            there(L1, tombstones=tombstone("L1")),
            {"U": u("L1", restore=True), "A": a("L1", "Ada's")},
            kept={"L1"},
        ),
        "upload again, relabel": Scenario(
            there(L1), {"U": u("L1", restore=True), "R": r("L2", "L1")}, **either
        ),
        # amend
        "amend": Scenario(there(L1), {"A": a("L1", "Ada's")}, kept={"L1"}, is_alone=True),
        "amend, absent": Scenario(World(), {"A": a("L1", "Ada's")}, gone={"L1"}),
        "amend, overtaken": Scenario(
            there(AMENDED), {"A": a("L1", "Bob's")}, contents={"L1": {"Ada's"}}
        ),
        "amend, fetched": Scenario(
            there(AMENDED), {"A": a("L1", "Bob's", fetched="later")}, contents={"L1": {"Bob's"}}
        ),
        "two amend": Scenario(
            there(L1), {"A": a("L1", "Ada's"), "B": a("L1", "Bob's")}, kept={"L1"}
        ),
        "amend, upload": Scenario(there(L1), {"A": a("L1", "Ada's"), "U": u("L1")}, kept={"L1"}),
        "amend, first upload": Scenario(
            there(), {"A": a("L1", "Ada's"), "U": u("L1")}, kept={"L1"}
        ),
        "amend, delete": Scenario(there(L1), {"A": a("L1", "Ada's"), "D": d("L1")}),
        "amend, delete of another": Scenario(
            there(L1, L2), {"A": a("L1", "Ada's"), "D": d("L2")}, kept={"L1"}
        ),
        "amend, relabel": Scenario(there(L1), {"A": a("L1", "Ada's"), "R": r("L2", "L1")}),
        "amend of the new, relabel": Scenario(
            there(L1), {"A": a("L2", "Ada's"), "R": r("L2", "L1")}, kept={"L2"}
        ),
        "relabel, overtaken": Scenario(
            there(AMENDED), {"R": r("L2", "L1")}, contents={"L1": {"Ada's"}}, kept={"L1"}
        ),
        "amend of a label that goes, upload": Scenario(
            there(L1, L2, tombstones=tombstone("L1", "replaced")),
            {"A": a("L1", "Ada's"), "U": u("L1")},
            gone={"L1"},
            kept={"L2"},
        ),
        # back up
        "back up": Scenario(there(L1, L2), {"B": b}, kept={"L1"}, is_alone=True),
        "back up, delete": Scenario(there(L1), {"B": b, "D": d("L1")}),
        "back up, delete of another": Scenario(there(L1, L2), {"B": b, "D": d("L2")}),
        "back up, relabel": Scenario(there(L1), {"B": b, "R": r("L2", "L1")}, half_replaced={"L1"}),
        "back up, upload": Scenario(there(L2), {"B": b, "U": u("L1")}, kept={"L1"}),
        "back up, amend": Scenario(there(L1), {"B": b, "A": a("L1", "Ada's")}, kept={"L1"}),
        # restore
        "restore, empty": Scenario(
            World(**backup(L1, L2, tombstones=tombstone("L3"))),
            {"P": back},
            kept={"L1", "L2"},
            dates={"L1": then},
            is_alone=True,
        ),
        "restore, picture lost": Scenario(
            there(L1, **backup(L1))._replace(picture=None), {"P": back}, kept={"L1"}
        ),
        "restore, picture damaged": Scenario(
            there(L1, **backup(L1))._replace(picture=DAMAGED), {"P": back}, kept={"L1"}
        ),
        "restore, deleted since": Scenario(
            World(tombstones=tombstone("L1"), **backup(L1)), {"P": back}, gone={"L1"}
        ),
        "restore, replaced since": Scenario(
            there(L2, tombstones=tombstone("L1", "replaced"), **backup(L1)),
            {"P": back},
            gone={"L1"},
            kept={"L2"},
        ),
        "restore, amended since": Scenario(
            there(AMENDED, **backup(L1)),
            {"P": back},
            kept={"L1"},
            contents={"L1": {"Ada's"}},
        ),
        "restore, amended twice": Scenario(
            there(AMENDED, **backup(AMENDED._replace(content="older", upload_date="then"))),
            {"P": back},
            contents={"L1": {"Ada's"}},
        ),
        "restore, recordings uploaded since": Scenario(
            there(L1, **backup(AMENDED)), {"P": back}, contents={"L1": {"Ada's"}}
        ),
        "restore, restored since": Scenario(
            there(L1, **backup(tombstones=tombstone("L1"))), {"P": back, "U": u("L1")}, kept={"L1"}
        ),
        "restore, upload": Scenario(
            World(recording=PICTURE, **backup(L2, tombstones=tombstone("L1"))),
            {"P": back, "U": u("L1")},
            kept={"L2"},
            deleted_meanwhile={"L1"},
        ),
        "restore, upload once it looks restored": Scenario(
            World(recording=PICTURE, **backup(L2, tombstones=tombstone("L1"))),
            {"P": back, "U": after(("L2",), u("L1"))},
            kept={"L2"},
            gone={"L1"},
        ),
        "restore, upload of the same": Scenario(
            World(recording=PICTURE, **backup(AMENDED)),
            {"P": back, "U": u("L1")},
            kept={"L1"},
            contents={"L1": {"Ada's"}},
        ),
        "restore, delete": Scenario(
            World(**backup(L1, L2)), {"P": back, "D": d("L1")}, kept={"L2"}
        ),
        "restore, delete of the last": Scenario(World(**backup(L1)), {"P": back, "D": d("L1")}),
        "restore, delete of another": Scenario(
            there(L2, **backup(L1)), {"P": back, "D": d("L2")}, kept={"L1"}
        ),
        "restore, relabel": Scenario(
            World(recording=PICTURE, **backup(L1)),
            {"P": back, "R": r("L2", "L1")},
            kept={"L2"},
        ),
        "restore, amend": Scenario(
            there(L1, **backup(L1._replace(content="older", is_amended=True))),
            {"P": back, "A": a("L1", "Ada's")},
            kept={"L1"},
        ),
        "two restore": Scenario(
            World(**backup(AMENDED, tombstones=tombstone("L2"))),
            {"P": back, "Q": back},
            kept={"L1"},
            gone={"L2"},
        ),
        "restore, back up": Scenario(
            World(**backup(L1, tombstones=tombstone("L2"))), {"P": back, "B": b}, kept={"L1"}
        ),
        "back up and restore after a loss": Scenario(
            there(L1, **backup(AMENDED, tombstones=tombstone("L2"))),
            {"P": one_after_another(b, back, u("L2"))},
            kept={"L1"},
            contents={"L1": {"Ada's"}},
            gone={"L2"},
        ),
        # free space
        "free": Scenario(there(L1), {"F": f}, kept={"L1"}),
        "free, damaged": Scenario(there(L1)._replace(picture=DAMAGED), {"F": f, "U": u("L1")}),
        "free, lost": Scenario(there(L1)._replace(picture=None), {"F": f, "U": u("L1")}),
        "free, delete": Scenario(there(L1), {"F": f, "D": d("L1")}),
        "free, delete of another": Scenario(there(L1, L2), {"F": f, "D": d("L2")}, kept={"L1"}),
        "free, upload": Scenario(there(), {"F": f, "U": u("L1")}, kept={"L1"}),
        "free, relabel": Scenario(there(L1), {"F": f, "R": r("L2", "L1")}, kept={"L2"}),
        "free, upload, delete of another": Scenario(
            there(L2), {"F": f, "U": u("L1"), "D": d("L2")}, kept={"L1"}
        ),
    }


def frozen(without: Collection[str], by: str) -> dict[str, Scenario]:
    """Return scenarios with frozen sets: one, two or three programs by name."""
    options: dict[str, Any] = {"by": by, "without": without}

    def r(new: str, old: str, **more: Any) -> StartProgram:
        return relabel(new, old, **options, **more)

    def d(*names: str) -> StartProgram:
        return delete(*names, without=without)

    s, t = freeze("S", without=without), throw("S", without=without)
    elsewhere = freeze("S", at_hand=False, without=without)
    b, f = back_up(without=without), free("L1", without=without)
    back = restore(**options)
    holding_set = there(L1, sets=frozenset({"S"}))
    only_set = World(sets=frozenset({"S"}), picture=PICTURE, recording=PICTURE)
    damaged_set = holding_set._replace(damaged_sets=frozenset({"S"}))
    kept: dict[str, Any] = {"has_sets": True, "kept_sets": {"S"}}
    gone: dict[str, Any] = {"has_sets": True, "gone_sets": {"S"}, "may_leave_picture": True}
    either: dict[str, Any] = {"has_sets": True, "may_leave_picture": True}
    return {
        # freeze
        "freeze": Scenario(there(L1), {"S": s}, **kept),
        "freeze, lost": Scenario(
            there(L1)._replace(picture=None), {"S": elsewhere}, **gone, is_lost=True
        ),
        "freeze, thrown away before": Scenario(
            there(L1, tombstones=tombstone("S")), {"S": s}, **kept
        ),
        "freeze, delete": Scenario(there(L1), {"S": s, "D": d("L1")}, **either),
        "freeze elsewhere, delete": Scenario(there(L1), {"S": elsewhere, "D": d("L1")}, **either),
        "freeze, relabel": Scenario(there(L1), {"S": s, "R": r("L2", "L1")}, **kept, kept={"L2"}),
        "freeze, amend": Scenario(
            there(L1), {"S": s, "A": amend("L1", "Ada's", **options)}, **kept, kept={"L1"}
        ),
        "freeze, upload": Scenario(there(L1), {"S": s, "U": upload("L2")}, **kept, kept={"L1"}),
        "two freeze": Scenario(there(L1), {"S": s, "Z": s}, **kept),
        "freeze, free": Scenario(there(L1), {"S": elsewhere, "F": f}, **kept),
        "freeze, back up": Scenario(there(L1), {"S": s, "B": b}, **kept),
        "freeze again, back up, lost, restore": Scenario(
            there(L1, tombstones=tombstone("S")),
            {"P": one_after_another(s, b, losing_set, back)},
            **kept,
        ),
        "freeze, throw of another": Scenario(
            there(L1, sets=frozenset({"S2"})),
            {"S": s, "T": throw("S2", without=without)},
            **kept,
        ),
        "freeze, throw of the last": Scenario(
            World(sets=frozenset({"S2"}), picture=PICTURE, recording=PICTURE),
            {"S": s, "T": throw("S2", without=without)},
            **either,
        ),
        # a set that is there
        "set, delete": Scenario(holding_set, {"D": d("L1")}, **kept),
        "set, relabel": Scenario(holding_set, {"R": r("L2", "L1")}, **kept),
        "set, two delete": Scenario(
            there(L1, L2, sets=frozenset({"S"})), {"D": d("L1"), "E": d("L2")}, **kept
        ),
        "set, free after delete": Scenario(only_set, {"F": f}, **kept),
        "set, freeze again, delete": Scenario(holding_set, {"S": s, "D": d("L1")}, **kept),
        # throw away
        "throw": Scenario(only_set, {"T": t}, **gone),
        "throw, label there": Scenario(holding_set, {"T": t}, **gone, kept={"L1"}),
        "throw, delete": Scenario(holding_set, {"T": t, "D": d("L1")}, **gone),
        "throw, upload": Scenario(only_set, {"T": t, "U": upload("L1")}, **gone, kept={"L1"}),
        "throw, free": Scenario(only_set, {"T": t, "F": f}, **either),
        "throw, back up": Scenario(holding_set, {"T": t, "B": b}, **gone),
        # a set that is damaged
        "damaged set, freeze": Scenario(damaged_set, {"S": s}, **kept),
        "damaged set, freeze, delete": Scenario(damaged_set, {"S": s, "D": d("L1")}, **kept),
        "damaged set, freeze elsewhere, delete": Scenario(
            damaged_set, {"S": elsewhere, "D": d("L1")}, **kept
        ),
        "damaged set, two freeze": Scenario(damaged_set, {"S": s, "Z": s}, **kept),
        "damaged set, freeze, throw": Scenario(damaged_set, {"S": s, "T": t}, **either),
        "damaged set, back up": Scenario(damaged_set, {"B": b}, has_sets=True),
        "damaged set, back up again, restore": Scenario(
            damaged_set._replace(**backup(L1, sets=["S"])),
            {"P": one_after_another(b, back)},
            **kept,
        ),
        "damaged set, back up, freeze": Scenario(damaged_set, {"S": s, "B": b}, **kept),
        "damaged set, restore": Scenario(
            damaged_set._replace(**backup(sets=["S"])), {"P": back}, **kept
        ),
        "damaged set, restore, delete": Scenario(
            damaged_set._replace(**backup(sets=["S"])), {"P": back, "D": d("L1")}, **kept
        ),
        "damaged set, restore, freeze": Scenario(
            damaged_set._replace(**backup(sets=["S"])), {"P": back, "S": s}, **kept
        ),
        "damaged set, restore, throw": Scenario(
            damaged_set._replace(**backup(sets=["S"])), {"P": back, "T": t}, **gone
        ),
        # back up and restore
        "set, back up": Scenario(only_set, {"B": b}, **kept),
        "set, back up, delete": Scenario(holding_set, {"B": b, "D": d("L1")}, **kept),
        "set lost, back up": Scenario(there(L1, **backup(L1, sets=["S"])), {"B": b}, has_sets=True),
        "throw, back up again": Scenario(
            there(L1, sets=frozenset({"S"}), **backup(L1, sets=["S"])), {"T": t, "B": b}, **gone
        ),
        "set, restore": Scenario(World(**backup(sets=["S"])), {"P": back}, **kept),
        "set, restore, thrown away since": Scenario(
            World(tombstones=tombstone("S"), **backup(sets=["S"])), {"P": back}, **gone
        ),
        "set, restore of its tombstone": Scenario(
            there(L1, sets=frozenset({"S"}), **backup(L1, tombstones=tombstone("S"))),
            {"P": back},
            **kept,
        ),
        "freeze, restore of its tombstone": Scenario(
            there(L1, **backup(L1, tombstones=tombstone("S"))), {"S": s, "P": back}, **kept
        ),
        "set, restore, frozen and thrown away meanwhile": Scenario(
            there(L1, **backup(L1, sets=["S"])), {"P": back, "T": one_after_another(s, t)}, **gone
        ),
        "freeze again, throw": Scenario(holding_set, {"S": s, "T": t}, **either),
        "set, restore, throw": Scenario(
            there(L1, sets=frozenset({"S"}), **backup(L1, sets=["S"])),
            {"P": back, "T": t},
            **gone,
        ),
        "set, restore, delete": Scenario(
            there(L1, **backup(L1, sets=["S"])), {"P": back, "D": d("L1")}, **kept
        ),
        "set, restore of an absent picture, delete": Scenario(
            World(**backup(sets=["S"])), {"P": back, "D": d("L1")}, **kept
        ),
    }


def hole(without: Collection[str], by: str) -> Scenario:
    """Return the scenario of an amendment that is lost with the label that it amends.

    The upload creates the label again after the relabel has removed it, and before the relabel
    has written its tombstone; in the same moment somebody amends it.
    """
    return Scenario(
        there(L1),
        {
            "A": amend("L1", "Ada's", by=by, without=without),
            "R": relabel("L2", "L1", by=by, without=without),
            "U": upload("L1", without=without),
        },
    )


def larger(without: Collection[str], by: str) -> dict[str, Scenario]:
    """Return scenarios of three programs by name."""
    options: dict[str, Any] = {"by": by, "without": without}

    def a(name: str, content: str, **more: Any) -> StartProgram:
        return amend(name, content, **options, **more)

    def r(new: str, old: str, **more: Any) -> StartProgram:
        return relabel(new, old, **options, **more)

    u, b, f, d = upload, back_up(without=without), free("L1", without=without), delete
    back = restore(**options)
    either: dict[str, Any] = {"deleted_meanwhile": {"L1"}, "restored_meanwhile": {"L1"}}
    again = upload("L1", restore=True, without=without)
    return {
        "upload again, two delete": Scenario(
            there(L1), {"U": again, "D": d("L1"), "E": d("L1")}, **either
        ),
        "upload again, upload, delete": Scenario(
            there(L1), {"U": again, "V": u("L1"), "D": d("L1")}, **either
        ),
        "upload again, amend, delete": Scenario(
            there(L1), {"U": again, "A": a("L1", "Ada's"), "D": d("L1")}, **either
        ),
        "two amend, upload": Scenario(
            there(), {"A": a("L1", "Ada's"), "B": a("L1", "Bob's"), "U": u("L1")}, kept={"L1"}
        ),
        "three amend": Scenario(
            there(L1),
            {"A": a("L1", "Ada's"), "B": a("L1", "Bob's"), "C": a("L1", "Eve's")},
            kept={"L1"},
        ),
        "amend, delete, restored by an upload": Scenario(
            there(L1),
            {"A": a("L1", "Ada's"), "D": one_after_another(d("L1"), u("L1", restore=True))},
            kept={"L1"},
            deleted_meanwhile={"L1"},
        ),
        "amend, relabel, delete": Scenario(
            there(L1), {"A": a("L1", "Ada's"), "R": r("L2", "L1"), "D": d("L1")}
        ),
        "amend, two relabel": Scenario(
            there(L1),
            {"A": a("L1", "Ada's"), "R": r("L2", "L1"), "Q": r("L3", "L1")},
        ),
        "back up, relabel, delete of the new": Scenario(
            there(L1), {"B": b, "R": r("L2", "L1"), "D": d("L2")}, half_replaced={"L1"}
        ),
        "back up, relabel twice": Scenario(
            there(L1),
            {"B": b, "R": r("L2", "L1"), "Q": after(("L2", "L3"), r("L3", "L2"))},
            half_replaced={"L1"},
        ),
        "restore, upload, delete": Scenario(
            World(recording=PICTURE, **backup(L1)), {"P": back, "U": u("L1"), "D": d("L1")}
        ),
        "restore, amend, upload": Scenario(
            World(recording=PICTURE, **backup(AMENDED)),
            {"P": back, "A": a("L1", "Bob's"), "U": u("L1")},
            kept={"L1"},
        ),
        "restore, amend, relabel": Scenario(
            there(L1, **backup(AMENDED)),
            {"P": back, "A": a("L1", "Bob's"), "R": r("L2", "L1")},
        ),
        "restore, back up, delete": Scenario(
            World(**backup(L1, L2)), {"P": back, "B": b, "D": d("L1")}, kept={"L2"}
        ),
        "free, upload, two delete": Scenario(
            there(L2, L3), {"F": f, "U": u("L1"), "D": d("L2"), "E": d("L3")}, kept={"L1"}
        ),
        "free, relabel elsewhere, delete": Scenario(
            there(L1), {"F": f, "R": r("L2", "L1", at_hand=False), "D": d("L1")}
        ),
    }
