"""Environment variables that name no usable database."""

import pytest

from get_data import run_manual, search_and_download, upload_data, upload_to_db
from tests.bad_input.rows import (
    DRIVE,
    LONG,
    NOT_UTF_8,
    NOWHERE,
    SEARCH_ALL,
    SECRET,
    Row,
    all_of,
    as_params,
    file_with,
    without_folder,
)

ES, S3 = "https://example.org:9200", "PATATE_S3_ENDPOINT_URL"

TEAM = {
    "PATATE_ES_URL": ES,
    "PATATE_ES_USER_ID": "zoe",
    "PATATE_ES_USER_PWD": SECRET,
    "PATATE_S3_BUCKET": "pictures",
    "PATATE_S3_KEY_ID": "id",
    "PATATE_S3_KEY": SECRET,
}

AWS_LOGIN = {
    "PATATE_S3_KEY_ID": "",
    "PATATE_S3_KEY": "",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": SECRET,
}

BAD_ADDRESSES = {
    "leading space": " {}",
    "trailing tab": "{}\t",
    "trailing line break": "{}\n",
    "a byte that is not UTF-8": "{}/\udcff",
    "incomplete percent-encoding": "{}/%zz",
    "a query": "{}/?api_key=s3cret",
    "a fragment": "{}/#s3cret",
    "a space in the host": "https://example org:9200",
    "two dots": "https://example..org:9200",
    "a host of 300 letters": f"https://{LONG}:9200",
    "a zone": "https://[fe80::1%25eth0]:9200",
    "five numbers": "https://1.2.3.4.5:9200",
    "invalid IDNA name": "https://xn--a:9200",
    "a port that is no number": "https://example.org:s3cret",
    "a port too high": "https://example.org:65536",
    "no scheme": "example.org:9200",
}

LOGINS = {
    "a login": "https://elastic:s3cret@example.org:9200",
    "a login without a scheme": "elastic:s3cret@example.org:9200",
    "a login with a slash": "https://elastic:/s3cret@example.org",
}

TEAMS = [
    *[
        (f"{name[7:9]}, {wrong}", {name: url.format(ES)}, [name, "such as"])
        for name in ("PATATE_ES_URL", S3)
        for wrong, url in BAD_ADDRESSES.items()
    ],
    *[
        (f"{name[7:9]}, {wrong}", {name: url}, [f"{name} holds a login", f"set {name[:9]}_"])
        for name in ("PATATE_ES_URL", S3)
        for wrong, url in LOGINS.items()
    ],
    ("no port", {"PATATE_ES_URL": "https://example.org"}, ["PATATE_ES_URL", "port"]),
    ("user in Latin-1", {"PATATE_ES_USER_ID": NOT_UTF_8}, ["PATATE_ES_USER_ID is not UTF-8 text"]),
    ("password in Latin-1", {"PATATE_ES_USER_PWD": NOT_UTF_8}, ["PATATE_ES_USER_PWD is not UTF-8"]),
    ("missing CA file", {"PATATE_ES_CA_CERTS": "none"}, ["PATATE_ES_CA_CERTS", "none"]),
    ("CA file name too long", {"PATATE_ES_CA_CERTS": LONG}, ["PATATE_ES_CA_CERTS", "no PEM"]),
    ("key in Latin-1", {"PATATE_S3_KEY": NOT_UTF_8}, ["PATATE_S3_KEY has a space"]),
    (
        "region of two words",
        AWS_LOGIN | {"AWS_DEFAULT_REGION": "eu west"},
        ["the region of the AWS profile is 'eu west'", "set PATATE_S3_REGION"],
    ),
]

INCOMPLETE_TEAM = {"PATATE_ES_URL": "https://example.org"}

TEAM_WITHOUT_PORT = {**INCOMPLETE_TEAM, "PATATE_S3_BUCKET": "pictures"}

ROWS = [
    *[
        Row(f"team: {name}", upload_data, ["drive"], 2, facts, variables=TEAM | wrong)
        for name, wrong, facts in TEAMS
    ],
    Row(
        "incomplete team",
        upload_data,
        ["drive"],
        2,
        ["not PATATE_S3_BUCKET"],
        variables=INCOMPLETE_TEAM,
    ),
    Row(
        "incomplete team",
        search_and_download,
        SEARCH_ALL,
        2,
        ["not PATATE_S3_BUCKET"],
        variables=INCOMPLETE_TEAM,
    ),
    Row(
        "team without a port",
        upload_to_db,
        ["drive"],
        2,
        ["PATATE_ES_URL", "port"],
        variables=TEAM_WITHOUT_PORT,
    ),
    Row(
        "a secret alone",
        upload_data,
        ["drive"],
        2,
        ["PATATE_S3_KEY", "PATATE_ES_URL and PATATE_S3_BUCKET"],
        variables={"PATATE_S3_KEY": "hunter2"},
    ),
    Row(
        "no such database",
        upload_data,
        ["drive"],
        2,
        ["PATATE_DATABASE", "cloud", "local"],
        variables={"PATATE_DATABASE": "cloud"},
    ),
    *[
        Row(
            "home is a file",
            script,
            arguments,
            2,
            ["hardware_conf.json", "is not a folder; move the file away or set PATATE_HOME"],
            variables={"PATATE_HOME": "hardware_conf.json"},
        )
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, SEARCH_ALL),
        ]
    ],
    Row(
        "home is a file",
        run_manual,
        DRIVE,
        2,
        ["hardware_conf.json/database"],
        variables={"PATATE_HOME": "hardware_conf.json"},
    ),
    *[
        Row(
            "database is a file",
            script,
            arguments,
            2,
            ["home/database is not a folder; move the file away or set PATATE_HOME"],
            all_of(without_folder("home/database"), file_with("home/database", "mine")),
        )
        for script, arguments in [
            (upload_data, ["drive"]),
            (upload_to_db, ["drive"]),
            (search_and_download, SEARCH_ALL),
        ]
    ],
    Row(
        "database is a file",
        run_manual,
        DRIVE,
        2,
        ["home/database"],
        all_of(without_folder("home/database"), file_with("home/database", "mine")),
    ),
    Row(
        "home that cannot be created",
        upload_data,
        ["drive"],
        1,
        [f"check the rights and the space of {NOWHERE}/database"],
        variables={"PATATE_HOME": NOWHERE},
    ),
    Row(
        "home that cannot be created",
        run_manual,
        DRIVE,
        2,
        [f"{NOWHERE}/database"],
        variables={"PATATE_HOME": NOWHERE},
    ),
    Row(
        "AWS login with a line break",
        upload_data,
        ["drive"],
        1,
        ["credentials", "line break", "set PATATE_S3_KEY_ID and PATATE_S3_KEY"],
        variables=TEAM | AWS_LOGIN | {"AWS_ACCESS_KEY_ID": "id\n"},
    ),
]


@pytest.mark.parametrize("row", as_params(ROWS))
def test_bad_input_gets_one_line_and_changes_nothing(row, assert_refused):
    assert_refused(row)
