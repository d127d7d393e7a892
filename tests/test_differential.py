"""The database on one machine and a team's give the same answers, in the same order.

Both are asked the same generated questions about the same labels, others for each Elasticsearch
that a team may have. `DIFFERENTIAL_SEED` chooses other questions, `DIFFERENTIAL_COUNT` how many
of those that both answer.
"""

import json
import os
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from common.errors import InputError
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import parse_search_query
from get_data.labels import classes, edits, ids
from tests.servers.addresses import new_name

pytestmark = pytest.mark.servers

SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
COUNT = int(os.environ.get("DIFFERENTIAL_COUNT", "250"))
LABELS = 400

START = datetime(2020, 12, 31, 15, 45, 55, 123456, tzinfo=UTC)
DATES = [
    "2020-12-31T15:45:55.123456Z",
    "2020-12-01T00:00:00Z",
    "2021-01-01T00:00:00.000000Z",
    "2020-12-31T23:59:59.999999Z",
    "2020-12-31T15:45:55+02:00",
    "2019-02-28T12:00:00.5Z",
]
SENTENCES = [
    "",
    "Sunday race",
    "sunday RACE, second",
    "low sun; Zoé's yard",
    "Zoé",
    "a a b",
    "a.b 1,5",
    "Éa",
    "école_2 à 3.5",
    "日本 race",
    "race 😀",
]
OWN_VALUES = [3, 3.0, "3", True, "true", 1.5, None, [], ["a", "b"], [1, 2, "c"], "", "a", -1, "É"]
SETTINGS = [
    {},
    {"car": "patate", "version": 1, "camera": {"width": 160, "on": True, "modes": ["a", None]}},
    {"car": "Patate", "camera": {"width": "160"}, "a.b": 1.5},
    {"camera": {"width": 160.0}, "e": [3.0, 1, -1.0]},
    {"a": {"b": 1.5}, "e": "", "n": None},
]

WORDS = ["sunday", "RACE", "second", "zoé's", "a", "b", "1,5", "nope", "sun", "low", "école_2"]
TEXTS = [
    *("Zoé", "ZOÉ", "zoé", "race", "RACE", "a", "", "É", "é", "Sunday race", "sunday", "auto"),
    *("AUTO", "flip", "blur", "patate", "Patate", "160", 160, True, "true", 1.5, "1.5", 3, "3"),
    *(160.0, "160.0", 3.0, "3.0", -1, 10**15, 1e15, 1e300, -0.0),
    *("b", "low sun", "sun low", "a a", "a b", "a.b", "1,5", "3.5", "日", "x", "1", "2", 1, "😀"),
    *("20201231T15-46-05-123456", "20201230T15"),
]
NUMBERS = [
    *(0, 1, 2, "3", 2.5, "2.0", 4.0, -1, 24, "24", 160, 0.1, "0.1", 0.3, -0.0, 1e-9, -1.0, "abc"),
    *("", True, " 1 ", "1e0", 10**12, 0.300000012),
]
MOMENTS = [
    *("2020", "2020-12", "2020-12-31", "2020-12-31T15", "2020-12-31T15:45", "2020-12-31T15:45:55"),
    *("2020-12-31T15:45:55.123456Z", "2020-12-31T15:45:55.1", "20201231T15-45-55-123456"),
    *("20201231", "2020-12-31T17:45:55+02:00", "2021-01-01", "2021", "2020-13", "x", ""),
    *("2019-02-28T12:00:00,5Z", "2020-12-31T14-01"),
]
PATTERNS = [
    *("*", "a*", "*a*", "?oé", "zo?", "S*race", "*\\**", "", "[a-z]+", "Z.*", "(a|b)+", "[^a]*"),
    *("sun.*", "\\w+", "a{1,2}", '"a".*', "r.ce", "[A-Z]ada|Ada", "Zo\\é", "16\\d", ".*é.*"),
]
STARTS = ["a", "Zo", "zo", "", "S", "1", "true", "sun", "É", "2020"]

