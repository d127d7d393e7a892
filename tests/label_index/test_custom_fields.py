"""The contract of every label index: fields that the schema does not declare."""

import json

import pytest

from common.errors import InputError
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.search.search_query import parse_search_query
from get_data.labels import validation
from tests.helpers.index_labels import fingerprints_of, search, uploaded_label
from tests.label_index.indices import KINDS, index_opener


def test_every_valid_key_is_accepted(index):
    own = ["x.", "a .b", "a.c", "_mine", "é", "*", "\n-", "label.mood", "car_setting.x", "_x._id"]
    own += [".".join("b" * 20), "c" * 40_000]
    one = uploaded_label(1, **dict.fromkeys(own, "x"))
    assert validation.parse(one)
    assert index.create([one]).rejected == {}
    assert index.create([uploaded_label(2, **dict.fromkeys(own, "x"))]).rejected == {}


LONG = 32_766  # bytes of the longest term in Lucene


SETTINGS = {
    "zero byte": ({"a": {"b\0": 1}}, False),
    "zero byte in a value": ({"a": "b\0"}, True),
    "longest": ({"k" * (LONG - 1): ""}, True),
    "longer": ({"k" * LONG: ""}, False),
    "long inside": ({"k" * 20_000: {"j" * 20_000: [1]}}, False),
    "long together": ({"k" * 30_000: ["short", "v" * 8000]}, False),
    "long in bytes": ({"k" * 9000: "漢" * 8191}, False),
    "long and empty": ({"k" * 40_000: None, "j" * 40_000: {}}, True),
    "only kept": ({"k" * 40_000: "v" * 8192}, True),
    "only kept, as Java counts": ({"k" * 32_000: "😀" * 4096}, True),
    "one less": ({"k" * 32_000: "😀" * 4095}, False),
}


PARTS = [
    *({"label": {key: "x"}} for key in ("", " ", ".", "a..b", ".a", "x. .y")),
    *({"label": {key: "x"}} for key in ("label_speed.x", "label_speed.", "created_by.text")),
    *({"resolution": {key: "x"}} for key in ("", "..", "horizontal.z")),
    *({key: "x"} for key in ("label.", "resolution.", "car_setting.")),
]


@pytest.mark.parametrize("more", PARTS, ids=str)
def test_a_key_inside_a_part_that_elasticsearch_rejects_is_invalid(index, monkeypatch, more):
    one = uploaded_label(1)
    for part, inside in more.items():
        one[part] = {**one[part], **inside} if isinstance(inside, dict) else inside
    with pytest.raises(InputError):
        validation.parse(one)
    if isinstance(index, ElasticsearchIndex):
        monkeypatch.setattr(validation, "parse", lambda document: document)
        assert index.create([one]).rejected


@pytest.mark.parametrize("key", ["_id", "a.", "x.y", "*", "label", "type", "a\0b", "k" * 40_000])
@pytest.mark.parametrize("part", ["label", "resolution"])
def test_other_keys_inside_a_part_are_accepted(index, part, key):
    one = uploaded_label(1)
    one[part] = {**one[part], key: "x"}
    assert index.create([one]).rejected == {}


@pytest.mark.parametrize(("setting", "is_accepted"), SETTINGS.values(), ids=SETTINGS)
def test_a_label_is_valid_when_elasticsearch_accepts_its_settings(
    index, monkeypatch, setting, is_accepted
):
    """Validation precedes the upload of pictures; here the index is also asked without it."""
    one = uploaded_label(1, car_setting=setting)
    if is_accepted:
        validation.parse(one)
    else:
        with pytest.raises(InputError):
            validation.parse(one)
        [(key, value)] = setting.items()
        with pytest.raises(InputError):
            validation.parse(uploaded_label(1, **{f"car_setting.{key}": value}))
    if isinstance(index, ElasticsearchIndex):
        monkeypatch.setattr(validation, "parse", lambda document: document)
        assert bool(index.create([one]).created) == is_accepted


