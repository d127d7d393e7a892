"""What is special to Elasticsearch; what every index must do is in `test_label_index.py`."""

import json
import re
import urllib.request
from base64 import b64decode, b64encode
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Thread

import pytest

from common import retry
from common.errors import DatabaseError, InputError
from get_data.database.es_utils import bulk, client, get_search_query_from_dict, mapping
from get_data.database.es_utils import search as es_search
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.es_utils.settings import Settings, from_environment
from get_data.database.interfaces import LabelReference
from get_data.database.search.search_query import parse_search_query
from get_data.labels import ids, schema
from get_data.labels.schema import INDEX_TYPES
from tests.helpers.waiting import HANGS_S
from tests.servers.addresses import new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy
from tests.servers.server import free_port
from tests.test_label_index import GARDEN, made, name_of, names_of, search, tombstone

EVERYTHING = parse_search_query({})
MANY = 10_500  # more than Elasticsearch gives in one answer


@pytest.fixture
def name():
    return new_name("labels")


@pytest.fixture
def cluster(elasticsearch_8, name):
    yield elasticsearch_8
    elasticsearch_8.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


@contextmanager
def opened(settings):
    with closing(ElasticsearchIndex(settings)) as index:
        yield index


@pytest.fixture
def settings(cluster, name):
    """Those of the writer, for an index that is not there."""
    return from_environment(cluster.environment(name))


@pytest.fixture
def index(settings):
    with opened(settings) as index:
        yield index


@pytest.fixture
def proxy(settings):
    with Proxy(settings.url) as proxy:
        yield proxy


@pytest.fixture
def far_index(settings, proxy):
    """An index behind the proxy, and known to be well."""
    with opened(replace(settings, url=proxy.url)) as index:
        index.check(writing=True)
        yield index


def many(count, **more):
    """Labels of one person after another; a fast way to a lot of them."""
    first = made(**more)
    moment = ids.parse_img_id(first["img_id"])
    documents = [
        {**first, "img_id": ids.format_img_id(moment + timedelta(seconds=number))}
        for number in range(count)
    ]
    for one in documents:
        one["label_fingerprint"] = ids.fingerprint(one["img_id"], one["label"])
    return documents


def put_as_it_is(cluster, path, text):
    """The text is in the index as another program might have written it."""
    login = f"{cluster.admin.name}:{cluster.admin.secret}".encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Basic {b64encode(login).decode()}",
    }
    request = urllib.request.Request(cluster.url + path, text.encode(), headers, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


# --- the query


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
    ("asked", "path"),
    [
        ("driver", "driver"),
        ("event", "event"),
        ("car_setting.car", "car_setting.car.keyword"),
    ],
)
def test_a_keyword_is_asked_for_by_the_name_it_is_kept_under(asked, path):
    found = get_search_query_from_dict({asked: {"type": "exists", "field": "keyword"}})
    assert found == {"bool": {"must": [{"exists": {"field": path}}]}}


@pytest.mark.parametrize(
    "clause", [{"type": "terms", "value": "a"}, {"type": "terms"}, {"type": "ids", "values": "a"}]
)
def test_what_should_be_a_list_is_one(clause):
    with pytest.raises(InputError, match=r"driver: 'values?' is not a list"):
        get_search_query_from_dict({"driver": clause})


# --- the settings

GOOD = {
    "PATATE_ES_URL": "https://elastic.example.org:9200/",
    "PATATE_ES_USER_ID": "zoé",
    "PATATE_ES_USER_PWD": "geheim",
}


