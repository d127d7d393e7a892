"""Files of every earlier version are opened, searched and changed, and nothing in them is lost."""

import json
import shutil
from contextlib import closing
from dataclasses import asdict

import msgspec
import pytest

from get_data import search_and_download, upload_data
from get_data.database.es_utils import settings as es_settings
from get_data.database.es_utils.label_index import ElasticsearchIndex
from get_data.database.interfaces import Tombstone
from get_data.database.local.label_index import SqliteIndex
from get_data.database.local.picture_store import LocalPictureStore
from get_data.database.search.search_query import parse_search_query
from get_data.labelizer.operations import Operation, expand_positions, expand_values
from get_data.labelizer.workspace import Workspace
from get_data.labels import label_file
from tests.conftest import document, save
from tests.helpers.index_labels import fingerprints_of, search
from tests.labelizer.helpers import make_operation, read_folder, save_operations
from tests.servers.addresses import new_name


@pytest.fixture
def local(layout, home):
    """An earlier version's database, as the one of this machine."""
    return shutil.copytree(layout / "database", home / "database")


@pytest.fixture(params=["elasticsearch_8", "elasticsearch_9"])
def team(request, layout):
    """An earlier version's indices on a server: the variables that lead a writer there."""
    cluster, name = request.getfixturevalue(request.param), new_name("labels")
    put_indices(cluster, name, json.loads((layout / "elasticsearch.json").read_text()))
    yield cluster, name
    cluster.ask("DELETE", f"/{name},{name}-gone?ignore_unavailable=true")


def put_indices(cluster, name, content):
    """Create both indices as `elasticsearch.json` has them."""
    for part in ("", "-gone"):
        index = content[f"labels{part}"]
        definition = {key: index[key] for key in ("mappings", "settings") if key in index}
        assert cluster.ask("PUT", f"/{name}{part}", definition)[0] == 200
        for number, source in index["documents"].items():
            assert cluster.ask("PUT", f"/{name}{part}/_create/{number}", source)[0] == 201
        assert cluster.ask("POST", f"/{name}{part}/_refresh")[0] == 200


def opened(cluster, name, login=None):
    settings = es_settings.from_environment(cluster.environment(name, login))
    return closing(ElasticsearchIndex(settings))


def assert_holds(index, expected, *, more=()):
    """The index has the labels and tombstones that it had, and `more` labels."""
    documents = expected["documents"]
    assert {one["label_fingerprint"]: one for one in search(index)} == {
        **documents,
        **{one["label_fingerprint"]: one for one in more},
    }
    tombstones = {name: Tombstone(**value) for name, value in expected["tombstones"].items()}
    assert index.find_tombstones([*tombstones, *documents]) == tombstones
    assert index.find(documents).keys() == documents.keys()
    assert index.count(parse_search_query({})) == len(documents) + len(more)


def assert_finds(index, expected):
    """Searches of every kind of field find what the documents hold."""
    documents = expected["documents"].values()
    questions = [
        ({"weather": {"type": "exists"}}, lambda one: "weather" in one),
        (
            {"weather": {"type": "term", "value": "sunny"}},
            lambda one: "sunny" in one.get("weather", ()),
        ),
        ({"bar": {"type": "term", "value": 1.5}}, lambda one: "bar" in one),
        ({"label.remark": {"type": "exists"}}, lambda one: "remark" in one["label"]),
        (
            {"label.created_by": {"type": "term", "value": "Ada"}},
            lambda one: one["label"]["created_by"] == "Ada",
        ),
        (
            {"label.raw_direction": {"type": "range", "lt": 0}},
            lambda one: one["label"]["raw_direction"] < 0,
        ),
    ]
    for question, matches in questions:
        found = fingerprints_of(search(index, question))
        assert found == fingerprints_of(filter(matches, documents)), question
        assert found, question


