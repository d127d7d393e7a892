"""Uploads and downloads with a team's database, beside s5cmd, rclone and boto3.

python -m tests.benchmarks.team_pictures

Whole processes on the same servers, in turn, medians of the rounds. Ours also reads and checks the
labels, indexes or searches them, and hashes every picture.
"""

import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import path
from get_data.cli import arguments
from get_data.labels import edits, label_file, session
from get_data.labels.classes import Classes
from tests.benchmarks import peers
from tests.benchmarks.distance import far
from tests.benchmarks.processes import Run, run_script
from tests.benchmarks.recorder import say
from tests.conftest import START
from tests.servers.addresses import Cluster, Gateway, new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy
from tests.servers.versity import Versity

PICTURE_BYTES = 8192
MISSING = 100
LATENCY_S = 0.03
WARM_UP = 4


def drive(folder: Path, count: int) -> Path:
    """A recording of so many pictures, each of other bytes."""
    folder.mkdir(parents=True)
    chance = random.Random(count)
    labels = {}
    for number in range(count):
        picture = b"\xff\xd8" + chance.randbytes(PICTURE_BYTES - 2)
        document = edits.new_label(
            captured=START + timedelta(milliseconds=50 * number),
            picture=picture,
            width=160,
            height=120,
            steering=chance.uniform(-1, 1),
            throttle=0.3,
            classes=Classes(),
            session={"event": "benchmark", "track": "school", "driver": "Zoé"},
            car_setting={"car": "patate", "camera": {"rate_hz": 20, "width": 160}},
        )
        (folder / document["file_name"]).write_bytes(picture)
        labels[document["img_id"]] = document
    label_file.write(folder / label_file.NAME, labels)
    session.write(folder / session.NAME, {})
    return folder


@dataclass
class Team:
    """The servers, and a fresh database for each upload."""

    cluster: Cluster
    gateway: Gateway
    labels_url: str
    pictures_url: str
    bucket: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def renew(self) -> None:
        """The database is an empty one; the pictures of the one before are gone."""
        if self.bucket:
            self.empty(self.bucket)
        self.bucket = self.gateway.make_bucket()
        self.environment = {
            **self.cluster.environment(new_name("labels")),
            **self.gateway.environment(self.bucket),
            "PATATE_ES_URL": self.labels_url,
            "PATATE_S3_ENDPOINT_URL": self.pictures_url,
        }

    def empty(self, bucket: str) -> None:
        """Nothing is in the bucket."""
        with closing(self.gateway.client()) as client:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": one["Key"]} for one in page.get("Contents", ())]
                if keys:
                    client.delete_objects(Bucket=bucket, Delete={"Objects": keys})

    @property
    def seen_gateway(self) -> Gateway:
        """The gateway as ours see it, with the latency that is added."""
        return Gateway(
            self.pictures_url, self.gateway.admin, self.gateway.writer, self.gateway.searcher
        )

    def upload(self, folder: Path) -> Run:
        """Ours."""
        return run_script("upload_data.py", [str(folder)], self.environment)

    def download(self, folder: Path) -> Run:
        """Ours, the search included."""
        return run_script("search_and_download.py", ["-p", str(folder)], self.environment)


Contestant = tuple[str, Callable[[int], Run]]


def compare(what: str, count: int, rounds: int, asked: str, *contestants: Contestant) -> None:
    """A row for each contestant: runs in turn; the first is ours, the others' figure is a ratio."""
    took: dict[str, list[Run]] = {name: [] for name, _ in contestants}
    for number in range(rounds):
        for name, go in contestants:
            took[name].append(go(number))
    ours = took[contestants[0][0]]
    for name, runs in took.items():
        ratio = statistics.median(
            theirs.seconds / mine.seconds for mine, theirs in zip(ours, runs, strict=True)
        )
        seconds = statistics.median(one.seconds for one in runs)
        cpu_s = statistics.median(one.cpu_s for one in runs)
        say(
            f"| {what} | {name} | {seconds:.2f} | {count / seconds:,.0f} | {cpu_s:.1f} "
            f"| {'' if runs is ours else f'{ratio:.2f}'} | {asked if runs is ours else ''} |"
        )


def uploads(team: Team, folder: Path, count: int, rounds: int, *, also_boto3: bool) -> None:
    """The first upload, and the same again."""
    source = drive(folder / f"drive-{new_name('d')}", count)
    seen = team.seen_gateway

    def elsewhere(go: Callable[[str], Run]) -> Callable[[int], Run]:
        def run_in_new_bucket(_: int) -> Run:
            bucket = team.gateway.make_bucket()
            done = go(bucket)
            team.empty(bucket)
            return done

        return run_in_new_bucket

    def first(_: int) -> Run:
        team.renew()
        return team.upload(source)

    def s5cmd(bucket: str) -> Run:
        return peers.s5cmd(seen, "cp", f"{source}/*.jpg", f"s3://{bucket}/")

    def rclone(bucket: str) -> Run:
        return peers.rclone(seen, str(source), f":s3:{bucket}", *peers.UP)

    contestants: list[Contestant] = [("ours", first), ("s5cmd cp", elsewhere(s5cmd))]
    if also_boto3:
        boto3 = elsewhere(lambda bucket: peers.boto3_upload(seen, source, bucket))
        contestants.append(("boto3, 16 threads", boto3))
    else:
        contestants.append(("rclone copy", elsewhere(rclone)))
    compare("upload", count, rounds, "s5cmd 1.00, boto3 4.00", *contestants)
    compare(
        "the same again",
        count,
        rounds,
        "10 times faster than the first",
        ("ours", lambda _: team.upload(source)),
    )


