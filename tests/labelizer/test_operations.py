"""Run-length encoding, and the names that page and server share."""

import re

import msgspec
import numpy as np
import pytest

import path
from get_data.labelizer import operations
from get_data.labelizer.catalogue import Flag
from get_data.labelizer.operations import Operation
from tests.labelizer.helpers import make_operation


@pytest.mark.parametrize("values", [[], [1], [1, 1, 1], [1, 2, 2, 0, 0, 1]], ids=str)
def test_runs_expand_to_the_values(values):
    runs = operations.to_runs(np.array(values, np.int64))
    assert sum(count for _, count in runs) == len(values)
    if values:
        operation = make_operation(positions=[(0, len(values) - 1)])
        assert (
            operations.expand_values(operation, "direction", runs, len(values)).tolist() == values
        )


@pytest.mark.parametrize("positions", [[0], [0, 1, 2], [3, 5, 6, 9]], ids=str)
def test_ranges_expand_to_the_positions(positions):
    operation = make_operation(positions=operations.to_ranges(np.array(positions)))
    assert operations.expand_positions(operation, 10).tolist() == positions


def test_the_page_and_the_server_have_the_same_flags_and_operations():
    """`store.js` repeats the flags, and `types.d.ts` an operation's fields."""
    static = path.ROOT / "get_data/labelizer/static/labelizer"
    store = (static / "store.js").read_text()
    flags = re.findall(r"([A-Z_]+): (\d+)", store.split("export const Flag")[1].split("}")[0])
    assert {name: int(value) for name, value in flags} == {flag.name: flag.value for flag in Flag}
    types = (static / "types.d.ts").read_text()
    declared = types.split("interface Operation {")[1].split("\n}")[0]
    fields = re.findall(r"^  (\w+)\??:", declared, re.MULTILINE)
    assert set(fields) == set(Operation.__struct_fields__)
    assert msgspec.json.schema(Operation)["$defs"]["Operation"]["required"]