def test_settings_are_read_from_the_environment():
    settings = from_environment(GOOD)
    assert settings.name == "https://elastic.example.org:9200/labels"
    assert (settings.user, settings.password, settings.ca_certs) == ("zoé", "geheim", None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PATATE_ES_URL", ""),
        ("PATATE_ES_URL", "elastic.example.org:9200"),
        ("PATATE_ES_URL", "ftp://elastic.example.org:9200"),
        ("PATATE_ES_URL", "https://elastic.example.org"),
        ("PATATE_ES_URL", "https://elastic.example.org:port"),
        ("PATATE_ES_URL", "https://elastic.example.org:9200/?a=geheim"),
        ("PATATE_ES_URL", "https://zoé:geheim@elastic.example.org:9200"),
        ("PATATE_ES_INDEX", "Labels"),
        ("PATATE_ES_INDEX", "../labels"),
        ("PATATE_ES_INDEX", "_all"),
        ("PATATE_ES_INDEX", "labels*"),
        ("PATATE_ES_CA_CERTS", "/no/such/file.pem"),
        ("PATATE_ES_CA_CERTS", __file__),
        ("PATATE_ES_USER_ID", ""),
        ("PATATE_ES_USER_PWD", ""),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(variable, value):
    with pytest.raises(InputError, match=variable) as error:
        from_environment({**GOOD, variable: value})
    assert "geheim" not in str(error.value)


def test_a_password_is_in_no_text():
    assert "geheim" not in repr(from_environment(GOOD))


# --- the mapping


def test_every_field_of_a_label_has_its_type():
    properties = mapping.label_index()["mappings"]["properties"]
    for path, kind in INDEX_TYPES.items():
        found = {"properties": properties}
        for step in path.split("."):
            found = found["properties"][step]
        expected = {"keyword+text": "keyword", "date": "date_nanos"}.get(kind, kind)
        assert found["type"] == expected, path
        assert ("text" in found.get("fields", {})) == (kind == "keyword+text"), path


@pytest.mark.servers
def test_an_index_that_was_made_here_fits(index, cluster, name):
    index.check(writing=True)
    index.create([*GARDEN, made(9, annotation={"remark": "a key that nobody knows"}, **{"a.b": 1})])
    index.check(writing=True)
    index.check(writing=False)
    _, told = cluster.ask("GET", f"/{name}/_mapping")
    properties = told[name]["mappings"]["properties"]
    assert properties.keys() == mapping.label_index()["mappings"]["properties"].keys()
    assert told[name]["mappings"]["_meta"] == {"label_version": mapping.LABEL_VERSION}


def put_earlier_index(cluster, name):
    """An index as the toolkit made it before, with a field for each key of one's own."""
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
    for number, one in enumerate(EARLIER):
        put_as_it_is(cluster, f"/{name}/_create/{name_of(one)}", json.dumps(one))
        assert number < len(EARLIER)
    assert cluster.ask("POST", f"/{name}/_refresh")[0] == 200


EARLIER = [
    made(1, mood="good", **{"q.b": "x"}),
    made(2, mood=["bad", 3], annotation={"remark": "a key that nobody here knows"}),
    made(3),
]
LATER = [made(11, mood="good", late=1), made(12, annotation={"remark": "mine"}, **{"q.b": "y"})]


@pytest.mark.servers
def test_an_index_from_before_is_read_and_written_on(settings, cluster, name):
    put_earlier_index(cluster, name)
    with opened(settings) as reader:
        reader.check(writing=False)
        assert search(reader, {"mood": {"type": "term", "value": "good"}}) == EARLIER[:1]
    with opened(settings) as writer:
        writer.check(writing=True)
        crowd = [made(20 + one, **{f"k{one} {n}": n for n in range(600)}) for one in range(3)]
        assert writer.create([*LATER, *crowd]).rejected == {}
    with opened(settings) as reader:
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
def test_what_elasticsearch_does_not_know_of_a_key_of_ones_own_is_refused(index):
    index.create([made(mood="good")])
    with pytest.raises(InputError, match="mood: fuzzy"):
        search(index, {"mood": {"type": "fuzzy", "value": "god"}})


def other(change):
    """The definition of an index that is like ours but for one thing."""
    definition = json.loads(json.dumps(mapping.label_index()))
    change(definition)
    return definition


MISFITS = {
    "another type": (
        lambda one: one["mappings"]["properties"].update(driver={"type": "text"}),
        "driver.type is 'text' instead of 'keyword'",
    ),
    "no label at all": (lambda one: (one["mappings"].clear(), one["settings"].clear()), "_meta is"),
    "no words": (
        lambda one: one["mappings"]["properties"]["event"].pop("fields"),
        "event.fields is missing",
    ),
    "another version": (
        lambda one: one["mappings"]["_meta"].update(label_version=99),
        "label_version is 99 instead of 1",
    ),
    "no order": (lambda one: one["settings"]["index"].pop("sort"), "sort is missing"),
}


@pytest.mark.servers
@pytest.mark.parametrize(("change", "said"), MISFITS.values(), ids=MISFITS)
@pytest.mark.parametrize("writing", [True, False], ids=["writing", "reading"])
def test_an_index_of_another_kind_is_refused(index, cluster, name, change, said, writing):
    status, _ = cluster.ask("PUT", f"/{name}", other(change))
    assert status == 200
    with pytest.raises(DatabaseError, match=said) as error:
        index.check(writing=writing)
    assert "PATATE_ES_INDEX" in str(error.value)


@pytest.mark.servers
def test_several_indices_behind_one_name_are_refused(index, cluster, name):
    for number in (1, 2):
        one = {**mapping.label_index(), "aliases": {name: {}}}
        assert cluster.ask("PUT", f"/{name}-{number}", one)[0] == 200
    with pytest.raises(DatabaseError, match="2 indices"):
        index.check(writing=False)
    cluster.ask("DELETE", f"/{name}-1,{name}-2")


# --- a wrong set-up


@pytest.mark.servers
def test_a_missing_index_is_reported_before_anything_is_read(index, cluster, name):
    with pytest.raises(DatabaseError, match="PATATE_ES_INDEX"):
        index.check(writing=False)
    index.check(writing=False, allow_missing=True)
    assert cluster.ask("GET", f"/{name}")[0] == 404


@pytest.mark.servers
def test_a_check_for_writing_makes_both_indices(index, cluster, name):
    index.check(writing=True)
    assert cluster.ask("GET", f"/{name}")[0] == 200
    assert cluster.ask("GET", f"/{name}-gone")[0] == 200


WRONG = {
    "password": (
        {"PATATE_ES_USER_PWD": "geheim"},
        "check PATATE_ES_USER_ID and PATATE_ES_USER_PWD",
    ),
    "no login": (
        {"PATATE_ES_USER_ID": "", "PATATE_ES_USER_PWD": ""},
        "set PATATE_ES_USER_ID and PATATE_ES_USER_PWD",
    ),
    "host": ({"PATATE_ES_URL": "http://nosuch.invalid:9200"}, "host.* PATATE_ES_URL"),
    "port": (
        {"PATATE_ES_URL": f"http://127.0.0.1:{free_port()}"},
        "connect.* PATATE_ES_URL",
    ),
    "https": ({"PATATE_ES_URL": "https:"}, "https.* PATATE_ES_URL"),
}


@pytest.fixture
def _in_a_hurry(monkeypatch):
    """A server that does not answer is not waited for."""
    monkeypatch.setattr(retry, "FIRST_CONTACT_TIMEOUT_S", 0.3)


def told_by(settings, *, writing=True):
    """The one line that a check raises."""
    with opened(settings) as index, pytest.raises(DatabaseError) as error:
        index.check(writing=writing)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 600
    assert not settings.password or settings.password not in message
    return message


@pytest.mark.servers
@pytest.mark.usefixtures("_in_a_hurry")
@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("writing", [True, False], ids=["writing", "reading"])
def test_a_wrong_set_up_is_told_in_one_line(cluster, name, wrong, said, writing):
    environment = cluster.environment(name) | wrong
    if environment["PATATE_ES_URL"] == "https:":
        environment["PATATE_ES_URL"] = cluster.url.replace("http:", "https:")
    assert re.search(said, told_by(from_environment(environment), writing=writing))


@pytest.mark.servers
def test_a_user_who_may_only_read_is_told_what_is_missing(settings, cluster, name):
    searcher = from_environment(cluster.environment(name, cluster.searcher))
    said = told_by(searcher)
    assert f"create_doc on {name}" in said
    assert f"delete on {name}-gone" in said
    assert "PATATE_ES_USER_ID" in said
    assert cluster.searcher.name not in said.replace(name, "")
    with opened(settings) as writing:
        writing.check(writing=True)
    with opened(searcher) as reading:
        reading.check(writing=False)
        with pytest.raises(DatabaseError, match="ES_USER_ID lacks the index privilege"):
            reading.create(GARDEN)
        assert reading.find_references(["a key"]) == {}


@pytest.mark.servers
def test_what_was_written_is_found_by_who_may_only_read(settings, cluster, name):
    with opened(settings) as writing:
        writing.create(GARDEN)
    with opened(from_environment(cluster.environment(name, cluster.searcher))) as reading:
        reading.check(writing=False)
        assert names_of(search(reading)) == names_of(GARDEN)
        assert reading.count(EVERYTHING) == len(GARDEN)
        assert len(reading.find(names_of(GARDEN))) == len(GARDEN)


@pytest.mark.servers
@pytest.mark.parametrize("index_of", ["", "-gone"], ids=["labels", "gone"])
def test_a_full_disk_is_told_at_once_and_as_what_it_is(index, cluster, name, index_of):
    index.check(writing=True)
    index.create(GARDEN)
    index.add_tombstones([tombstone(made(9))])
    blocked = {"index.blocks.read_only_allow_delete": True}
    assert cluster.ask("PUT", f"/{name}{index_of}/_settings", blocked)[0] == 200
    write = {
        "": lambda: index.create([made(9)]),
        "-gone": lambda: index.add_tombstones([tombstone(made())]),
    }
    with pytest.raises(DatabaseError, match=r"read-only .*flood-stage.* disk"):
        write[index_of]()
    assert names_of(search(index)) == names_of(GARDEN)


@contextmanager
def stub(answers, together=None):
    """A server that gives each request `"METHOD /path"` the next of its answers; an address.

    An answer is a status and what is sent as JSON, or as it is if that is a text. Changes are
    answered when as many have come as are to come `together`, if that is a barrier.
    """
    asked = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = f"{self.command} {self.path.partition('?')[0]}"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            left = answers.get(request, [])[len(asked[request]) :]
            status, answer = left[0] if left else (500, {"error": {"reason": "unforeseen"}})
            asked[request].append(body)
            asked["logins"].append(self.headers["Authorization"])
            if together and request.endswith("_bulk"):
                together.wait(HANGS_S)
            is_text = isinstance(answer, str)
            raw = (answer if is_text else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_text else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if not is_text:
                self.send_header("X-Elastic-Product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST  # noqa: N815, the name is http.server's

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 404])
def test_another_kind_of_server_is_told_as_that(status):
    with stub({"GET /labels": [(status, "<html>A page</html>")]}) as (url, _):
        assert "is not Elasticsearch; check PATATE_ES_URL" in told_by(Settings(url))


def test_a_server_without_users_gives_all_rights():
    nobody_asks = (400, {"error": "no handler found for uri [/_security/user/_has_privileges]"})
    answers = {
        "GET /labels": [(200, {"labels": mapping.label_index()})],
        "POST /_security/user/_has_privileges": [nobody_asks],
    }
    with stub(answers) as (url, asked), opened(Settings(url)) as index:
        index.check(writing=False)
    assert len(asked["POST /_security/user/_has_privileges"]) == 1


def test_a_login_may_have_accents():
    with stub({"GET /labels": [(404, {})]}) as (url, asked):
        told_by(Settings(url, user="Zoé", password="géheim€"))
    kind, login = asked["logins"][0].split()
    assert (kind, b64decode(login).decode()) == ("Basic", "Zoé:géheim€")


# --- one's own server, with https, that may be killed


@pytest.fixture(scope="module")
def own_server():
    with Elasticsearch(https=True) as server:
        yield server


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_a_private_authority_is_trusted_when_it_is_named(own_server, name):
    environment = own_server.cluster.environment(name)
    with opened(from_environment(environment)) as index:
        index.check(writing=True)
    del environment["PATATE_ES_CA_CERTS"]
    said = told_by(from_environment(environment))
    assert "certificate not trusted" in said
    assert "PATATE_ES_CA_CERTS" in said


@pytest.mark.servers
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_in_a_hurry")
def test_http_where_https_is_spoken_is_told(own_server, name):
    environment = own_server.cluster.environment(name)
    environment["PATATE_ES_URL"] = environment["PATATE_ES_URL"].replace("https:", "http:")
    said = told_by(from_environment(environment))
    assert re.search("https.* PATATE_ES_URL", said)


@pytest.mark.servers
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_has_lost_nothing_but_the_search(own_server, name, monkeypatch):
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 2)
    monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", 3)
    monkeypatch.setattr(retry, "TIMEOUT_S", 300)
    documents = [made(second) for second in range(30)]
    with (
        opened(from_environment(own_server.cluster.environment(name))) as index,
        ThreadPoolExecutor(1) as elsewhere,
    ):
        index.create(documents)
        searching = index.search(EVERYTHING)
        next(searching)
        own_server.kill()
        started = elsewhere.submit(own_server.start)
        with pytest.raises(DatabaseError, match="no longer has this search"):
            list(searching)
        started.result()
        assert index.create([made(30)]).created == {name_of(made(30))}
        assert names_of(search(index)) == names_of([*documents, made(30)])


