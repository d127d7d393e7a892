"""Start Elasticsearch and an S3 on this machine and print the variables that lead to them.

    python -m tests.servers

Paste the `export` lines into another terminal. The servers run until Ctrl-C; their data are then
deleted, unless --data names a folder to keep them in.
"""

import argparse
import os
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

from get_data.cli import arguments, exit_codes, output, process
from tests.environments import readers
from tests.pi import libraries, namespace, pulses, wheels
from tests.servers import fetch, needs
from tests.servers.cluster import ElasticsearchCluster
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.fetching import Missing
from tests.servers.server import Server
from tests.servers.versity import Versity

BUCKET = "patate"
INDEX = "labels"
_LOOKS_EVERY_S = 0.5


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder to keep pictures and labels in"
    )
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="nodes of Elasticsearch (default: 1)"
    )
    parser.add_argument("--fetch", action="store_true", help="only fetch what the tests use")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the servers until interrupted, and return the exit code."""
    args = parse_args(argv)
    if args.fetch:
        fetch_all()
        return exit_codes.DONE
    needs.require(fetch.needed(fetch.ELASTICSEARCH_8))
    with ExitStack() as running:
        output.print_message("Starting Elasticsearch and versitygw (about ten seconds)")
        folder = _below(args.data, "labels")
        nodes = (
            [running.enter_context(Elasticsearch(folder=folder))]
            if args.nodes == 1
            else running.enter_context(ElasticsearchCluster(folder=folder, nodes=args.nodes)).nodes
        )
        s3 = running.enter_context(Versity(_below(args.data, "pictures")))
        if not (s3.folder / "buckets" / BUCKET).exists():
            s3.gateway.make_bucket(BUCKET)
        variables = s3.gateway.environment(BUCKET) | nodes[0].cluster.environment(INDEX)
        with suppress(KeyboardInterrupt):  # whoever reads the first line may end both
            output.write_stdout(_exports(variables))
            output.print_message(
                "Both are running. Paste the lines above into another terminal; Ctrl-C stops both."
            )
            _watch(*nodes, s3)
    output.print_message(
        f"Both stopped; their data are in {args.data}"
        if args.data
        else "Both stopped; their data are deleted"
    )
    return exit_codes.DONE


def fetch_all() -> None:
    """Fetch everything that the tests use and pip does not install.

    Elasticsearch 9 and the browser are optional outside CI. Prerequisites are tried, and installed
    if need be, before anything is fetched.
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
        raise Missing(needs.describe(refused))
    for lack in lacks:
        use = "Elasticsearch 9" if lack.need == newer_java else "a browser"
        output.print_message(f"without {use}: {needs.describe([lack])}")
    for version in versions:
        fetch.elasticsearch(version)
    fetch.versitygw()
    libraries.rpi_gpio()
    libraries.rpi_lgpio()
    libraries.edges()
    libraries.gpiochip()
    libraries.evdev()
    libraries.input_device()
    wheels.picamera2()
    for reason in readers.fetch_all():
        output.print_message(reason)
    if not namespace.missing_support():
        for library in libraries.GPIO_LIBRARIES:
            pulses.require_visible_pulses(library)


def _below(data: Path | None, name: str) -> Path | None:
    return data.absolute() / name if data else None


def _exports(variables: dict[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables.items())


def _watch(*servers: Server) -> NoReturn:
    """Look after the servers until Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        ServerFailed: a server has died.
    """
    while True:
        for server in servers:
            server.check()
        time.sleep(_LOOKS_EVERY_S)


if __name__ == "__main__":
    raise SystemExit(process.run(main))
