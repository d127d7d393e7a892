"""What a database holds, as a table and as JSON."""

import json

from get_data import search_and_download, show_database, upload_data, upload_to_db
from get_data.labels import edits, label_file
from tests.conftest import START, document, save

FIRST, SECOND = "20240501T12-00-00-000000-0001", "20240501T12-00-00-000000-0002"


def test_drives_are_counted_and_drawn(call, tmp_path, home):
    labels = [
        document(number, steering=number % 5 / 2.5 - 0.9, session_id=FIRST, track="school")
        for number in range(60)
    ]
    labels += [document(number, session_id=SECOND, driver="Ada") for number in range(100, 130)]
    call(upload_data, save(tmp_path / "drive", labels))
    corrected = edits.corrected(labels[0], created_by="Bob", direction=4, speed=1, created_on=START)
    label_file.write(tmp_path / "corrected.json", {corrected["img_id"]: corrected})
    call(upload_to_db, tmp_path / "corrected.json", "-p", tmp_path / "drive", "-y")
    code, counts, err = call(show_database)
    assert (code, counts["labels"], counts["pictures"], counts["corrected"]) == (0, 90, 90, 1)
    drives = {drive["session_id"]: drive for drive in counts["drives"]}
    assert drives.keys() == {FIRST, SECOND}
    assert drives[FIRST]["directions"] == {"0": 11, "1": 12, "2": 12, "3": 12, "4": 13}
    assert (drives[FIRST]["day"], drives[FIRST]["minutes"]) == ("2024-05-01", 0.098)
    assert drives[SECOND]["driver"] == "Ada"
    sizes = [label["picture_size"] for label in labels if label.get("picture_size")]
    assert counts["bytes"] == sum(sizes) or not sizes
    assert "█" in err
    assert "2 drives" in err
    assert all(len(line) <= 100 for line in err.splitlines()[1:])


def test_only_what_matches_is_shown(call, tmp_path, home):
    labels = [document(number, track="park" if number else "school") for number in range(5)]
    call(upload_data, save(tmp_path / "drive", labels))
    query = json.dumps({"track": {"type": "term", "value": "school"}})
    assert call(show_database, "-q", query)[1]["labels"] == 1
    nothing = json.dumps({"track": {"type": "term", "value": "nowhere"}})
    code, counts, _ = call(show_database, "-q", nothing)
    assert (code, counts["labels"], counts["drives"]) == (0, 0, [])
    unknown = json.dumps({"trak": {"type": "exists"}})
    assert call(show_database, "-q", unknown)[0] == 2


def test_an_empty_database_has_no_drives(call, home):
    code, counts, err = call(show_database)
    assert (code, counts["drives"]) == (0, [])
    assert "0 drives" in err
    assert "nothing has been uploaded yet" in err


def test_the_numbers_are_those_of_a_search(call, tmp_path, home):
    labels = [document(number, session_id=FIRST) for number in range(7)]
    call(upload_data, save(tmp_path / "drive", labels))
    found = call(search_and_download, "-p", tmp_path / "set", "--no-download")[1]["found"]
    assert call(show_database)[1]["pictures"] == found == 7
