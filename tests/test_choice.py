"""Which pictures make a set, and which part each is in, as facts about any drives."""

import json
from contextlib import ExitStack, closing
from datetime import timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InputError
from common.times import format_time
from get_data.database.download import newest_labels, oldest_hits
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import encode_document
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import SearchQuery
from get_data.labels.classes import Classes
from get_data.labels.drives import split_into_drives
from get_data.labels.edits import new_label
from get_data.labels.ids import fingerprint, format_img_id
from get_data.quality.samples import from_labels
from get_data.quality.split import _is_near_another
from get_data.sets import candidates, choice, request
from get_data.sets.request import PerClass, Request
from tests.conftest import START
from tests.servers.addresses import new_name

SHARES = {"train": 80, "val": 10, "test": 10}


TEMPLATES = [
    new_label(
        captured=START,
        picture=b"any",
        width=160,
        height=120,
        steering=steering,
        throttle=0.3,
        classes=Classes(),
        session={},
        car_setting={},
    )
    for steering in (-0.8, -0.4, 0.0, 0.4, 0.8)
]


def drive(start_s, pictures, *, period_s=0.1, session_id=None, **session):
    """The labels of a drive."""
    labels = []
    for number in range(pictures):
        moment = START + timedelta(seconds=start_s + number * period_s)
        label = TEMPLATES[number % 5] | session
        img_id = format_img_id(moment)
        label |= {"img_id": img_id, "file_name": f"{img_id}.jpg"}
        label["timestamp"] = format_time(moment)
        label["label_fingerprint"] = fingerprint(img_id, label["label"])
        labels.append(label | ({"session_id": session_id} if session_id else {}))
    return labels


def ask(labels, **wanted):
    """Return the labels of a set, and the facts about its choice."""
    documents = [encode_document(label) for label in sorted(labels, key=lambda one: one["img_id"])]
    wanted = Request(**wanted)
    with request.answer(oldest_hits(documents, wanted.limit), wanted) as answer:
        return [hit.label for hit in answer.hits], answer.choice


def ids(labels):
    return [label["img_id"] for label in labels]


drives = st.lists(
    st.builds(
        drive,
        start_s=st.integers(0, 300),
        pictures=st.integers(1, 25),
        period_s=st.sampled_from([0.05, 0.3, 0.9]),
        session_id=st.sampled_from([None, "a-0000", "b-0000", "c-0000"]),
        track=st.sampled_from(["park", "school"]),
    ),
    min_size=1,
    max_size=6,
).map(lambda found: list({one["img_id"]: one for each in found for one in each}.values()))


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=20), data=st.data())
def test_quotas_are_exact_and_leave_nobody_out(sizes, data):
    count = data.draw(st.integers(len(sizes), sum(sizes) + 3))
    quotas = choice.apportion(sizes, count)
    assert sum(quotas) == min(count, sum(sizes))
    assert all(1 <= quota <= size for quota, size in zip(quotas, sizes, strict=True))


@settings(deadline=None, max_examples=40)
@given(labels=drives, count=st.integers(1, 60), seed=st.integers(0, 3))
def test_a_sample_is_exact_and_has_every_drive(labels, count, seed):
    chosen, facts = ask(labels, sample=count, seed=seed)
    assert len(set(ids(chosen))) == len(chosen) == min(count, len(labels))
    assert facts == {"matched": len(labels), "asked": count, "found": len(chosen)}
    everything = split_into_drives(labels)
    of = {label["img_id"]: number for number, one in enumerate(everything) for label in one}
    assert len({of[img_id] for img_id in ids(chosen)}) == min(count, len(everything))


@settings(deadline=None, max_examples=40)
@given(labels=drives, seed=st.integers(0, 3), order=st.randoms())
def test_a_choice_depends_on_the_pictures_and_the_seed_only(labels, seed, order):
    chosen = ids(ask(labels, sample=10, seed=seed)[0])
    mixed = list(labels)
    order.shuffle(mixed)
    corrected = [label | {"event": "other"} for label in mixed]
    assert ids(ask(mixed, sample=10, seed=seed)[0]) == chosen
    assert ids(ask(corrected, sample=10, seed=seed)[0]) == chosen


