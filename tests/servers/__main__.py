"""Starts Elasticsearch and an S3 on this machine and prints what leads the scripts to them.

    python -m tests.servers

Paste the `export` lines into another terminal. The servers run until Ctrl-C and what was stored
goes with them, unless --data says where to keep it.
"""

import argparse
import os
import shlex
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from get_data import command_line
from tests.fetching import Missing
from tests.pi import libraries, wheels
from tests.servers import fetch
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.versity import Versity

BUCKET = "patate"
INDEX = "labels"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="where pictures and labels stay")
    parser.add_argument("--fetch", action="store_true", help="only bring what the tests use")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the servers until it is interrupted; returns the exit code."""
    args = parse_args(argv)
    if args.fetch:
        fetch_all()
        return command_line.DONE
    with ExitStack() as running:
        command_line.say("starting Elasticsearch and versitygw; that takes some ten seconds")
        elasticsearch = running.enter_context(Elasticsearch(folder=_below(args.data, "labels")))
        s3 = running.enter_context(Versity(_below(args.data, "pictures")))
        if not (s3.folder / "buckets" / BUCKET).exists():
            s3.gateway.make_bucket(BUCKET)
        told = s3.gateway.environment(BUCKET) | elasticsearch.cluster.environment(INDEX)
        command_line.write_out(_exports(told))
        command_line.say("both run; paste the lines above into another terminal. Ctrl-C ends them")
        _wait()
    command_line.say(
        f"both have ended; their data are in {args.data}"
        if args.data
        else "both have ended, and their data are gone"
    )
    return command_line.DONE


def fetch_all() -> None:
    """All that the tests use and pip does not bring is here.

    Elasticsearch 9 where a Java can run it, and the browser where it can be brought.
    """
    fetch.versitygw()
    libraries.rpi_gpio()
    libraries.edges()
    wheels.picamera2()
    try:
        fetch.chromium()
    except Missing as error:
        if os.environ.get("CI"):
            raise
        command_line.say(f"without a browser: {error}")
    for version in (fetch.ELASTICSEARCH_8, fetch.ELASTICSEARCH_9):
        try:
            fetch.java_for(version)
        except Missing as error:
            if version == fetch.ELASTICSEARCH_8 or os.environ.get("CI"):
                raise
            command_line.say(f"without Elasticsearch 9: {error}")
            continue
        fetch.elasticsearch(version)


def _below(data: Path | None, name: str) -> Path | None:
    return data.absolute() / name if data else None


def _exports(variables: dict[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


def _wait() -> None:
    """Returns at Ctrl-C, SIGTERM or SIGHUP."""
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
