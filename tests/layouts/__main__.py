"""Keep the layout of today's files, for the tests of all later versions.

    python -m tests.layouts 2026-11-29

Makes the folder of that name beside this script, which README.md describes. Run it before a layout
changes, and commit the folder; an existing one is never changed. Starts an Elasticsearch.
"""

import argparse
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from get_data import upload_data, upload_to_db
from get_data.cli import arguments, process
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import Tombstone, picture_key
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.search.search_query import SearchQuery
from get_data.labelizer.catalogue import read_catalogue
from get_data.labelizer.operations import Batch, Operation
from get_data.labelizer.workspace import Workspace
from get_data.labels import edits, label_file
from get_data.labels.schema import Document
from get_data.recording import journal
from tests.conftest import START, document, picture, save
from tests.helpers.recordings import open_recorder, record_pictures
from tests.helpers.waiting import wait_until
from tests.servers.elasticsearch import Elasticsearch

FOLDER = Path(__file__).parent
INDEX = "labels"
PICTURES = 24
CUSTOM: dict[int, dict[str, Any]] = {
    1: {"weather": "sunny", "tyres": "soft", "bar": 1.5},
    2: {"weather": "rain", "laps": [3, 4]},
    3: {"weather": ["sunny", "windy"], "comment": "café, clear"},
    4: {"a.b": True},
}


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = arguments.create_parser(__doc__)
    parser.add_argument("name", help="name of the new folder, such as the date")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the folder and return the exit code."""
    layout = FOLDER / parse_args(argv).name
    layout.mkdir()
    drive = save(layout / "drive", [drive_document(number) for number in range(PICTURES)])
    with TemporaryDirectory() as name:
        work = Path(name)
        expected = make_local_database(layout, drive, work)
        expected["documents"], expected["tombstones"] = make_elasticsearch(layout, work)
        expected["killed_drive"] = make_killed_drive(layout, work)
        expected |= make_work_files(layout, work)
    (layout / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    return 0


def drive_document(number: int, steering: float | None = None) -> Document:
    """Return a label of the drive; some have keys of their own."""
    if steering is None:
        steering = [-0.9, -0.5, 0.0, 0.5, 0.9][number % 5]
    made = document(number, steering=steering, **CUSTOM.get(number, {}))
    if number == 5:
        made["label"]["remark"] = "a key inside the annotation"
    return made


def make_local_database(layout: Path, drive: Path, work: Path) -> dict[str, Any]:
    """Upload, correct and delete; leave a killed deletion and a killed upload behind."""
    os.environ["PATATE_HOME"] = str(work)
    folder = work / "database"
    _run(lambda: upload_data.main([str(drive)]))
    _run(lambda: upload_to_db.main([str(correct(drive, work)), "-p", str(drive), "-y"]))
    index, store = SqliteIndex(folder), LocalPictureStore(folder)
    killed = _documents(index)[-1]
    with closing(sqlite3.connect(folder / "index.sqlite")) as reader:
        reader.execute("BEGIN").execute("SELECT count(*) FROM labels").fetchone()
        # a deletion, killed after its backup copy
        index.add_tombstones([_tombstone(killed, "deleted", "Zoé")])
        index.remove([killed["label_fingerprint"]])
        store.back_up(killed["s3_key"], "run-of-a-killed-deletion")
        # an upload, killed after its labels: they are only in SQLite's log
        late = drive_document(90)
        late["s3_key"] = picture_key(late["img_id"], late["picture_sha256"])
        store.put_new(late["s3_key"], picture(90))
        index.create([late])
        shutil.copytree(folder, layout / "database", ignore=shutil.ignore_patterns("*-shm"))
    return {"killed_deletion": killed["s3_key"]}


def correct(drive: Path, work: Path) -> Path:
    """Return a label file with corrections by two people, and deletions."""
    labels = label_file.read(drive / label_file.NAME)
    chosen = list(labels.values())[10:18]
    changed = [
        edits.corrected(
            one,
            created_by=("Ada", "Zoé")[number % 2],
            direction=(one["label"]["label_direction"] + 1) % 5,
            speed=1,
            created_on=START + timedelta(days=1),
        )
        for number, one in enumerate(chosen[:5])
    ]
    changed += [edits.marked_for_deletion(one) for one in chosen[5:]]
    file = work / "corrections.json"
    label_file.write(file, {one["img_id"]: one for one in changed})
    return file


def make_elasticsearch(layout: Path, work: Path) -> tuple[dict[str, Document], dict[str, Any]]:
    """Write both indices as a server has them, and return all labels and tombstones."""
    local = SqliteIndex(work / "database")
    documents = {one["label_fingerprint"]: one for one in _documents(local)}
    with closing(sqlite3.connect(work / "database" / "index.sqlite")) as connection:
        rows = connection.execute("SELECT * FROM gone").fetchall()
    tombstones = {row[0]: Tombstone(*row) for row in rows}
    content = {}
    with Elasticsearch() as server:
        environment = server.cluster.environment(INDEX)
        with closing(ElasticsearchIndex(es_settings.from_environment(environment))) as index:
            index.check(writing=True)
            index.create(list(documents.values()))
            index.add_tombstones(list(tombstones.values()))
        for name in (INDEX, f"{INDEX}-gone"):
            server.cluster.ask("POST", f"/{name}/_refresh")
            _, definition = server.cluster.ask(
                "GET", f"/{name}?filter_path=*.mappings,*.settings.index.sort"
            )
            _, found = server.cluster.ask("GET", f"/{name}/_search?size=1000")
            hits = {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}
            content[name] = {**definition[name], "documents": hits}
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    (layout / "elasticsearch.json").write_text(text + "\n")
    return documents, {name: asdict(tombstone) for name, tombstone in tombstones.items()}


def make_killed_drive(layout: Path, work: Path) -> list[str]:
    """Copy a recording while it runs, as a power cut leaves it; return the ids it must keep."""
    with open_recorder(work / "killed") as running:
        record_pictures(running, 12, wait=True)
        log = work / "killed" / journal.NAME
        wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") == 12)
        shutil.copytree(work / "killed", layout / "killed_drive")
    with (layout / "killed_drive" / journal.NAME).open("ab") as torn:
        torn.write(b'{"img_id":"20240501T12-00-0')
    return sorted(file.stem for file in (layout / "killed_drive").glob("*.jpg"))


def make_work_files(layout: Path, work: Path) -> dict[str, Any]:
    """Edit in the labelizer, let the label file change, carry the work over, and edit again.

    The last edits are only in SQLite's log, as a killed labelizer leaves them.
    """
    folder = save(work / "labelizer", [drive_document(number) for number in range(PICTURES)])
    labels = folder / label_file.NAME
    with closing(Workspace(read_catalogue(labels, folder), "Ada", now=lambda: START)) as first:
        _save(first, _operation(first, 1, "label", (0, 3), direction=4))
    changed = [drive_document(number) for number in range(PICTURES)]
    changed[20] = drive_document(20, steering=-0.5)
    changed[21]["to_delete"] = True
    del changed[22]["label"]["label_speed"]
    label_file.write(labels, {one["img_id"]: one for one in changed})
    now = START + timedelta(hours=1)
    with closing(Workspace(read_catalogue(labels, folder), "Zoé", now=lambda: now)) as second:
        second.reopen("carry", second.work.epoch)
        _save(
            second,
            _operation(second, 2, "confirm", (4, 5), reviewed=1),
            _operation(second, 3, "delete", (6, 7), deleted=1),
            _operation(second, 4, "shift", (10, 13), by=3, direction=2, speed=1),
            _operation(second, 5, "fix", (22, 22), speed=1),
            _operation(second, 6, "label", (8, 8), direction=0, reviewed=1),
            _operation(second, 7, "undo", (6, 7), of=3, deleted=0),
            _operation(second, 8, "redo", (6, 7), of=3, deleted=1),
        )
        shutil.copytree(folder, layout / "labelizer", ignore=shutil.ignore_patterns("*-shm"))
        return {
            "decisions": [asdict(decision) for decision in second.work.decisions()],
            "history": [json.loads(_json(one)) for one in second.work.history()],
            "work": second.work.name,
            "order": second.catalogue.ids,
        }


def _operation(
    workspace: Workspace,
    number: int,
    kind: Any,
    span: tuple[int, int],
    *,
    of: int = 0,
    by: int = 0,
    **values: int,
) -> Operation:
    decisions = {each.position: each for each in workspace.work.decisions()}
    count = span[1] - span[0] + 1
    was: dict[Any, Any] = {}
    for name in values:
        before = [
            getattr(decisions[position], name, 0)
            if position in decisions
            else _original(workspace, name, position)
            for position in range(span[0], span[1] + 1)
        ]
        was[name] = [(value, 1) for value in before]
    return Operation(
        uid=_uid(number),
        kind=kind,
        text=f"{kind} {span[0]} to {span[1]}",
        of=_uid(of) if of else None,
        by=by,
        positions=[span],
        set={name: [(value, count)] for name, value in values.items()},
        was=was,
    )


def _original(workspace: Workspace, name: str, position: int) -> int:
    columns = {"direction": workspace.catalogue.direction, "speed": workspace.catalogue.speed}
    return int(columns[name][position]) if name in columns else 0


def _save(workspace: Workspace, *operations: Operation) -> None:
    epoch = workspace.take_lease("a browser", take_over=True)
    assert epoch
    workspace.save(Batch(work=workspace.work.name, epoch=epoch, operations=list(operations)))


def _uid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def _json(operation: Operation) -> bytes:
    return msgspec.json.encode(operation)


def _documents(index: SqliteIndex) -> list[Document]:
    return [json.loads(document) for document in index.search(SearchQuery())]


def _tombstone(document: Document, reason: Any, removed_by: str) -> Tombstone:
    fields = (document["label_fingerprint"], document["img_id"], document["s3_key"])
    return Tombstone(*fields, reason, removed_by, "2024-05-02T12:00:00.000000Z")


def _run(script: Callable[[], int]) -> None:
    code = process.run(script)
    assert code == 0, code


if __name__ == "__main__":
    raise SystemExit(process.run(main))
