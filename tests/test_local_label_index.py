"""The SQLite index: its file, and what can go wrong with one."""

import errno
import gc
import json
import multiprocessing
import os
import random
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from common.errors import DatabaseError, InputError
from get_data.database.interfaces import Replacement, picture_key
from get_data.database.local import contexts, index_file, label_index, layout, query_plan
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.matching import compile_query
from get_data.database.search.search_query import parse_search_query
from get_data.labels import schema
from tests.conftest import document
from tests.helpers.index_labels import (
    SAMPLE,
    fingerprint_of,
    fingerprints_of,
    search,
    tombstone,
    uploaded_label,
)

EVERYTHING = parse_search_query({})
PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture
def index(tmp_path):
    return SqliteIndex(tmp_path / "home" / "database")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "home" / "database" / "index.sqlite"


def test_reading_creates_no_files(index, tmp_path):
    name = fingerprint_of(uploaded_label())
    index.find([name])
    index.find_tombstones([name])
    index.find_references(["key"])
    index.picture_hashes(["id"])
    index.remove([name])
    index.remove_tombstones([name])
    assert search(index) == []
    assert index.count(EVERYTHING) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_rejected_label_creates_no_files(index, tmp_path):
    assert index.create([{"label_fingerprint": "f"}]).rejected.keys() == {"f"}
    assert list(tmp_path.iterdir()) == []


def test_the_first_label_creates_the_file(index, file):
    index.create([uploaded_label()])
    assert [one.name for one in file.parent.iterdir()] == ["index.sqlite"]
    assert index.name == str(file)


def test_the_first_tombstone_creates_the_file_too(index, file):
    index.add_tombstones([tombstone(uploaded_label())])
    assert file.exists()


def test_the_file_keeps_what_it_holds(index, file):
    index.create(SAMPLE)
    index.close()
    assert fingerprints_of(search(SqliteIndex(file.parent))) == fingerprints_of(SAMPLE)


def test_a_folder_with_odd_signs_in_its_name_will_do(tmp_path):
    index = SqliteIndex(tmp_path / "é #1?mode=memory&x=%41")
    index.create(SAMPLE)
    assert index.count(EVERYTHING) == 5
    assert (tmp_path / "é #1?mode=memory&x=%41" / "index.sqlite").exists()


def test_readers_and_a_writer_do_not_wait_for_each_other(index, file):
    index.create([uploaded_label()])
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_may_make_the_file_at_once(file):
    barrier = Barrier(8)

    def write(second):
        barrier.wait()
        return SqliteIndex(file.parent).create([uploaded_label(second)]).created

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(write, range(8)))
    assert SqliteIndex(file.parent).count(EVERYTHING) == 8


def test_what_a_killed_first_writer_left_is_cleared(index, file):
    file.parent.mkdir(parents=True)
    (file.parent / ".index.sqlite.tmp").write_bytes(b"half a file")
    index.create([uploaded_label()])
    assert index.count(EVERYTHING) == 1


def test_a_search_that_is_dropped_closes_its_connection(index):
    """An unclosed connection is a ResourceWarning in Python 3.13, hence a failure here."""
    index.create(SAMPLE)
    searching = index.search(EVERYTHING)
    next(searching)
    del searching
    gc.collect()
    never_begun = index.search(EVERYTHING)
    del never_begun
    gc.collect()


def test_documents_of_another_event_are_not_even_decoded(index, file):
    index.create(SAMPLE)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE labels SET document = ? WHERE event = 'test'", (b"not JSON",))
    assert len(search(index, {"event": {"type": "term", "value": "Sunday race"}})) == 1
    assert b"not JSON" in list(index.search(EVERYTHING))


def test_every_column_belongs_to_a_field_of_one_value():
    columns = query_plan.COLUMNS.keys() | query_plan.SESSION_COLUMNS.keys()
    assert columns <= schema.INDEX_TYPES.keys()
    assert not columns & {"transformation", "dataset"}


def plan_of(connection, data):
    return query_plan.make_plan(
        connection, parse_search_query(data), contexts.read_varying(connection)
    )


