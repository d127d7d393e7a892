"""Arguments: files and folders that cannot be read or written, and wrong options."""

import pytest

from get_data import (
    back_up,
    check_set,
    contact_sheet,
    export_set,
    free_space,
    import_drive,
    run_manual,
    search_and_download,
    upload_data,
    upload_to_db,
    write_label_template,
)
from tests.bad_input.rows import (
    LONG,
    NOT_UTF_8,
    NOWHERE,
    READERS,
    SEARCH_ALL,
    Row,
    all_of,
    as_params,
    fifo,
    file_with,
    folder,
    link,
    unix_socket,
    without_permission,
)
from tests.conftest import save

PATHS = [
    ("no such file", ["none.json"], ["none.json does not exist"]),
    ("no such folder", ["none/none.json"], ["none/none.json does not exist"]),
    ("below a file", ["hardware_conf.json/labels.json"], ["hardware_conf.json/labels.json"]),
    ("an empty argument", [""], ["expected a file or a folder, got ''"]),
    ("a name too long", [LONG], ["File name too long"]),
    ("a path too long", ["x/" * 3000], ["File name too long"]),
    ("a path barely too long", ["d/" * 2045], ["File name too long"]),
    ("a folder without labels", ["."], [". has no labels.json"]),
    ("a name that is not UTF-8", [NOT_UTF_8], [r"error: \udcff\udce9 does not exist"]),
    ("a name with quotes", ['it\'s "here".json'], ['it\'s "here".json does not exist']),
    ("a name of two lines", ["a\nerror: b.json"], [r"a\nerror: b.json does not exist"]),
    ("a name that moves the cursor", ["\x1b[2Ja.json"], [r"\x1b[2Ja.json does not exist"]),
    ("an unknown option", ["drive", "--force"], ["unrecognized arguments: --force"]),
    ("no argument", [], ["the following arguments are required"]),
    ("a terminal as labels", ["/dev/ptmx"], ["/dev/ptmx is not a regular file"]),
    ("an endless device", ["/dev/zero"], ["/dev/zero is not a regular file"]),
]

LABEL_TEMPLATES = [
    ("-o is a folder", ["-o", "drive"], 2, ["drive is a folder; name a file"]),
    ("-o is empty", ["-o", ""], 2, ["-o/--output: expected a file or a folder, got ''"]),
    (
        "-o in a missing folder",
        ["-o", "none/x.json"],
        1,
        ["none/x.json cannot be written: No such"],
    ),
    (
        "-o below a file",
        ["-o", "hardware_conf.json/x"],
        1,
        ["hardware_conf.json/x cannot be writt"],
    ),
    (
        "-o that cannot be created",
        ["-o", f"{NOWHERE}.json"],
        1,
        [f"{NOWHERE}.json cannot be written"],
    ),
    ("-o too long", ["-o", LONG], 2, ["-o/--output", "File name too long"]),
    ("-o exists", ["-o", "hardware_conf.json"], 1, ["hardware_conf.json exists", "-o"]),
    ("dangling -o", ["-o"], 2, ["argument -o/--output: expected one argument"]),
    ("an extra argument", ["template.json"], 2, ["unrecognized arguments: template.json"]),
]

FREE_SPACE = [
    ("no folder", [], ["the following arguments are required: DIR"]),
    ("no such folder", ["none"], ["none is not a folder"]),
    ("a file", ["drive/labels.json"], ["drive/labels.json is not a folder"]),
    ("a folder without labels", ["drive", "."], [". has no labels.json"]),
    ("the local database", ["home/database"], ["is inside the local database"]),
    ("no share", ["drive", "--until", "0%"], ["--until: expected a share such as 20%", "got '0%'"]),
    ("more than all", ["drive", "--until", "101%"], ["--until: expected a share such as 20%"]),
    ("a share in words", ["drive", "--until", "half"], ["--until: expected a share such as 20%"]),
    ("not a number", ["drive", "--until", "nan"], ["--until: expected a share such as 20%"]),
]


