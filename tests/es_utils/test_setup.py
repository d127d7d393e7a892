"""A wrong set-up is reported in one line that names the variable."""

import re
from base64 import b64decode

import pytest

from common.errors import DatabaseError
from get_data.database.es_utils import mapping
from get_data.database.es_utils.settings import Settings, from_environment
from tests.es_utils.helpers import EVERYTHING, error_from_check, open_index, stub
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)
from tests.servers.server import free_port


@pytest.mark.servers
def test_a_missing_index_is_reported_before_anything_is_read(index, cluster, name):
    with pytest.raises(DatabaseError, match="PATATE_ES_INDEX"):
        index.check(writing=False)
    index.check(writing=False, allow_missing=True)
    assert cluster.ask("GET", f"/{name}")[0] == 404


@pytest.mark.servers
def test_a_check_for_writing_creates_both_indices(index, cluster, name):
    index.check(writing=True)
    assert cluster.ask("GET", f"/{name}")[0] == 200
    assert cluster.ask("GET", f"/{name}-gone")[0] == 200


LOGIN = {"PATATE_ES_USER_ID", "PATATE_ES_USER_PWD"}
WRONG = {
    "password": ({"PATATE_ES_USER_PWD": "geheim"}, LOGIN),
    "no login": ({"PATATE_ES_USER_ID": "", "PATATE_ES_USER_PWD": ""}, LOGIN),
    "host": ({"PATATE_ES_URL": "http://nosuch.invalid:9200"}, {"PATATE_ES_URL"}),
    "port": ({"PATATE_ES_URL": f"http://127.0.0.1:{free_port()}"}, {"PATATE_ES_URL"}),
    "https": ({"PATATE_ES_URL": "https:"}, {"PATATE_ES_URL"}),
}


