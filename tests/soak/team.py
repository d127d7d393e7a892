"""The guarantees with a team's database: real servers that are killed, and a bad network."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

from obstore.store import S3Store

from common.batching import batches
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.labels import label_file
from tests.benchmarks.local_index import documents
from tests.benchmarks.processes import run_script
from tests.servers.addresses import REGION, Cluster, Gateway, new_name
from tests.servers.cluster import ElasticsearchCluster
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy
from tests.servers.server import Server
from tests.servers.versity import Versity
from tests.soak import sizes, uploads_and_downloads
from tests.soak.scripts import (
    APPLY,
    DOWNLOAD,
    UPLOAD,
    Completed,
    Contents,
    assert_same,
    contents,
    run,
    start,
    wait_for_end,
)
from tests.soak.trials import Outcome, Property

MILLION = 1_000_000
PEAK_MB = 150
PAGE = 10_000
PROBES = "deleting/probe/"
SHARDS = 12
MAX_DELAY_S = 3.0  # from a script's first line to the kill


@cache
def servers() -> tuple[Elasticsearch, Versity]:
    """Start both servers, which end with this process."""
    return Elasticsearch(quick_start=False).start(), Versity().start()


def addresses() -> tuple[Cluster, Gateway]:
    """Return the addresses of the servers; tests replace this function."""
    elasticsearch, versity = servers()
    return elasticsearch.cluster, versity.gateway


@dataclass(frozen=True)
class TeamHome:
    """An index and a bucket of one trial, read without our own code."""

    cluster: Cluster
    gateway: Gateway
    index: str
    bucket: str
    es_url: str
    s3_url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of the scripts for this database."""
        return {
            **self.cluster.environment(self.index),
            **self.gateway.environment(self.bucket),
            "PATATE_ES_URL": self.es_url,
            "PATATE_S3_ENDPOINT_URL": self.s3_url,
        }

    def contents(self) -> Contents:
        """Return every label, read by HTTP, and every object, read by obstore."""
        labels = {hit["_id"]: hit["_source"] for hit in self._hits()}
        for name, document in labels.items():
            assert document["label_fingerprint"] == name
            assert document.pop("upload_date")
            assert document.pop("s3_bucket") == self.bucket
        return Contents(labels, self._objects())

    def _hits(self) -> list[dict[str, Any]]:
        self.cluster.ask("POST", f"/{self.index}/_refresh")
        found: list[dict[str, Any]] = []
        body: dict[str, Any] = {"size": PAGE, "sort": ["label_fingerprint"]}
        while True:
            status, answer = self.cluster.ask("POST", f"/{self.index}/_search", body)
            if status == 404:  # nothing uploaded yet
                return found
            assert status == 200, answer
            page = answer["hits"]["hits"]
            found += page
            if len(page) < PAGE:
                return found
            body["search_after"] = page[-1]["sort"]

    def _objects(self) -> dict[str, bytes]:
        """Return every object but the probes of a killed check, which a later deletion removes.

        obstore takes a tenth of the CPU time of boto3.
        """
        bucket = S3Store(
            self.bucket,
            endpoint=self.gateway.url,
            region=REGION,
            access_key_id=self.gateway.admin.name,
            secret_access_key=self.gateway.admin.secret,
            client_options={"allow_http": True},
        )
        paths = [entry["path"] for page in bucket.list() for entry in page]
        keys = [key for key in paths if not key.startswith(PROBES)]
        return {key: bucket.get(key).bytes().to_bytes() for key in keys}


def team_home(_: Path) -> TeamHome:
    """Return an empty database of a team."""
    return home_on(*addresses())


def home_on(cluster: Cluster, gateway: Gateway) -> TeamHome:
    """Return an empty database on these servers."""
    bucket = gateway.make_bucket()
    return TeamHome(cluster, gateway, new_name("labels"), bucket, cluster.url, gateway.url)


def for_team(trial: Callable[..., Outcome]) -> Callable[[Path, Random], Outcome]:
    """Return a trial of a local database as one of a team's."""
    return partial(trial, home_at=team_home)


def run_during_kill(
    victim: Server, script: list[str], *arguments: object, home: TeamHome, delay_s: float
) -> tuple[Completed, bool, float]:
    """Run a script; kill a server `delay_s` after the script's first line, and restart it.

    Returns:
        The script's end, whether the script was still running at the kill, and the seconds from the
        kill until both server and script were done.
    """
    process = start(script, *arguments, home=home)
    assert process.stderr is not None
    first_line = process.stderr.readline()
    time.sleep(delay_s)
    was_running = process.poll() is None
    start_s = time.monotonic()
    victim.kill()
    victim.start()
    ended = wait_for_end(process, first_line=first_line)
    took_s = time.monotonic() - start_s
    # the only server may be away at the first request, or away too long on a busy machine
    cannot_connect = ended.code == 1 and "cannot connect" in ended.err
    assert ended.code in (0, 3) or cannot_connect, ended
    return ended, was_running, took_s