# --- many labels


@pytest.fixture(scope="module")
def crowd():
    """Very many labels that all name one picture."""
    return many(MANY, s3_key="pictures/other/one-picture.jpg")


@pytest.fixture(scope="module")
def full_index(elasticsearch_8, crowd):
    name = new_name("labels")
    with opened(from_environment(elasticsearch_8.environment(name))) as index:
        assert index.create(crowd).created == names_of(crowd)
        yield index
    elasticsearch_8.ask("DELETE", f"/{name}")


@pytest.mark.servers
def test_a_search_finds_more_than_fits_one_answer(full_index, crowd):
    found = [json.loads(one)["img_id"] for one in full_index.search(EVERYTHING)]
    assert found == [one["img_id"] for one in crowd]
    assert full_index.count(EVERYTHING) == MANY


@pytest.mark.servers
def test_all_labels_of_a_picture_are_told_however_many(full_index, crowd):
    key = crowd[0]["s3_key"]
    assert full_index.find_references([key]) == {key: names_of(crowd)}


@pytest.mark.servers
def test_a_page_is_as_long_as_its_documents_are_short(full_index, crowd, monkeypatch):
    """Memory is bounded by a page, however large the settings in each label are."""
    sizes = []
    ask = client.Client.request

    def seen(client, method, path, body=None, **parameters):
        answer = ask(client, method, path, body, **parameters)
        if path == "/_search":
            sizes.append(len(answer.body))
        return answer

    monkeypatch.setattr(client.Client, "request", seen)
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 10)
    monkeypatch.setattr(es_search, "PAGE_BYTES", 2**20)
    assert sum(1 for _ in full_index.search(EVERYTHING)) == MANY
    assert len(sizes) > 5
    assert 0.9 * 2**20 < max(sizes) < 1.1 * 2**20


