"""What a search means, row by row: the answers of Elasticsearch 8.19 to the same rows."""

import copy
import random
import re

import pytest

from common.errors import InputError
from get_data.database.search import patterns
from get_data.database.search.matching import compile_query
from get_data.database.search.search_query import parse_search_query
from get_data.database.search.tokenizer import tokenize
from get_data.labels import edits
from tests.helpers.cpu_time import least_cpu_s


def document_with(field, value):
    """A label in which a dotted field has a value; `...` takes the field away."""
    document = copy.deepcopy(edits.example_label())
    *outer, last = field.split(".")
    node = document
    for name in outer:
        node = node[name]
    if value is ...:
        node.pop(last, None)
    else:
        node[last] = value
    return document


def matches(document, data):
    return compile_query(parse_search_query(data))(document)


def term(value, **more):
    return {"type": "term", "value": value, **more}


def terms(*values):
    return {"type": "terms", "value": list(values)}


def match(query, **more):
    return {"type": "match", "query": query, **more}


def phrase(query):
    return {"type": "match_phrase", "query": query}


def between(**bounds):
    return {"type": "range", **bounds}


def pattern(kind, value, **more):
    return {"type": kind, "value": value, **more}


EXISTS = {"type": "exists"}
WORDS = {"field": "text"}
ANY_CASE = {"case_insensitive": True}
MOMENT = "2020-12-31T15:45:55.123456Z"
RACE = "Low sun, Zoé's YARD"

