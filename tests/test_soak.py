"""Every property of the soak, a few small trials of each; `make soak` runs them at full length."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from common import retry
from get_data.database.es_utils import search as es_search
from get_data.database.es_utils.settings import from_environment
from tests.es_utils.helpers import EVERYTHING, open_index
from tests.helpers.index_labels import fingerprint_of, fingerprints_of, search, uploaded_label
from tests.servers.addresses import new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.versity import Versity
from tests.soak import __main__ as soak
from tests.soak import sizes, team, trials
from tests.soak.trials import Outcome, Property, Unsupported

pytestmark = pytest.mark.slow


LABELS = 150
KILLS_SERVERS = {"killed_servers"}
LONG = {"million_labels", "killed_node"}  # `make soak` has them: three nodes take a minute to start
LOCAL = soak.PROPERTIES.keys() - {subject.name for subject in team.PROPERTIES}


@pytest.fixture(scope="module")
def mortal_servers():
    """Yield servers that a test may kill and restart; the tests here share them."""
    with Elasticsearch(https=True) as elasticsearch, Versity() as versity:
        yield elasticsearch, versity


@pytest.fixture
def servers(request, monkeypatch, name):
    """Provide the servers of the test run, or `mortal_servers` for a trial that kills them."""
    if name in KILLS_SERVERS:
        mortal = request.getfixturevalue("mortal_servers")
        monkeypatch.setattr(team, "servers", lambda: mortal)
    elif name not in LOCAL:
        shared = tuple(request.getfixturevalue(server) for server in ("elasticsearch_8", "s3"))
        monkeypatch.setattr(team, "addresses", lambda: shared)


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("name", [subject for subject in soak.PROPERTIES if subject not in LONG])
def test_property_holds_in_a_few_trials(tmp_path, name, monkeypatch, capsys):
    monkeypatch.setattr(sizes, "LABELS", LABELS)
    code = soak.main(["--only", name, "--trials-scale", "0.02", "--work", str(tmp_path)])
    assert code == 0, capsys.readouterr().out


@pytest.mark.servers
@pytest.mark.timeout(3600)
def test_a_killed_elasticsearch_loses_nothing(mortal_servers, monkeypatch):
    """Started again, it has its data, its address and its certificate."""
    monkeypatch.setattr(es_search, "FIRST_PAGE_SIZE", 2)
    monkeypatch.setattr(es_search, "MAX_PAGE_SIZE", 3)
    monkeypatch.setattr(retry, "TIMEOUT_S", 300)
    server, _ = mortal_servers
    documents = [uploaded_label(second) for second in range(30)]
    with (
        open_index(from_environment(server.cluster.environment(new_name("labels")))) as index,
        ThreadPoolExecutor(1) as elsewhere,
    ):
        index.create(documents)
        searching = index.search(EVERYTHING)
        found = [next(searching)]
        server.kill()
        started = elsewhere.submit(server.start)
        found += searching
        started.result()
        assert [json.loads(line)["label_fingerprint"] for line in found] == [
            fingerprint_of(document) for document in documents
        ]
        assert index.create([uploaded_label(30)]).created == {fingerprint_of(uploaded_label(30))}
        assert fingerprints_of(search(index)) == fingerprints_of([*documents, uploaded_label(30)])


def fails_at_two(folder, random):
    (folder / "evidence").write_text("")
    assert folder.name != "2", "two is bad"
    return Outcome("fine", random.random())


@pytest.fixture
def made_up(monkeypatch):
    """Replace all properties by one that does not hold."""
    made_up = Property("made_up", "nothing is two", 4, "at random", fails_at_two)
    monkeypatch.setattr(soak, "PROPERTIES", {"made_up": made_up})


@pytest.mark.usefixtures("made_up")
def test_a_failed_trial_is_named_with_its_folder_and_how_to_run_it_again(tmp_path, capsys):
    assert soak.main(["--work", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAILED 1" in out
    assert "made_up, seed 2: AssertionError: two is bad" in out
    assert f"-m tests.soak --work {tmp_path} --only made_up --seed 2" in out
    left = tmp_path / "made_up" / "2"
    assert {file.name for file in left.iterdir()} == {"evidence", trials.FAULT}
    assert list((tmp_path / "made_up").iterdir()) == [left]


@pytest.mark.usefixtures("made_up")
def test_a_soak_continues_where_it_was_unless_it_is_fresh(tmp_path, capsys, monkeypatch):
    soak.main(["--work", str(tmp_path)])
    before = json.loads((tmp_path / trials.STATE).read_text())
    assert len(before["made_up"]) == 4
    ran = []
    monkeypatch.setattr(soak, "run", lambda planned, *_: ran.append([seed for _, seed in planned]))
    soak.main(["--work", str(tmp_path)])
    soak.main(["--work", str(tmp_path), "--trials-scale", "2"])
    soak.main(["--work", str(tmp_path), "--only", "made_up", "--seed", "2"])
    soak.main(["--work", str(tmp_path), "--fresh"])
    assert ran == [[], [4, 5, 6, 7], [2], [0, 1, 2, 3]]


@pytest.mark.parametrize(("variable", "code"), [("", 0), ("true", 1)])
def test_an_impossible_trial_is_reported_and_fails_only_in_ci(
    tmp_path, capsys, monkeypatch, variable, code
):
    def refuse(_folder, _random):
        raise Unsupported("no small disk here")

    made_up = Property("made_up", "anything", 1, "", refuse)
    monkeypatch.setattr(soak, "PROPERTIES", {"made_up": made_up})
    monkeypatch.setenv("CI", variable)
    assert soak.main(["--work", str(tmp_path)]) == code
    assert "not possible here: no small disk here" in capsys.readouterr().out
