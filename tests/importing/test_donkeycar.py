"""A tub that donkeycar's own `Tub` has written, imported."""

from get_data import import_drive
from get_data.labels import edits
from tests.helpers.recordings import assert_whole

WRITE = """
import json, sys
from pathlib import Path
import numpy as np
from donkeycar.parts.tub_v2 import Tub

folder, count, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
inputs = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
for _ in range(rounds):
    tub = Tub(folder, inputs, ["image_array", "float", "float", "str"], ["location:garage"], 7)
    for number in range(count):
        picture = np.full((120, 160, 3), number * 5 % 256, np.uint8)
        tub.write_record({
            "cam/image_array": picture,
            "user/angle": number % 5 / 2 - 1,
            "user/throttle": 0.1 + number % 4 / 10,
            "user/mode": "user" if number % 3 else "local",
        })
    tub.close()
tub = Tub(folder, read_only=True)
records = list(tub)
tub = Tub(folder, inputs, ["image_array", "float", "float", "str"])
tub.delete_records([2, count])
tub.close()
print(json.dumps(records))
"""


def test_a_tub_of_donkeycars_own_is_imported_whole(call, tmp_path, donkeycar_reader):
    tub, count = tmp_path / "tub", 20
    records = donkeycar_reader(WRITE, tub, count, 2)
    code, counts, _ = call(import_drive, tub, "-o", tmp_path / "drive")
    assert (
        (code, counts["pictures"], counts["deleted"]) == (0, 2 * count, 2) == (0, len(records), 2)
    )
    assert len(counts["session_ids"]) == 2
    labels = assert_whole(tmp_path / "drive")
    by_source = {label["source_file"]: label for label in labels.values()}
    for record in records:
        label = by_source[record["cam/image_array"]]
        annotation = label["label"]
        assert annotation["steering"] == record["user/angle"]
        assert annotation["throttle"] == record["user/throttle"]
        assert (annotation["created_by"] == "pilot") == (record["user/mode"] == "local")
        source = tub / "images" / record["cam/image_array"]
        assert (tmp_path / "drive" / label["file_name"]).read_bytes() == source.read_bytes()
        assert edits.is_marked_for_deletion(label) == (record["_index"] in (2, count))