@pytest.mark.parametrize(
    ("data", "plan"),
    [
        ({}, "labels_in_order"),
        ({"event": {"type": "term", "value": "test"}}, "labels_by_context (context=?)"),
        ({"event.text": {"type": "match", "query": "race"}}, "labels_by_context (context=?)"),
        ({"mood": {"type": "wildcard", "value": "g*"}}, "labels_by_context (context=?)"),
        ({"img_id": {"type": "prefix", "value": "2020"}}, "labels_in_order (img_id>?"),
        ({"timestamp": {"type": "range", "gte": "2020", "lt": "2021"}}, "labels_by_timestamp"),
        ({"timestamp": {"type": "terms", "value": ["2020", "2021"]}}, "labels_by_timestamp"),
        ({"a": {"type": "ids", "values": ["x", "y"]}}, "(fingerprint=?)"),
        ({"a": {"type": "ids", "values": [f"{one}" for one in range(200)]}}, "(fingerprint=?)"),
    ],
    ids=["all", "event", "word", "wildcard", "img_id", "timestamp", "days", "ids", "many ids"],
)
def test_a_search_goes_by_an_index(index, file, data, plan):
    index.create(SAMPLE)
    with closing(sqlite3.connect(file)) as connection:
        statement, values = plan_of(connection, data).statement("id")
        steps = connection.execute("EXPLAIN QUERY PLAN " + statement, values).fetchall()
    assert any(plan in step[3] for step in steps), steps


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"event.text": {"type": "match", "query": "race"}}, {0, 1}),
        ({"event": {"type": "regexp", "value": "Sunday.*|test"}}, {0, 3}),
        ({"mood": {"type": "exists", "bool": "must_not"}}, {0, 1, 4}),
        ({"driver": "Zoé", "label.label_direction": 0}, {3}),
        (
            {
                "timestamp": {"type": "range", "gte": "2021", "bool": "should"},
                "label.label_direction": {"type": "term", "value": 0, "bool": "should"},
            },
            {3},
        ),
    ],
    ids=["word", "pattern", "forbidden", "driver and class", "one of two"],
)
def test_such_a_search_decodes_no_label(index, file, data, found):
    """All that is asked is in the contexts and the columns: the documents may be anything."""
    index.create(SAMPLE)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP TRIGGER labels_forget_context")
        for number, label in enumerate(SAMPLE):
            change = "UPDATE labels SET document = ? WHERE fingerprint = ?"
            connection.execute(change, (f"{number}".encode(), fingerprint_of(label)))
    query = parse_search_query(data)
    assert {int(document) for document in index.search(query)} == found
    assert index.count(query) == len(found)


def test_of_two_conditions_the_one_that_finds_less_is_looked_up(index, file, monkeypatch):
    monkeypatch.setattr(query_plan, "_FEW", 10)
    index.create([uploaded_label(second, event="long") for second in range(300)])
    index.create([uploaded_label(second + 300, event="short") for second in range(20)])

    def looked_up(event, until):
        clauses = {"event": event, "timestamp": {"type": "range", "lt": until}}
        with closing(sqlite3.connect(file)) as connection:
            found = plan_of(connection, clauses).access
        return found and found.column

    assert looked_up("short", "2020-12-31T15:50:00") == "context"
    assert looked_up("long", "2020-12-31T15:46:10") == "timestamp"
    assert looked_up("long", "2020-12-31T15:45:57") == "timestamp"  # few: no context is looked at
    assert looked_up("long", "2021") is None  # nearly all: gone through in their order