def test_a_local_database_is_searched_and_written(layout, expected, local, call, tmp_path):
    with closing(SqliteIndex(local)) as index:
        assert_holds(index, expected)
        assert_finds(index, expected)
    assert call(search_and_download, "-p", tmp_path / "set")[0] == 0
    pictures = {one["img_id"] for one in expected["documents"].values()}
    assert label_file.read(tmp_path / "set" / label_file.NAME).keys() == pictures
    assert {file.stem for file in (tmp_path / "set").glob("*.jpg")} == pictures

    # what was corrected and deleted stays so, and new labels come
    code, counts, _ = call(upload_data, layout / "drive")
    drive = label_file.read(layout / "drive" / label_file.NAME)
    removed = {one["label_fingerprint"] for one in drive.values()} & expected["tombstones"].keys()
    assert (code, counts["created"], counts["gone"]) == (0, 0, len(removed))
    new = save(tmp_path / "new", [document(200)])
    assert call(upload_data, new)[1]["created"] == 1
    with closing(SqliteIndex(local)) as index:
        [created] = [one for one in search(index) if one["img_id"] == document(200)["img_id"]]
        assert_holds(index, expected, more=[created])
    # the killed deletion is completed
    store = LocalPictureStore(local)
    assert not store.sizes([expected["killed_deletion"]])


@pytest.mark.servers
def test_a_team_index_is_searched_and_written(expected, team):
    cluster, name = team
    with opened(cluster, name, cluster.searcher) as index:
        index.check(writing=False)
        assert_holds(index, expected)
        assert_finds(index, expected)
    with opened(cluster, name) as index:
        index.check(writing=True)
        new = {**next(iter(expected["documents"].values())), **document(200)}
        assert index.create([new]).created == {new["label_fingerprint"]}
        assert_holds(index, expected, more=[new])
        assert index.remove([new["label_fingerprint"]]) == {new["label_fingerprint"]}
        assert_finds(index, expected)
        assert_holds(index, expected)


def test_a_killed_drive_is_repaired_and_uploaded(layout, expected, call):
    code, counts, _ = call(upload_data, layout / "killed_drive")
    assert (code, counts["created"]) == (0, len(expected["killed_drive"]))
    labels = label_file.read(layout / "killed_drive" / label_file.NAME)
    assert sorted(labels) == expected["killed_drive"]
    assert (layout / "killed_drive" / "labels.damaged.json").exists()


def test_a_work_file_is_opened_and_continued(layout, expected):
    folder = layout / "labelizer"
    with closing(Workspace(read_folder(folder), "Ada")) as workspace:
        assert not workspace.is_outdated
        assert_same_work(workspace, expected)
        position = workspace.catalogue.ids.index(by_time(folder)[15])
        edit = make_operation(99, positions=[(position, position)], direction=0)
        save_operations(workspace, workspace.take_lease("a browser", take_over=True), edit)
    with closing(Workspace(read_folder(folder), "Ada")) as workspace:
        assert_same_work(workspace, expected, without=by_time(folder)[15])
        result = workspace.export()
        assert result.deleted + result.corrected + result.confirmed + result.restored > 0
        decided = {decision.img_id for decision in workspace.work.decisions()}
        assert decided.isdisjoint(left.img_id for left in result.left_out)


def by_time(folder):
    """The ids of a folder's labels, in the order that the earliest versions had."""
    return sorted(json.loads((folder / label_file.NAME).read_text()))


def assert_same_work(workspace, expected, *, without=None):
    """The work of a file is what it was, picture by picture; there may be new edits of one."""
    decisions = [asdict(decision) for decision in workspace.work.decisions()]
    assert_includes(
        without_positions(decisions, without), without_positions(expected["decisions"], without)
    )
    ids = workspace.catalogue.ids
    earlier = expected.get("order") or by_time(workspace.catalogue.folder)
    count = len(expected["history"])
    found = [edits_by_picture(each, ids) for each in workspace.work.history()[:count]]
    assert found == [
        edits_by_picture(msgspec.convert(each, Operation), earlier) for each in expected["history"]
    ]


def without_positions(decisions, without):
    """Decisions by picture: where a picture is in the order may have changed."""
    kept = [each for each in decisions if each["img_id"] != without]
    return sorted(
        ({name: value for name, value in each.items() if name != "position"} for each in kept),
        key=lambda each: each["img_id"],
    )


def edits_by_picture(operation, ids):
    """What an operation sets and what was there, by the pictures' ids."""
    positions = expand_positions(operation, len(ids))
    values = {
        (part, name): dict(
            zip(
                [ids[position] for position in positions],
                [
                    None if value != value else value  # NaN: as the label file has it
                    for value in expand_values(operation, name, runs, positions.size).tolist()
                ],
                strict=True,
            )
        )
        for part in ("set", "was")
        for name, runs in getattr(operation, part).items()
    }
    return operation.uid, operation.kind, operation.text, operation.of, operation.by, values


def assert_includes(found, expected):
    """What was found is what was expected, perhaps with more fields."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert other.items() <= one.items()