@pytest.mark.servers
def test_pages_part_nowhere_that_shows(index, monkeypatch):
    """Also between labels of one picture, of one moment and of none."""
    people = [{"created_by": who} for who in "abcdefg"]
    moments = [{"created_on_date": f"2021-01-01T00:00:00.00000{number}Z"} for number in range(3)]
    documents = [
        *(made(1, annotation={**who, "created_on_date": ""}) for who in people),
        *(made(2, annotation=who | moment) for who in people for moment in moments[:1]),
        *(made(3, annotation={**who, **moments[number % 3]}) for number, who in enumerate(people)),
    ]
    index.create(documents)
    whole = search(index)
    assert names_of(whole) == names_of(documents)
    for size in (1, 2, 3):
        monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", size)
        monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", size)
        assert search(index) == whole
        keys = {one["s3_key"] for one in documents}
        assert set().union(*index.find_references(keys).values()) == names_of(documents)


@pytest.mark.servers
def test_a_search_that_is_left_early_holds_nothing_on_the_server(
    full_index, elasticsearch_8, monkeypatch
):
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 2)
    index_name = full_index.name.rpartition("/")[2]

    def open_searches():
        _, stats = elasticsearch_8.ask("GET", f"/{index_name}/_stats/search")
        return stats["_all"]["total"]["search"]["open_contexts"]

    searching = full_index.search(EVERYTHING)
    next(searching)
    assert open_searches() == 1
    searching.close()
    assert open_searches() == 0


