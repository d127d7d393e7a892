"""Steering and throttle follow their classes through every edit, and never leave their drive."""

import random
from contextlib import closing

import pytest

from get_data.labelizer.operations import Operation
from get_data.labelizer.workspace import Workspace
from get_data.labels import edits, label_file
from get_data.labels.classes import Classes, direction_bins, speed_bins
from get_data.labels.values import steering_of, throttle_of
from tests.conftest import START, document, save
from tests.labelizer.helpers import UID, make_operation, read_folder, save_operations

SESSIONS = [f"20201231T15-45-00-000000-000{number}" for number in (0, 1)]
LATE = 3


def late_drives(folder, count=60):
    """Two drives of the same time, labels `LATE` pictures late; return steering by img_id."""
    generator = random.Random(1)
    right = {}
    labels = []
    for drive in SESSIONS:
        steering = [round(generator.uniform(-1, 1), 3) for _ in range(count)]
        for index in range(count):
            number = 2 * index + SESSIONS.index(drive)
            recorded = steering[max(index - LATE, 0)]
            labels.append(document(number, steering=recorded, session_id=drive))
            if index < count - LATE:
                right[labels[-1]["img_id"]] = steering[index]
    save(folder, labels)
    return right


def request(number, kind, last, first=0, **options):
    """Make an operation that the server works out."""
    return Operation(
        uid=UID.format(number),
        kind=kind,
        text="an edit",
        positions=[(first, last)],
        set={},
        was={},
        **options,
    )


def exported(workspace):
    return label_file.read(workspace.export().file)


def test_labels_of_two_drives_of_the_same_time_are_moved_inside_each(tmp_path):
    right = late_drives(tmp_path / "drive")
    with closing(Workspace(read_folder(tmp_path / "drive"), "Zoé")) as workspace:
        epoch = workspace.take_lease("browser one", take_over=False)
        save_operations(workspace, epoch, request(1, "shift", 119, by=-LATE))
        labels = exported(workspace)
    kept = {name: one for name, one in labels.items() if not one.get("to_delete")}
    assert kept.keys() == right.keys()
    for name, steering in right.items():
        assert steering_of(kept[name]) == kept[name]["label"]["steering"] == steering
        assert kept[name]["label"]["label_direction"] == Classes().direction(steering)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (make_operation(2, direction=4), (4, 0.8)),
        (make_operation(2, direction=0), (0, -0.8)),
        (make_operation(2, steering=0.25), (3, 0.25)),
        (make_operation(2, steering=0.2, direction=3), (3, 0.2)),
        (request(2, "nudge", 0, amount=0.7), (4, 0.8)),
        (request(2, "nudge", 0, amount=-9e-1), (0, -0.8)),
        (request(2, "smooth", 0, by=1), (2, 0.15)),
    ],
)
def test_class_and_value_change_together_and_are_undone(tmp_path, operation, expected):
    labels = [document(number, steering=0.1 + number / 10) for number in range(4)]
    folder = save(tmp_path / "drive", labels)
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        epoch = workspace.take_lease("browser one", take_over=False)
        save_operations(workspace, epoch, operation)
        changed = exported(workspace)[labels[0]["img_id"]]["label"]
        assert (changed["label_direction"], changed["steering"]) == expected
        assert changed["raw_direction"] == 0.1
        # a page that knows classes only undoes the value as well
        [saved] = workspace.work.history()
        undo = make_operation(3, direction=2, reviewed=0)
        save_operations(
            workspace, epoch, Operation(**{**fields(undo), "kind": "undo", "of": saved.uid})
        )
        assert workspace.work.decisions() == []


def fields(operation):
    return {name: getattr(operation, name) for name in operation.__struct_fields__}


@pytest.mark.parametrize("count", [1, 2, 5, 99])
@pytest.mark.parametrize("high", [0.01, 0.3, 0.5, 1.0, 1e-300])
def test_every_centre_is_in_its_bin(count, high):
    for bins in (direction_bins(count), speed_bins(count, high)):
        for number in range(count):
            assert bins.class_of(bins.centre(number)) == number


@pytest.mark.parametrize("value", [-1.0, -0.0, 0.0, 1e-320, 0.3, 1.0])
def test_bins_without_a_width_have_one_class(value):
    assert speed_bins(7, 0.0).class_of(value) == 0


def corrected_by_zoe(label, **classes):
    """Correct a label of a drive whose most throttle is 0.4."""
    return edits.corrected(label, created_by="Zoé", created_on=START, span=0.4, **classes)


def test_a_correction_sets_the_value_with_the_class():
    label = document(steering=0.1, throttle=0.4)
    corrected = corrected_by_zoe(label, direction=0, speed=0)
    assert corrected["label"]["steering"] == -0.8
    back = corrected_by_zoe(corrected, direction=2, speed=1)
    assert (back["label"]["steering"], back["label"]["throttle"]) == (0.1, 0.4)
    older = {**label, "label": {**label["label"]}}
    del older["label"]["steering"], older["label"]["throttle"]
    assert (steering_of(older), throttle_of(older)) == (0.1, 0.4)
    older["label"]["label_direction"] = 4
    assert steering_of(older) == 0.8


def test_a_throttle_moves_with_its_class_where_no_label_tells_the_span(tmp_path):
    """Drawn from the drive's most throttle, the bins may be others than the recording's."""
    throttles = [0.42, 0.23, 0.42, 0.23]
    labels = [document(number, throttle=throttle) for number, throttle in enumerate(throttles)]
    folder = save(tmp_path / "drive", labels)
    with closing(Workspace(read_folder(folder), "Zoé")) as workspace:
        epoch = workspace.take_lease("browser one", take_over=False)
        save_operations(workspace, epoch, request(1, "shift", 3, by=1))
        moved = [label["label"] for label in exported(workspace).values()]
    assert [label["throttle"] for label in moved[1:]] == throttles[:3]
    classes = [label["label"]["label_speed"] for label in labels]
    assert [label["label_speed"] for label in moved[1:]] == classes[:3]
    assert len(set(classes)) == 2
