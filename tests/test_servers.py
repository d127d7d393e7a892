"""The real servers: they start, keep what they were given, and end with whoever started them."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest

import path
from tests.helpers.waiting import HANGS_S, wait_until
from tests.servers.addresses import Cluster, Gateway, Login, new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.server import Server, ServerFailed
from tests.servers.versity import Versity

pytestmark = pytest.mark.new_interpreter


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as trial:
        return trial.connect_ex((host, int(port))) == 0


@pytest.mark.servers
def test_versitygw_keeps_its_data_and_its_address_when_it_is_killed() -> None:
    with Versity() as server:
        bucket = server.gateway.make_bucket()
        with closing(server.gateway.client(server.gateway.writer)) as writer:
            writer.put_object(Bucket=bucket, Key="pictures/one.jpg", Body=b"picture")
        server.kill()
        assert not answers(server.gateway.url)
        server.start()
        with closing(server.gateway.client(server.gateway.searcher)) as searcher:
            found = searcher.get_object(Bucket=bucket, Key="pictures/one.jpg")
            assert found["Body"].read() == b"picture"
    assert not server.folder.exists()


@pytest.mark.servers
def test_versitygw_in_a_folder_that_was_given_keeps_logins_and_buckets(tmp_path: Path) -> None:
    with Versity(tmp_path) as server:
        bucket, before = server.gateway.make_bucket(), server.gateway
    with Versity(tmp_path) as server:
        assert replace(server.gateway, url=before.url) == before
        with closing(server.gateway.client(server.gateway.writer)) as writer:
            writer.put_object(Bucket=bucket, Key="pictures/one.jpg", Body=b"picture")


@pytest.mark.servers
@pytest.mark.skipif(os.geteuid() != 0, reason="only for root it runs as another user")
def test_elasticsearch_tells_which_folder_it_cannot_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ServerFailed, match=r"nobody.* cannot reach .*/labels: .* is closed"):
        Elasticsearch(folder=tmp_path / "labels").start()


@pytest.mark.servers
def test_versitygw_keeps_versions_when_asked_to() -> None:
    with Versity(versions=True) as server:
        bucket = server.gateway.make_bucket(versioned=True)
        with closing(server.gateway.client()) as client:
            for body in (b"first", b"second"):
                client.put_object(Bucket=bucket, Key="pictures/one.jpg", Body=body)
            found = client.list_object_versions(Bucket=bucket)["Versions"]
    assert len(found) == 2


def test_elasticsearch_with_https_is_trusted_only_by_its_own_authority(
    https_elasticsearch: Cluster,
) -> None:
    assert https_elasticsearch.ask("GET", "/_cluster/health")[0] == 200
    with pytest.raises(URLError) as refused:
        replace(https_elasticsearch, ca="").ask("GET", "/_cluster/health")
    assert isinstance(refused.value.reason, ssl.SSLCertVerificationError)


def test_a_server_that_does_not_start_tells_its_last_words_and_leaves_nothing() -> None:
    class Broken(Server):
        name = "broken"

        def command(self) -> list[str]:
            return ["/bin/sh", "-c", "echo no room left; exit 1"]

        def is_ready(self) -> bool:
            return False

    server = Broken()
    with pytest.raises(ServerFailed, match="no room left"), server:
        pass
    assert not server.folder.exists()


@pytest.mark.servers
def test_a_server_ends_when_whoever_started_it_is_killed() -> None:
    starts_one = (
        "import time; from tests.servers.versity import Versity\n"
        "with Versity() as server:\n"
        "    print(server.gateway.url, server.folder, flush=True); time.sleep(9999)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starts_one], cwd=path.ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        url, folder = starter.stdout.readline().split()
        assert answers(url)
        starter.kill()
    wait_until(lambda: not answers(url) and not Path(folder).exists())


TEST_FILE = """
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_both(s3, number, worker_id):
    Path(__file__).with_name(f"told-{worker_id}").write_text(f"{s3.url} {os.getpid()}")
    while len(list(Path(__file__).parent.glob("told-gw?"))) < 2:  # the other worker has the other
        time.sleep(0.05)
    while "STAY" in os.environ:
        time.sleep(1)
