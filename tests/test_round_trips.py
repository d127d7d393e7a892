"""Round trips that scripts wait for at a far database, one after the other."""

import threading

import pytest

from common import retry
from get_data import search_and_download, upload_data
from tests.conftest import document, save
from tests.helpers.waiting import HANGS_S
from tests.servers.addresses import new_name
from tests.servers.proxy import Gate, Proxy

pytestmark = [pytest.mark.servers, pytest.mark.timeout(2 * HANGS_S)]

CHECKS = ["GET bucket or index", "GET list", "GET object", "POST _security"]
ANSWER = ["POST _search"]
UNINDEXED = ["POST _search"]  # are there labels from before a field was declared?
PICTURES = ["GET object"] * 3

WRITER_CHECKS = [
    [*["GET bucket or index"] * 2, "GET list", "GET object", "POST _security"],
    ["PUT object"],  # the probe
    ["HEAD object", "PUT object"],
    ["DELETE object"],
]
LOOKING_UP = [["POST _refresh"] * 2, ["POST _mget"], ["POST _mget"]]


class Far:
    """A team's database behind a gate that holds all requests."""

    def __init__(self, labels, pictures, gate):
        self.labels, self.pictures, self.gate = labels, pictures, gate

    def let_through(self, expected, seen):
        """Let requests through, so many together; note what was asked together."""
        for requests in expected:
            seen.append(self.gate.release(len(requests), HANGS_S))
            if seen[-1] != requests:
                break
        self.gate.open()

    @property
    def requests(self):
        """Number of requests to both halves."""
        return self.labels.requests.total() + self.pictures.requests.total()


@pytest.fixture
def far(call, team_environment, elasticsearch_8, s3, tmp_path, monkeypatch):
    """A database with three labels; the variables lead to it through the gate."""
    for name, value in team_environment.items():
        monkeypatch.setenv(name, value)
    drive = [document(number, event="race", weather="sunny") for number in range(3)]
    assert call(upload_data, save(tmp_path / "drive", drive))[0] == 0
    monkeypatch.setattr(retry, "REQUEST_TIMEOUT_S", HANGS_S)
    gate = Gate()
    with Proxy(elasticsearch_8.url, gate) as labels, Proxy(s3.url, gate) as pictures:
        monkeypatch.setenv("PATATE_ES_URL", labels.url)
        monkeypatch.setenv("PATATE_S3_ENDPOINT_URL", pictures.url)
        yield Far(labels, pictures, gate)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{"event": "race"}', [CHECKS, sorted(ANSWER + UNINDEXED), PICTURES]),
        ('{"event.text": {"type": "match", "query": "race"}}', [CHECKS, ANSWER * 2, PICTURES]),
        ('{"weather": "sunny"}', [CHECKS, ANSWER, PICTURES]),
        ("{}", [CHECKS, ANSWER, PICTURES]),
    ],
    ids=["field", "word", "custom field", "all"],
)
def test_a_search_waits_for_three_round_trips(call, far, tmp_path, query, expected):
    """Both halves are asked at once, and nothing that a good answer makes needless."""
    seen = []
    porter = threading.Thread(target=far.let_through, args=(expected, seen))
    porter.start()
    code, counts, _ = call(search_and_download, "-q", query, "-p", tmp_path / "set")
    porter.join()
    assert (code, counts["fetched"]) == (0, 3)
    assert seen == expected
    assert far.requests == sum(map(len, expected))


def test_an_upload_of_what_is_there_waits_for_nine_round_trips(call, far, tmp_path):
    expected = [*WRITER_CHECKS, UNINDEXED, *LOOKING_UP, ["HEAD object"] * 3]
    code, counts = upload(call, far, tmp_path / "drive", expected)
    assert (code, counts["there"]) == (0, 3)


def upload(call, far, drive, expected):
    """Upload while the gate lets through what is expected; check that no more was asked."""
    seen = []
    porter = threading.Thread(target=far.let_through, args=(expected, seen))
    porter.start()
    code, counts, _ = call(upload_data, drive)
    porter.join()
    assert seen == expected
    assert far.requests == sum(map(len, expected))
    return code, counts


def test_the_first_upload_into_a_new_database_waits_for_seventeen_round_trips(
    call, far, tmp_path, monkeypatch, elasticsearch_8, s3
):
    index = new_name("labels")
    monkeypatch.setenv("PATATE_ES_INDEX", index)
    monkeypatch.setenv("PATATE_S3_BUCKET", s3.make_bucket())
    expected = [
        *WRITER_CHECKS[:1],
        ["GET bucket or index", "PUT object"],
        *WRITER_CHECKS[2:],
        ["GET list"],  # neither pictures
        ["GET list"],  # nor frozen sets: nothing is lost
        ["PUT bucket or index"],
        ["PUT bucket or index"],
        *LOOKING_UP,
        ["POST _search"],  # hashes of pictures of the same ids
        ["PUT object"] * 3,
        ["POST _bulk"],
        ["POST _mget"],
        ["HEAD object"] * 3,
        ["POST _refresh"],
    ]
    code, counts = upload(call, far, tmp_path / "drive", expected)
    elasticsearch_8.ask("DELETE", f"/{index},{index}-gone?ignore_unavailable=true")
    assert (code, counts["created"]) == (0, 3)