def test_custom_keys_are_not_used_up(index):
    """Neither their number nor the type of one is limited by what others use."""
    documents = [
        uploaded_label(second, **{f"key {second} {number}": number for number in range(300)})
        for second in range(4)
    ]
    documents += [
        uploaded_label(10, a="x"),
        uploaded_label(11, **{"a.b": "x"}),
        uploaded_label(12, annotation={"remark": {"c": 1}}),
    ]
    documents += [uploaded_label(13, annotation={"remark": "x"})]
    result = index.create(documents)
    assert (result.created, result.rejected) == (fingerprints_of(documents), {})
    assert search(index) == documents
    for field, value, expected in [
        ("key 3 299", 299, documents[3]),
        ("a", "x", documents[4]),
        ("a.b", "x", documents[5]),
        ("label.remark.c", 1, documents[6]),
        ("label.remark", "x", documents[7]),
    ]:
        assert search(index, {field: {"type": "term", "value": value}}) == [expected]


def test_custom_fields_are_listed_by_name(index):
    index.create(
        [
            uploaded_label(1, **{"a=b\\": 1, "q.b": "x", "none": None}),
            uploaded_label(2, annotation={"remark": 1}),
        ]
    )
    assert index.custom_fields() == {"a=b\\", "q.b", "label.remark"}


UNUSUAL_KEYS = ["a", "a=b", "a\\", "a\\=b", "a.b", "A", "*", "a?", "é", "_mine", "a]", "ab", "a>"]


UNUSUAL_VALUES = ["b", "=b", "b=c", "\\=b", "B", "", "*", "é"]


@pytest.fixture(params=KINDS, scope="module")
def unusual_index(request, tmp_path_factory):
    """Yield an index with a label for each unusual key and value, for searches only."""
    with index_opener(request, tmp_path_factory.mktemp("unusual")) as open_index:
        index = open_index()
        index.create(list(UNUSUAL.values()))
        yield index


UNUSUAL = {
    (key, value): uploaded_label(number, **{key: value})
    for number, (key, value) in enumerate(
        (key, value) for key in UNUSUAL_KEYS for value in UNUSUAL_VALUES
    )
}


@pytest.mark.parametrize(
    ("clause", "holds"),
    [
        ({"type": "term", "value": "b"}, lambda value: value == "b"),
        ({"type": "terms", "value": ["=b", ""]}, lambda value: value in ("=b", "")),
        ({"type": "match", "query": "b=c", "operator": "and"}, lambda value: value == "b=c"),
        ({"type": "prefix", "value": "b"}, lambda value: value.startswith("b")),
        ({"type": "wildcard", "value": "?b"}, lambda value: value == "=b"),
        ({"type": "wildcard", "value": "\\*"}, lambda value: value == "*"),
        ({"type": "regexp", "value": "b|\\=b"}, lambda value: value in ("b", "=b")),
        ({"type": "range", "gte": "b"}, lambda value: value >= "b"),
        ({"type": "range", "lt": "b"}, lambda value: value < "b"),
        ({"type": "range", "gt": "=b", "lte": "b"}, lambda value: "=b" < value <= "b"),
        ({"type": "exists"}, lambda value: True),
        ({"type": "term", "value": "b", "case_insensitive": True}, lambda one: one in ("b", "B")),
        ({"type": "prefix", "value": "B", "case_insensitive": True}, lambda one: one[:1] in "bB"),
    ],
    ids=lambda one: json.dumps(one) if isinstance(one, dict) else "",
)
def test_a_clause_about_a_custom_key_matches_that_key_alone(unusual_index, clause, holds):
    for field in UNUSUAL_KEYS:
        if field == "*":  # not a field name in a search
            continue
        expected = [one for (key, value), one in UNUSUAL.items() if key == field and holds(value)]
        if clause.get("value") == "B":
            expected = [one for one in expected if one[field]]
        assert search(unusual_index, {field: clause}) == expected, field
        others = parse_search_query({field: clause | {"bool": "must_not"}})
        assert unusual_index.count(others) == len(UNUSUAL) - len(expected)
