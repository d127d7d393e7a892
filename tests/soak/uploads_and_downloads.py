"""Uploads and downloads, killed or concurrent, end like one clean run."""

import subprocess
import time
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random

from get_data.labels import label_file
from get_data.sets import set_file
from tests.conftest import document, save
from tests.soak import sizes
from tests.soak.scripts import (
    APPLY,
    DOWNLOAD,
    FREE,
    UPLOAD,
    Contents,
    Home,
    assert_each_picture_as_in_any,
    assert_same,
    contents,
    files,
    run,
    start,
    uploaded,
    wait_for_end,
)
from tests.soak.trials import Outcome, Property

HomeAt = Callable[[Path], Home]


def make_recording(folder: Path, count: int | None = None, start: int = 0) -> Path:
    """Make a recording of the pictures from number `start` on, of `sizes.LABELS` by default."""
    numbers = range(start, start + (count or sizes.LABELS))
    return save(folder, [document(number, steering=number % 5 / 2 - 1) for number in numbers])


def mark_for_deletion(drive: Path, target: Path, share: float, random: Random) -> Path:
    """Write a label file that marks a random share of a recording for deletion."""
    labels = label_file.read(drive / label_file.NAME)
    chosen = {
        img_id: label | {"to_delete": True}
        for img_id, label in labels.items()
        if random.random() < share
    }
    label_file.write(target, chosen)
    return target


def expected_upload(drive: Path, *, without: Path | None = None) -> Contents:
    """Return the expected database of a recording, without the labels of another file."""
    left_out = label_file.read(without).keys() if without else ()
    labels = label_file.read(drive / label_file.NAME)
    return uploaded(label for img_id, label in labels.items() if img_id not in left_out)


def kill_after(process: "subprocess.Popen[str]", after_s: float) -> bool:
    """Kill a script some time after its first line; return whether it was still running."""
    assert process.stderr is not None
    first_line = process.stderr.readline()
    assert first_line.startswith("database: "), first_line + process.stderr.read()
    time.sleep(after_s)
    was_running = process.poll() is None
    process.kill()
    wait_for_end(process)
    return was_running


def run_killed(
    command: list[str], *arguments: object, home: Home, random: Random, work_s: float
) -> int:
    """Run a script one to three times and kill it; return how many kills hit it."""
    times = random.randint(1, 3)
    return sum(
        kill_after(start(command, *arguments, home=home), random.uniform(0, work_s))
        for _ in range(times)
    )


def duration_of(process: "subprocess.Popen[str]") -> float:
    """Return how long a script runs after its first line."""
    assert process.stderr is not None
    first_line = process.stderr.readline()
    start_s = time.monotonic()
    assert wait_for_end(process, first_line=first_line).code == 0
    return time.monotonic() - start_s


def local_home(folder: Path) -> Home:
    """Return a local database."""
    return folder


def killed_upload(folder: Path, random: Random, home_at: HomeAt = local_home) -> Outcome:
    """Kill an upload at random moments and run it again."""
    drive, home, clean = (
        make_recording(folder / "drive"),
        home_at(folder / "h"),
        home_at(folder / "c"),
    )
    work_s = duration_of(start(UPLOAD, drive, home=clean))
    kills = run_killed(UPLOAD, drive, home=home, random=random, work_s=work_s)
    start_s = time.monotonic()
    run(UPLOAD, drive, home=home)
    took_s = time.monotonic() - start_s
    assert_same(contents(home), contents(clean))
    again = run(UPLOAD, drive, home=home).counts
    assert (again["there"], again["pictures_sent"]) == (sizes.LABELS, 0), again
    return Outcome(f"{kills} kills", took_s)


def killed_download(folder: Path, random: Random, home_at: HomeAt = local_home) -> Outcome:
    """Kill a download at random moments and run it again."""
    home = home_at(folder / "home")
    run(UPLOAD, make_recording(folder / "drive"), home=home)
    work_s = duration_of(start(DOWNLOAD, "-p", folder / "clean", home=home))
    kills = run_killed(DOWNLOAD, "-p", folder / "cut", home=home, random=random, work_s=work_s)
    if (folder / "cut" / label_file.NAME).exists():
        label_file.read(folder / "cut" / label_file.NAME)
    if (folder / "cut" / set_file.NAME).exists():
        assert_described(folder / "cut")
    start_s = time.monotonic()
    run(DOWNLOAD, "-p", folder / "cut", home=home)
    took_s = time.monotonic() - start_s
    assert_described(folder / "cut")
    assert_same_files(folder / "cut", folder / "clean")
    return Outcome(f"{kills} kills", took_s)


def assert_described(folder: Path) -> None:
    """Check that `set.json` belongs to the label file."""
    content = set_file.read(folder / set_file.NAME)
    assert set_file.describes(content, folder / label_file.NAME)


def assert_same_files(first: Path, second: Path) -> None:
    """Check that two folders have the same files, byte for byte, but for the time of a fetch."""
    left, right = files(first), files(second)
    for found in (left, right):
        found.pop(set_file.NAME, None)
    assert not left.keys() ^ right.keys(), sorted(left.keys() ^ right.keys())[:3]
    assert all(left[name] == right[name] for name in left), "a file differs"