def downloads(team: Team, folder: Path, count: int, rounds: int, *, also_rclone: bool) -> None:
    """All pictures, and those few of them that are missing."""
    source = drive(folder / f"drive-{new_name('d')}", count)
    team.renew()
    team.upload(source)
    seen = team.seen_gateway

    def ours(target: Path) -> Run:
        return team.download(target)

    def s5cmd(target: Path) -> Run:
        return peers.s5cmd(seen, "sync", f"s3://{team.bucket}/pictures/*", f"{target}/")

    def rclone(target: Path) -> Run:
        return peers.rclone(seen, f":s3:{team.bucket}/pictures", str(target), *peers.DOWN)

    tools: list[tuple[str, Callable[[Path], Run]]] = [("ours", ours), ("s5cmd sync", s5cmd)]
    if also_rclone:
        tools.append(("rclone copy", rclone))

    def fresh(name: str, go: Callable[[Path], Run]) -> Contestant:
        def run_into_new_folder(number: int) -> Run:
            target = folder / f"{name}-{number}"
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            return go(target)

        return name, run_into_new_folder

    def gaps(name: str, go: Callable[[Path], Run]) -> Contestant:
        def run_into_folder_with_gaps(number: int) -> Run:
            target = folder / f"{name}-{number}"
            for file in sorted(target.rglob("*.jpg"))[:: count // MISSING]:
                file.unlink()
            return go(target)

        return name, run_into_folder_with_gaps

    compare("download", count, rounds, "s5cmd 1.00", *(fresh(*tool) for tool in tools))
    what = f"{MISSING} missing of {count:,}"
    compare(what, MISSING, rounds, "s5cmd 1.00", *(gaps(*tool) for tool in tools))


def requests(team: Team, folder: Path, count: int) -> None:
    """What an upload and the same again ask the servers."""
    with Proxy(team.cluster.url) as labels, Proxy(team.gateway.url) as pictures:
        counted = Team(team.cluster, team.gateway, labels.url, pictures.url)
        counted.renew()
        source = drive(folder / "counted", count)
        say("")
        say(f"| requests for {count:,} pictures | to S3 | to Elasticsearch |")
        say("|---|---|---|")
        for what in ("upload", "the same again"):
            labels.requests.clear()
            pictures.requests.clear()
            counted.upload(source)
            say(f"| {what} | {_told(pictures)} | {_told(labels)} |")


def _told(proxy: Proxy) -> str:
    return ", ".join(
        f"{count:,} {method} {kind}" for (method, kind), count in sorted(proxy.requests.items())
    )


def start_up(team: Team, folder: Path, rounds: int) -> None:
    """The processor time of a search that finds nothing."""
    query = '{"event": {"type": "term", "value": "no such event"}}'
    options = ["-q", query, "-p", str(folder / "nothing")]
    runs = [run_script("search_and_download.py", options, team.environment) for _ in range(rounds)]
    cpu_s = statistics.median(one.cpu_s for one in runs)
    say("")
    say(f"`search_and_download.py`, nothing found: {cpu_s:.2f} s of processor time (asked: 0.6).")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--up", type=int, default=10_000, help="pictures to upload")
    parser.add_argument("--down", type=int, default=3000, help="pictures to download")
    args = parser.parse_args(argv)
    peers.install()
    with (
        tempfile.TemporaryDirectory(dir=path.ROOT, prefix="bench-") as name,
        Elasticsearch(heap_mb=1024, quick_start=False) as elasticsearch,
        Versity() as versity,
    ):
        folder = Path(name)
        cluster, gateway = elasticsearch.cluster, versity.gateway
        near = Team(cluster, gateway, cluster.url, gateway.url)
        for number in range(WARM_UP):  # a server that has just started is slower than a team's
            near.renew()
            near.upload(drive(folder / f"warm-{number}", args.down))
        header = "| what | tool | s | pictures/s | client CPU s | ratio to ours | asked |"
        say(header)
        say("|---|---|---|---|---|---|---|")
        uploads(near, folder, args.up, args.rounds, also_boto3=True)
        downloads(near, folder, args.down, args.rounds, also_rclone=False)
        requests(near, folder, args.up)
        start_up(near, folder, args.rounds)
        say(f"\nThe same with {LATENCY_S * 1000:.0f} ms of latency added:\n")
        say(header)
        say("|---|---|---|---|---|---|---|")
        with far(LATENCY_S, cluster.url, gateway.url) as (labels, pictures):
            distant = Team(cluster, gateway, labels, pictures)
            uploads(distant, folder, args.up, args.rounds, also_boto3=False)
            downloads(distant, folder, args.down, args.rounds, also_rclone=True)


if __name__ == "__main__":
    sys.exit(main())