@pytest.mark.servers
def test_a_search_that_the_server_forgets_says_so(index, cluster, name, monkeypatch):
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 2)
    monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", 2)
    index.create([made(second) for second in range(20)])
    searching = index.search(EVERYTHING)
    next(searching)
    cluster.ask("POST", f"/{name}/_close")
    cluster.ask("POST", f"/{name}/_open")
    with pytest.raises(DatabaseError, match="no longer has this search"):
        list(searching)


@pytest.mark.servers
def test_a_label_that_another_program_wrote_in_many_lines_comes_in_one(index, cluster, name):
    index.check(writing=True)
    document = made(comment="one\nline")
    put_as_it_is(
        cluster, f"/{name}/_doc/{name_of(document)}?refresh=true", json.dumps(document, indent=2)
    )
    [line] = index.search(EVERYTHING)
    assert b"\n" not in line
    assert json.loads(line) == document


@pytest.mark.servers
def test_what_a_search_gets_wrong_is_told_by_field_and_type(index):
    index.create(GARDEN)
    data = {
        "driver": {"type": "exists"},
        "timestamp": {"type": "range", "gte": "yesterday"},
        "event": {"type": "term", "value": "x"},
    }
    with pytest.raises(InputError, match=r"^timestamp: range: .*date field \[yesterday\]") as error:
        index.search(parse_search_query(data))
    assert len(str(error.value)) < 500
    with pytest.raises(InputError, match=r"^timestamp: range: "):
        index.count(parse_search_query(data))


