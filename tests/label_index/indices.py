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


@contextmanager
def index_opener(request, folder):
    """Yield a function that opens one index, empty at first; it may be called again."""
    indices = []
    cluster, name = None, new_name("labels")
    if request.param.startswith("elasticsearch"):
        cluster = request.getfixturevalue(request.param)

    def open_index():
        match request.param:
            case "sqlite":
                indices.append(SqliteIndex(folder / "database"))
            case "memory" if not indices:
                indices.append(MemoryIndex())
            case "elasticsearch_8" | "elasticsearch_9":
                settings = es_settings.from_environment(cluster.environment(name))
                indices.append(ElasticsearchIndex(settings))
        return indices[-1]

    yield open_index
    for index in indices:
        index.close()
    if cluster:
        cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")