ROWS = [
    # keywords: the whole text
    ("driver", "Zoé", term("Zoé"), True),
    ("driver", "Zoé", term("zoé"), False),
    ("driver", "Zoé", term("ZOé", **ANY_CASE), True),
    ("driver", "Zoé", term("zoÉ", **ANY_CASE), False),  # letters of ASCII only
    ("driver", "Zoé", term("Zo"), False),
    ("driver", "", term(""), True),
    ("driver", "Zoe\u0301", term("Zoé"), False),
    ("driver", "Zoé", term("Zoé", field="keyword"), True),
    ("driver", "Zoé", term("Zoé", boost=2, _name="me"), True),
    ("driver", "a b", match("a"), False),
    ("driver", "a b", match("a b"), True),
    ("driver", "a b", match("a b", minimum_should_match=7), True),
    ("driver", "a b", phrase("a b"), True),
    ("driver", "Zoé", terms("Ada", "Zoé"), True),
    ("driver", "Zoé", terms("Ada"), False),
    ("driver", "Zoé", terms(), False),
    ("driver", "m", between(gte="m", lt="n"), True),
    ("driver", "m", between(gt="m"), False),
    ("driver", "10", between(lt="9"), True),
    ("driver", "\U0001f600", between(gt="\uffff"), True),
    ("event", "Sunday race", term("Sunday race"), True),
    ("event", "Sunday race", term("race"), False),
    ("event", "Sunday race", term("Sunday race", field="keyword"), True),
    # lists: any of the values
    ("transformation", ["flip", "blur"], term("blur"), True),
    ("transformation", ["flip", "blur"], terms("blur", "crop"), True),
    ("transformation", ["flip", "blur"], term("flip blur"), False),
    ("transformation", [], term("flip"), False),
    ("transformation", ["flip", "blur"], between(gte="g"), False),
    # keys of one's own are keywords
    ("weather", "rain", term("rain"), True),
    ("weather", "rain", term("rain", field="keyword"), True),
    ("weather", 3, term("3"), True),
    ("weather", "3", term(3), True),
    ("weather", 3, term(3.0), True),
    ("weather", 1.5, term(1.5), True),
    ("weather", True, term("true"), True),
    ("weather", True, term(True), True),
    ("weather", [1, None, "x"], term("1"), True),
    ("weather", 10, between(lt=9), True),
    ("nowhere", None, term("None"), False),
    ("label.mood", "good", term("good"), True),
    # whole numbers
    ("label.label_direction", 2, term(2), True),
    ("label.label_direction", 2, term("2"), True),
    ("label.label_direction", 2, term(2.0), True),
    ("label.label_direction", 2, term("2.0"), True),
    ("label.label_direction", 2, term("2e0"), True),
    ("label.label_direction", 2, term(2.5), False),
    ("label.label_direction", 2, term(10**18), False),
    ("label.label_direction", 2, term("1e30"), False),
    ("label.label_direction", 2, match("2"), True),
    ("label.label_direction", 2, phrase(2), True),
    ("label.label_direction", 2, terms("1", 2.0), True),
    ("label.label_direction", 2, between(gt=1.5, lt="2.5"), True),
    ("label.label_direction", 2, between(gt=2), False),
    ("label.label_direction", 2, between(gte=2.5), False),
    ("label.label_direction", 10, between(gte=9), True),
    ("label.label_direction", 2, between(gte=None, lte=2), True),
    # numbers, in 32 bits
    ("label.raw_direction", 0.1, term(0.1), True),
    ("label.raw_direction", 0.1, term("0.1"), True),
    ("label.raw_direction", 0.1, between(lte=0.10000000001), True),
    ("label.raw_direction", 0.1, between(gt=0.1), False),
    ("label.raw_direction", -0.5, between(lt=-0.25), True),
    ("label.raw_direction", -0.0, term(0), False),
    ("label.raw_direction", -0.0, between(lt=0), True),
    ("label.raw_direction", -0.0, between(gte=-1), True),
    ("label.raw_direction", 1, between(lte=1e39), True),
    ("label.raw_direction", ..., between(lte=1), False),
    # true and false
    ("raw", True, term(True), True),
    ("raw", "true", term(True), True),
    ("raw", True, term("true"), True),
    ("raw", False, term(True), False),
    ("raw", False, match("false"), True),
    ("raw", True, between(gt=False), True),
    ("raw", True, between(gt=True, lte=True), False),
    # dates
    ("timestamp", MOMENT, term(MOMENT), True),
    ("timestamp", MOMENT, term("2020-12-31"), True),
    ("timestamp", MOMENT, term("2020-12-30"), False),
    ("timestamp", MOMENT, term("20201231T15-45-55-123456"), True),
    ("timestamp", MOMENT, terms("2020-12-30", "2020-12-31"), True),
    ("timestamp", MOMENT, match("20201231"), True),
    ("timestamp", MOMENT, term("2020-12-31T16:45:55.123456+01:00"), True),
    ("timestamp", MOMENT, term("2020-12-31T13:15:55,123456-0230"), True),
    ("timestamp", MOMENT, between(gte="2020"), True),
    ("timestamp", MOMENT, between(gte="2020-12-31T15:45:55.123456"), True),
    ("timestamp", MOMENT, between(gt="2020-12-31T15:45:55.123456"), False),
    ("timestamp", MOMENT, between(gte="2020-12-31T15:45:55.123456001"), False),
    ("timestamp", MOMENT, between(lte="2020-12-31"), True),
    ("timestamp", MOMENT, between(lt="2020-12-31"), False),
    ("timestamp", MOMENT, between(lte="2020-12"), False),  # the 1st of December, to its end
    ("timestamp", "2020-12-01T23:00:00Z", between(lte="2020-12"), True),
    ("timestamp", "2020-01-01T23:00:00Z", between(lte="2020"), True),
    ("timestamp", MOMENT, between(gt="2020-12-31"), False),
    ("timestamp", MOMENT, between(gt="2020-12-30"), True),
    ("timestamp", MOMENT, between(gt="2020-12-31T15"), False),
    ("timestamp", MOMENT, between(lte="2020-12-31T15:45"), True),
    ("timestamp", MOMENT, between(lt="2020-12-31T15:45"), False),
    ("timestamp", MOMENT, between(lte="2020-12-31T15:45:55"), True),
    ("timestamp", MOMENT, between(lte="2020-12-31T15:45:55.1"), False),
    ("timestamp", MOMENT, between(gt="2020-12-31T15:45:55.2"), False),
    ("timestamp", MOMENT, between(gte="20201231T15-45-55-123456"), True),
    ("upload_date", "", between(gte="1970"), False),
    ("upload_date", "", EXISTS, False),
    ("upload_date", MOMENT, EXISTS, True),
    ("label.created_on_date", ..., between(lte="2100"), False),
    # words
    ("comment", RACE, match("yard", **WORDS), True),
    ("comment", RACE, match("YARD nope", **WORDS), True),
    ("comment", RACE, match("yard nope", operator="and", **WORDS), False),
    ("comment", RACE, match("SUN yard", operator="AND", **WORDS), True),
    ("comment", RACE, match("zoé", **WORDS), False),
    ("comment", RACE, match("Zoé's", **WORDS), True),
    ("comment", RACE, match("yard sun x", minimum_should_match=2, **WORDS), True),
    ("comment", RACE, match("yard sun x", minimum_should_match="3", **WORDS), False),
    ("comment", RACE, match("yard sun x", minimum_should_match=4, **WORDS), False),
    ("comment", RACE, match("yard sun x", minimum_should_match=-1, **WORDS), True),
    ("comment", RACE, match("yard x y", minimum_should_match=-1, **WORDS), False),
    ("comment", RACE, match("yard x", minimum_should_match=-5, **WORDS), True),
    ("comment", RACE, match("x y", minimum_should_match=0, **WORDS), False),
    ("comment", RACE, match("yard", minimum_should_match=4, **WORDS), True),
    ("comment", "a", match("a a", minimum_should_match=2, **WORDS), True),
    ("comment", RACE, match("!!!", **WORDS), False),
    ("comment", RACE, match("!!!", operator="and", **WORDS), False),
    ("comment", RACE, phrase("low SUN") | WORDS, True),
    ("comment", RACE, phrase("sun low") | WORDS, False),
    ("comment", RACE, phrase("low yard") | WORDS, False),
    ("comment", "a a b", phrase("a b") | WORDS, True),
    ("comment", RACE, phrase("") | WORDS, False),
    ("comment", RACE, term("yard", **WORDS), True),
    ("comment", RACE, term("YARD", **WORDS), False),
    ("comment", RACE, term("YARD", **ANY_CASE, **WORDS), True),
    ("comment", RACE, pattern("prefix", "ya", **WORDS), True),
    ("comment", RACE, pattern("prefix", "YA", **WORDS), False),
    ("comment", RACE, pattern("wildcard", "ya?d", **WORDS), True),
    ("comment", RACE, between(gte="yarc", lte="yare", **WORDS), True),
    ("comment", "", EXISTS | WORDS, True),
    ("driver", "Zoé", match("zoé", **WORDS), False),  # no field where people write sentences
    # exists
    ("driver", "", EXISTS, True),
    ("driver", "Zoé", EXISTS, True),
    ("weather", None, EXISTS, False),
    ("weather", [], EXISTS, False),
    ("weather", [None], EXISTS, False),
    ("weather", ["", None], EXISTS, True),
    ("weather", False, EXISTS, True),
    ("label.raw_speed", ..., EXISTS, False),
    ("label.raw_speed", 0, EXISTS, True),
    ("label", {"created_by": "auto"}, EXISTS, True),
    ("resolution", ..., EXISTS, False),
    # an object has no value of its own
    ("label", {"created_by": "auto"}, term("auto"), False),
    ("label", {"created_by": "auto"}, {"type": "prefix", "value": ""}, False),
    # prefix, wildcard, regexp
    ("driver", "Zoé", pattern("prefix", "Zo"), True),
    ("driver", "Zoé", pattern("prefix", "zo"), False),
    ("driver", "Zoé", pattern("prefix", "zO", **ANY_CASE), True),
    ("driver", "Zoé", pattern("prefix", ""), True),
    ("driver", "Zp", pattern("prefix", "Zo"), False),
    ("driver", "\U0010ffff", pattern("prefix", "\U0010ffff"), True),
    ("driver", "a", pattern("prefix", "\U0010ffff"), False),
    ("driver", "\U0010ffff", pattern("prefix", "\U0010fffe"), False),
    ("driver", "\ud7ffx", pattern("prefix", "\ud7ff"), True),
    ("weather", 30, pattern("prefix", 3), True),
    ("driver", "Zoé", pattern("wildcard", "Z*"), True),
    ("driver", "Zoé", pattern("wildcard", "Z?"), False),
    ("driver", "Zoé", pattern("wildcard", "?o?"), True),
    ("driver", "Zoé", pattern("wildcard", "z*", **ANY_CASE), True),
    ("driver", "Zoé", {"type": "wildcard", "wildcard": "*é"}, True),
    ("driver", "a*", pattern("wildcard", r"a\*"), True),
    ("driver", "ab", pattern("wildcard", r"a\*"), False),
    ("driver", "a\\", pattern("wildcard", "a\\"), True),
    ("driver", "a\nb", pattern("wildcard", "a*b"), True),
    ("driver", "a.b", pattern("wildcard", "a.?"), True),
    ("driver", "axb", pattern("wildcard", "a.?"), False),
    ("driver", "", pattern("wildcard", ""), False),
    ("driver", "Zoé", pattern("regexp", "Z.*"), True),
    ("driver", "Zoé", pattern("regexp", "o"), False),  # the whole field
    ("driver", "Zoé", pattern("regexp", "z[OP]é", **ANY_CASE), True),
    ("driver", "yard-7", pattern("regexp", "(yard|hall)-[0-9]{1,2}"), True),
    ("driver", "yard-777", pattern("regexp", "(yard|hall)-[0-9]{1,2}"), False),
    ("driver", "a.b", pattern("regexp", r"a\.b"), True),
    ("driver", "axb", pattern("regexp", r"a\.b"), False),
    ("driver", "a.b", pattern("regexp", '"a.b"'), True),
    ("driver", "axb", pattern("regexp", '"a.b"'), False),
    ("driver", "^a$", pattern("regexp", "^a$"), True),
    ("driver", "a", pattern("regexp", "^a$"), False),
    ("driver", "1", pattern("regexp", r"\d"), True),
    ("driver", "é", pattern("regexp", r"\w"), False),
    ("driver", "é", pattern("regexp", r"\W"), True),
    ("driver", "a\nb", pattern("regexp", "a.b"), True),
    ("driver", "b-]", pattern("regexp", r"[^a][-][\]]"), True),
    ("driver", "5_", pattern("regexp", r"[\d-][\w]"), True),
    ("driver", "aaa", pattern("regexp", "a{2,}"), True),
    ("driver", "abab", pattern("regexp", "(ab)+"), True),
    ("driver", "abab", pattern("regexp", '"ab"+'), True),
    ("driver", "abb", pattern("regexp", '"ab"+'), False),
    ("driver", "ab", pattern("regexp", "a{0}b{1,}|c"), False),
    ("driver", "b", pattern("regexp", "a{0}b{1,}|c"), True),
    ("driver", "a" * 9, pattern("regexp", "(" * 490 + "a*" + ")" * 490), True),
    # car_setting: keywords inside
    ("car_setting", {"car": "patate"}, term("patate"), True),
    ("car_setting", {"camera": {"width": 160}}, term(160), True),
    ("car_setting", {"camera": {"modes": ["a", "b"]}}, term("b"), True),
    ("car_setting", {}, EXISTS, False),
    ("car_setting", {"camera": {"width": None}}, EXISTS, False),
    ("car_setting.car", "patate", term("patate"), True),
    ("car_setting.car", "patate", term("Patate", **ANY_CASE), True),
    ("car_setting.car", "patate", pattern("prefix", "pa"), True),
    ("car_setting.car", 2, term(2), True),
    ("car_setting.car", True, term("true"), True),
    ("car_setting.car", {"name": "patate"}, term("patate"), False),
    ("car_setting.car", {"name": "patate"}, EXISTS, False),
    ("car_setting.car", "", EXISTS, True),
    ("car_setting.car", "10", between(gte="0", lt="2"), True),
]


