"""The mapping of an index: complete, checked, and extended when it is from an earlier version."""

import json
import re
from contextlib import closing
from dataclasses import replace

import pytest

import path
from common.errors import DatabaseError, InputError
from get_data.database.es_utils import bulk, mapping
from get_data.database.es_utils.added_fields import index_again
from get_data.database.es_utils.client import Client
from get_data.database.es_utils.settings import from_environment
from get_data.labels import schema
from get_data.labels.custom_fields import field_term
from get_data.labels.schema import INDEX_TYPES
from tests.es_utils.helpers import open_index, put_raw
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprint_of,
    fingerprints_of,
    search,
    uploaded_label,
)
from tests.helpers.waiting import wait_until


def test_every_field_of_a_label_has_its_type():
    properties = mapping.label_index()["mappings"]["properties"]
    for field, kind in INDEX_TYPES.items():
        found = {"properties": properties}
        for step in field.split("."):
            found = found["properties"][step]
        expected = {"keyword+text": "keyword", "date": "date_nanos"}.get(kind, kind)
        assert found["type"] == expected, field
        assert ("text" in found.get("fields", {})) == (kind == "keyword+text"), field


@pytest.mark.servers
def test_an_index_created_here_fits(index, cluster, name):
    index.check(writing=True)
    index.create(
        [*SAMPLE, uploaded_label(9, annotation={"remark": "a key that nobody knows"}, **{"a.b": 1})]
    )
    index.check(writing=True)
    index.check(writing=False)
    _, indices = cluster.ask("GET", f"/{name}/_mapping")
    properties = indices[name]["mappings"]["properties"]
    assert properties.keys() == mapping.label_index()["mappings"]["properties"].keys()
    assert indices[name]["mappings"]["_meta"] == {"label_version": mapping.LABEL_VERSION}


@pytest.mark.servers
def test_a_reader_finds_what_others_have_not_refreshed_in_time(
    settings, cluster, name, monkeypatch
):
    """By itself, in the time that `check_database.py` waits between two looks."""
    monkeypatch.setattr(mapping, "REFRESH_S", 2)
    with open_index(settings) as writer, open_index(settings) as reader:
        writer.check(writing=True)
        reader.check(writing=False)
        assert (writer.search_delay_s, reader.search_delay_s) == (0, 2)
        writer.create(SAMPLE)
        keys = [label["s3_key"] for label in SAMPLE]
        wait_until(lambda: reader.find_references(keys).keys() == set(keys))
    _, indices = cluster.ask("GET", f"/{name}/_settings")
    assert indices[name]["settings"]["index"]["refresh_interval"] == "2s"


@pytest.mark.servers
def test_an_index_has_the_shards_that_the_settings_name_when_it_is_created(settings, cluster, name):
    parts = [replace(settings, shards=shards) for shards in (3, 2, None)]
    for number, part in enumerate(parts):
        with open_index(part) as index:
            index.check(writing=True)
            index.create(SAMPLE[number : number + 1])
            assert ("with 3 instead of PATATE_ES_SHARDS=2" in index.notice) == (number == 1)
    _, indices = cluster.ask("GET", f"/{name}/_settings")
    assert indices[name]["settings"]["index"]["number_of_shards"] == "3"
    with open_index(settings) as index:
        index.refresh()
        assert fingerprints_of(search(index)) == fingerprints_of(SAMPLE[:3])


@pytest.mark.servers
def test_an_administrator_may_create_the_index_by_the_requests_that_are_printed(
    settings, cluster, name
):
    with open_index(replace(settings, shards=2)) as index:
        assert index.update(dry_run=False) == []  # the first upload creates it
        requests = index.update(dry_run=True)
    for request, created in zip(requests, [name, f"{name}-gone"], strict=True):
        method, path, body = request.split(" ", 2)
        assert (method, path) == ("PUT", created)
        assert cluster.ask(method, f"/{path}", json.loads(body))[0] == 200
    with open_index(settings) as index:
        index.check(writing=True)
        assert (index.notice, index.update(dry_run=True)) == ("", [])
        index.create(SAMPLE)
        index.refresh()
        assert fingerprints_of(search(index)) == fingerprints_of(SAMPLE)


@pytest.mark.servers
def test_an_index_is_split_by_the_requests_of_the_document(settings, cluster, name):
    page = (path.ROOT / "docs" / "team_database.md").read_text()
    section = page.split("### More shards\n")[1].split("\n###")[0]
    requests = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert len(requests) == 4
    with open_index(settings) as index:
        index.check(writing=True)
        index.create(SAMPLE)
    for request in requests:
        method, where, *body = re.sub(r"\blabels\b", name, request).split(" ", 2)
        assert cluster.ask(method, f"/{where}", *map(json.loads, body))[0] == 200
    try:
        with open_index(settings) as index:
            index.check(writing=True)
            later = [uploaded_label(20), uploaded_label(21)]
            index.create(later)
            index.remove([fingerprint_of(later[0])])
            index.refresh()
            left = fingerprints_of([*SAMPLE, later[1]])
            assert fingerprints_of(search(index)) == left
    finally:
        cluster.ask("DELETE", f"/{name}-12")


