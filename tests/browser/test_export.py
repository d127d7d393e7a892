"""The export, and the whole loop that it is a part of."""

import hashlib
import json

from playwright.sync_api import expect

from get_data import run_manual, search_and_download, upload_data, upload_to_db
from get_data.labels import edits, ids, label_file, validation
from tests.browser.drives import img_id
from tests.browser.page_actions import current, export, keys


def test_the_export_differs_only_where_it_should(page, labelizer, call):
    """Downloaded; the source as it was; taken by the toolkit's own dry run."""
    source_bytes = labelizer.labels.read_bytes()
    source = label_file.read(labelizer.labels)
    call(upload_data, labelizer.folder)
    keys(page, "4", "Enter", "x")
    keys(page, "x", "ArrowLeft", "x")  # marked and not marked any more
    exported = export(page, labelizer)
    with page.expect_download() as downloading:
        page.click("#download")
    downloaded = downloading.value.path().read_bytes()
    assert downloaded == labelizer.exports()[0].read_bytes()
    assert json.loads(downloaded) == exported
    assert downloading.value.suggested_filename == labelizer.exports()[0].name
    assert (
        hashlib.sha256(labelizer.labels.read_bytes()).digest()
        == hashlib.sha256(source_bytes).digest()
    )
    changed = [name for name in source if exported[name] != source[name]]
    assert changed == [img_id(0), img_id(1), img_id(2)]
    for number, direction in ((0, 4), (1, 1)):
        one, old = exported[img_id(number)], source[img_id(number)]
        checked = validation.parse(one)
        assert (checked.label.label_direction, checked.label.created_by) == (direction, "Zoé")
        assert one["replaces"] == old["label_fingerprint"] != one["label_fingerprint"]
        assert one["dataset"] == []
        keys_left = {"label", "label_fingerprint", "replaces", "dataset"}
        assert {k: v for k, v in one.items() if k not in keys_left} == {
            k: v for k, v in old.items() if k not in keys_left
        }
    assert exported[img_id(2)] == {**source[img_id(2)], "to_delete": True}
    untouched = source_bytes.splitlines()[4:-1]
    assert [line.strip(b",") for line in downloaded.splitlines()[4:-1]] == [
        line.strip(b",") for line in untouched
    ]
    code, counts, err = call(upload_to_db, labelizer.exports()[0], "--dry-run")
    assert code == 0, err
    assert (counts["created"], counts["replaced"], counts["deleted"], counts["there"]) == (
        2,
        2,
        1,
        9,
    )
    told = page.locator("#exported").inner_text()
    assert "1 label corrected, 1 confirmed, 1 to delete, 0 kept again, 9 as they were." in told
    page.close()  # it would ask a server that is gone
    labelizer.stop()
    assert labelizer.counts == {
        "labels": 12,
        "reviewed": 3,
        "corrected": 1,
        "created": 0,
        "unlabelled": 0,
        "to_delete": 1,
        "file": str(labelizer.exports()[0]),
    }


def test_an_export_says_when_it_is_no_longer_all(page, labelizer):
    """An edit after it, undone or not, is not in the file."""
    keys(page, "4")
    export(page, labelizer)
    told = page.locator("#exported")
    older = "older than your last change"
    expect(told).not_to_contain_text(older)
    keys(page, "Control+z")
    expect(told).to_contain_text(older)
    page.click("nav [data-view=single]")
    keys(page, "3")
    export(page, labelizer)
    expect(told).not_to_contain_text(older)
    page.click("nav [data-view=single]")
    keys(page, "2", "Control+s")
    expect(told).to_contain_text(older)


def test_an_exported_file_that_is_opened_again_says_so(page, labelizer, start, open_page, tmp_path):
    """What stands in it is told; a label marked there can be kept again."""
    keys(page, "4", "x")
    export(page, labelizer)
    page.close()
    again = start(labelizer.folder, "--labels", labelizer.exports()[0])
    page = open_page(again)
    expect(page.locator("#problems")).to_contain_text("2 corrections already in this file")
    expect(page.locator("#progress-count")).to_contain_text("1 of 12")
    page.click("nav [data-view=single]")
    keys(page, "Home", "ArrowRight")
    expect(page.locator("#stamp")).to_be_visible()
    keys(page, "Shift+X")
    exported = export(page, again)
    source = label_file.read(labelizer.labels)
    assert exported[img_id(1)] == source[img_id(1)]


def labels_found(call, tmp_path, query):
    """The labels that a search finds."""
    folder = tmp_path / "found"
    code, _, err = call(search_and_download, "-q", json.dumps(query), "-p", folder, "--allow-empty")
    assert code == 0, err
    return label_file.read(folder / label_file.NAME)


def test_the_whole_loop(call, tmp_path, home, start, open_page):
    """A simulated drive, uploaded, fetched, corrected by keys, applied, and searched again."""
    recording, training = tmp_path / "recording", tmp_path / "training"
    session = [f"--{name}=loop" for name in ("event", "track", "track-type", "driver", "comment")]
    arguments = ["-o", recording, "--simulate", "--duration", "4", "--rate", "20", *session]
    code, driven, err = call(run_manual, *arguments)
    assert code == 0, err
    assert call(upload_data, recording)[1]["created"] == driven["pictures"] >= 70
    call(search_and_download, "-p", training)
    before = label_file.read(training / label_file.NAME)
    names = list(before)
    # A second label of one of the pictures that will lose its first.
    second = edits.corrected(
        before[names[23]],
        created_by="Ada",
        direction=0,
        speed=0,
        created_on=ids.parse_img_id(names[23]),
    )
    second.pop("replaces")
    both = tmp_path / "second" / label_file.NAME
    both.parent.mkdir()
    label_file.write(both, {names[23]: second})
    call(upload_to_db, both, "-p", training)

    labelizer = start(training)
    page = open_page(labelizer)
    assert current(page) == names[0]
    wanted = {}
    for name in names[:20]:
        wanted[name] = (before[name]["label"]["label_direction"] + 1) % 5
        keys(page, str(wanted[name]))
    keys(page, *"x" * 5)
    exported = export(page, labelizer)
    assert sum("replaces" in one for one in exported.values()) == 20
    assert sum(one.get("to_delete") is True for one in exported.values()) == 5
    page.close()
    labelizer.stop()

    code, counts, err = call(upload_to_db, labelizer.exports()[0], "-p", training, "-y")
    assert code == 0, err
    assert (counts["created"], counts["replaced"], counts["deleted"]) == (20, 20, 5)
    assert counts["pictures_deleted"] == 4

    after = labels_found(call, tmp_path, {})
    assert after.keys() == {*names[:20], names[23], *names[25:]}
    for name, direction in wanted.items():
        assert after[name]["label"]["label_direction"] == direction
        assert after[name]["label"]["created_by"] == "Zoé"
        old = before[name]["label"]["label_direction"]
        query = {
            "img_id": {"type": "term", "value": name},
            "label.label_direction": {"type": "term", "value": old},
        }
        assert name not in labels_found(call, tmp_path, query)
    assert after[names[23]]["label"]["created_by"] == "Ada"
    stored = {file.name[:24] for file in (home / "database" / "pictures").rglob("*.jpg")}
    assert stored == after.keys()
    for name in after:
        assert (tmp_path / "found" / f"{name}.jpg").read_bytes() == (
            recording / f"{name}.jpg"
        ).read_bytes()