@pytest.mark.parametrize(
    ("field", "value", "clause", "expected"),
    ROWS,
    ids=[f"{number}-{row[0]}-{row[2]['type']}" for number, row in enumerate(ROWS)],
)
def test_a_clause_matches_what_elasticsearch_would(field, value, clause, expected):
    document = document_with(field, value)
    assert matches(document, {field: clause}) is expected
    assert matches(document, {field: clause | {"bool": "filter"}}) is expected
    assert matches(document, {field: clause | {"bool": "should"}}) is expected
    assert matches(document, {field: clause | {"bool": "must_not"}}) is not expected


SIGNS = ["a", "b", "(", ")", "|", "*", "+", "?", "{2}", "{1,}", "{0,2}", "[ab]", "[^a]", "."]


def test_a_regular_expression_matches_as_that_of_python_does():
    chance, known = random.Random(7), 0
    for _ in range(4000):
        expression = "".join(chance.choices(SIGNS, k=chance.randint(1, 9)))
        try:
            fits = patterns.compile_regexp(expression, any_case=False)
        except patterns.InvalidValue:
            continue
        known += 1
        for length in range(6):
            text = "".join(chance.choices("abc", k=length))
            assert bool(fits(text)) == bool(re.fullmatch(expression, text)), (expression, text)
    assert known > 300