def test_labels_of_a_drive_have_one_context_and_it_goes_with_them(index, file):
    def number_of_contexts():
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute("SELECT count(*) FROM contexts").fetchone()[0]

    drive = [uploaded_label(second, event="race") for second in range(50)]
    index.create(drive)
    assert number_of_contexts() == 1
    index.create([uploaded_label(100, event="test")])
    assert number_of_contexts() == 2
    index.remove([fingerprint_of(one) for one in drive[:49]])
    assert number_of_contexts() == 2
    [stored] = index.read([fingerprint_of(drive[49])]).values()
    amended = drive[49] | {"event": "test"}
    assert index.replace([Replacement(amended, stored.version)]).replaced
    assert number_of_contexts() == 1
    assert len(search(index, {"event": "test"})) == 2
    assert search(index, {"event": "race"}) == []
    assert index.create([uploaded_label(100, event="other")]).existing
    assert number_of_contexts() == 1
    index.remove(fingerprints_of(search(index)))
    assert number_of_contexts() == 0


def test_what_differs_from_picture_to_picture_is_in_no_context():
    """A field that is declared later, and differs, belongs into `VARYING`."""
    one, other = (
        document(number, steering=steering)
        | {"s3_key": picture_key(f"{number}", "0" * 64), "upload_date": f"2021-01-0{number + 1}"}
        for number, steering in ((0, 0.1), (1, -0.9))
    )
    varying = contexts.Varying(contexts.VARYING)
    assert varying.context(one) == varying.context(other)
    one["label"]["label_speed"], one["label"]["raw_speed"], one["label"]["throttle"] = 1, 0.5, 0.5
    assert varying.context(one) == varying.context(other)


@pytest.mark.parametrize("own", [{"weather": "rain"}, {}], ids=["beside another", "alone"])
def test_a_custom_field_that_varies_is_found_and_makes_no_contexts(index, file, own):
    """As `source_file` of imported drives; before it was found out it was in contexts."""
    labels = [uploaded_label(second, source_file=f"{second}.jpg", **own) for second in range(300)]
    index.create(labels[:10])
    index.create(labels[10:])
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM contexts").fetchone() == (11,)
    for number in (3, 200):
        assert search(index, {"source_file": f"{number}.jpg"}) == [labels[number]]
    assert len(search(index, {"source_file": {"type": "prefix", "value": "20"}})) == 11
    assert len(search(index, {"weather": "rain"})) == 300 * len(own)
    assert {"source_file", *own} <= index.custom_fields()


