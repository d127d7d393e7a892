"""Uploads and downloads with a team's database, beside s5cmd, rclone and elasticdump.

python -m tests.benchmarks.team_pictures

Whole processes on the same servers, in turn, medians of the rounds and of the ratios of each round.
Ours also reads and checks the labels, indexes or searches them, and hashes every picture; the same
work is s5cmd and then elasticdump. Servers far away are at the other end of a long wire.
"""

import argparse
import random
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import msgspec
import numpy as np

import path
from get_data.cli import arguments
from get_data.database.es_utils import mapping
from get_data.labels import edits, label_file, session
from get_data.labels.classes import Classes
from tests.benchmarks import peers
from tests.benchmarks.distance import long_wire
from tests.benchmarks.processes import Run, run_script
from tests.benchmarks.recorder import say
from tests.conftest import START
from tests.servers.addresses import Cluster, Gateway, new_name
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.proxy import Proxy
from tests.servers.server import Server
from tests.servers.versity import Versity

PICTURE_BYTES = 8192
MISSING = 100
ROUND_TRIPS_S = (0.03, 0.08)
WARM_UP = 4
UPLOADERS = 10
REFUSALS_S = 60
MANY = 1_000_000_000  # requests


def drive(folder: Path, count: int) -> Path:
    """A recording of so many pictures, each of other bytes."""
    folder.mkdir(parents=True)
    grey = np.full((120, 160, 3), 128, np.uint8)
    header = cv2.imencode(".jpg", grey)[1].tobytes()[:-2]  # without the marker of the end
    chance = random.Random(count)
    labels = {}
    for number in range(count):
        data = chance.randbytes(PICTURE_BYTES).replace(b"\xff", b"")  # no marker among it
        picture = header + data[: PICTURE_BYTES - len(header) - 2] + b"\xff\xd9"
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
    """The servers, and a fresh database for each upload; `via` runs clients far away."""

    cluster: Cluster
    gateway: Gateway
    via: Sequence[str] = ()
    bucket: str = ""
    index: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def renew(self) -> None:
        """The database is an empty one; the pictures of the one before are gone."""
        if self.bucket:
            self.empty(self.bucket)
        self.bucket, self.index = self.gateway.make_bucket(), new_name("labels")
        self.environment = {
            **self.cluster.environment(self.index),
            **self.gateway.environment(self.bucket),
        }

    def empty(self, bucket: str) -> None:
        """Nothing is in the bucket."""
        with closing(self.gateway.client()) as client:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                keys = [{"Key": one["Key"]} for one in page.get("Contents", ())]
                if keys:
                    client.delete_objects(Bucket=bucket, Delete={"Objects": keys})

    def upload(self, folder: Path) -> Run:
        """Ours."""
        return run_script("upload_data.py", [str(folder)], self.environment, via=self.via)

    def download(self, folder: Path) -> Run:
        """Ours, the search included."""
        options = ["-p", str(folder)]
        return run_script("search_and_download.py", options, self.environment, via=self.via)

    def s5cmd(self, *arguments: str) -> Run:
        """A command of s5cmd."""
        return peers.s5cmd(self.gateway, *arguments, via=self.via)

    def rclone(self, source: str, target: str, *options: str) -> Run:
        """A copy by rclone."""
        return peers.rclone(self.gateway, source, target, *options, via=self.via)

    def elasticdump(self, labels: Path) -> Run:
        """The labels into a new index, made as ours is."""
        self.cluster.ask("PUT", f"/{self.index}", mapping.label_index())
        login = (self.cluster.admin.name, self.cluster.admin.secret)
        return peers.elasticdump(self.cluster.url, self.index, login, labels, into=True)


Contestant = tuple[str, Callable[[int], Run]]


def both(first: Run, second: Run) -> Run:
    """One run after the other."""
    return Run(
        first.seconds + second.seconds,
        first.cpu_s + second.cpu_s,
        max(first.peak_mb, second.peak_mb),
        "",
        first.load,
    )


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
        load = statistics.median(one.load for one in runs)
        say(
            f"| {what} | {name} | {seconds:.2f} | {count / seconds:,.0f} | {cpu_s:.1f} "
            f"| {load:.1f} | {'' if runs is ours else f'{ratio:.2f}'} "
            f"| {asked if runs is ours else ''} |"
        )


def dump(source: Path) -> Path:
    """The labels of a recording as elasticdump reads them."""
    file = source.with_suffix(".dump")
    with file.open("wb") as lines:
        for label in label_file.read(source / label_file.NAME).values():
            line = {"_id": label["label_fingerprint"], "_source": label}
            lines.write(msgspec.json.encode(line) + b"\n")
    return file


def uploads(team: Team, folder: Path, count: int, rounds: int) -> None:
    """The first upload, and the same again."""
    source = drive(folder / f"drive-{new_name('d')}", count)
    labels = dump(source)

    def ours(_: int) -> Run:
        team.renew()
        return team.upload(source)

    def pictures(_: int) -> Run:
        team.renew()
        return team.s5cmd("cp", f"{source}/*.jpg", f"s3://{team.bucket}/pictures/20240501/")

    def same_work(number: int) -> Run:
        return both(pictures(number), team.elasticdump(labels))

    contestants: list[Contestant] = [("ours", ours), ("s5cmd cp", pictures)]
    if not team.via:
        contestants.append(("s5cmd cp, then elasticdump", same_work))
    compare("upload", count, rounds, "1.0", *contestants)
    team.renew()
    team.upload(source)
    again = ("ours", lambda _: team.upload(source))
    compare("the same again", count, rounds, "" if team.via else "0.6 s", again)


