"""The promises over a team's database: real servers, which get killed, and a bad network."""

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
from tests.benchmarks.local_index import documents
from tests.benchmarks.processes import run_script
from tests.servers.addresses import REGION, Cluster, Gateway, new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy
from tests.servers.server import Server
from tests.servers.versity import Versity
from tests.soak import uploads_and_downloads as unchanged
from tests.soak.scripts import (
    APPLY,
    DOWNLOAD,
    UPLOAD,
    Contents,
    assert_same,
    contents,
    end_of,
    run,
    start,
)
from tests.soak.trials import Property, Seen

MILLION = 1_000_000
PEAK_MB = 150
PAGE = 10_000
PROBES = "deleting/probe/"


@cache
def servers() -> tuple[Elasticsearch, Versity]:
    """Both run, and end with this process."""
    return Elasticsearch(quick_start=False).start(), Versity().start()


def addresses() -> tuple[Cluster, Gateway]:
    """Return where the servers are; tests put those of their run in its place."""
    elasticsearch, versity = servers()
    return elasticsearch.cluster, versity.gateway


@dataclass(frozen=True)
class TeamHome:
    """An index and a bucket of a trial's own; looked into past our own code."""

    cluster: Cluster
    gateway: Gateway
    index: str
    bucket: str
    es_url: str
    s3_url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead the scripts there."""
        return {
            **self.cluster.environment(self.index),
            **self.gateway.environment(self.bucket),
            "PATATE_ES_URL": self.es_url,
            "PATATE_S3_ENDPOINT_URL": self.s3_url,
        }

    def contents(self) -> Contents:
        """Every label, by plain HTTP, and every object, by obstore."""
        labels = {one["_id"]: one["_source"] for one in self._hits()}
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
            if status == 404:  # no upload came so far
                return found
            assert status == 200, answer
            page = answer["hits"]["hits"]
            found += page
            if len(page) < PAGE:
                return found
            body["search_after"] = page[-1]["sort"]

    def _objects(self) -> dict[str, bytes]:
        """Every object but what a check that was cut off left: a deletion drops it, an hour on.

        Read with obstore, which takes a tenth of boto3's CPU time.
        """
        bucket = S3Store(
            self.bucket,
            endpoint=self.gateway.url,
            region=REGION,
            access_key_id=self.gateway.admin.name,
            secret_access_key=self.gateway.admin.secret,
            client_options={"allow_http": True},
        )
        found = [one["path"] for page in bucket.list() for one in page]
        keys = [key for key in found if not key.startswith(PROBES)]
        return {key: bucket.get(key).bytes().to_bytes() for key in keys}


def team_home(_: Path) -> TeamHome:
    """An empty database of a team."""
    cluster, gateway = addresses()
    bucket = gateway.make_bucket()
    return TeamHome(cluster, gateway, new_name("labels"), bucket, cluster.url, gateway.url)


def for_team(trial: Callable[..., Seen]) -> Callable[[Path, Random], Seen]:
    """A trial of a database on this machine, as one of a team's."""
    return partial(trial, home_at=team_home)


def killed_servers(folder: Path, random: Random) -> Seen:
    """A server that is killed while a script works and comes back: the work ends well."""
    drive, home, clean = unchanged.recorded(folder / "d"), team_home(folder), team_home(folder)
    work_s = unchanged.seconds_of(start(UPLOAD, drive, home=clean))
    command: list[object] = [drive]
    script = UPLOAD
    if is_download := random.random() < 0.5:
        script, command = DOWNLOAD, ["-p", folder / "found"]
        run(UPLOAD, drive, home=home)
        work_s /= 2
    victim: Server = random.choice(servers())
    process = start(script, *command, home=home)
    assert process.stderr is not None
    said = process.stderr.readline()
    time.sleep(random.uniform(0, work_s))
    victim.kill()
    victim.start()
    start_s = time.monotonic()
    ended = end_of(process, said=said)
    took_s = time.monotonic() - start_s
    # a search that Elasticsearch has forgotten ends with 1; all else goes on
    assert ended.code in (0, 3, 1 if is_download else 3), ended
    run(script, *command, home=home)
    assert_same(contents(home), contents(clean))
    if is_download:
        run(DOWNLOAD, "-p", folder / "clean", home=clean)
        _assert_same_pictures(folder / "found", folder / "clean")
    what = "search" if is_download else "upload"
    return Seen(f"{what}, {type(victim).__name__}, {ended.code}", took_s)


