"""The scripts with a team's database: output and effect, and wrong settings in one line."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

import path
from get_data import (
    edit_labels,
    freeze_set,
    search_and_download,
    show_database,
    upload_data,
    upload_to_db,
)
from get_data.labels import label_file
from tests.conftest import document, picture, save
from tests.helpers.folders import snapshot
from tests.helpers.waiting import wait_until
from tests.servers.addresses import new_name
from tests.servers.proxy import Gate, Proxy
from tests.soak.scripts import DOWNLOAD, UPLOAD
from tests.soak.team import TeamHome

LEFT = '{"label.label_direction": {"type": "term", "value": 0}}'


@pytest.fixture
def team(team_environment, monkeypatch, elasticsearch_8, s3):
    """An empty team database that the environment names, and direct access to it."""
    set_variables(monkeypatch, team_environment)
    return TeamHome(
        elasticsearch_8,
        s3,
        team_environment["PATATE_ES_INDEX"],
        team_environment["PATATE_S3_BUCKET"],
        elasticsearch_8.url,
        s3.url,
    )


def set_variables(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def searcher_variables(team):
    """Return the variables of a member who may only search."""
    return {
        **team.cluster.environment(team.index, team.cluster.searcher),
        **team.gateway.environment(team.bucket, team.gateway.searcher),
    }


def test_the_whole_loop(call, team, drive, tmp_path):
    code, counts, err = call(upload_data, drive)
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 10)
    assert err.splitlines() == [
        f"database: {team.cluster.url}/{team.index} and {team.gateway.url}/{team.bucket}",
        "Uploaded 10 labels and 10 pictures; 0 already in the database",
    ]
    there = team.contents()
    assert set(there.files.values()) == {picture(number) for number in range(10)}
    assert {one["s3_key"] for one in there.labels.values()} == there.files.keys()

    code, counts, _ = call(search_and_download, "-q", LEFT, "-p", tmp_path / "found")
    assert (code, counts["found"], counts["fetched"]) == (0, 2, 2)
    found = label_file.read(tmp_path / "found" / "labels.json")
    for one in found.values():
        one["to_delete"] = True
    label_file.write(tmp_path / "wish.json", found)

    code, counts, _ = call(upload_to_db, tmp_path / "wish.json", "-y")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, 2, 2)
    assert len(team.contents().labels) == len(team.contents().files) == 8
    assert call(search_and_download, "-q", LEFT, "-p", tmp_path / "again")[1]["found"] == 0

    assert call(upload_data, drive)[1]["gone"] == 2
    assert call(upload_data, drive, "--restore")[1]["created"] == 2
    assert team.contents().labels.keys() == there.labels.keys()
    assert team.contents().files == there.files


def test_a_dry_run_needs_only_read_permission_and_changes_nothing(call, team, drive, monkeypatch):
    call(upload_data, save(drive.parent / "one", [document(20)]))
    before = team.contents()
    set_variables(monkeypatch, searcher_variables(team))
    code, counts, err = call(upload_data, drive, "--dry-run")
    assert (code, counts["created"], counts["pictures_sent"]) == (0, 10, 10), err
    deletion = {one["img_id"]: one | {"to_delete": True} for one in [document(20)]}
    label_file.write(drive.parent / "wish.json", deletion)
    code, counts, err = call(upload_to_db, drive.parent / "wish.json", "--dry-run")
    assert (code, counts["deleted"], counts["pictures_deleted"]) == (0, 1, 1), err
    assert team.contents() == before


def test_a_dry_run_before_the_first_upload_counts_everything_as_new(call, team, drive):
    code, counts, err = call(upload_data, drive, "--dry-run")
    assert (code, counts["created"]) == (0, 10), err
    assert team.cluster.ask("HEAD", f"/{team.index}")[0] == 404
    assert team.contents().files == {}


def test_a_searcher_downloads_everything(call, team, drive, tmp_path, monkeypatch):
    call(upload_data, drive)
    set_variables(monkeypatch, searcher_variables(team))
    code, counts, err = call(search_and_download, "-p", tmp_path / "found")
    assert (code, counts["fetched"], counts["failed"]) == (0, 10, 0), err


def test_a_limited_search_frees_its_context(call, team, drive, tmp_path):
    call(upload_data, drive)
    counts = call(search_and_download, "-p", tmp_path / "found", "--limit", "3")[1]
    assert counts["found"] == counts["fetched"] == 3
    _, stats = team.cluster.ask("GET", f"/{team.index}/_stats/search")
    assert stats["_all"]["total"]["search"]["open_contexts"] == 0


@pytest.mark.parametrize("far", ["labels", "pictures"])
def test_a_server_that_is_down_at_the_start_is_retried(call, team, drive, monkeypatch, far):
    with Proxy(team.cluster.url) as labels, Proxy(team.gateway.url) as pictures:
        set_variables(
            monkeypatch,
            {"PATATE_ES_URL": labels.url, "PATATE_S3_ENDPOINT_URL": pictures.url},
        )
        {"labels": labels, "pictures": pictures}[far].refuse(3)
        code, counts, err = call(upload_data, drive)
    assert (code, counts["created"]) == (0, 10), err


@pytest.mark.parametrize("part", ["PATATE_ES_", "PATATE_S3_"])
@pytest.mark.parametrize("script", [upload_data, upload_to_db])
def test_a_searcher_changes_nothing(call, team, drive, monkeypatch, part, script):
    call(upload_data, save(drive.parent / "one", [document(20)]))
    before = team.contents()
    searcher = searcher_variables(team)
    set_variables(monkeypatch, {name: searcher[name] for name in searcher if name.startswith(part)})
    code, _, err = call(script, drive, *["-y"] * (script is upload_to_db))
    assert code == 1
    assert part in err
    assert len(err.splitlines()) == 1
    assert team.contents() == before


def test_a_repeated_upload_sends_one_lookup_per_thousand_labels(call, team, tmp_path, monkeypatch):
    drive = save(tmp_path / "drive", [document(number) for number in range(1040)])
    call(upload_data, drive)
    with Proxy(team.cluster.url) as labels, Proxy(team.gateway.url) as pictures:
        set_variables(
            monkeypatch,
            {"PATATE_ES_URL": labels.url, "PATATE_S3_ENDPOINT_URL": pictures.url},
        )
        assert call(upload_data, drive, "--dry-run")[1]["there"] == 1040
    # the bucket is tried by a LIST and a GET; then for each thousand that is begun one LIST, and
    # one _mget each of the labels that are in and of those that are gone
    assert pictures.requests == {("GET", "list"): 1 + 2, ("GET", "object"): 1}
    assert labels.requests["POST", "_mget"] == 2 * 2


def test_a_bucket_is_created_on_request(call, team, drive, monkeypatch):
    admin = team.gateway.admin
    name = new_name("pictures")
    variables = {
        "PATATE_S3_BUCKET": name,
        "PATATE_S3_KEY_ID": admin.name,
        "PATATE_S3_KEY": admin.secret,
    }
    set_variables(monkeypatch, variables)
    code, _, err = call(upload_data, drive)
    assert code == 1
    assert "PATATE_S3_BUCKET" in err
    assert "--create-bucket" in err
    assert call(upload_data, drive, "--create-bucket", "--dry-run")[0] == 1
    with closing(team.gateway.client()) as client:
        assert name not in {one["Name"] for one in client.list_buckets()["Buckets"]}
    assert call(upload_data, drive, "--create-bucket")[1]["created"] == 10
    assert call(upload_data, drive, "--create-bucket")[1]["there"] == 10


def test_the_database_on_this_machine_has_no_bucket(call, drive):
    code, _, err = call(upload_data, drive, "--create-bucket")
    assert code == 2
    assert "--create-bucket" in err


# --- a wrong set-up, through each script that talks to the database

NOBODY = "127.0.0.1:9"  # where nothing listens
WRONG = {
    "password": ({"PATATE_ES_USER_PWD": "wrongsecret"}, 1, "PATATE_ES_USER_PWD"),
    "password with accents": ({"PATATE_ES_USER_PWD": "géheim€"}, 1, "PATATE_ES_USER_PWD"),
    "user": ({"PATATE_ES_USER_ID": "nobody"}, 1, "PATATE_ES_USER_ID"),
    "user with accents": ({"PATATE_ES_USER_ID": "Zoé€"}, 1, "PATATE_ES_USER_ID"),
    "no login": ({"PATATE_ES_USER_ID": "", "PATATE_ES_USER_PWD": ""}, 1, "PATATE_ES_USER_ID"),
    "half a login": ({"PATATE_ES_USER_ID": ""}, 2, "PATATE_ES_USER_ID"),
    "Elasticsearch is https": ({"PATATE_ES_URL": "https{es}"}, 1, "PATATE_ES_URL"),
    "Elasticsearch is nowhere": ({"PATATE_ES_URL": f"http://{NOBODY}"}, 1, "PATATE_ES_URL"),
    "Elasticsearch is unknown": ({"PATATE_ES_URL": "http://no.invalid:9200"}, 1, "PATATE_ES_URL"),
    "Elasticsearch is S3": ({"PATATE_ES_URL": "http{s3}"}, 1, "PATATE_ES_URL"),
    "index": ({"PATATE_ES_INDEX": "No such"}, 2, "PATATE_ES_INDEX"),
    "authority": ({"PATATE_ES_CA_CERTS": "/no/such.pem"}, 2, "PATATE_ES_CA_CERTS"),
    "key id": ({"PATATE_S3_KEY_ID": "nobody"}, 1, "PATATE_S3_KEY_ID"),
    "secret": ({"PATATE_S3_KEY": "wrongsecret"}, 1, "PATATE_S3_KEY"),
    "half a key": ({"PATATE_S3_KEY_ID": ""}, 2, "PATATE_S3_KEY_ID"),
    "bucket": ({"PATATE_S3_BUCKET": "no-such-bucket"}, 1, "PATATE_S3_BUCKET"),
    "bucket's name": ({"PATATE_S3_BUCKET": "s3://b"}, 2, "PATATE_S3_BUCKET"),
    "S3 is https": ({"PATATE_S3_ENDPOINT_URL": "https{s3}"}, 1, "PATATE_S3_ENDPOINT_URL"),
    "S3 is nowhere": ({"PATATE_S3_ENDPOINT_URL": f"http://{NOBODY}"}, 1, "PATATE_S3_ENDPOINT_URL"),
    "S3 is unknown": (
        {"PATATE_S3_ENDPOINT_URL": "http://no.invalid:1"},
        1,
        "PATATE_S3_ENDPOINT_URL",
    ),
    "S3 is Elasticsearch": ({"PATATE_S3_ENDPOINT_URL": "http{es}"}, 1, "PATATE_S3_ENDPOINT_URL"),
}


@pytest.mark.parametrize(("wrong", "code", "variable"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_reported_in_one_line_with_the_variable(
    team, drive, wrong, code, variable
):
    places = {"es": team.cluster.url[4:], "s3": team.gateway.url[4:]}
    environment = dict(team.environment) | {
        name: value.format(**places) for name, value in wrong.items()
    }
    before = team.contents()
    for debug in ("", "1"):
        done = run_process([*UPLOAD, drive], environment | {"DEBUG": debug})
        assert done.stdout == ""
        for secret in (environment["PATATE_ES_USER_PWD"], environment["PATATE_S3_KEY"]):
            assert not secret or secret not in done.stderr
        if not debug:
            assert done.returncode == code, done.stderr
            [line] = done.stderr.splitlines()
            assert line.startswith("error: ")
            assert variable in line
    assert team.contents() == before
    assert team.cluster.ask("HEAD", f"/{team.index}")[0] == 404


def test_a_search_before_the_first_upload_names_the_index(team, tmp_path):
    done = run_process([*DOWNLOAD, "-p", tmp_path / "found"], team.environment)
    assert done.returncode == 0
    [warning] = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert team.environment["PATATE_ES_INDEX"] in warning


def run_process(command, environment):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=path.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def pending_signals(pid):
    """Return the signals of a process that it has not been given yet, as bits."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(re.search(r"^ShdPnd:\s*(\w+)", status, re.MULTILINE)[1], 16)


