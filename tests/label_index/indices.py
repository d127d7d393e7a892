"""Every implementation of a label index, opened empty."""

from contextlib import contextmanager

import pytest

from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.local.label_index import SqliteIndex
from tests.fakes.memory_database import MemoryIndex
from tests.servers.addresses import new_name

KINDS = [
    "sqlite",
    "memory",
    pytest.param("elasticsearch_8", marks=pytest.mark.servers),
    pytest.param("elasticsearch_9", marks=pytest.mark.servers),
]


_shared = {}  # by kind, the name of the index that tests use one after the other


@contextmanager
def index_opener(request, folder, *, is_shared=False):
    """Yield a function that opens one index, empty at first; it may be called again.

    On a server it is a new one, or, if `is_shared`, one that is emptied for the next test: this
    takes a third of the CPU time.
    """
    indices = []
    cluster, name = None, new_name("labels")
    if is_shared:
        name = _shared.setdefault(request.param, name)
    if request.param.startswith("elasticsearch"):
        cluster = request.getfixturevalue(request.param)

    def open_index():
        match request.param:
            case "sqlite":
                indices.append(SqliteIndex(folder / "database", reuse_connections=True))
            case "memory" if not indices:
                indices.append(MemoryIndex())
            case "elasticsearch_8" | "elasticsearch_9":
                settings = es_settings.from_environment(cluster.environment(name))
                indices.append(ElasticsearchIndex(settings))
        return indices[-1]

    yield open_index
    for index in indices:
        index.close()
    if cluster and is_shared:
        cluster.empty(f"{name},{name}-gone")
    elif cluster:
        cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")