def test_another_seed_makes_another_choice():
    labels = drive(0, 200)
    found = {tuple(ids(ask(labels, sample=20, seed=seed)[0])) for seed in range(5)}
    assert len(found) == 5


def test_a_sample_is_spread_over_the_time_of_each_drive():
    labels = drive(0, 900, session_id="a-0000") + drive(20.05, 100, session_id="b-0000")
    chosen, _ = ask(labels, sample=100)
    by_drive = split_into_drives(chosen)
    assert [len(one) for one in by_drive] == [90, 10]
    for whole, part in zip(split_into_drives(labels), by_drive, strict=True):
        positions = [ids(whole).index(img_id) for img_id in ids(part)]
        # one of each ten in a row
        assert [position // 10 for position in positions] == list(range(len(part)))


@settings(deadline=None, max_examples=40)
@given(labels=drives, count=st.integers(1, 20))
def test_each_class_gives_as_many_as_asked_or_all_that_it_has(labels, count):
    field = PerClass("label.label_direction", count)
    chosen, facts = ask(labels, per_class=field)
    for number in range(5):
        there = sum(label["label"]["label_direction"] == number for label in labels)
        found = sum(label["label"]["label_direction"] == number for label in chosen)
        assert found == min(there, count)
        if there:
            assert facts["found"][f"{number} of 5"] == found
            assert facts["matched_by_class"][f"{number} of 5"] == there
    assert facts["asked_per_class"] == count


def test_what_a_class_cannot_give_is_said():
    labels = [label | {"weather": "rain"} for label in drive(0, 4)] + drive(10, 7)
    chosen, facts = ask(labels, per_class=PerClass("weather", 5))
    assert len(chosen) == 4
    assert (facts["found"], facts["without_field"]) == ({"rain": 4}, 7)
    lines = request.describe_shortage(facts)
    assert len(lines) == 2
    assert "weather rain: asked for 5 pictures, found 4" in lines


def test_of_very_many_values_with_too_few_pictures_some_are_said():
    labels = [label | {"weather": f"kind {n}"} for n, label in enumerate(drive(0, 300))]
    _, facts = ask(labels, per_class=PerClass("weather", 5))
    assert len(facts["found"]) == 300
    lines = request.describe_shortage(facts)
    assert len(lines) == 11
    assert "290 more" in lines[-1]


@pytest.mark.parametrize("field", ["timestamp", "label.steering", "event.text", "_id", "a*"])
def test_a_field_without_classes_is_refused(field):
    with pytest.raises(InputError, match=r"label\.label_direction"):
        ask(drive(0, 3), per_class=PerClass(field, 1))


def test_a_field_with_a_value_for_each_picture_is_refused(monkeypatch):
    monkeypatch.setattr(candidates, "MAX_CLASSES", 10)
    with pytest.raises(InputError, match="--per-class"):
        ask(drive(0, 11), per_class=PerClass("img_id", 1))


@settings(deadline=None, max_examples=50)
@given(labels=drives, seed=st.integers(0, 3), sample=st.sampled_from([None, 30, 100]))
def test_no_drive_is_on_two_sides_and_blocks_are_a_second_apart(labels, seed, sample):
    try:
        chosen, facts = ask(labels, split=SHARES, seed=seed, sample=sample)
    except InputError as error:
        assert "would be empty" in str(error)  # noqa: PT017
        return
    parts = {label["img_id"]: label["split"] for label in chosen}
    sizes = {name: list(parts.values()).count(name) for name in SHARES}
    assert (facts["parts"], sum(sizes.values())) == (sizes, len(chosen))
    assert all(sizes.values())
    # as check_set.py sees it
    samples = from_labels({label["img_id"]: label for label in chosen})
    import numpy as np  # noqa: PLC0415

    numbers = np.array([list(SHARES).index(parts[one]) for one in samples.img_ids], np.int32)
    for rows in samples.drives():
        if facts["split_by"] == "drive":
            assert len(set(numbers[rows].tolist())) == 1
        assert not _is_near_another(samples.time_us[rows], numbers[rows]).any()
    if facts["split_by"] == "drive":
        for one in split_into_drives(labels):
            assert len({parts[img_id] for img_id in ids(one) if img_id in parts}) <= 1
        assert facts["left_out"] == 0


def test_drives_are_split_by_about_the_asked_shares():
    labels = [one for number in range(20) for one in drive(100 * number, 100 + number)]
    chosen, facts = ask(labels, split=SHARES)
    assert facts["split_by"] == "drive"
    assert len(chosen) == len(labels)
    for name, share in SHARES.items():
        assert 0.7 * share < 100 * facts["parts"][name] / len(labels) < 1.3 * share


def test_one_drive_is_split_into_blocks_with_a_second_left_out():
    labels = drive(0, 3000)
    chosen, facts = ask(labels, split=SHARES)
    assert facts["split_by"] == "block"
    assert len(chosen) + facts["left_out"] == len(labels)
    assert 0 < facts["left_out"] <= 10 * 2 * 6  # beside each of few blocks of a small part
    for name, share in SHARES.items():
        assert 0.6 * share < 100 * facts["parts"][name] / len(chosen) < 1.5 * share


def test_another_seed_makes_another_split():
    labels = [one for number in range(12) for one in drive(100 * number, 20)]
    found = {
        json.dumps({one["img_id"]: one["split"] for one in ask(labels, split=SHARES, seed=seed)[0]})
        for seed in range(5)
    }
    assert len(found) > 2


def test_a_part_is_written_whatever_the_label_says():
    label = drive(0, 1)[0] | {"comment": 'a "split"', "split": "old"}
    for document in (label, drive(0, 1)[0]):
        written = msgspec.json.decode(request.with_split(encode_document(document), "val"))
        assert written == document | {"split": "val"}


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.servers)
        for name in ("elasticsearch_8", "elasticsearch_9")
    ]
)
def elsewhere(request, tmp_path):
    """An index of a team."""
    cluster = request.getfixturevalue(request.param)
    name = new_name("labels")
    with closing(
        ElasticsearchIndex(es_settings.from_environment(cluster.environment(name)))
    ) as one:
        yield one
    cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