def killed_servers(folder: Path, random: Random) -> Outcome:
    """Kill and restart a server while a script runs."""
    drive, home, clean = (
        uploads_and_downloads.make_recording(folder / "d"),
        team_home(folder),
        team_home(folder),
    )
    work_s = uploads_and_downloads.duration_of(start(UPLOAD, drive, home=clean))
    command: list[object] = [drive]
    script = UPLOAD
    if is_download := random.random() < 0.5:
        script, command = DOWNLOAD, ["-p", folder / "found"]
        run(UPLOAD, drive, home=home)
        work_s /= 2
    victim: Server = random.choice(servers())
    ended, was_running, took_s = run_during_kill(
        victim, script, *command, home=home, delay_s=random.uniform(0, work_s)
    )
    run(script, *command, home=home)
    assert_same(contents(home), contents(clean))
    if is_download:
        run(DOWNLOAD, "-p", folder / "clean", home=clean)
        _assert_same_pictures(folder / "found", folder / "clean")
    kind = "search" if is_download else "upload"
    code = ended.code if was_running else "too late"
    return Outcome(f"{kind}, {type(victim).__name__}, {code}", took_s)


@cache
def nodes() -> ElasticsearchCluster:
    """Start three nodes, which end with this process."""
    return ElasticsearchCluster(nodes=3, quick_start=False).start()


def killed_node(folder: Path, random: Random) -> Outcome:
    """Kill and restart one of three nodes, not the one that is asked, while a script runs."""
    asked, *others = nodes()
    cluster, (_, gateway) = replace(asked.cluster, shards=SHARDS), addresses()
    home = home_on(cluster, gateway)
    drive = uploads_and_downloads.make_recording(folder / "d", 3 * sizes.LABELS)
    deletion = uploads_and_downloads.mark_for_deletion(drive, folder / "marked.json", 0.2, random)
    trials: dict[str, tuple[list[str], list[object], Path | None]] = {
        "upload": (UPLOAD, [drive], None),
        "search": (DOWNLOAD, ["-p", folder / "found"], None),
        "deletion": (APPLY, [deletion, "-p", drive, "-y"], deletion),
    }
    kind = random.choice(list(trials))
    script, arguments, deleted = trials[kind]
    if kind != "upload":
        run(UPLOAD, drive, home=home)
    victim = random.choice(others)
    ended, was_running, took_s = run_during_kill(
        victim, script, *arguments, home=home, delay_s=random.uniform(0, MAX_DELAY_S)
    )
    run(script, *arguments, home=home)
    expected = uploads_and_downloads.expected_upload(drive, without=deleted)
    assert_same(contents(home), expected)
    if kind == "search":
        found = label_file.read(folder / "found" / label_file.NAME)
        assert found.keys() == label_file.read(drive / label_file.NAME).keys()
        _assert_pictures_complete(folder / "found", expected)
    cluster.ask("DELETE", f"/{home.index},{home.index}-*")
    code = ended.code if was_running else "too late"
    return Outcome(f"{kind}, {code}", took_s)


def bad_network(folder: Path, random: Random) -> Outcome:
    """Upload, search and delete through a bad network, then again through a good one."""
    drive, home = uploads_and_downloads.make_recording(folder / "d"), team_home(folder)
    deletion = uploads_and_downloads.mark_for_deletion(
        drive, folder / "marked.json", 0.2, Random(1)
    )
    commands: list[tuple[list[str], list[object]]] = [
        (UPLOAD, [drive]),
        (DOWNLOAD, ["-p", folder / "found"]),
        (APPLY, [deletion, "-p", drive, "-y"]),
    ]
    worst_s, codes = 0.0, ""
    for script, arguments in commands:
        with Proxy(home.cluster.url) as labels, Proxy(home.gateway.url) as pictures:
            make_bad(labels, random)
            make_bad(pictures, random)
            far = replace(home, es_url=labels.url, s3_url=pictures.url)
            start_s = time.monotonic()
            ended = wait_for_end(start(script, *arguments, home=far))
        worst_s = max(worst_s, time.monotonic() - start_s)
        assert ended.code in (0, 1, 3), ended
        assert ended.code == 0 or ended.errors, ended
        codes += str(ended.code)
        _assert_pictures_complete(folder / "found", uploads_and_downloads.expected_upload(drive))
        run(script, *arguments, home=home)
    assert_same(contents(home), uploads_and_downloads.expected_upload(drive, without=deletion))
    return Outcome(f"codes {codes}", worst_s)