def two_uploads(folder: Path, random: Random, home_at: HomeAt = local_home) -> Outcome:
    """Run two uploads at once, of one folder or of two that share half of their pictures."""
    home, clean = home_at(folder / "h"), home_at(folder / "c")
    drive = make_recording(folder / "drive")
    shift = random.choice([0, sizes.LABELS // 2])
    other = make_recording(folder / "other", start=shift) if shift else drive
    work_s = duration_of(start(UPLOAD, drive, home=clean))
    run(UPLOAD, other, home=clean)
    start_s = time.monotonic()
    first = start(UPLOAD, drive, home=home)
    time.sleep(random.choice([0.0, random.uniform(0, work_s)]))
    second = start(UPLOAD, other, home=home)
    ended = [wait_for_end(first), wait_for_end(second)]
    assert [result.code for result in ended] == [0, 0], ended
    took_s = time.monotonic() - start_s
    created = [result.counts["created"] for result in ended]
    assert sum(created) == sizes.LABELS + shift, created
    assert_same(contents(home), contents(clean))
    return Outcome("half shared" if shift else "one folder", took_s)


def upload_against_deletion(folder: Path, random: Random, home_at: HomeAt = local_home) -> Outcome:
    """Run an upload and a deletion of the same labels at once, then each once more.

    Both times every picture ends as if the two had run one after the other.
    """
    home = home_at(folder / "home")
    drive = make_recording(folder / "drive")
    deletion = mark_for_deletion(
        drive, folder / "marked.json", random.choice([0.1, 0.5, 0.9]), random
    )
    everything, kept = expected_upload(drive), expected_upload(drive, without=deletion)
    existed = random.random() < 0.7
    if existed:
        run(UPLOAD, drive, home=home)
    else:  # a deletion needs a database
        run(UPLOAD, make_recording(folder / "other", 1), home=home)
    restores = random.random() < 0.5
    commands = [
        lambda: start(UPLOAD, drive, *["--restore"] * restores, home=home),
        lambda: start(APPLY, deletion, "-p", drive, "-y", home=home),
    ]
    random.shuffle(commands)
    first = commands[0]()
    time.sleep(random.choice([0.0, random.uniform(0, 0.6)]))
    second = commands[1]()
    ended = [wait_for_end(first), wait_for_end(second)]
    assert all(result.code in (0, 3) for result in ended), ended
    # only an upload with --restore, after the deletion, restores what was deleted
    assert_each_picture_as_in_any(contents(home), [kept, *[everything] * restores])
    start_s = time.monotonic()
    last = [(UPLOAD, drive), (APPLY, deletion, "-p", drive, "-y")]
    random.shuffle(last)
    for command, *arguments in last:
        run(command, *arguments, home=home)
    took_s = time.monotonic() - start_s
    assert_same(contents(home), kept)
    return Outcome("labels existed" if existed else "labels new", took_s)


def freed_space(folder: Path, random: Random, home_at: HomeAt = local_home) -> Outcome:
    """Free space on a car, often killed, while a colleague deletes labels or uploads the drive."""
    home, drive, colleague = home_at(folder / "home"), folder / "drive", folder / "colleague"
    make_recording(drive)
    make_recording(colleague)
    run(UPLOAD, drive, home=home)
    deletion = mark_for_deletion(drive, folder / "marked.json", random.choice([0.1, 0.5]), random)
    deleted = label_file.read(deletion).keys()
    other = random.choice([[UPLOAD, colleague], [APPLY, deletion, "-p", colleague, "-y"]])
    is_killed = random.random() < 0.7
    freeing = start(FREE, drive, home=home)
    meanwhile = start(*other, home=home)
    if is_killed:
        kill_after(freeing, random.uniform(0, 1.0))
    else:
        assert wait_for_end(freeing).code == 0
    assert wait_for_end(meanwhile).code == 0
    assert_here_or_stored(drive, contents(home), deleted)
    start_s = time.monotonic()
    run(APPLY, deletion, "-p", colleague, "-y", home=home)
    run(FREE, drive, home=home)
    took_s = time.monotonic() - start_s
    kept = expected_upload(drive, without=deletion)
    assert_same(contents(home), kept)
    assert {file.stem for file in drive.glob("*.jpg")} <= deleted, "a picture was not removed"
    run(DOWNLOAD, "-p", folder / "fetched", home=home)
    fetched = [file.read_bytes() for file in (folder / "fetched").glob("*.jpg")]
    assert sorted(fetched) == sorted(kept.files.values()), "a picture was not fetched"
    return Outcome("killed" if is_killed else "not killed", took_s)


def assert_here_or_stored(drive: Path, found: Contents, deleted: Collection[str]) -> None:
    """Check that each picture is on the car or in the database, or was deleted on purpose."""
    expected = uploaded(label_file.read(drive / label_file.NAME).values()).by_picture()
    stored = found.by_picture()
    for key, (labels, picture) in expected.items():
        (document,) = labels.values()
        file = drive / document["file_name"]
        is_here = file.exists() and file.read_bytes() == picture
        is_stored = stored.get(key) == (labels, picture)
        assert is_here or is_stored or document["img_id"] in deleted, f"{key} is lost"


PROPERTIES = (
    Property(
        "killed_uploads",
        "an upload, killed and run again, ends like a clean run",
        50,
        "s for the run that completes it",
        killed_upload,
    ),
    Property(
        "killed_downloads",
        "a download, killed and run again, ends like a clean run",
        50,
        "s for the run that completes it",
        killed_download,
    ),
    Property(
        "two_uploads",
        "two concurrent uploads of the same or overlapping folders end like clean runs",
        20,
        "s for both",
        two_uploads,
    ),
    Property(
        "upload_against_deletion",
        "a concurrent upload and deletion leave each label and picture as one of the two would",
        20,
        "s for one more run of each",
        upload_against_deletion,
    ),
    Property(
        "freed_space",
        "a picture that free_space.py removed, killed or not, is in the database",
        50,
        "s for one more run",
        freed_space,
    ),
)
