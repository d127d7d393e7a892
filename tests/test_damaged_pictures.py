"""Pictures that are there and are not what they were: found, told with the way out, put right."""

from contextlib import closing
from pathlib import Path

import pytest

from get_data import search_and_download, upload_data, upload_to_db
from get_data.database.delete import OLD_BACKUP_S, reconcile
from get_data.database.interfaces import backup_path, picture_key
from get_data.labels import edits, ids, label_file
from tests.conftest import document, picture
from tests.fakes.memory_database import MemoryIndex, MemoryStore
from tests.servers.versity import Versity

KEY = picture_key(document(4)["img_id"], ids.sha256(picture(4)))


class Local:
    """The pictures of the database on this machine, as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> bytes:
        return (self._folder / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        (self._folder / key).write_bytes(content)


class Bucket:
    """The objects of a bucket, by requests: S3 knows the hash of whatever is put."""

    def __init__(self, gateway, name: str) -> None:
        self._gateway = gateway
        self._name = name

    def read(self, key: str) -> bytes:
        with closing(self._gateway.client()) as client:
            return client.get_object(Bucket=self._name, Key=key)["Body"].read()

    def write(self, key: str, content: bytes) -> None:
        with closing(self._gateway.client()) as client:
            client.put_object(Bucket=self._name, Key=key, Body=content)


@pytest.fixture(params=["local", pytest.param("team", marks=pytest.mark.servers)])
def pictures(request, home, monkeypatch):
    """An empty database of each kind, that the environment leads to; its pictures."""
    if request.param == "local":
        return Local(home / "database")
    environment = request.getfixturevalue("reused_team_environment")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(request.getfixturevalue("s3"), environment["PATATE_S3_BUCKET"])


def flipped(content: bytes) -> bytes:
    """The content with one bit changed in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE = {
    "one bit": flipped,
    "zeros": lambda content: bytes(len(content)),
    "another picture": lambda _: picture(5),
    "cut": lambda content: content[:-1],
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_picture_is_told_with_the_way_out_and_the_next_upload_puts_it_right(
    call, drive, tmp_path, pictures, damage
):
    call(upload_data, drive)
    pictures.write(KEY, damage(pictures.read(KEY)))
    code, counts, err = call(search_and_download, "-p", tmp_path / "found")
    assert (code, counts["fetched"], counts["failed"]) == (3, 9, 1)
    (failed,) = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert document(4)["img_id"] in failed
    assert "upload_data.py" in failed

    planned = call(upload_data, drive, "--dry-run")[1]
    assert pictures.read(KEY) != picture(4)
    code, counts, _ = call(upload_data, drive)
    assert (code, counts) == (0, planned)
    assert (counts["there"], counts["pictures_sent"]) == (10, 1)
    assert pictures.read(KEY) == picture(4)
    code, counts, _ = call(search_and_download, "-p", tmp_path / "found")
    assert (code, counts["fetched"], counts["there"]) == (0, 1, 9)
    assert call(upload_data, drive)[1]["pictures_sent"] == 0


def corrected(drive: Path, number: int) -> None:
    """The recording has a correction of that picture, and nothing else, as its label file."""
    one = label_file.read(drive / label_file.NAME)[document(number)["img_id"]]
    new = edits.corrected(
        one, created_by="Ada", direction=1, speed=1, created_on=ids.parse_img_id(one["img_id"])
    )
    label_file.write(drive / label_file.NAME, {new["img_id"]: new})


@pytest.mark.parametrize("way", ["restored", "corrected", "applied again"])
def test_whatever_brings_a_label_of_a_damaged_picture_puts_that_right(call, drive, pictures, way):
    call(upload_data, drive)
    if way != "restored":
        corrected(drive, 4)
    if way == "applied again":
        call(upload_to_db, drive, "-y")
    pictures.write(KEY, flipped(pictures.read(KEY)))
    script, options = (upload_data, ["--restore"]) if way == "restored" else (upload_to_db, ["-y"])
    code, counts, err = call(script, drive, *options)
    assert (code, counts["pictures_sent"]) == (0, 1), err
    assert pictures.read(KEY) == picture(4)


def test_a_damaged_picture_that_nobody_has_is_a_failure_of_each_upload(call, drive, pictures):
    call(upload_data, drive)
    pictures.write(KEY, flipped(pictures.read(KEY)))
    (drive / document(4)["file_name"]).write_bytes(flipped(picture(4)))
    code, counts, err = call(upload_data, drive, "--verify")
    assert (code, counts["failed"], counts["there"]) == (3, 1, 9)
    assert document(4)["img_id"] in err


@pytest.mark.slow
def test_a_disk_of_s3_that_changes_a_bit_is_found_by_reading(
    call, drive, tmp_path, team_environment, monkeypatch
):
    """The server still tells the hash of what was put; only the content itself gives it away."""
    with Versity() as server:
        bucket = server.gateway.make_bucket()
        for name, value in (team_environment | server.gateway.environment(bucket)).items():
            monkeypatch.setenv(name, value)
        call(upload_data, drive)
        file = server.folder / "buckets" / bucket / KEY
        file.write_bytes(flipped(file.read_bytes()))
        code, _, err = call(search_and_download, "-p", tmp_path / "found")
        assert code == 3
        assert "upload_data.py --verify" in err
        code, counts, _ = call(upload_data, drive, "--verify")
        assert (code, counts["pictures_sent"]) == (0, 1)
        assert file.read_bytes() == picture(4)
        assert call(search_and_download, "-p", tmp_path / "found")[0] == 0
        assert call(upload_data, drive, "--verify")[1]["pictures_sent"] == 0


def test_a_whole_old_copy_takes_the_place_of_a_damaged_picture_before_it_goes():
    """A killed deletion left it, and it is the only whole one."""
    index, store = MemoryIndex(), MemoryStore()
    index.create([document(4) | {"s3_key": KEY}])
    store.put(KEY, flipped(picture(4)))
    old = backup_path(KEY, "killed")
    store.put(old, picture(4))
    store.age_s[old] = OLD_BACKUP_S + 1
    reconcile([], index, store, run="now")
    assert store.pictures == {KEY: picture(4)}


def test_a_picture_is_durable_before_its_old_copy_is_deleted():
    """A killed program may have left the picture in memory only, and then the power is cut."""

    class Logged(MemoryStore):
        def __init__(self):
            super().__init__()
            self.log = []

        def make_durable(self):
            self.log.append("durable")

        def delete(self, path):
            self.log.append(path)
            super().delete(path)

    index, store = MemoryIndex(), Logged()
    index.create([document(4) | {"s3_key": KEY}])
    store.put(KEY, picture(4))
    old = backup_path(KEY, "killed")
    store.put(old, picture(4))
    store.age_s[old] = OLD_BACKUP_S + 1
    reconcile([], index, store, run="now")
    assert "durable" in store.log[: store.log.index(old)]
    assert store.pictures == {KEY: picture(4)}


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda file: file.symlink_to(file.name)], ids=["folder", "link to itself"]
)
def test_a_picture_that_cannot_be_read_costs_only_itself_until_it_is_put_right(
    make, drive, tmp_path, home, call
):
    """As one on a bad sector, or of a colleague who gave nobody the right to read it."""
    assert call(upload_data, drive)[0] == 0
    broken = min((home / "database" / "pictures").rglob("*.jpg"))
    broken.unlink()
    make(broken)
    code, counts, said = call(search_and_download, "-p", tmp_path / "out")
    assert (code, counts["fetched"], counts["failed"]) == (3, 9, 1), said
    assert document(0)["img_id"] in said
    assert "upload_data.py" in said
    if broken.is_dir():
        broken.rmdir()
    assert call(upload_data, drive, "--verify")[0] == 0
    code, counts, said = call(search_and_download, "-p", tmp_path / "out")
    assert (code, counts["fetched"], counts["there"]) == (0, 1, 9), said