@pytest.mark.parametrize(
    "clause",
    [
        pattern("wildcard", "*a" * 9 + "*b"),
        pattern("wildcard", "*" * 1000),
        pattern("regexp", "(a+)+b"),
        pattern("regexp", "(a|a)*b"),
        pattern("regexp", "(a?){60}a{60}b"),
        pattern("regexp", "(.*a){9}b"),
    ],
    ids=lambda clause: clause["value"][:20],
)
def test_no_pattern_takes_for_ever(clause):
    """Eight times the text takes about eight times as long; what is quadratic takes 64."""
    search = compile_query(parse_search_query({"comment": clause}))
    short, long = (document_with("comment", "a" * length) for length in (1000, 8000))
    assert search(short) is search(long) is ("***" in clause["value"])
    assert least_cpu_s(lambda: search(long)) < 20 * least_cpu_s(lambda: search(short)) + 0.02


def test_a_path_inside_car_setting_may_be_long():
    document = document_with("car_setting", {"camera": {"lens": {"angle": 62.2}}})
    assert matches(document, {"car_setting.camera.lens.angle": term("62.2")})
    assert matches(document, {"car_setting": term(62.2, field="camera.lens.angle")})
    assert not matches(document, {"car_setting.camera.lens": term("62.2")})


def test_a_date_that_only_a_label_may_write_so_is_found_too():
    document = document_with("timestamp", "2020-12-31 15:45:55")
    assert matches(document, {"timestamp": term("2020-12-31T15:45:55")})