# --- faults on the way, as the soak has them at length


def test_an_interrupted_upload_finishes_the_pictures_in_flight(call, team, tmp_path):
    drive = save(tmp_path / "drive", [document(one) for one in range(1000)])
    gate = Gate()
    with Proxy(team.gateway.url, gate) as far:
        process = subprocess.Popen(
            [sys.executable, *map(str, [*UPLOAD, drive])],
            cwd=path.ROOT,
            env={**os.environ, "PATATE_S3_ENDPOINT_URL": far.url},
            stderr=subprocess.PIPE,
            text=True,
        )

        def has_sent_some():
            assert process.poll() is None, process.stderr.read()
            gate.release(1, within_s=1.0)  # only those in flight, however late the test is
            return far.requests["PUT", "object"] > 3

        wait_until(has_sent_some)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not pending_signals(process.pid))
        while process.poll() is None:
            # far less than what is left, however late the process gets to the signal
            gate.release(1, within_s=1.0)
            time.sleep(0.1)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.splitlines()[1:] == ["interrupted"]
    assert 0 < len(team.contents().files) < 1000
    code, counts, _ = call(upload_data, drive)
    assert (code, counts["created"]) == (0, 1000)


@pytest.mark.new_interpreter
def test_only_the_libraries_of_the_database_are_imported(team, drive, tmp_path):
    code = (
        "import sys; from get_data import upload_data as u; "
        f"u.main([{str(drive)!r}]); print(*sys.modules, file=sys.stderr)"
    )
    loaded = set(run_process(["-c", code], team.environment).stderr.split())
    assert not {"boto3", "botocore", "sqlite3", "cv2", "numpy"} & loaded
    local = {"PATATE_DATABASE": "local", "PATATE_HOME": str(tmp_path)}
    loaded = set(run_process(["-c", code], local).stderr.split())
    assert not {"boto3", "botocore", "elastic_transport", "urllib3", "cv2", "numpy"} & loaded


def test_a_writer_freezes_and_a_searcher_fetches(call, team, drive, tmp_path, monkeypatch):
    """Whatever was deleted since; and only a writer throws the set away."""
    writer = {name: os.environ[name] for name in os.environ if name.startswith("PATATE_")}
    call(upload_data, drive)
    call(search_and_download, "-p", tmp_path / "set")
    assert call(freeze_set, "base", tmp_path / "set")[0] == 0
    assert call(edit_labels, "-q", "{}", "--delete", "-y")[1]["pictures_deleted"] == 0
    set_variables(monkeypatch, searcher_variables(team))
    code, counts, _ = call(search_and_download, "--set", "base", "-p", tmp_path / "again")
    assert (code, counts["fetched"]) == (0, 10)
    assert snapshot(tmp_path / "again") == snapshot(tmp_path / "set")
    assert [each["name"] for each in call(show_database)[1]["sets"]] == ["base"]
    assert call(freeze_set, "other", tmp_path / "set")[0] == 1
    assert call(freeze_set, "base", "--delete", "-y")[0] == 1
    set_variables(monkeypatch, writer)
    assert call(freeze_set, "base", "--delete", "-y")[1]["pictures_deleted"] == 10
    assert call(show_database)[1]["sets"] == []