def downloads(team: Team, folder: Path, count: int, rounds: int) -> None:
    """All pictures, and those few of them that are missing."""
    source = drive(folder / f"drive-{new_name('d')}", count)
    team.renew()
    team.upload(source)

    def s5cmd(target: Path) -> Run:
        return team.s5cmd("sync", f"s3://{team.bucket}/pictures/*", f"{target}/")

    def rclone(target: Path) -> Run:
        return team.rclone(f":s3:{team.bucket}/pictures", str(target), *peers.DOWN)

    tools: list[tuple[str, Callable[[Path], Run]]] = [
        ("ours", team.download),
        ("s5cmd sync", s5cmd),
        ("rclone copy", rclone),
    ]

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

    compare("download", count, rounds, "rclone 1.0", *(fresh(*tool) for tool in tools))
    what = f"{MISSING} missing of {count:,}"
    compare(what, MISSING, rounds, "s5cmd 1.0", *(gaps(*tool) for tool in tools[:2]))


def requests(team: Team, folder: Path, count: int) -> None:
    """What an upload and the same again ask the servers."""
    with Proxy(team.cluster.url) as labels, Proxy(team.gateway.url) as pictures:
        source = drive(folder / "counted", count)
        team.renew()
        team.environment |= {
            "PATATE_ES_URL": labels.url,
            "PATATE_S3_ENDPOINT_URL": pictures.url,
        }
        say("")
        say(f"| requests for {count:,} pictures | to S3 | to Elasticsearch |")
        say("|---|---|---|")
        for what in ("upload", "the same again"):
            labels.requests.clear()
            pictures.requests.clear()
            team.upload(source)
            say(f"| {what} | {_told(pictures)} | {_told(labels)} |")
    team.renew()  # without the proxies


def _told(proxy: Proxy) -> str:
    return ", ".join(
        f"{count:,} {method} {kind}" for (method, kind), count in sorted(proxy.requests.items())
    )


def heal_later(proxy: Proxy) -> None:
    """From its first request on, the proxy refuses some for a minute."""
    while not proxy.requests:
        time.sleep(0.01)
    time.sleep(REFUSALS_S)
    proxy.heal()


def refusals(team: Team, folder: Path, count: int) -> None:
    """Several uploaders at once, and a store that refuses every second request for a minute."""
    sources = [drive(folder / f"uploader-{number}", count) for number in range(UPLOADERS)]
    say(f"\n{UPLOADERS} uploaders at once, {count:,} pictures each, through a proxy:\n")
    say("| the store | s | requests |")
    say("|---|---|---|")
    for what in ("refuses nothing", f"refuses every second request for {REFUSALS_S} s"):
        with Proxy(team.gateway.url) as proxy, ThreadPoolExecutor(UPLOADERS) as threads:
            team.renew()
            team.environment |= {"PATATE_S3_ENDPOINT_URL": proxy.url}
            if "second" in what:
                proxy.answer(503, times=MANY, every=2)
                threading.Thread(target=heal_later, args=(proxy,)).start()
            began = time.perf_counter()
            list(threads.map(team.upload, sources))  # an exit code that is not 0 is an error
            seconds = time.perf_counter() - began
            say(f"| {what} | {seconds:.1f} | {proxy.requests.total():,} |")


def start_up(team: Team, folder: Path, rounds: int) -> None:
    """The processor time of a search that finds nothing."""
    query = '{"event": {"type": "term", "value": "no such event"}}'
    options = ["-q", query, "-p", str(folder / "nothing")]
    runs = [run_script("search_and_download.py", options, team.environment) for _ in range(rounds)]
    cpu_s = statistics.median(one.cpu_s for one in runs)
    say("")
    say(f"`search_and_download.py`, nothing found: {cpu_s:.2f} s of processor time (asked: 0.6).")


def tables(team: Team, folder: Path, args: argparse.Namespace) -> None:
    """Print the rows of uploads and downloads."""
    say("| what | tool | s | pictures/s | client CPU s | load | ratio to ours | asked |")
    say("|---|---|---|---|---|---|---|---|")
    uploads(team, folder, args.up, args.rounds)
    downloads(team, folder, args.down, args.rounds)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--up", type=int, default=10_000, help="pictures to upload")
    parser.add_argument("--down", type=int, default=3000, help="pictures to download")
    parser.add_argument("--only-near", action="store_true", help="where nobody is root")
    args = parser.parse_args(argv)
    peers.install()
    with ExitStack() as stack:
        wire = None if args.only_near else stack.enter_context(long_wire())
        if wire:
            Server.host = wire.far_address
        folder = Path(stack.enter_context(TemporaryDirectory(dir=path.ROOT, prefix="bench-")))
        elasticsearch = stack.enter_context(Elasticsearch(heap_mb=1024, quick_start=False))
        versity = stack.enter_context(Versity())
        near = Team(elasticsearch.cluster, versity.gateway)
        for number in range(WARM_UP):  # a server that has just started is slower than a team's
            near.renew()
            near.upload(drive(folder / f"warm-{number}", args.down))
        tables(near, folder, args)
        requests(near, folder, args.up)
        start_up(near, folder, args.rounds)
        refusals(near, folder, args.down)
        for round_trip_s in ROUND_TRIPS_S if wire else ():
            say(f"\nThe same with a round trip of {round_trip_s * 1000:.0f} ms:\n")
            wire.set_round_trip(round_trip_s)
            tables(Team(near.cluster, near.gateway, wire.near_command), folder, args)


if __name__ == "__main__":
    sys.exit(main())