# --- when something fails


@pytest.mark.servers
def test_one_bad_label_among_thousands_is_refused_alone(index):
    """Such as one that no check has seen."""
    documents = many(3000)
    documents[1234] = {**documents[1234], "picture_size": "large"}
    result = index.create(documents)
    bad = name_of(documents[1234])
    assert result.rejected.keys() == {bad}
    assert "picture_size" in result.rejected[bad]
    assert result.created == names_of(documents) - {bad}


@pytest.mark.servers
def test_what_the_server_puts_off_is_asked_again(far_index, proxy):
    for status in (429, 502, 503, 504):
        proxy.answer(status, method="POST")
    assert far_index.create(GARDEN).created == names_of(GARDEN)
    assert proxy.requests["POST", "_bulk"] == 5


@pytest.mark.servers
@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_the_server_refuses_is_not_asked_again(far_index, proxy, status):
    proxy.answer(status, method="POST", kind="_bulk")
    with pytest.raises(DatabaseError):
        far_index.create(GARDEN)
    assert proxy.requests["POST", "_bulk"] == 1


@pytest.mark.servers
@pytest.mark.parametrize("how", ["reset", "close"])
def test_an_answer_that_breaks_off_is_asked_for_again(far_index, proxy, how):
    far_index.create(GARDEN)
    for kind in ("_search", "_mget"):
        proxy.cut(300, how=how, kind=kind, times=2)
    assert names_of(search(far_index)) == names_of(GARDEN)
    assert len(far_index.find(names_of(GARDEN))) == len(GARDEN)


@pytest.mark.servers
def test_a_server_that_is_away_for_a_moment_is_waited_for(far_index, proxy):
    proxy.refuse(1.0)
    assert far_index.create(GARDEN).created == names_of(GARDEN)


@pytest.mark.servers
def test_a_server_that_stays_away_is_told_in_the_end(far_index, proxy, monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0.5)
    proxy.refuse()
    with pytest.raises(DatabaseError, match=r"connect.* PATATE_ES_URL"):
        far_index.find(["a"])


@pytest.mark.servers
def test_a_label_counts_as_created_when_only_the_answer_was_lost(far_index, proxy):
    """And one that was there before does not."""
    far_index.create([made(1, comment="before")])
    proxy.cut(0, kind="_bulk")
    result = far_index.create([made(1), made(2)])
    assert proxy.requests["POST", "_bulk"] == 3
    assert (result.created, result.existing) == ({name_of(made(2))}, {name_of(made(1))})


@pytest.mark.servers
def test_a_label_counts_as_removed_when_only_the_answer_was_lost(far_index, proxy):
    far_index.create([made(1)])
    proxy.cut(0, kind="_bulk")
    assert far_index.remove([name_of(made(1))]) == {name_of(made(1))}
    assert far_index.find([name_of(made(1))]) == {}


@pytest.mark.servers
def test_a_gone_label_is_remembered_when_the_answer_was_lost(far_index, proxy):
    proxy.cut(0, kind="_bulk")
    far_index.add_tombstones([tombstone(made(1))])
    assert far_index.find_tombstones([name_of(made(1))]) == {name_of(made(1)): tombstone(made(1))}


