"""Starts Elasticsearch and an S3 on this machine and prints what leads the scripts to them.

    python -m tests.servers

Paste the `export` lines into another terminal. The servers run until Ctrl-C and what was stored
goes with them, unless --data says where to keep it.
"""

import argparse
import os
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from get_data.cli import arguments, exit_codes, output, process
from tests.pi import libraries, namespace, pulses, wheels
from tests.servers import fetch, needs
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.fetching import Missing
from tests.servers.server import Server
from tests.servers.versity import Versity

BUCKET = "patate"
INDEX = "labels"
_LOOKS_EVERY_S = 0.5


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("--data", type=Path, metavar="DIR", help="where pictures and labels stay")
    parser.add_argument("--fetch", action="store_true", help="only bring what the tests use")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the servers until it is interrupted; returns the exit code."""
    args = parse_args(argv)
    if args.fetch:
        fetch_all()
        return exit_codes.DONE
    needs.require(fetch.needed(fetch.ELASTICSEARCH_8))
    with ExitStack() as running:
        output.print_message("starting Elasticsearch and versitygw; that takes some ten seconds")
        elasticsearch = running.enter_context(Elasticsearch(folder=_below(args.data, "labels")))
        s3 = running.enter_context(Versity(_below(args.data, "pictures")))
        if not (s3.folder / "buckets" / BUCKET).exists():
            s3.gateway.make_bucket(BUCKET)
        told = s3.gateway.environment(BUCKET) | elasticsearch.cluster.environment(INDEX)
        output.write_stdout(_exports(told))
        output.print_message(
            "both run; paste the lines above into another terminal. Ctrl-C ends them"
        )
        _wait(elasticsearch, s3)
    output.print_message(
        f"both have ended; their data are in {args.data}"
        if args.data
        else "both have ended, and their data are gone"
    )
    return exit_codes.DONE


def fetch_all() -> None:
    """All that the tests use and pip does not bring is here, and works.

    Elasticsearch 9 where a Java can run it, and the browser where it can be brought. What that
    takes is tried, and installed, before anything is fetched.
    """
    versions = [fetch.ELASTICSEARCH_8, fetch.ELASTICSEARCH_9]
    required = [*libraries.needed(), *fetch.needed(*versions)]
    lacks = needs.provide([*required, fetch.CHROMIUM])
    newer_java = fetch.java(fetch.ELASTICSEARCH_9)
    if fault := newer_java.fault():  # only where Debian's own Java is too old: not installed
        versions.remove(fetch.ELASTICSEARCH_9)
        lacks.append(needs.Lack(newer_java, fault))
    refused = [lack for lack in lacks if os.environ.get("CI") or lack.need in required]
    if refused:
        raise Missing(needs.told(refused))
    for lack in lacks:
        use = "Elasticsearch 9" if lack.need == newer_java else "a browser"
        output.print_message(f"without {use}: {needs.told([lack])}")
    for version in versions:
        fetch.elasticsearch(version)
    fetch.versitygw()
    libraries.rpi_gpio()
    libraries.edges()
    wheels.picamera2()
    if not namespace.missing_support():
        pulses.require_visible_pulses()


def _below(data: Path | None, name: str) -> Path | None:
    return data.absolute() / name if data else None


def _exports(variables: dict[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


def _wait(*servers: Server) -> None:
    """Return at Ctrl-C, SIGTERM or SIGHUP. Raises: ServerFailed when a server has died."""
    try:
        while True:
            for server in servers:
                server.check()
            time.sleep(_LOOKS_EVERY_S)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    raise SystemExit(process.run(main))