"""


def start_run(folder: Path, *, stay: bool) -> subprocess.Popen[bytes]:
    """A run of two tests in two workers, with temporary files in `folder`."""
    (folder / "test_both.py").write_text(TEST_FILE)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-q", "-p", "tests.servers.fixtures"]
    # without the options of this run, such as a folder that pytest empties at its start
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.Popen(
        [*command, "--rootdir", str(folder), str(folder / "test_both.py")],
        cwd=path.ROOT,
        env=own | ({"STAY": "1"} if stay else {}) | {"TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
    )


def told(folder: Path) -> list[tuple[str, int]]:
    """Where the server is, and the process of the worker that tells it."""
    lines = [one.read_text().split() for one in folder.glob("told-gw?")]
    return [(line[0], int(line[1])) for line in lines if line]


@pytest.mark.servers
def test_a_run_with_two_workers_starts_a_server_once_and_ends_it(tmp_path: Path) -> None:
    with start_run(tmp_path, stay=False) as run:
        assert run.wait(HANGS_S) == 0
    [(first, _), (second, _)] = told(tmp_path)
    assert first == second
    assert not answers(first)
    assert not list(tmp_path.glob("patate-*"))


@pytest.mark.servers
def test_a_server_outlives_the_workers_and_ends_when_the_run_is_killed(tmp_path: Path) -> None:
    with start_run(tmp_path, stay=True) as run:
        wait_until(lambda: len(told(tmp_path)) == 2)
        url, _ = told(tmp_path)[0]
        for _, worker in told(tmp_path):
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not any(lives(worker) for _, worker in told(tmp_path)))
        time.sleep(1)  # for what should not happen
        assert answers(url)
        run.kill()
    wait_until(lambda: not answers(url) and not list(tmp_path.glob("patate-run-*/patate-*")))


# Runs `make servers` with an Elasticsearch that answers nothing of use, but starts at once.
WITH_A_STAND_IN = """
import socket, sys
from tests.servers import __main__ as servers

class StandIn(servers.Elasticsearch):
    def prepare(self):
        self.user = None  # whom Python's folder may be closed to
        super().prepare()

    def command(self):
        return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(self.port)]

    def is_ready(self):
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.port)) == 0

servers.Elasticsearch = StandIn
raise SystemExit(servers.process.run(servers.main))
"""


@contextmanager
def servers_for_a_try(*command: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """What `make servers` runs, and the variables that it prints."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=path.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as servers:
        assert servers.stdout
        lines = [servers.stdout.readline() for _ in range(9)]
        told = [line.removeprefix("export ").rstrip().split("=", 1) for line in lines]
        try:
            yield servers, dict(told)
        finally:
            servers.terminate()


@pytest.mark.servers
@pytest.mark.slow
def test_the_servers_for_a_try_print_what_leads_to_them_and_end_when_elasticsearch_dies() -> None:
    with servers_for_a_try("-m", "tests.servers") as (servers, exports):
        writer = Login(exports["PATATE_S3_KEY_ID"], exports["PATATE_S3_KEY"])
        s3 = exports["PATATE_S3_ENDPOINT_URL"]
        with closing(Gateway(s3, writer, writer, writer).client()) as client:
            client.put_object(Bucket=exports["PATATE_S3_BUCKET"], Key="pictures/one", Body=b"1")
        writer = Login(exports["PATATE_ES_USER_ID"], exports["PATATE_ES_USER_PWD"])
        cluster = Cluster(exports["PATATE_ES_URL"], "", *[writer] * 4)
        assert cluster.ask("PUT", f"/{exports['PATATE_ES_INDEX']}")[0] == 200
        assert_told_when_killed("elasticsearch", servers, exports)


@pytest.mark.servers
def test_the_servers_for_a_try_end_when_versitygw_dies() -> None:
    with servers_for_a_try("-c", WITH_A_STAND_IN) as (servers, exports):
        assert_told_when_killed("versitygw", servers, exports)


@pytest.mark.servers
def test_the_servers_for_a_try_end_at_ctrl_c() -> None:
    with servers_for_a_try("-c", WITH_A_STAND_IN) as (servers, exports):
        servers.send_signal(signal.SIGINT)
        _, said = servers.communicate(timeout=HANGS_S)
    assert "data are deleted" in said
    assert servers.returncode == 0
    assert not answers(exports["PATATE_S3_ENDPOINT_URL"])
    assert not answers(exports["PATATE_ES_URL"])


def assert_told_when_killed(
    name: str, servers: subprocess.Popen[str], exports: dict[str, str]
) -> None:
    """Kill one of the servers: both end, and the message says why."""
    [leader] = leaders(servers.pid, f"/patate-{name}-")
    os.killpg(leader, signal.SIGKILL)
    _, said = servers.communicate(timeout=HANGS_S)
    assert servers.returncode == 1
    [line] = [one for one in said.splitlines() if "died" in one]
    assert name in line
    assert "signal 9" in line
    assert "Traceback" not in said
    assert not answers(exports["PATATE_S3_ENDPOINT_URL"])
    assert not answers(exports["PATATE_ES_URL"])


def leaders(starter: int, word: str) -> list[int]:
    """The processes that lead a server's group below that process and name the folder `word`.

    Elasticsearch has it in its environment.
    """
    found = []
    for supervisor in children(starter):
        for pid in children(supervisor):
            files = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
            if word.encode() in b"".join(files):
                found.append(pid)
    return found


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(one) for task in tasks for one in task.read_text().split()]


def lives(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_elasticsearch_9_answers_too(elasticsearch_9: Cluster) -> None:
    index = new_name("labels")
    assert elasticsearch_9.ask("PUT", f"/{index}", login=elasticsearch_9.writer)[0] == 200
    assert elasticsearch_9.ask("PUT", f"/{index}-x", login=elasticsearch_9.searcher)[0] == 403