def bad_network(folder: Path, random: Random) -> Seen:
    """Uploads, searches and deletions through a bad network, each run again through a good one."""
    drive, home = unchanged.recorded(folder / "d"), team_home(folder)
    wish = unchanged.marked(drive, folder / "marked.json", 0.2, Random(1))
    commands: list[tuple[list[str], list[object]]] = [
        (UPLOAD, [drive]),
        (DOWNLOAD, ["-p", folder / "found"]),
        (APPLY, [wish, "-p", drive, "-y"]),
    ]
    worst_s, codes = 0.0, ""
    for script, arguments in commands:
        with Proxy(home.cluster.url) as labels, Proxy(home.gateway.url) as pictures:
            make_bad(labels, random)
            make_bad(pictures, random)
            far = replace(home, es_url=labels.url, s3_url=pictures.url)
            start_s = time.monotonic()
            ended = end_of(start(script, *arguments, home=far))
        worst_s = max(worst_s, time.monotonic() - start_s)
        assert ended.code in (0, 1, 3), ended
        assert ended.code == 0 or ended.errors, ended
        codes += str(ended.code)
        _assert_no_picture_is_cut(folder / "found", unchanged.uploaded_of(drive))
        run(script, *arguments, home=home)
    assert_same(contents(home), unchanged.uploaded_of(drive, without=wish))
    return Seen(f"codes {codes}", worst_s)


def make_bad(proxy: Proxy, random: Random) -> None:
    """One to three faults, some at once and some for a while."""
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


def _assert_no_picture_is_cut(found: Path, whole_ones: Contents) -> None:
    if not found.exists():
        return
    whole = {key.rpartition("/")[2][:24]: data for key, data in whole_ones.files.items()}
    for file in found.glob("*.jpg"):
        data = whole.get(file.stem)
        assert data is None or file.read_bytes() == data, f"{file} is not whole"


def _assert_same_pictures(one: Path, other: Path) -> None:
    left, right = (
        {file.name: file.read_bytes() for file in at.glob("*.jpg")} for at in (one, other)
    )
    assert left == right


def million_labels(folder: Path, _: Random) -> Seen:
    """A search of a million labels finds a million, within little memory."""
    home = team_home(folder)
    index = ElasticsearchIndex(es_settings.from_environment(home.environment))
    index.check(writing=True)
    wanted = set()
    for batch in batches(documents(MILLION), 5000):
        assert len(index.create(batch).created) == len(batch)
        wanted |= {one["img_id"] for one in batch}
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
    return Seen(f"{done.seconds:.0f} s", done.peak_mb)


PROPERTIES = (
    Property(
        "team_killed_uploads",
        "an upload to S3 and Elasticsearch that was killed and run again ends as a clean run does",
        50,
        "s for the run that completes it",
        for_team(unchanged.killed_upload),
    ),
    Property(
        "team_killed_downloads",
        "a download from S3 that was killed and run again ends in the same folder as a clean run",
        20,
        "s for the run that completes it",
        for_team(unchanged.killed_download),
    ),
    Property(
        "team_two_uploads",
        "two uploads of one folder, or of two that overlap, end in the same database as clean runs",
        20,
        "s for both",
        for_team(unchanged.two_uploads),
    ),
    Property(
        "team_upload_against_deletion",
        "an upload and a deletion at once leave each label and picture as one of the two wanted it",
        20,
        "s for once more each",
        for_team(unchanged.upload_against_deletion),
    ),
    Property(
        "killed_servers",
        "Elasticsearch or S3 killed and started again: the work ends well, or a second run does",
        20,
        "s until the script had ended",
        killed_servers,
    ),
    Property(
        "bad_network",
        "through a bad network a run ends right, or tells what a second run completes",
        50,
        "s for the slowest run",
        bad_network,
    ),
    Property(
        "million_labels",
        f"a search of {MILLION:,} labels finds each of them within {PEAK_MB} MB",
        1,
        "MB at the most",
        million_labels,
    ),
)