SENTENCE_FIELDS = ["event", "track", "comment", "event.text", "comment.text", "track.keyword"]
KEYWORD_FIELDS = [
    *("driver", "img_id", "label.created_by", "transformation", "weather", "color", "dataset"),
    *("nosuch", "q.b", "driver.keyword", "weather.keyword", "label", "resolution", "label.nosuch"),
    *("car_setting", "car_setting.car", "car_setting.camera.width", "car_setting.a.b"),
    *("car_setting.camera.modes", "car_setting.camera", "car_setting.e"),
]
NUMBER_FIELDS = [
    *("label.label_direction", "picture_size", "resolution.horizontal", "label.steering"),
    *("label.nb_dir", "label.nb_dir.keyword"),
]
FIELDS = [
    (SENTENCE_FIELDS, TEXTS),
    (KEYWORD_FIELDS, TEXTS),
    (SENTENCE_FIELDS, TEXTS),
    (KEYWORD_FIELDS, TEXTS),
    (NUMBER_FIELDS, NUMBERS),
    (["timestamp", "upload_date", "label.created_on_date"], MOMENTS),
    (["raw"], [True, False, "true", "false", "x", 1]),
]
TYPES = [
    *("term", "terms", "match", "match", "match_phrase", "range", "range", "exists", "prefix"),
    *("wildcard", "regexp", "ids", "match_all"),
]
LIMITS = [["gte"], ["gt"], ["lt"], ["lte"], ["gte", "lt"], ["gt", "lte"], ["gt", "lt"]]
HOW_MANY = [
    *({"operator": "and"}, {"operator": "OR"}, {"minimum_should_match": 1}),
    *({"minimum_should_match": number} for number in (2, "2", -1, -3, 0, 4)),
]


@pytest.fixture(scope="module")
def labels():
    random = Random(SEED)
    made = [made_label(random, number) for number in range(LABELS)]
    return list({one["label_fingerprint"]: one for one in made}.values())


@pytest.fixture(scope="module", params=["elasticsearch_8", "elasticsearch_9"])
def pair(request, labels, tmp_path_factory):
    """The two databases, with the same labels in them."""
    cluster = request.getfixturevalue(request.param)
    name = new_name("labels")
    settings = es_settings.from_environment(cluster.environment(name))
    ours, theirs = SqliteIndex(tmp_path_factory.mktemp("pair")), ElasticsearchIndex(settings)
    with closing(ours), closing(theirs):
        everything = {one["label_fingerprint"] for one in labels}
        assert ours.create(labels).created == theirs.create(labels).created == everything
        yield ours, theirs
    cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