EXPORTS = [
    ("no such folder", ["none"], ["none does not exist"]),
    ("no labels.json", ["."], [". has no labels.json"]),
    ("a picture", ["drive/x.jpg"], ["x.jpg does not exist"]),
    (
        "a device",  # -o outside /dev: the test's own folder may be below it
        ["/dev/zero", "-o", NOWHERE, "--format", "csv"],
        ["/dev/zero is not a regular file"],
    ),
    ("no format", ["drive", "-o", "new"], ["the following arguments are required: --format"]),
    ("a format unknown", ["drive", "-o", "new", "--format", "zip"], ["--format: invalid choice"]),
    ("no output", ["drive", "--format", "csv"], ["required: -o/--output"]),
    ("output exists", ["drive", "-o", "home", "--format", "csv"], ["home exists"]),
    ("output in the set", ["drive", "-o", "drive/x", "--format", "csv"], ["drive/x is inside"]),
    ("output nowhere", ["drive", "-o", "none/x", "--format", "csv"], ["none is not a folder"]),
    ("output too long", ["drive", "-o", LONG, "--format", "csv"], ["File name too long"]),
    ("output empty", ["drive", "-o", "", "--format", "csv"], ["-o/--output: expected a file"]),
    (
        "output in the database",
        ["drive", "-o", "home/database/x", "--format", "csv"],
        ["is inside the local database"],
    ),
]


def nothing(_workspace):
    """Prepare nothing."""


