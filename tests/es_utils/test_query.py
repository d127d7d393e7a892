"""Search files become queries of Elasticsearch."""

import json
import re

import pytest

from common.errors import InputError
from get_data.database.es_utils import get_search_query_from_dict


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, {"match_all": {}}),
        ({"driver": {"type": "", "value": "Zoé"}}, {"match_all": {}}),
        (
            {"driver": {"type": "term", "value": "Zoé", "boost": 2}},
            {"bool": {"must": [{"term": {"driver": {"value": "Zoé", "boost": 2}}}]}},
        ),
        (
            {"event": {"type": "match", "field": "text", "query": "race"}},
            {"bool": {"must": [{"match": {"event.text": {"query": "race"}}}]}},
        ),
        (
            {"driver": {"type": "terms", "bool": "filter", "value": ["a", "b"], "boost": 2}},
            {"bool": {"filter": [{"terms": {"driver": ["a", "b"], "boost": 2}}]}},
        ),
        (
            {"track": {"type": "exists", "bool": "must_not"}},
            {"bool": {"must_not": [{"exists": {"field": "track"}}]}},
        ),
        (
            {"these": {"type": "ids", "values": ["a"]}, "all": {"type": "match_all"}},
            {"bool": {"must": [{"ids": {"values": ["a"]}}, {"match_all": {}}]}},
        ),
        (
            {"driver": [{"type": "prefix", "bool": "should", "value": "Z"}] * 2},
            {
                "bool": {
                    "should": [{"prefix": {"driver": {"value": "Z"}}}] * 2,
                    "minimum_should_match": 1,
                }
            },
        ),
        (
            {"place": {"type": "geo_distance", "distance": "2km"}},
            {"bool": {"must": [{"geo_distance": {"place": {"distance": "2km"}}}]}},
        ),
    ],
    ids=["empty", "skipped", "term", "field", "terms", "exists", "no field", "should", "unknown"],
)
def test_a_search_becomes_a_query(search, expected):
    assert get_search_query_from_dict(search) == expected


def test_the_example_in_the_docstring_is_true():
    example, result = re.findall(r"\n( +\{.+?)\n\n", get_search_query_from_dict.__doc__, re.DOTALL)
    assert get_search_query_from_dict(json.loads(example)) == json.loads(result)


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("driver", "driver"),
        ("event", "event"),
        ("car_setting.car", "car_setting.car.keyword"),
    ],
)
def test_a_keyword_is_queried_under_its_indexed_name(field, path):
    found = get_search_query_from_dict({field: {"type": "exists", "field": "keyword"}})
    assert found == {"bool": {"must": [{"exists": {"field": path}}]}}


@pytest.mark.parametrize(
    "clause", [{"type": "terms", "value": "a"}, {"type": "terms"}, {"type": "ids", "values": "a"}]
)
def test_an_argument_that_must_be_a_list_is_checked(clause):
    with pytest.raises(InputError, match=r"driver: 'values?' is not a list"):
        get_search_query_from_dict({"driver": clause})