def test_a_key_of_ones_own_may_have_a_dot_in_its_name():
    document = edits.example_label() | {"sky.colour": "blue"}
    assert matches(document, {"sky.colour": term("blue")})


def test_ids_asks_for_fingerprints():
    document = edits.example_label()
    mine = document["label_fingerprint"]
    assert matches(document, {"any name": {"type": "ids", "values": ["x", mine]}})
    assert matches(document, {"_id": {"type": "ids", "values": [mine]}})
    assert not matches(document, {"_id": {"type": "ids", "values": ["x"]}})
    assert not matches(document, {"_id": {"type": "ids", "values": []}})


def test_match_all_matches_and_its_opposite_does_not():
    assert matches(edits.example_label(), {"all": {"type": "match_all"}})
    assert not matches(edits.example_label(), {"all": {"type": "match_all", "bool": "must_not"}})


YES = {"type": "match_all"}
NO = {"type": "ids", "values": []}


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        ([("must", YES), ("filter", YES)], True),
        ([("must", YES), ("must", NO)], False),
        ([("must", YES), ("filter", NO)], False),
        ([("should", YES), ("should", NO)], True),
        ([("should", NO), ("should", NO)], False),
        ([("must", YES), ("should", NO)], False),
        ([("must", NO), ("should", YES)], False),
        ([("must", YES), ("should", YES)], True),
        ([("must", YES), ("must_not", NO)], True),
        ([("must", YES), ("must_not", YES)], False),
        ([("must_not", NO), ("must_not", YES)], False),
        ([("must_not", NO)], True),
    ],
    ids=str,
)
def test_clauses_add_up(clauses, expected):
    data = {"any": [clause | {"bool": occur} for occur, clause in clauses]}
    assert matches(edits.example_label(), data) is expected