@pytest.mark.servers
@pytest.mark.usefixtures("_short_retries")
@pytest.mark.parametrize(("wrong", "variables"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("writing", [True, False], ids=["writing", "reading"])
def test_wrong_settings_are_reported_in_one_line(cluster, name, wrong, variables, writing):
    environment = cluster.environment(name) | wrong
    if environment["PATATE_ES_URL"] == "https:":
        environment["PATATE_ES_URL"] = cluster.url.replace("http:", "https:")
    message = error_from_check(from_environment(environment), writing=writing)
    assert set(re.findall("PATATE_\\w+", message)) == variables
    assert environment["PATATE_ES_URL"] in message


@pytest.mark.servers
def test_a_reader_who_writes_is_told_which_privileges_are_missing(settings, cluster, name):
    searcher = from_environment(cluster.environment(name, cluster.searcher))
    message = error_from_check(searcher)
    assert f"create_doc on {name}" in message
    assert f"delete on {name}-gone" in message
    assert "PATATE_ES_USER_ID" in message
    assert cluster.searcher.name not in message.replace(name, "")
    with open_index(settings) as writing:
        writing.check(writing=True)
    with open_index(searcher) as reading:
        reading.check(writing=False)
        with pytest.raises(DatabaseError, match="ES_USER_ID lacks the index privilege"):
            reading.create(SAMPLE)
        assert reading.find_references(["a key"]) == {}


@pytest.mark.servers
def test_a_reader_finds_what_a_writer_wrote(settings, cluster, name):
    with open_index(settings) as writing:
        writing.create(SAMPLE)
    with open_index(from_environment(cluster.environment(name, cluster.searcher))) as reading:
        reading.check(writing=False)
        assert fingerprints_of(search(reading)) == fingerprints_of(SAMPLE)
        assert reading.count(EVERYTHING) == len(SAMPLE)
        assert len(reading.find(fingerprints_of(SAMPLE))) == len(SAMPLE)


@pytest.mark.servers
@pytest.mark.parametrize("index_of", ["", "-gone"], ids=["labels", "gone"])
def test_an_index_blocked_by_a_full_disk_is_reported_at_once(index, cluster, name, index_of):
    index.check(writing=True)
    index.create(SAMPLE)
    index.add_tombstones([tombstone(uploaded_label(9))])
    blocked = {"index.blocks.read_only_allow_delete": True}
    assert cluster.ask("PUT", f"/{name}{index_of}/_settings", blocked)[0] == 200
    write = {
        "": lambda: index.create([uploaded_label(9)]),
        "-gone": lambda: index.add_tombstones([tombstone(uploaded_label())]),
    }
    with pytest.raises(DatabaseError, match=r"read-only .*flood-stage.* disk"):
        write[index_of]()
    assert fingerprints_of(search(index)) == fingerprints_of(SAMPLE)


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_is_not_elasticsearch_is_reported_as_such(status):
    with stub({"GET /labels": [(status, "<html>A page</html>")]}) as (url, _):
        assert "is not Elasticsearch; check PATATE_ES_URL" in error_from_check(Settings(url))


def test_a_server_without_users_gives_all_rights():
    nobody_asks = (400, {"error": "no handler found for uri [/_security/user/_has_privileges]"})
    answers = {
        "GET /labels": [(200, {"labels": mapping.label_index()})],
        "POST /_security/user/_has_privileges": [nobody_asks],
    }
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        index.check(writing=False)
    assert len(asked["POST /_security/user/_has_privileges"]) == 1


def test_a_login_may_have_accents():
    with stub({"GET /labels": [(404, {})]}) as (url, asked):
        error_from_check(Settings(url, user="Zoé", password="géheim€"))
    kind, login = asked["logins"][0].split()
    assert (kind, b64decode(login).decode()) == ("Basic", "Zoé:géheim€")


def test_a_private_authority_is_trusted_if_configured(https_elasticsearch, name):
    environment = https_elasticsearch.environment(name)
    with open_index(from_environment(environment)) as index:
        index.check(writing=True)
    https_elasticsearch.ask("DELETE", f"/{name},{name}-gone")
    del environment["PATATE_ES_CA_CERTS"]
    message = error_from_check(from_environment(environment))
    assert "certificate not trusted" in message
    assert "PATATE_ES_CA_CERTS" in message


@pytest.mark.usefixtures("_short_retries")
def test_http_to_an_https_server_is_reported(https_elasticsearch, name):
    environment = https_elasticsearch.environment(name)
    environment["PATATE_ES_URL"] = environment["PATATE_ES_URL"].replace("https:", "http:")
    message = error_from_check(from_environment(environment))
    assert re.search("https.* PATATE_ES_URL", message)


@pytest.mark.parametrize("appears", [True, False])
def test_a_login_that_may_not_create_an_index_uses_one_that_appears_meanwhile(appears):
    definitions = {"labels": mapping.label_index(), "labels-gone": mapping.tombstone_index()}
    missing = 404, {"error": {"type": "index_not_found_exception", "reason": "no such index"}}
    lacking = {"index": {name: {"create_index": False} for name in definitions}}
    answers = {
        f"GET /{name}": [missing, (200, {name: definition}) if appears else missing]
        for name, definition in definitions.items()
    }
    answers |= {
        "POST /_security/user/_has_privileges": [(200, lacking)],
        "POST /labels/_search": [(200, {"hits": {"hits": []}})],
    }
    with stub(answers) as (url, _), open_index(Settings(url)) as index:
        index.inspect()
        if appears:
            index.check(writing=True)
            return
        with pytest.raises(DatabaseError, match="create_index on labels, create_index"):
            index.check(writing=True)


def test_an_index_that_another_program_creates_first_is_checked_like_any_other():
    newer = mapping.label_index()
    newer["mappings"]["_meta"] = {"label_version": mapping.LABEL_VERSION + 1}
    missing = 404, {"error": {"type": "index_not_found_exception", "reason": "no such index"}}
    there = 400, {"error": {"type": "resource_already_exists_exception", "reason": "it exists"}}
    answers = {
        "GET /labels": [missing, (200, {"labels": newer})],
        "GET /labels-gone": [missing],
        "PUT /labels": [there],
        "POST /_security/user/_has_privileges": [(200, {"index": {}})],
    }
    with stub(answers) as (url, asked), open_index(Settings(url)) as index:
        index.inspect()
        with pytest.raises(DatabaseError, match="newer version"):
            index.check(writing=True)
        assert len(asked["PUT /labels"]) == 1