REJECTED = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}


def removed(*statuses):
    """The answer to a removal of so many labels."""
    errors = [{"error": REJECTED} if status == 429 else {} for status in statuses]
    return {
        "items": [
            {"delete": {"status": status, **error}}
            for status, error in zip(statuses, errors, strict=True)
        ]
    }


def test_only_what_was_rejected_is_sent_again():
    answers = [(200, removed(200, 429, 404)), (200, removed(429)), (200, removed(200))]
    with stub({"POST /labels/_bulk": answers}) as (url, asked):
        with opened(Settings(url)) as index:
            assert index.remove(["a", "b", "c"]) == {"a", "b"}
        sent = [re.findall(rb'"_id":"(.)"', body) for body in asked["POST /labels/_bulk"]]
    assert sent == [[b"a", b"b", b"c"], [b"b"], [b"b"]]


def test_an_index_that_was_just_made_is_waited_for():
    def answer(error):
        return 200, {"docs": [{"_id": "a", "error": error}, {"_id": "b", "found": False}]}

    not_yet = answer({"type": "no_shard_available_action_exception", "reason": "No shard"})
    found = 200, {"docs": [{"_id": "a", "found": True, "_source": {"img_id": "1", "s3_key": "k"}}]}
    with (
        stub({"POST /labels/_mget": [not_yet, not_yet, found]}) as (url, asked),
        opened(Settings(url)) as index,
    ):
        assert index.find(["a", "b"]) == {"a": LabelReference("a", "1", "k")}
        assert len(asked["POST /labels/_mget"]) == 3


def test_an_index_that_stays_without_a_shard_is_told_and_is_not_empty(monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0)
    error = {"type": "no_shard_available_action_exception", "reason": "No shard"}
    answers = {"POST /labels/_mget": [(200, {"docs": [{"_id": "a", "error": error}]})]}
    with (
        stub(answers) as (url, _),
        opened(Settings(url)) as index,
        pytest.raises(DatabaseError, match="No shard"),
    ):
        index.find(["a"])


def test_what_stays_rejected_is_told_and_never_dropped(monkeypatch):
    monkeypatch.setattr(retry, "TIMEOUT_S", 0)
    made_here = {"labels": mapping.label_index()}
    rejected = {"items": [{"create": {"status": 429, "error": REJECTED}}]}
    answers = {
        "GET /labels": [(200, made_here)],
        "GET /labels-gone": [(200, {"labels-gone": mapping.tombstone_index()})],
        "POST /labels/_bulk": [(200, rejected)],
        "POST /labels-gone/_bulk": [(200, rejected)],
        "POST /labels/_refresh": [(200, {"_shards": {"failed": 0}})],
    }
    with stub(answers) as (url, _), opened(Settings(url)) as index:
        result = index.create([made()])
        assert result.rejected == {name_of(made()): REJECTED["reason"]}
        with pytest.raises(DatabaseError, match="the queue is full"):
            index.add_tombstones([tombstone(made())])


def test_many_changes_travel_two_at_a_time():
    half = removed(*[200] * bulk.MAX_OPERATIONS)
    names = [f"{number:032x}" for number in range(2 * bulk.MAX_OPERATIONS)]
    answers = {"POST /labels/_bulk": [(200, half)] * 2}
    with stub(answers, together=Barrier(2)) as (url, _), opened(Settings(url)) as index:
        assert index.remove(names) == set(names)


def test_an_answer_of_some_shards_only_is_none():
    shards = {"_shards": {"total": 2, "successful": 1, "failed": 1}}
    with (
        stub({"POST /labels/_refresh": [(200, shards)]}) as (url, _),
        opened(Settings(url)) as index,
        pytest.raises(DatabaseError, match="refresh"),
    ):
        index.find_references(["a key"])


def test_a_label_without_a_key_of_a_picture_is_found():
    document = {"_id": "a", "found": True, "_source": {"img_id": "1"}}
    answers = {"POST /labels/_mget": [(200, {"docs": [document]})]}
    with stub(answers) as (url, _), opened(Settings(url)) as index:
        assert index.find(["a"]) == {"a": LabelReference("a", "1", "")}