def put_earlier_index(cluster, name):
    """Create an index as an earlier version did, with a field for each custom field."""
    definition = json.loads(json.dumps(mapping.label_index()))
    mappings = definition["mappings"]
    del mappings["dynamic"], mappings["properties"][schema.CUSTOM_TERMS]
    mappings["dynamic_templates"] = [
        {"objects": {"match_mapping_type": "object", "mapping": {"type": "object"}}},
        {
            "own_keys": {
                "match_mapping_type": "*",
                "mapping": {"type": "keyword", "ignore_above": 8191},
            }
        },
    ]
    definition["settings"]["index"]["mapping"] = {"total_fields": {"limit": 1000}}
    assert cluster.ask("PUT", f"/{name}", definition)[0] == 200
    for label in EARLIER:
        put_raw(cluster, f"/{name}/_create/{fingerprint_of(label)}", json.dumps(label))
    assert cluster.ask("POST", f"/{name}/_refresh")[0] == 200


EARLIER = [
    uploaded_label(1, mood="good", **{"q.b": "x"}),
    uploaded_label(2, mood=["bad", 3], annotation={"remark": "a key that nobody here knows"}),
    uploaded_label(3),
]
LATER = [
    uploaded_label(11, mood="good", late=1),
    uploaded_label(12, annotation={"remark": "mine"}, **{"q.b": "y"}),
]


@pytest.mark.servers
def test_an_index_from_an_earlier_version_is_read_and_extended(settings, cluster, name):
    put_earlier_index(cluster, name)
    with open_index(settings) as reader:
        reader.check(writing=False)
        assert search(reader, {"mood": {"type": "term", "value": "good"}}) == EARLIER[:1]
    with open_index(settings) as writer:
        writer.check(writing=True)
        crowd = [
            uploaded_label(20 + second, **{f"k{second} {n}": n for n in range(600)})
            for second in range(3)
        ]
        assert writer.create([*LATER, *crowd]).rejected == {}
    with open_index(settings) as reader:
        reader.check(writing=False)
        for question, expected in [
            ({"mood": {"type": "term", "value": "good"}}, [EARLIER[0], LATER[0]]),
            ({"mood": {"type": "exists"}}, [*EARLIER[:2], LATER[0]]),
            ({"mood": {"type": "exists", "bool": "must_not"}}, [EARLIER[2], LATER[1], *crowd]),
            ({"mood": {"type": "wildcard", "value": "*d"}}, [*EARLIER[:2], LATER[0]]),
            ({"mood": {"type": "range", "lt": "4"}}, [EARLIER[1]]),
            ({"q.b": {"type": "terms", "value": ["x", "y"]}}, [EARLIER[0], LATER[1]]),
            ({"label.remark": {"type": "prefix", "value": "mi"}}, [LATER[1]]),
            ({"label.remark": {"type": "exists"}}, [EARLIER[1], LATER[1]]),
            ({"late": {"type": "term", "value": 1}}, [LATER[0]]),
            ({"k2 599": {"type": "term", "value": 599}}, [crowd[2]]),
        ]:
            assert search(reader, question) == expected, question


@pytest.mark.servers
def test_a_label_that_changes_while_it_is_indexed_again_stays_as_changed(
    index, cluster, name, settings, monkeypatch
):
    labels = [uploaded_label(number) for number in range(3)]
    kept, changed, deleted = map(fingerprint_of, labels)
    index.create(labels)
    terms = {schema.CUSTOM_TERMS: [field_term("comment")]}  # as code that had no such field wrote
    for label in labels:
        label = {key: value for key, value in label.items() if key != "comment"} | terms
        place = f"/{name}/_doc/{fingerprint_of(label)}?refresh=true"
        assert cluster.ask("PUT", place, label)[0] == 200
    send = bulk.send

    def send_late(client, index, operations):
        assert cluster.ask("POST", f"/{name}/_update/{changed}", {"doc": {"track": "moved"}})[0]
        assert cluster.ask("DELETE", f"/{name}/_doc/{deleted}")[0] == 200
        return send(client, index, operations)

    monkeypatch.setattr(bulk, "send", send_late)
    with closing(Client(settings)) as client:
        index_again(client, name)
    cluster.ask("POST", f"/{name}/_refresh")
    found = {fingerprint_of(label): label["track"] for label in search(index)}
    assert found == {kept: labels[0]["track"], changed: "moved"}
    assert cluster.ask("GET", f"/{name}/_doc/{kept}")[1]["_version"] > 2


