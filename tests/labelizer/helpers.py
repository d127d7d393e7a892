"""Folders, edits and batches for the labelizer's tests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from get_data.labelizer.catalogue import Catalogue, read_catalogue
from get_data.labelizer.operations import Batch, Operation, Run
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file

UID = "00000000-0000-0000-0000-{:012d}"


def read_folder(folder: Path) -> Catalogue:
    """Read the catalogue of a recorded folder."""
    return read_catalogue(folder / label_file.NAME, folder)


def edit_label_file(folder: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Rewrite the label file after `edit` has changed the list of its labels in place."""
    file = folder / label_file.NAME
    labels = json.loads(file.read_text())
    edit(list(labels.values()))
    file.write_text(json.dumps(labels))


def make_operation(
    number: int = 1, *, positions: Sequence[Run] = ((0, 0),), **values: float
) -> Operation:
    """Make an operation that sets the values for all the positions."""
    count = sum(last - first + 1 for first, last in positions)
    return Operation(
        uid=UID.format(number),
        kind="label",
        text="an edit",
        positions=list(positions),
        set={name: [(value, count)] for name, value in values.items()},
        was={},
    )


def save_operations(workspace: Workspace, epoch: int, *operations: Operation) -> None:
    """Save the operations, as a page of this work sends them."""
    workspace.save(Batch(work=workspace.work.name, epoch=epoch, operations=list(operations)))


def set_label(workspace: Workspace, *positions: int, number: int = 1, **values: float) -> None:
    """Set values as a page does, in one operation that also marks the labels as reviewed."""
    runs = [(position, position) for position in positions]
    edit = make_operation(number, positions=runs, **{"reviewed": 1, **values})
    save_operations(workspace, workspace.take_lease("browser one", take_over=True), edit)
