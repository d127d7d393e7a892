"""A cluster of several Elasticsearch nodes.

with ElasticsearchCluster(nodes=3) as cluster:
    cluster.nodes[0].cluster.url
    cluster.nodes[2].kill()
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.servers import fetch
from tests.servers.elasticsearch import Elasticsearch
from tests.servers.server import free_port


class ElasticsearchCluster:
    """Nodes on 127.0.0.1 with the same logins, each a master, with data, and with its own address.

    Each label is on two of them. The options are those of `Elasticsearch`.
    """

    def __init__(
        self,
        version: str = fetch.ELASTICSEARCH_8,
        folder: Path | None = None,
        *,
        nodes: int = 3,
        **options: Any,
    ) -> None:
        ports = [free_port() for _ in range(nodes)]
        self.nodes = [
            Elasticsearch(
                version,
                folder / f"node-{number}" if folder else None,
                nodes=ports,
                number=number,
                **options,
            )
            for number in range(nodes)
        ]

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Elasticsearch]:
        return iter(self.nodes)

    def start(self) -> Self:
        """Start all nodes at once: none is ready without the others.

        Raises:
            ServerFailed: one does not become ready.
        """
        first, *others = self.nodes
        first.logins()
        for node in others:
            shutil.copy2(first.folder / "logins.json", node.folder)
        with ThreadPoolExecutor(len(self.nodes)) as starters:
            list(starters.map(Elasticsearch.start, self.nodes))
        return self

    def close(self) -> None:
        """Stop all nodes; temporary folders are removed. May be called twice."""
        with ExitStack() as closing:
            for node in self.nodes:
                closing.callback(node.close)