def as_first_layout(file):
    """Turn a file into what the first version of the toolkit would have made of it."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in (
            "DROP TRIGGER labels_forget_context",
            "DROP INDEX labels_by_context",
            "ALTER TABLE labels DROP COLUMN context",
            "DROP TABLE contexts",
            "DROP TABLE varying",
            "DROP TABLE layout",
            "CREATE INDEX labels_by_event ON labels (event, img_id)",
            "PRAGMA user_version = 1",
        ):
            connection.execute(statement)


def test_what_an_earlier_version_writes_into_todays_file_is_found(index, file):
    """It knows no contexts, and leaves those of the labels that it changes as they were."""
    index.create(SAMPLE[:3])
    with closing(sqlite3.connect(file)) as connection, connection:
        columns = ", ".join(name for name in layout.ROW if name not in ("fingerprint", "document"))
        connection.execute(
            f"INSERT INTO labels (fingerprint, document, {columns})"
            f" SELECT 'another', ?, {columns} FROM labels WHERE event = 'Sunday race'",
            (json.dumps(SAMPLE[0] | {"label_fingerprint": "another", "mood": "new"}).encode(),),
        )
        changed = SAMPLE[1] | {"event": "quiet day"}
        connection.execute(
            "UPDATE labels SET document = ?, event = ? WHERE fingerprint = ?",
            (json.dumps(changed).encode(), "quiet day", fingerprint_of(changed)),
        )
    for _ in range(2):
        assert len(search(index, {"event.text": {"type": "match", "query": "race"}})) == 2
        assert search(index, {"event.text": {"type": "match", "query": "quiet"}}) == [changed]
        assert search(index, {"event": "sunday RACE, second"}) == []
        assert len(search(index, {"mood": {"type": "exists"}})) == 2
        assert index.custom_fields() == {"mood"}
        index.remove(["nothing"])  # a writer of today's version
    with closing(sqlite3.connect(file)) as connection:
        assert not layout.lacks_contexts(connection)


FIELDS = {
    "event": ["", "a", "ab", "é", "\ud7ff", "\U0010ffff", "10", "9", "x\x00y", "a" * 300, "K"],
    "img_id": ["20201231T15", uploaded_label(3)["img_id"], "", "z"],
    "label.created_by": ["auto", "Zoé", "a"],
    "timestamp": ["2020-12-31", "2020-12-31T15:45:56Z", "1975", "2200", "2021-01", "20210101"],
    "label.label_direction": [0, 1, 2.5, "2", -1, 10**18, "1e30", "-1e30", 2**63 - 1],
    "mood": ["good", 3, "bad", ""],
    "label.remark": ["x", "y"],
    "label_fingerprint": [fingerprint_of(uploaded_label(second)) for second in (0, 1, 2)],
}
FIELDS |= {
    "driver": FIELDS["event"],
    "track": FIELDS["event"],
    "event.text": FIELDS["event"],
    "label.label_speed": FIELDS["label.label_direction"],
    "label": ["auto"],
    "car_setting.car": ["patate"],
}
PATTERNS = ["*", "a*", "*b", "?", "[ab]+", ".*a", "x.y"]


def any_clause(choose):
    """A field, and some question about it."""
    name = choose.choice(list(FIELDS))
    value, other = choose.choices(FIELDS[name], k=2)
    question = choose.choice(
        [
            {"type": "term", "value": value},
            {"type": "terms", "value": [value, other]},
            {"type": "terms", "value": []},
            {"type": "match", "query": value},
            {"type": "match_phrase", "query": value},
            {"type": "range", choose.choice(["gte", "gt"]): value},
            {"type": "range", choose.choice(["lte", "lt"]): value},
            {"type": "range", "gte": value, "lt": other},
            {"type": "prefix", "value": value},
            {"type": "term", "value": value, "case_insensitive": True},
            {"type": "wildcard", "value": choose.choice(PATTERNS)},
            {"type": "regexp", "value": choose.choice(PATTERNS)},
            {"type": "exists"},
            {"type": "match_all"},
            {"type": "ids", "values": FIELDS["label_fingerprint"][:2]},
        ]
    )
    return name, question | {"bool": choose.choice(["must", "filter", "should", "must_not"])}


@pytest.mark.slow
@pytest.mark.parametrize("few", [1, 1000], ids=["by context", "one by one"])
@pytest.mark.parametrize("make", [lambda file: None, as_first_layout], ids=["today's", "first"])
def test_sql_drops_no_match_and_adds_none(index, file, make, few, monkeypatch):
    """Whatever is asked, the index finds what the matcher alone finds."""
    monkeypatch.setattr(query_plan, "_FEW", few)
    choose = random.Random(7)
    documents = [
        uploaded_label(
            second,
            event=choose.choice(FIELDS["event"]),
            driver=choose.choice(FIELDS["event"]),
            timestamp=choose.choice(["2020-12-31T15:45:56Z", "1600-01-01T00:00:00Z", "9999-12-31"]),
            **choose.choice([{}, {"mood": choose.choice([*FIELDS["mood"], None, ["good", 3]])}]),
            annotation={
                "label_direction": choose.randrange(3),
                "created_by": choose.choice(["a", "Zoé"]),
                **choose.choice([{}, {"remark": choose.choice(["x", "y"])}]),
            },
        )
        for second in range(60)
    ]
    assert len(index.create(documents).created) == 60
    make(file)
    seen = 0
    for _ in range(600):
        data = {}
        for name, clause in (any_clause(choose) for _ in range(choose.choice([1, 1, 2, 3]))):
            data.setdefault(name, []).append(clause)
        query = parse_search_query(data)
        try:
            matches = compile_query(query)
        except InputError:
            continue
        wanted = [fingerprint_of(one) for one in sorted(filter(matches, documents), key=in_order)]
        assert [fingerprint_of(json.loads(one)) for one in index.search(query)] == wanted, data
        assert index.count(query) == len(wanted), data
        seen += 0 < len(wanted) < 60
    assert seen > 100


def in_order(label):
    return label["img_id"]  # one label a picture


def test_an_earlier_unicode_form_is_found_by_index(index, file):
    """Text of labels from before it was stored in NFC; a Kelvin sign is a K in NFC."""
    index.create([uploaded_label(0, event="e\u0301cole"), uploaded_label(1, event="\u212a 1")])
    for event in ("école", "K 1"):
        for clause in ({"type": "term", "value": event}, {"type": "prefix", "value": event[:2]}):
            assert len(search(index, {"event": clause})) == 1


def test_a_damaged_label_is_told_by_whatever_searches_it(index, file):
    """Whether it was damaged before the file got contexts or after."""
    index.create(SAMPLE)
    as_first_layout(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE labels SET document = ? WHERE event = 'test'", (b"not JSON",))
    index.create([uploaded_label(100)])
    assert len(search(index, {"timestamp": {"type": "range", "lt": "2021"}})) == 5
    for data in ({"driver": "Ada"}, {"mood": {"type": "exists"}}, {"event": "test"}):
        with pytest.raises(DatabaseError, match="damaged"):
            search(index, data)


def test_very_many_spans_are_left_to_the_matcher(index):
    index.create(SAMPLE)
    days = [f"20{year:02}-12-31" for year in range(100)] + ["2021-01-01"]
    assert len(search(index, {"timestamp": {"type": "terms", "value": days * 20}})) == 5


# --- what is refused alone


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"img_id": 5}, "img_id: Expected str"),
        ({"mood": {"an": "object"}}, "mood: a key of your own holds"),
        ({"mood": float("nan")}, "JSON"),
        ({"mood": "\ud800"}, "surrogates"),
        ({"mood": {1, 2}}, "mood: a key of your own holds"),
    ],
    ids=["type", "own key", "NaN", "half a character", "no JSON"],
)
def test_only_an_invalid_label_is_rejected(index, change, expected):
    bad = uploaded_label(1) | change
    result = index.create([bad, uploaded_label(2)])
    assert result.created == {fingerprint_of(uploaded_label(2))}
    assert expected in result.rejected[fingerprint_of(bad)]


# --- what goes wrong


def asked(index):
    """Every method, each of which must say the same."""
    yield lambda: index.find(["f"])
    yield lambda: index.find_tombstones(["f"])
    yield lambda: index.picture_hashes(["f"])
    yield lambda: index.find_references(["f"])
    yield lambda: index.create([uploaded_label()])
    yield lambda: index.add_tombstones([tombstone(uploaded_label())])
    yield lambda: index.remove_tombstones(["f"])
    yield lambda: index.remove(["f"])
    yield lambda: list(index.search(EVERYTHING))
    yield lambda: index.count(EVERYTHING)


def test_a_file_that_is_no_database_is_named(index, file):
    file.parent.mkdir(parents=True)
    file.write_bytes(b"these are not the bytes of a database" * 100)
    for ask in asked(index):
        with pytest.raises(DatabaseError, match="a copy") as raised:
            ask()
        assert str(file) in str(raised.value)


def test_an_empty_file_is_no_database(index, file):
    file.parent.mkdir(parents=True)
    file.touch()
    for ask in asked(index):
        with pytest.raises(DatabaseError, match=r"version 0\b.* a copy"):
            ask()


def test_a_file_of_a_later_toolkit_is_read_and_left_alone(index, file):
    index.create([uploaded_label()])
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE layout SET oldest_writer = 99")
    assert search(index) == [uploaded_label()]
    assert index.find(["f"]) == {}
    for change in (
        lambda: index.create([uploaded_label(1)]),
        lambda: index.add_tombstones([tombstone(uploaded_label())]),
        lambda: index.remove([uploaded_label()["label_fingerprint"]]),
    ):
        with pytest.raises(DatabaseError, match=r"version 99\b.*\b2: .*update"):
            change()
    assert search(index) == [uploaded_label()]


def test_a_file_of_a_later_toolkit_with_other_columns_is_refused(index, file):
    index.create([uploaded_label()])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE labels RENAME COLUMN event TO occasion")
        connection.execute("PRAGMA user_version = 99")
    for ask in asked(index):
        with pytest.raises(DatabaseError, match=r"version 99\b.*\b2: .*update"):
            ask()


def test_a_damaged_file_is_named(index, file):
    index.create([uploaded_label(second) for second in range(300)])
    content = bytearray(file.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    file.write_bytes(content)
    with pytest.raises(DatabaseError, match="damaged"):
        search(index)


@pytest.mark.parametrize(
    "change",
    [
        ["DELETE FROM labels", "VACUUM"],
        ["DELETE FROM labels"],
        ["UPDATE labels SET document = 'x'"],
    ],
    ids=["made smaller", "emptied", "rewritten"],
)
def test_a_reader_who_is_overtaken_by_a_writer_reports_no_damage(change, index, file, monkeypatch):
    """Whoever may only read has no lock: what he reads then is half of the old and half of the new.

    Restoring a backup would lose what was written.
    """
    index.create([uploaded_label(second) for second in range(600)])
    monkeypatch.setattr(os, "access", lambda *_arguments, **_options: False)
    with closing(index.search(EVERYTHING)) as documents:
        next(documents)
        with closing(sqlite3.connect(file, isolation_level=None)) as writer:
            for statement in change:
                writer.execute(statement)
        with pytest.raises(DatabaseError) as raised:
            list(documents)
    assert str(file) in str(raised.value)
    assert "run again" in str(raised.value)
    assert "restore" not in str(raised.value)


def test_a_lasting_lock_is_reported(index, file, monkeypatch):
    monkeypatch.setattr(index_file, "_LOCK_TIMEOUT_S", 0.05)
    index.create([uploaded_label(1)])
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"locked for 0\.05 s"):
            index.create([uploaded_label(2)])
        assert len(search(index)) == 1  # readers do not wait
    assert index.create([uploaded_label(2)]).created


def connect_here(pragma, monkeypatch):
    """From now on every connection obeys the pragma."""
    real = index_file._connect

    def connect(uri):
        connection = real(uri)
        connection.execute(pragma)
        return connection

    monkeypatch.setattr(index_file, "_connect", connect)


def test_a_new_file_and_its_folders_outlive_a_power_cut_before_a_label_is_in(
    index, file, monkeypatch
):
    at_sync = []

    def sync(folder):
        assert folder == file.parent
        at_sync.append(SqliteIndex(folder).count(EVERYTHING))

    monkeypatch.setattr(index_file, "sync_file_system", sync)
    index.create([uploaded_label(1)])
    index.create([uploaded_label(2)])
    assert at_sync == [0]


def test_each_change_outlives_a_power_cut_whatever_the_default_of_sqlite_is(index, monkeypatch):
    """Where it is built with another default, a change would be on the disk at some later time."""
    connect_here("PRAGMA synchronous = NORMAL", monkeypatch)
    index.create([uploaded_label(1)])
    with index._file.connected(writing=True) as connection:
        full = 2
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)


@pytest.fixture
def kept(file):
    """An index that keeps its connection from one write to the next, as scripts open it."""
    with closing(SqliteIndex(file.parent, reuse_connections=True)) as index:
        yield index


def test_writes_share_a_connection_until_it_is_closed(kept, file, monkeypatch):
    opened, real = [], index_file._connect
    monkeypatch.setattr(index_file, "_connect", lambda uri: opened.append(uri) or real(uri))
    kept.ensure_exists()
    opened.clear()
    for second in range(3):
        kept.create([uploaded_label(second)])
        kept.add_tombstones([tombstone(uploaded_label(second + 10))])
        assert len(opened) == 1
    with kept._file.connected(writing=True) as connection:
        full = 2
        assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
    for _ in range(2):
        kept.close()
        assert [one.name for one in file.parent.iterdir()] == ["index.sqlite"]
    kept.create([uploaded_label(3)])
    assert SqliteIndex(file.parent).count(EVERYTHING) == 4


def test_a_kept_connection_does_not_write_to_a_file_that_was_moved_away(kept, file, tmp_path):
    kept.create([uploaded_label(1)])
    away = tmp_path / "away"
    away.mkdir()
    for one in list(file.parent.iterdir()):
        one.rename(away / one.name)
    kept.create([uploaded_label(2), uploaded_label(3)])
    assert kept.count(EVERYTHING) == 2
    kept.close()
    assert SqliteIndex(away).count(EVERYTHING) == 1
    assert SqliteIndex(file.parent).count(EVERYTHING) == 2


def test_a_connection_is_not_kept_after_an_error(kept, monkeypatch):
    kept.create([uploaded_label(1)])
    with monkeypatch.context() as broken:
        broken.setattr(label_index, "_INSERT", f"{label_index._INSERT} RETURNING nothing")
        with pytest.raises(DatabaseError):
            kept.create([uploaded_label(2)])
    assert kept.count(EVERYTHING) == 1
    assert kept.create([uploaded_label(2)]).created


def test_programs_that_keep_their_connections_find_what_the_others_write(kept, file):
    with closing(SqliteIndex(file.parent, reuse_connections=True)) as other:
        for second in range(6):
            (kept, other)[second % 2].create([uploaded_label(second)])
            assert kept.count(EVERYTHING) == other.count(EVERYTHING) == second + 1


def test_many_threads_write_with_connections_that_are_kept(kept, file):
    barrier = Barrier(4)

    def write(thread):
        barrier.wait()
        return [kept.create([uploaded_label(10 * thread + n)]).created for n in range(5)]

    with ThreadPoolExecutor(4) as threads:
        assert all(map(all, threads.map(write, range(4))))
    kept.close()
    assert SqliteIndex(file.parent).count(EVERYTHING) == 20


def test_what_was_created_outlives_a_kill_of_who_keeps_the_connection(file):
    process = PROCESSES.Process(target=create_and_die, args=(file.parent,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert SqliteIndex(file.parent).count(EVERYTHING) == 3
    assert [one.name for one in file.parent.iterdir()] == ["index.sqlite"]


def create_and_die(folder):
    index = SqliteIndex(folder, reuse_connections=True)
    for second in range(3):
        index.create([uploaded_label(second)])
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_full_disk_is_reported_and_nothing_is_half_written(index, file, monkeypatch):
    index.create([uploaded_label(1)])
    connect_here("PRAGMA max_page_count = 30", monkeypatch)
    with pytest.raises(DatabaseError, match="disk is full") as raised:
        index.create([uploaded_label(second) for second in range(2, 500)])
    assert str(file) in str(raised.value)
    assert index.count(EVERYTHING) == 1


@pytest.mark.parametrize("depth", [0, 1], ids=["the folder", "the one above"])
def test_a_file_in_place_of_the_folder_is_reported(file, depth):
    in_the_way = [file.parent, file.parent.parent][depth]
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.touch()
    with pytest.raises(DatabaseError, match=r"is not a folder.* PATATE_HOME"):
        SqliteIndex(file.parent).create([uploaded_label()])


def test_a_folder_in_place_of_the_file_is_reported(index, file):
    file.mkdir(parents=True)
    for ask in asked(index):
        with pytest.raises(DatabaseError, match="cannot be opened"):
            ask()


def test_a_read_only_file_is_reported(index, file, monkeypatch):
    index.create([uploaded_label(1)])
    connect_here("PRAGMA query_only = ON", monkeypatch)
    with pytest.raises(DatabaseError, match=r"cannot be opened for writing .*\brights\b"):
        index.create([uploaded_label(2)])
    assert len(search(index)) == 1


def test_a_read_only_folder_is_reported(index, file, monkeypatch):
    """Root may write everywhere, so the refusal itself is made up."""

    def refuse(*_arguments, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DatabaseError, match=r"Permission denied.*\brights\b"):
        index.create([uploaded_label()])