def made_label(random, number):
    """Any label; two or three speak of one picture."""
    moment = START + timedelta(seconds=number // 3)
    direction = random.randrange(5)
    document = edits.new_label(
        captured=moment,
        picture=b"a picture",
        width=160,
        height=120,
        steering=random.choice([0.1, -0.0, 0.0, -1, 1, 0.30000001, 0.5, 1e-9]),
        throttle=0.4,
        classes=classes.Classes(),
        session={
            "event": random.choice(SENTENCES),
            "track": random.choice(SENTENCES),
            "comment": random.choice(SENTENCES),
            "driver": random.choice(["Zoé", "zoé", "Ada", "", "ada lovelace"]),
        },
        car_setting=random.choice(SETTINGS),
    )
    document["s3_key"] = picture_key(document["img_id"], document["picture_sha256"])
    document["timestamp"] = random.choice(DATES)
    document["upload_date"] = random.choice(["", *DATES])
    document["raw"] = random.choice([True, False, "true", "false"])
    document["transformation"] = random.choice([[], ["flip"], ["flip", "blur"], ["blur"]])
    annotation = document["label"]
    annotation["label_direction"] = direction
    annotation["steering"] = classes.direction_bins(annotation["nb_dir"]).value_in(direction, None)
    annotation["created_by"] = random.choice(["auto", "Zoé", "Auto"])
    annotation["created_on_date"] = random.choice(["", *DATES])
    for holder, key in (
        (annotation, "created_on_date"),
        (document, "resolution"),
        (document, "dataset"),
    ):
        if random.random() < 0.3:
            del holder[key]
    if random.random() < 0.8:
        document["weather"] = random.choice(OWN_VALUES)
    if random.random() < 0.5:
        document["q.b"] = random.choice(["x", "y"])
    document["label_fingerprint"] = ids.fingerprint(document["img_id"], annotation)
    return document


def made_clause(random, labels):
    """A field, and a question about it inside the list that both databases know."""
    names, values = random.choice(FIELDS)
    kind = random.choice(TYPES)
    clause = {
        "type": kind,
        "bool": random.choice(["must", "filter", "should", "must_not", "match"]),
    }
    match kind:
        case "term":
            clause["value"] = random.choice(values)
        case "terms":
            clause["value"] = random.sample(values, random.randint(0, 3))
        case "match" | "match_phrase":
            clause["query"] = random.choice(values)
            if values is TEXTS and random.random() < 0.5:
                clause["query"] = " ".join(random.sample(WORDS, random.randint(1, 3)))
            if kind == "match" and random.random() < 0.4:
                clause |= random.choice(HOW_MANY)
        case "range":
            clause |= {limit: random.choice(values) for limit in random.choice(LIMITS)}
        case "prefix":
            clause["value"] = random.choice(STARTS)
        case "wildcard" | "regexp":
            clause["value"] = random.choice(PATTERNS)
        case "ids":
            some = random.sample(labels, random.randint(0, 3))
            clause["values"] = [one["label_fingerprint"] for one in some]
    if kind in ("term", "prefix", "wildcard", "regexp") and random.random() < 0.3:
        clause["case_insensitive"] = True
    return random.choice(names), clause


def made_search(random, labels):
    search = {}
    for _ in range(random.choice([1, 1, 1, 2, 3, 4])):
        field, clause = made_clause(random, labels)
        search.setdefault(field, []).append(clause)
    return search


class Named(msgspec.Struct):
    """What is needed of an answer; a fast way past the rest."""

    label_fingerprint: str


name_of = msgspec.json.Decoder(Named).decode


def answer(index, query):
    """The fingerprints in order, or None for a question that is refused."""
    try:
        return [name_of(one).label_fingerprint for one in index.search(query)]
    except InputError:
        return None


@pytest.mark.timeout(0)
def test_both_databases_give_the_same_answers_in_the_same_order(pair, labels, request):
    """A query that one of them rejects does not count: the rejection says so."""
    random = Random(f"{SEED} {request.node.name}")  # other questions for each Elasticsearch
    ours, theirs = pair
    seen = Counter()
    for _ in range(3 * COUNT):
        if seen["found"] + seen["empty"] == COUNT:
            break
        search = made_search(random, labels)
        query = parse_search_query(search)
        found, expected = answer(ours, query), answer(theirs, query)
        if found is None or expected is None:
            seen["refused by both" if found is expected else "refused by one"] += 1
            continue
        assert found == expected, json.dumps(search, ensure_ascii=False)
        if seen.total() % 10 == 0:
            assert ours.count(query) == theirs.count(query) == len(found)
        seen["found" if found else "empty"] += 1
    assert seen["found"] + seen["empty"] == COUNT, seen
    assert seen["found"] > COUNT / 4, seen  # the questions are worth something
    assert seen["refused by one"] < COUNT / 10, seen


def test_the_labels_differ_in_what_they_are_asked_for(labels):
    assert len(labels) > 0.9 * LABELS
    assert {one["label"].get("created_on_date") for one in labels} == {*DATES, "", None}
