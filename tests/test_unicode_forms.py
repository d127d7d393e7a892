"""What looks alike is alike: texts in two Unicode forms, and file names that a disk may fold."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from get_data import edit_labels, search_and_download, show_database, upload_data
from get_data.cli import session_questions
from get_data.database.entries import read_entries
from get_data.database.local.label_index import SqliteIndex
from get_data.database.search.search_query import parse_search_query
from get_data.database.upload import upload
from get_data.labels import ids, label_file
from get_data.labels.unicode_forms import file_name_key, to_nfc
from tests.conftest import document, picture, save

COMPOSED, APART = "Zo\u00e9", "Zoe\u0301"
OWN = document(0)["file_name"]
ONE_NAME = [
    ("Frame.jpg", "frame.jpg"),
    ("frame.jpg", "frame.JPG"),
    ("\u00e9.jpg", "e\u0301.jpg"),
    ("\u00c9.jpg", "e\u0301.jpg"),
    ("\u1e9b\u0323.jpg", "\u1e69.jpg"),
    ("stra\u00dfe.jpg", "STRASSE.jpg"),
    (OWN, OWN.lower()),
]
TWO_NAMES = [("a.jpg", "b.jpg"), ("e.jpg", "\u00e9.jpg"), ("a.jpg", "a.jpeg")]


_TEXTS = st.text('ae="\\\u00e9\u0301\u0338\u1100\u1161\ud800', max_size=4)
_JSON = st.recursive(
    _TEXTS | st.none() | st.booleans() | st.sampled_from((1, 0.5, 10**30, float("inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
@example({COMPOSED: 1, APART: APART})
def test_all_texts_are_brought_into_one_form_and_nothing_else_changes(value):
    def expected(part):
        if isinstance(part, str):
            return unicodedata.normalize("NFC", part)
        if isinstance(part, list):
            return list(map(expected, part))
        if isinstance(part, dict):
            names = {unicodedata.normalize("NFC", name) for name in part}
            one_by_one = len(names) == len(part)  # else two would become one
            return {(expected(k) if one_by_one else k): expected(v) for k, v in part.items()}
        return part

    assert to_nfc(value) == expected(value)


@pytest.mark.parametrize(("one", "other"), ONE_NAME)
def test_names_that_a_disk_may_fold_are_one(one, other):
    assert file_name_key(one) == file_name_key(other)


@pytest.mark.parametrize(("one", "other"), TWO_NAMES)
def test_other_names_are_two(one, other):
    assert file_name_key(one) != file_name_key(other)


@pytest.mark.parametrize("options", [[], ["--no-download"]], ids=["fetched", "listed"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("one", "other"), ONE_NAME)
def test_of_two_pictures_with_one_name_the_second_is_reported(
    one, other, turned, options, tmp_path, call
):
    names = (other, one) if turned else (one, other)
    documents = [document(number) | {"file_name": name} for number, name in enumerate(names)]
    for number, entry in enumerate(documents):  # each from a folder of its own
        assert call(upload_data, save(tmp_path / f"{number}", [entry]))[0] == 0
    out = tmp_path / "out"
    code, counts, said = call(search_and_download, "-p", out, *options)
    assert (code, counts["found"], counts["failed"]) == (3, 2, 1)
    first, second = documents
    assert second["img_id"] in said
    assert list(label_file.read(out / label_file.NAME)) == [first["img_id"]]
    if not options:
        assert (out / names[0]).read_bytes() == picture(0)


@pytest.mark.parametrize(("one", "other"), ONE_NAME[:3])
def test_a_label_whose_picture_is_anothers_is_not_uploaded(one, other, tmp_path, call):
    """As on a disk that folds names; here the two names are links to one file."""
    bare = [document(number) | {"file_name": name} for number, name in enumerate((one, other))]
    for entry in bare:
        del entry["picture_size"], entry["picture_sha256"]
    folder = save(tmp_path / "drive", bare)
    (folder / other).unlink()
    (folder / other).hardlink_to(folder / one)
    code, counts, said = call(upload_data, folder)
    assert (code, counts["created"], counts["failed"]) == (3, 1, 1)
    assert bare[1]["img_id"] in said


def test_two_pictures_with_such_names_on_a_disk_that_knows_both_are_uploaded(tmp_path, call):
    documents = [document(n) | {"file_name": name} for n, name in enumerate(("A.jpg", "a.jpg"))]
    assert call(upload_data, save(tmp_path / "drive", documents))[1]["created"] == 2


# --- texts

TEXTS = {"event": APART, "driver": APART, "comment": f"x {APART}", "mood": [APART], "who": APART}


def by(text, entry):
    """The label as that person made it."""
    made = entry | {"label": entry["label"] | {"created_by": text}}
    return made | {"label_fingerprint": ids.fingerprint(made["img_id"], made["label"])}


def test_a_session_is_kept_in_one_form(tmp_path):
    given = {"event": APART, "track": "", "track_type": "", "driver": APART, "comment": ""}
    kept = session_questions.resolve_session(tmp_path / "new", given, may_ask=False)
    assert kept["driver"] == COMPOSED
    recorded = document(0, **TEXTS)
    assert recorded == to_nfc(recorded)
    assert recorded["who"] == COMPOSED


@pytest.mark.parametrize("asked", [COMPOSED, APART], ids=["composed", "apart"])
def test_an_upload_stores_texts_in_one_form_and_a_search_finds_them(asked, db, tmp_path):
    entry = by(APART, document(0) | TEXTS)
    folder = save(tmp_path / "drive", [entry])
    list(upload(read_entries(folder / label_file.NAME), db.index, db.store))
    (stored,) = db.labels().values()
    assert stored == to_nfc(stored)
    assert stored["label_fingerprint"] == entry["label_fingerprint"]
    for field in ("event", "driver", "mood", "who", "label.created_by"):
        query = parse_search_query({field: {"type": "term", "value": asked}})
        assert db.index.count(query) == 1, field


CLAUSES = [
    ("driver", {"type": "term", "value": COMPOSED}),
    ("driver", {"type": "terms", "value": ["x", COMPOSED]}),
    ("driver", {"type": "prefix", "value": COMPOSED}),
    ("driver", {"type": "wildcard", "value": f"*{COMPOSED[2:]}"}),
    ("event", {"type": "match", "query": COMPOSED}),
    ("comment", {"type": "match", "field": "text", "query": COMPOSED}),
    ("comment", {"type": "match_phrase", "field": "text", "query": f"x {COMPOSED}"}),
    ("mood", {"type": "term", "value": COMPOSED}),
    ("label.created_by", {"type": "term", "value": COMPOSED}),
]


@pytest.mark.parametrize("apart", [False, True], ids=["asked composed", "asked apart"])
def test_labels_of_earlier_versions_are_found_in_both_forms(apart, db):
    """They were stored as they came."""
    entries = [
        by(
            text,
            document(number)
            | {"event": text, "driver": text, "comment": f"x {text}", "mood": text}
            | {"s3_key": f"pictures/{number}.jpg", "s3_bucket": "b"},
        )
        for number, text in enumerate((COMPOSED, APART))
    ]
    assert len(db.index.create(entries).created) == 2
    for field, clause in CLAUSES:
        text = json.dumps({field: clause}, ensure_ascii=False)
        asked = json.loads(text.replace("\u00e9", "e\u0301") if apart else text)
        found = list(db.index.search(parse_search_query(asked)))
        assert len(found) == 2, (field, clause)
        none = parse_search_query({field: clause | {"bool": "must_not"}})
        assert db.index.count(none) == 0, (field, clause)


def test_a_range_of_texts_goes_by_one_form_on_this_machine(tmp_path):
    index = SqliteIndex(tmp_path)
    index.create([document(0) | {"driver": APART}])
    assert index.count(parse_search_query({"driver": {"type": "range", "gt": "Zof"}})) == 1
    assert index.count(parse_search_query({"driver": {"type": "range", "lt": "Zof"}})) == 0


@pytest.fixture
def own_keys(call, tmp_path):
    """Ten uploaded labels with a key of their own that has an accent."""
    labels = [document(number, **{COMPOSED: "ab"[number % 2]}) for number in range(10)]
    call(upload_data, save(tmp_path / "drive", labels))


@pytest.mark.usefixtures("own_keys")
@pytest.mark.parametrize("asked", [COMPOSED, APART], ids=["composed", "apart"])
class TestAFieldNamedOnTheCommandLine:
    """It may be typed in either form, as in a search."""

    def test_classes_of_it_are_balanced(self, call, tmp_path, asked):
        options = ("--count", "--per-class", f"{asked}=3")
        code, counts, err = call(search_and_download, *options)
        assert (code, counts["pictures"]) == (0, 6), err
        code, counts, err = call(search_and_download, "-p", tmp_path / "set", *options[1:])
        assert (code, counts["choice"]["field"]) == (0, COMPOSED), err

    def test_it_is_set_and_is_no_new_key(self, call, asked):
        code, counts, err = call(edit_labels, "-q", "{}", "--set", f"{asked}={asked}", "--dry-run")
        assert (code, counts["amended"]) == (0, 10), err
        code, _, err = call(
            edit_labels, "-q", "{}", "--set", f"{COMPOSED}=x", "--set", f"{asked}=y", "-y"
        )
        assert (code, "twice" in err) == (2, True), err

    def test_what_is_set_is_there_the_second_time(self, call, asked):
        values = ["--set", f"{asked}={json.dumps([asked])}", "--set", f"event={asked}"]
        for amended in (10, 0):
            code, counts, err = call(edit_labels, "-q", "{}", *values, "-y")
            assert (code, counts["amended"], counts["unchanged"]) == (0, amended, 10 - amended), err
        query = json.dumps({asked: asked, "event": asked})
        assert call(search_and_download, "--count", "-q", query)[1]["pictures"] == 10
        assert call(show_database, "-q", query)[1]["labels"] == 10


@pytest.mark.usefixtures("own_keys")
def test_a_field_that_is_not_utf_8_is_wrong_usage(call, capsys):
    with pytest.raises(SystemExit) as ended:
        call(search_and_download, "--count", "--per-class", "\udcff=3")
    assert ended.value.code == 2
    assert "UTF-8" in capsys.readouterr().err