@pytest.mark.parametrize(
    ("field", "clause", "expected"),
    [
        ("driver", {"type": "fuzzy", "value": "x"}, "'fuzzy'"),
        ("driver", term("x", fuzziness=1), "'fuzziness'"),
        (
            "driver",
            {"type": "terms", "values": ["x"]},
            "'values' of terms; use value",
        ),
        ("driver", EXISTS | {"value": 1}, "'value' of exists; use none"),
        ("timestamp", between(gte="2020", format="yyyy"), "the argument 'format'"),
        ("timestamp", between(gte="now-1d"), "'now-1d' is not a time such as"),
        ("timestamp", between(gte=""), "'' is not a time"),
        ("timestamp", between(gte=2020), "2020 is not a time"),
        ("timestamp", term("2020-02-30"), "'2020-02-30' is not a time"),
        ("timestamp", pattern("prefix", "2020"), "this one is a date"),
        ("driver", {"type": "term"}, "'value' is missing"),
        ("driver", term(None), "'value' is missing"),
        ("driver", term(["x"]), "'value' is not one text or number"),
        ("driver", term({"a": 1}), "'value' is not one text or number"),
        ("driver", {"type": "terms", "value": "x"}, "'value' is not a list"),
        ("driver", terms("x", None), "'value' is not a list"),
        ("driver", {"type": "ids", "values": 5}, "'values' is not a list"),
        ("driver", {"type": "range"}, "range needs one of"),
        ("driver", between(gte=None), "range needs one of"),
        ("driver", between(gte=1, gt=2), "gte or gt, not both"),
        ("driver", between(lte=1, lt=2), "lte or lt, not both"),
        ("driver", between(gte=["x"]), "'gte' is not one text or number"),
        ("driver", term("x", case_insensitive="yes"), "'yes'; use true or false"),
        ("label.nb_dir", term("abc"), "label.nb_dir: 'abc' is not a number"),
        ("label.nb_dir", term(""), "'' is not a number"),
        ("label.nb_dir", term(True), "True is not a number"),
        ("label.nb_dir", term("1_0"), "'1_0' is not a number"),
        ("label.nb_dir", term(2, **ANY_CASE), "this one is a whole number"),
        ("label.nb_dir", pattern("wildcard", "2*"), "this one is a whole number"),
        ("label.raw_direction", term("NaN"), "'NaN' is not a number"),
        ("raw", term(1), "1 is not true or false"),
        ("raw", term("True"), "'True' is not true or false"),
        ("comment", match("x", operator="nor", **WORDS), '\'nor\'; use "or" or "and"'),
        ("comment", match("x y", minimum_should_match="75%", **WORDS), "75%"),
        ("comment", match("x y", operator="and", minimum_should_match=1, **WORDS), "not both"),
        ("comment", match("x", fuzziness="AUTO", **WORDS), "the argument 'fuzziness'"),
        ("comment", phrase("x") | {"slop": 1}, "the argument 'slop'"),
        ("driver", pattern("regexp", "(a"), "regular expression '(a'"),
        ("driver", pattern("regexp", "a)"), "regular expression"),
        ("driver", pattern("regexp", "[z-a]"), "regular expression"),
        ("driver", pattern("regexp", "*a"), "'*' at position 0"),
        ("driver", pattern("regexp", "a+?"), "'?' at position 2"),
        ("driver", pattern("regexp", "(|a)"), "'|' at position 1"),
        ("driver", pattern("regexp", "()"), "')' at position 1"),
        ("driver", pattern("regexp", "a|"), "nothing at its end"),
        ("driver", pattern("regexp", ""), "nothing at its end"),
        ("driver", pattern("regexp", "~a"), "'~' at position 0; a backslash makes it literal"),
        ("driver", pattern("regexp", "a&b"), "'&' at position 1"),
        ("driver", pattern("regexp", "<1-3>"), "'<' at position 0"),
        ("driver", pattern("regexp", "a{,2}"), "'{' at position 1"),
        ("driver", pattern("regexp", "a{99999999999}"), "invalid repetition size"),
        ("driver", pattern("regexp", r"\n"), "a backslash before 'n'"),
        ("driver", pattern("regexp", r"\1"), "a backslash before '1'"),
        ("driver", pattern("regexp", "(a{60}){60}"), "invalid repetition size: {60}"),
        ("driver", pattern("regexp", "(a{1,50}b{1,50}){40}"), "invalid repetition size"),
        ("driver", pattern("regexp", "a{2,1}"), "invalid repetition size: {2,1}"),
        ("driver", pattern("regexp", "[+--]"), "-- in brackets"),
        ("driver", pattern("regexp", "[a-z]", **ANY_CASE), "write both, as in [a-zA-Z]"),
        ("_source", EXISTS, "'_source'"),
        ("_id", term("x"), "fingerprints with ids"),
        ("dri*", EXISTS, "ask one field by its name"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_unsupported_clauses_are_rejected(field, clause, expected):
    query = parse_search_query({field: clause})
    with pytest.raises(InputError) as raised:
        compile_query(query)
    assert expected in str(raised.value)
    assert str(raised.value).startswith(field)


def test_a_rejection_mentions_a_teams_database():
    with pytest.raises(InputError, match=r"driver: the database on this machine .* team's"):
        compile_query(parse_search_query({"driver": {"type": "fuzzy", "value": "x"}}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RACE, ["low", "sun", "zoé's", "yard"]),
        ("o'neil\u2019s a·b a:b 1:2 a.b 1.2 1,2 a,b a.1",
         ["o'neil\u2019s", "a·b", "a:b", "1", "2", "a.b", "1.2", "1,2", "a", "b", "a", "1"]),
        ("foo_bar _x_ __ _ a_1", ["foo_bar", "_x_", "a_1"]),
        ("3.14. ...1 a..b a.'b -5", ["3.14", "1", "a", "b", "a", "b", "5"]),
        ("e\u0301 a\u200db", ["e\u0301", "a\u200db"]),
        ("日本 ひら カタカナ カa", ["日", "本", "ひ", "ら", "カタカナ", "カ", "a"]),
        ("한국어 a한", ["한국어", "a한"]),
        ("สวัสดี aส", ["สวัสดี", "a", "ส"]),
        ("a😀b 👩\u200d👧 ☺ 🇫🇷🇩🇪", ["a", "😀", "b", "👩\u200d👧", "☺", "🇫🇷", "🇩🇪"]),
        ("²x ½ Ⅷ № १२३", ["x", "ⅷ", "१२३"]),
        ("İS ΣΑΣ Straße", ["is", "\u03c3\u03b1\u03c3", "straße"]),
        ("x" * 600, ["x" * 255, "x" * 255, "x" * 90]),
        ("", []),
        ("!!! -- \n", []),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_words_are_found_as_elasticsearch_finds_them(text, expected):
    assert tokenize(text) == expected