WANTED = [
    {"sample": 25, "seed": 3},
    {"per_class": PerClass("label.label_direction", 9)},
    {"per_class": PerClass("weather", 4), "seed": 1},
    {"per_class": PerClass("car_setting.camera.width", 7)},
    {"split": SHARES, "sample": 100},
]


def test_both_databases_choose_the_same_in_any_order_of_uploads(elsewhere, tmp_path):
    labels = [one for number in range(14) for one in drive(100 * number, 15, track=str(number % 2))]
    for number, label in enumerate(labels):
        label["car_setting"] = {"camera": {"width": 160 if number % 3 else 320}}
        if number % 4:
            label["weather"] = ["rain", 3, True, ["wet", "dark"]][number % 7 % 4]
    random = Random(1)
    with ExitStack() as opened:
        here = [opened.enter_context(closing(SqliteIndex(tmp_path / str(n)))) for n in range(2)]
        for index in (*here, elsewhere):
            random.shuffle(labels)
            assert len(index.create(labels).created) == len(labels)
        elsewhere.refresh()
        for wanted in WANTED:
            found = []
            for index in (*here, elsewhere):
                with (
                    closing(index.search(SearchQuery())) as documents,
                    request.answer(newest_labels(documents), Request(**wanted)) as answer,
                ):
                    chosen = [hit.label for hit in answer.hits]
                    found.append(
                        [[(one["img_id"], one.get("split")) for one in chosen], answer.choice]
                    )
            assert found[0] == found[1] == found[2], wanted
            assert found[0][0]
