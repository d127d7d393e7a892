"""The contract of every label index: labels in numbers, by drive."""

import pytest

from get_data.database.search.search_query import parse_search_query
from get_data.database.search.summaries import DriveKey
from tests.helpers.index_labels import uploaded_label

MONDAY = "20201231T15-45-55-000000-7f3a"


def drive(seconds, **session):
    """Return the labels of pictures taken at these seconds."""
    unnamed = {"event": "", "track": "", "driver": ""}
    return [uploaded_label(second, **unnamed | session) for second in seconds]


@pytest.fixture
def filled(index):
    """An index of two drives with an id, of one without, and of a corrected label."""
    first = drive(range(61), session_id=MONDAY, event="race", track="school", driver="Ada")
    second = drive(range(100, 110), session_id=f"{MONDAY[:-4]}0000", event="race", driver="Zoé")
    annotation = {"created_by": "Bob", "label_direction": 0, "label_speed": 0}
    corrected = [
        uploaded_label(
            0,
            annotation=annotation,
            session_id=MONDAY,
            event="race",
            track="school",
            driver="Ada",
        )
    ]
    by_model = uploaded_label(86400, annotation={"created_by": "pilot"})
    by_model |= {"event": "", "track": "", "driver": ""}
    without = [by_model, *drive([86401])]
    for label in without:
        del label["session_id"]
    index.create([*first, *second, *corrected, *without])
    return index


def test_each_drive_and_day_has_its_numbers(filled):
    summary = filled.summarize(parse_search_query({}))
    ada, zoe, unknown = (
        DriveKey("2020-12-31", MONDAY, "race", "school", "Ada"),
        DriveKey("2020-12-31", f"{MONDAY[:-4]}0000", "race", "", "Zoé"),
        DriveKey("2021-01-01"),
    )
    assert list(summary) == sorted([ada, zoe, unknown])
    numbers = summary[ada]
    assert (numbers.labels, numbers.pictures, numbers.corrected) == (62, 61, 1)
    assert numbers.minutes == pytest.approx(1)
    size = uploaded_label(0)["picture_size"]
    assert numbers.picture_bytes == 61 * size
    direction, speed = (
        uploaded_label(0)["label"][f"label_{name}"] for name in ("direction", "speed")
    )
    assert numbers.directions == {direction: 61, 0: 1}
    assert numbers.speeds == ({speed: 61, 0: 1} if speed else {0: 62})
    assert [summary[key].pictures for key in (zoe, unknown)] == [10, 2]
    assert summary[unknown].corrected == 0


def test_only_what_matches_is_counted(filled):
    query = {"label.created_by": {"type": "term", "value": "Bob"}}
    [(key, numbers)] = filled.summarize(parse_search_query(query)).items()
    assert (key.session_id, numbers.labels, numbers.corrected) == (MONDAY, 1, 1)
    nothing = {"driver": {"type": "term", "value": "nobody"}}
    assert filled.summarize(parse_search_query(nothing)) == {}


def test_more_rows_than_a_page_are_counted(index):
    labels = [uploaded_label(second, event=f"event {second}") for second in range(1200)]
    index.create(labels)
    summary = index.summarize(parse_search_query({}))
    assert len(summary) == 1200
    assert sum(numbers.labels for numbers in summary.values()) == 1200


def test_a_missing_index_has_nothing_to_count(open_index):
    assert open_index().summarize(parse_search_query({})) == {}
