"""Fixtures of all tests: a home of their own, databases, and recordings made without driving."""

import gc
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from get_data.cli import process
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import LabelIndex, PictureStore
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.s3_utils import settings as s3_settings
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.search.search_query import SearchQuery
from get_data.labels import edits, ids, label_file, session
from get_data.labels.classes import Classes
from get_data.labels.schema import Document
from tests.helpers import forked, jpeg_files, memory
from tests.servers.addresses import Cluster, Gateway, new_name

pytest_plugins = ["tests.environments.fixtures", "tests.layouts.fixtures", "tests.servers.fixtures"]

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--every-order`, with which tests that try many orders of events try all."""
    parser.addoption("--every-order", action="store_true", help="try all orders; takes minutes")


def pytest_configure(config: pytest.Config) -> None:
    """Let signals reach the programs under test, even if tests were started by nohup or `&`.

    Python processes are forked from now on, except for the workers of pytest-xdist. No property
    has a time limit. Temporary files are in memory, where there is room; those of a failed test
    stay there until the next run.
    """
    if folder := memory.folder():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")
    if not getattr(config.option, "numprocesses", None):
        forked.install()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first: left to the end, they keep one worker busy and the others idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of an empty local database; unset the variables of the developer."""
    for name in list(os.environ):
        ours = name.startswith("PATATE_") and name != "PATATE_SERVER_CACHE"
        if ours or name == "DEBUG":
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PATATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _new_interpreter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start Python processes as a user does, in tests with that marker."""
    is_marked = request.node.get_closest_marker("new_interpreter")
    with forked.new_interpreters() if is_marked else nullcontext():
        yield


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Collect no garbage: at the recursion limit the finalizers of earlier tests' objects fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _no_signal_handlers_left() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def picture(number: int) -> bytes:
    """Return a grey JPEG file that is unique to the number."""
    return jpeg_files.flat(comment=f"picture {number}".encode())


def document(
    number: int = 0,
    *,
    steering: float = 0.0,
    throttle: float = 0.3,
    created_by: str = "auto",
    **own: object,
) -> Document:
    """Return the label of picture `number` of a recording at 10 Hz."""
    made = edits.new_label(
        captured=START + timedelta(milliseconds=100 * number),
        picture=picture(number),
        width=160,
        height=120,
        steering=steering,
        throttle=throttle,
        classes=Classes(max_throttle=0.5),
        session={"event": "test day", "track": "", "track_type": "", "driver": "Zoé", **own},
        car_setting={"car": "patate"},
    )
    if created_by != "auto":
        made["label"] = {**made["label"], "created_by": created_by}
        made["label_fingerprint"] = ids.fingerprint(made["img_id"], made["label"])
    return made


def save(folder: Path, documents: list[Document], *, pictures: bool = True) -> Path:
    """Write a folder like that of a finished recording, with these labels and their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    label_file.write(folder / label_file.NAME, {label["img_id"]: label for label in documents})
    session.write(folder / session.NAME, {})
    for label in documents:
        if pictures:
            (folder / label["file_name"]).write_bytes(picture(number_of(label)))
    return folder


def number_of(document: Document) -> int:
    """Return the number that a label was made with."""
    moment = ids.parse_img_id(document["img_id"])
    assert moment is not None
    return round((moment - START) / timedelta(milliseconds=100))


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """Return a folder of ten pictures with labels, two of each direction class."""
    steering = [-0.9, -0.5, 0.0, 0.5, 0.9]
    documents = [document(number, steering=steering[number % 5]) for number in range(10)]
    return save(tmp_path / "drive", documents)


@dataclass(frozen=True)
class Database:
    """A real index and a real store, with the most common queries of tests."""

    index: LabelIndex
    store: PictureStore

    def labels(self) -> dict[str, Document]:
        """Return all labels in the index by fingerprint."""
        found = map(msgspec.json.decode, self.index.search(SearchQuery(())))
        return {label["label_fingerprint"]: label for label in found}

    def pictures(self) -> dict[str, bytes]:
        """Return the pictures that both labels and store have, by key."""
        keys = {label["s3_key"] for label in self.labels().values()}
        return {key: self.store.get(key) for key in self.store.sizes(keys)}


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Yield an empty database of each kind."""
    match request.param:
        case "local":
            folder = tmp_path / "database"
            local = Database(SqliteIndex(folder, reuse_connections=True), LocalPictureStore(folder))
            yield local
            local.index.close()
        case "team":
            team = request.getfixturevalue("reused_team_environment")
            index = ElasticsearchIndex(es_settings.from_environment(team))
            store = S3PictureStore(s3_settings.from_environment(team))
            store.check(writing=True)
            index.check(writing=True)
            yield Database(index, store)
            index.close()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Return a function that runs a script in this process: exit code, JSON of stdout, stderr."""

    def run(script: ModuleType, *arguments: object) -> tuple[int, Any, str]:
        code = process.run(lambda: script.main(list(map(str, arguments))))
        output = capsys.readouterr()
        return code, json.loads(output.out) if output.out else None, output.err

    return run


@pytest.fixture
def team_environment(elasticsearch_8: Cluster, s3: Gateway) -> Iterator[dict[str, str]]:
    """Yield the variables of the writer for an empty database of a team."""
    index = new_name("labels")
    yield elasticsearch_8.environment(index) | s3.environment(s3.make_bucket())
    elasticsearch_8.ask("DELETE", f"/{index},{index}-gone?ignore_unavailable=true")


@pytest.fixture(scope="session")
def reused_index() -> str:
    """The name of an index that tests use one after the other."""
    return new_name("labels")


@pytest.fixture
def reused_team_environment(
    elasticsearch_8: Cluster, s3: Gateway, reused_index: str
) -> Iterator[dict[str, str]]:
    """Yield the variables of the writer for a team's database without labels and pictures.

    Each test that uses its two indices leaves them empty for the next one. To create and delete
    them takes three times the CPU time, so only a test that looks at that, or at which fields the
    indices have, needs a `team_environment` of its own.
    """
    yield elasticsearch_8.environment(reused_index) | s3.environment(s3.make_bucket())
    elasticsearch_8.empty(f"{reused_index},{reused_index}-gone")