ROWS = [
    *[
        Row(f"free: {name}", free_space, arguments, 2, facts)
        for name, arguments, facts in FREE_SPACE
    ],
    *[
        Row(
            f"export: {name}",
            export_set,
            arguments
            if "--format" in arguments or "-o" in arguments
            else [*arguments, "-o", "new", "--format", "csv"],
            2,
            facts,
        )
        for name, arguments, facts in EXPORTS
    ],
    Row(
        "export: labels broken",
        export_set,
        ["drive", "-o", "new", "--format", "csv"],
        2,
        ["drive/labels.json, line 1, column 2: not JSON"],
        file_with("drive/labels.json", "{"),
    ),
    Row(
        "export: labels are a link",
        export_set,
        ["new", "-o", "out", "--format", "csv"],
        2,
        ["new has none of the pictures"],
        all_of(folder("new"), link("new/labels.json", "../drive/labels.json")),
    ),
    Row(
        "export: no labels",
        export_set,
        ["new", "-o", "out", "--format", "csv"],
        2,
        ["has no labels to export"],
        lambda p: save(p / "new", []),
    ),
    Row(
        "export: nowhere to be created",
        export_set,
        ["drive", "-o", NOWHERE, "--format", "csv"],
        1,
        [f"{NOWHERE} cannot be written"],
    ),
    *[
        Row(f"path: {name}", script, arguments, 2, facts)
        for name, arguments, facts in PATHS
        for script in READERS
    ],
    *[
        Row(f"template: {name}", write_label_template, arguments, code, facts)
        for name, arguments, code, facts in LABEL_TEMPLATES
    ],
    Row(
        "-p does not exist",
        upload_data,
        ["drive", "-p", "none"],
        2,
        ["none is not a folder of pic"],
    ),
    Row(
        "-p is a file", upload_to_db, ["drive", "-p", "hardware_conf.json"], 2, ["is not a folder"]
    ),
    Row("-p is empty", upload_to_db, ["drive", "-p", ""], 2, ["-p/--pictures: expected a file or"]),
    Row("-p too long", upload_data, ["drive", "-p", LONG], 2, ["-p/--pictures", "too long"]),
    Row(
        "pictures in an unreadable folder",
        upload_data,
        ["drive/labels.json", "-p", "unreadable"],
        2,
        ["unreadable", "Permission denied"],
        all_of(folder("unreadable"), without_permission("unreadable", 0o400)),
    ),
    *[
        Row(f"labels named {name}", search_and_download, [*SEARCH_ALL, "-o", name], 2, [name])
        for name in (
            *("out/labels.journal", "out/session_template.json", "out/labels.damaged.json"),
            *("out/set.json", "out/metadata.jsonl", "out/x.jpg", "out/Labels.Journal", "x.JPEG"),
            *("out/Labels.json", "out/._x.json", "out/.thumbnails.cache"),
            "out/labels.json.labelizer.sqlite3",
        )
    ],
    *[
        Row(f"output in {name}", script, [*arguments, name], 2, [name])
        for script, arguments in (
            (export_set, ["drive", "--format=csv", "-o"]),
            (import_drive, ["original", "--format=42ai", "-o"]),
            (run_manual, ["--simulate", "--event=", "--duration=1", "-o"]),
            (back_up, []),
        )
        for name in (
            *("drive/erased", "drive/Damaged", "x/labels.json", "x/labels.journal"),
            *("x/session_template.json", "x/set.json", "x.jpg", "x/._drive"),
            *("home/database/pictures/monday", "home/database", "home/database/../database/x"),
        )
    ],
    *[
        Row(f"template named {name}", write_label_template, ["-o", name], 2, [name])
        for name in (
            *("drive/labels.json", "drive/labels.journal", "labels.damaged.json"),
            *("set.json", "metadata.jsonl"),
            "session_template.json",
            "x.jpg",
        )
    ],
    Row("one of two is bad", upload_data, ["drive", "none.json"], 2, ["none.json does not exist"]),
    Row("two label files", upload_to_db, ["drive", "drive"], 2, ["unrecognized arguments: drive"]),
    Row(
        "no labels", contact_sheet, ["new"], 2, ["new has no labels"], lambda p: save(p / "new", [])
    ),
    Row(
        "--most 0", contact_sheet, ["drive", "--most", "0"], 2, ["--most: expected 1 to 2000 pict"]
    ),
    Row(
        "--most 2001", contact_sheet, ["drive", "--most", "2001"], 2, ["--most: expected 1 to 2000"]
    ),
    Row(
        "--most many",
        contact_sheet,
        ["drive", "--most", "a lot"],
        2,
        ["--most: expected 1 to 2000"],
    ),
    Row(
        "sheet is a folder", contact_sheet, ["drive", "-o", "."], 2, [". is a folder; name a file"]
    ),
    Row(
        "sheet in a missing folder",
        contact_sheet,
        ["drive", "-o", "none/sheet.png"],
        1,
        ["none/sheet.png cannot be written: No such file or directory"],
    ),
    Row(
        "sheet that cannot be created",
        contact_sheet,
        ["drive", "-o", f"{NOWHERE}.png"],
        1,
        [f"{NOWHERE}.png cannot be written"],
    ),
    Row(
        "sheet in a read-only folder",
        contact_sheet,
        ["drive"],
        1,
        ["drive/contact_sheet.png cannot be written: Permission denied"],
        without_permission("drive", 0o555),
    ),
    *[
        Row(f"page: {name}", check_set, ["drive", "--html", file], 2, facts, prepare)
        for name, file, facts, prepare in (
            ("a folder", ".", [". is a folder; name a file"], nothing),
            ("in a missing folder", "none/x.html", ["none is no folder"], nothing),
            ("a pipe", "p", ["p is not a regular file"], fifo("p")),
            ("a link", "x.html", ["x.html", "link"], link("x.html", "drive/labels.json")),
            ("a label file", "drive/labels.json", ["ends in .html"], nothing),
            ("another page", "x.html", ["not a page"], file_with("x.html", "<!DOCTYPE html>\n<p>")),
            ("in the database", "home/database/x.html", ["database"], nothing),
        )
    ],
    Row("--seed", check_set, ["drive", "--seed", "-1"], 2, ["--seed: expected"]),
    Row("no labels", check_set, ["new"], 2, ["has no labels"], lambda p: save(p / "new", [])),
    Row("a pipe", write_label_template, ["-o", "p"], 2, ["p is not a regular file"], fifo("p")),
    Row("a pipe", contact_sheet, ["drive", "-o", "p"], 2, ["p is not a regular file"], fifo("p")),
    Row(
        "a pipe",
        search_and_download,
        [*SEARCH_ALL, "-o", "p"],
        2,
        ["p is not a regular"],
        fifo("p"),
    ),
    Row("a socket", write_label_template, ["-o", "s"], 2, ["not a regular file"], unix_socket("s")),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)