@pytest.mark.servers
def test_a_field_that_the_index_lacks_is_found_each_time_it_is_asked_for(cluster, name, index):
    older = other(lambda index: index["mappings"]["properties"].pop("comment"))
    assert cluster.ask("PUT", f"/{name}", older)[0] == 200
    said, silent = uploaded_label(1, comment="wet"), uploaded_label(2, comment="")
    environment = cluster.environment(name, cluster.restricted)  # which may not add a field
    question = {"comment": {"type": "term", "value": "wet"}}
    with open_index(from_environment(environment)) as writer:
        assert writer.create([said, silent]).rejected == {}
        assert [search(writer, question) for _ in range(3)] == [[said]] * 3
        index.update(dry_run=False)
        assert [search(writer, question) for _ in range(2)] == [[said]] * 2


@pytest.mark.servers
def test_query_types_without_custom_fields_are_rejected(index):
    index.create([uploaded_label(mood="good")])
    with pytest.raises(InputError, match="mood: fuzzy"):
        search(index, {"mood": {"type": "fuzzy", "value": "god"}})


def other(change):
    """Return our definition of an index with one change."""
    definition = json.loads(json.dumps(mapping.label_index()))
    change(definition)
    return definition


MISFITS = {
    "another type": (
        lambda index: index["mappings"]["properties"].update(driver={"type": "text"}),
        "driver.type is 'text' instead of 'keyword'",
    ),
    "no label at all": (
        lambda index: (index["mappings"].clear(), index["settings"].clear()),
        "_meta",
    ),
    "no words": (
        lambda index: index["mappings"]["properties"]["event"].pop("fields"),
        "event.fields is missing",
    ),
    "another type inside": (
        lambda index: index["mappings"]["properties"]["label"]["properties"].update(
            raw_speed={"type": "keyword"}
        ),
        "label.raw_speed.type is 'keyword' instead of 'float'",
    ),
    "no order": (lambda index: index["settings"]["index"].pop("sort"), "sort is missing"),
}


@pytest.mark.servers
@pytest.mark.parametrize(("change", "expected"), MISFITS.values(), ids=MISFITS)
@pytest.mark.parametrize("writing", [True, False], ids=["writing", "reading"])
def test_an_index_that_does_not_fit_is_rejected(index, cluster, name, change, expected, writing):
    status, _ = cluster.ask("PUT", f"/{name}", other(change))
    assert status == 200
    with pytest.raises(DatabaseError, match=expected) as error:
        index.check(writing=writing)
    assert "PATATE_ES_INDEX" in str(error.value)


@pytest.mark.servers
@pytest.mark.parametrize("oldest_writer", [None, mapping.LABEL_VERSION], ids=["other", "additive"])
def test_an_index_of_a_newer_version_is_read_and_written_if_that_is_additive(
    settings, cluster, name, oldest_writer
):
    meta = {"label_version": 99} | ({"oldest_writer": oldest_writer} if oldest_writer else {})
    newer = other(lambda index: index["mappings"].update(_meta=meta))
    newer["mappings"]["properties"]["later"] = {"type": "float"}
    assert cluster.ask("PUT", f"/{name}", newer)[0] == 200
    put_raw(
        cluster,
        f"/{name}/_create/{fingerprint_of(uploaded_label())}?refresh=true",
        json.dumps(uploaded_label()),
    )
    with open_index(settings) as index:
        index.check(writing=False)
        assert search(index) == [uploaded_label()]
        if oldest_writer:
            index.check(writing=True)
            assert index.create([uploaded_label(1)]).created == {fingerprint_of(uploaded_label(1))}
        else:
            with pytest.raises(DatabaseError, match=r"newer version.* update"):
                index.check(writing=True)
            with pytest.raises(DatabaseError, match=r"newer version.* update"):
                index.create([uploaded_label(1)])
    _, indices = cluster.ask("GET", f"/{name}/_mapping")
    assert indices[name]["mappings"]["_meta"] == meta
    assert indices[name]["mappings"]["properties"]["later"] == {"type": "float"}


@pytest.mark.servers
def test_an_alias_of_several_indices_is_rejected(index, cluster, name):
    for number in (1, 2):
        definition = {**mapping.label_index(), "aliases": {name: {}}}
        assert cluster.ask("PUT", f"/{name}-{number}", definition)[0] == 200
    with pytest.raises(DatabaseError, match="2 indices"):
        index.check(writing=False)
    cluster.ask("DELETE", f"/{name}-1,{name}-2")