def make_bad(proxy: Proxy, random: Random) -> None:
    """Add one to three faults, some immediate and some for a while."""
    for _ in range(random.randint(1, 3)):
        match random.randrange(6):
            case 0:
                proxy.latency_s = 0.025
            case 1:
                proxy.cut(random.randrange(1, 5000), of="response", how="reset", times=5)
            case 2:
                proxy.cut(random.randrange(1, 5000), of="response", how="close", times=5)
            case 3:
                proxy.cut(random.randrange(1, 5000), of="request", how="reset", times=5)
            case 4:
                proxy.answer(random.choice([429, 503]), times=random.randint(1, 30))
            case 5:
                proxy.stall(random.uniform(1, 10))
    if random.random() < 0.2:
        proxy.refuse(5)


def _assert_pictures_complete(found: Path, expected: Contents) -> None:
    if not found.exists():
        return
    whole = {key.rpartition("/")[2][:24]: data for key, data in expected.files.items()}
    for file in found.glob("*.jpg"):
        data = whole.get(file.stem)
        assert data is None or file.read_bytes() == data, f"{file} is incomplete"


def _assert_same_pictures(*folders: Path) -> None:
    first, second = (
        {file.name: file.read_bytes() for file in folder.glob("*.jpg")} for folder in folders
    )
    assert first == second


def million_labels(folder: Path, _: Random) -> Outcome:
    """Search a million labels and check the peak memory."""
    home = team_home(folder)
    index = ElasticsearchIndex(es_settings.from_environment(home.environment))
    index.check(writing=True)
    wanted = set()
    for batch in batches(documents(MILLION), 5000):
        assert len(index.create(batch).created) == len(batch)
        wanted |= {label["img_id"] for label in batch}
    index.close()
    arguments = ["--no-download", "-p", str(folder / "found")]
    done = run_script("search_and_download.py", arguments, home.environment)
    previous, count = "", 0
    with (folder / "found" / "labels.json").open() as file:
        for line in file:
            if line.startswith('"'):
                img_id = line[1 : line.index('"', 1)]
                assert img_id > previous
                wanted.remove(img_id)
                previous, count = img_id, count + 1
    assert (count, wanted) == (MILLION, set())
    assert done.peak_mb < PEAK_MB, f"{done.peak_mb:.0f} MB"
    home.cluster.ask("DELETE", f"/{home.index}")
    return Outcome(f"{done.seconds:.0f} s", done.peak_mb)


UNTIL_BOTH_DONE = "s from the kill until server and script were done"
PROPERTIES = (
    Property(
        "team_killed_uploads",
        "an upload to S3 and Elasticsearch, killed and run again, ends like a clean run",
        50,
        "s for the run that completes it",
        for_team(uploads_and_downloads.killed_upload),
    ),
    Property(
        "team_killed_downloads",
        "a download from S3, killed and run again, ends like a clean run",
        20,
        "s for the run that completes it",
        for_team(uploads_and_downloads.killed_download),
    ),
    Property(
        "team_two_uploads",
        "two concurrent uploads of the same or overlapping folders end like clean runs",
        20,
        "s for both",
        for_team(uploads_and_downloads.two_uploads),
    ),
    Property(
        "team_upload_against_deletion",
        "a concurrent upload and deletion leave each label and picture as one of the two would",
        20,
        "s for one more run of each",
        for_team(uploads_and_downloads.upload_against_deletion),
    ),
    Property(
        "team_freed_space",
        "a picture that free_space.py removed, killed or not, is on S3 and in Elasticsearch",
        20,
        "s for one more run",
        for_team(uploads_and_downloads.freed_space),
    ),
    Property(
        "killed_servers",
        "Elasticsearch or S3 killed and restarted: the script completes, or a second run does",
        20,
        UNTIL_BOTH_DONE,
        killed_servers,
    ),
    Property(
        "killed_node",
        "a node of three killed: an upload, search or deletion completes, or a second run does",
        60,
        UNTIL_BOTH_DONE,
        killed_node,
    ),
    Property(
        "bad_network",
        "through a bad network a run completes, or reports what a second run completes",
        50,
        "s for the slowest run",
        bad_network,
    ),
    Property(
        "million_labels",
        f"a search of {MILLION:,} labels finds each of them within {PEAK_MB} MB",
        1,
        "MB at most",
        million_labels,
    ),
)
