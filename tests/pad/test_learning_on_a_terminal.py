"""`run_manual.py --check-pad --learn` as a user runs it, on a terminal of 80 columns."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress

import pytest

import path
from get_data import run_manual
from tests.helpers.waiting import HANGS_S
from tests.pad.lessons import PADS, XBOX_BUTTONS
from tests.pi import bench, namespace
from tests.pi import pad as fake_pads
from tests.pi.pad import FifoPad

SCRIPT = path.ROOT / "get_data/run_manual.py"
BETWEEN_EVENTS_S = 0.01


class Terminal:
    """The script on a terminal."""

    def __init__(self, process, master):
        self.process, self._master = process, master
        self.output = ""

    def wait_for(self, text):
        """Read until the text has been printed."""
        self.wait_until(lambda output: text in output)

    def wait_until(self, condition):
        """Read until all that was printed meets the condition."""
        give_up = time.monotonic() + HANGS_S
        while not condition(self.output):
            self._read(give_up)

    def _read(self, give_up):
        left_s = max(give_up - time.monotonic(), 0)
        assert select.select([self._master], [], [], left_s)[0], f"timed out:\n{self.output}"
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # the script has ended
            raise EOFError(self.output) from None
        self.output += piece.decode()

    def type(self, text):
        os.write(self._master, text.encode())

    def end(self):
        """Return the exit code and the lines as the terminal shows them."""
        with suppress(EOFError):
            self.wait_until(lambda output: False)
        lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.output).split("\n")
        return self.process.wait(HANGS_S), [line.strip("\r").split("\r")[-1] for line in lines]


@pytest.fixture
def map_file(tmp_path):
    return tmp_path / "my_pad.json"


@contextmanager
def learning(pi, map_file, *enter):
    """Run the script in the Pi, with the map's name in its configuration."""
    if reason := namespace.missing_support():
        bench.skip_or_fail(reason)
    conf = json.loads(path.HARDWARE_CONF.read_text())
    pi.conf.write_text(json.dumps(conf | {"pad": {"map": str(map_file)}}))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    script = pi.command(*enter, sys.executable, SCRIPT, "--check-pad", "--learn")
    process = subprocess.Popen(
        ["setsid", "--ctty", *script],
        env=os.environ | fake_pads.environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.fixture
def fake_pad(pi):
    with FifoPad(pi, PADS["signed"], ranges=PADS["signed"].ranges()) as pad:
        yield pad


def move(pad, code, *values):
    for value in values:
        pad.axis(code, value)
        time.sleep(BETWEEN_EVENTS_S)


def tap(pad, button):
    pad.press(button)
    time.sleep(BETWEEN_EVENTS_S)
    pad.release(button)


def show_controls(pad, terminal):
    """Answer all questions, those again that a busy machine made a held control of."""
    answers = [
        *(lambda end=end: move(pad, "ABS_X", end // 2, end, 0) for end in (-32768, 32767)),
        *(lambda code=code: move(pad, code, 500, 1023, 0) for code in ("ABS_RZ", "ABS_Z")),
        *(lambda button=button: tap(pad, button) for button in XBOX_BUTTONS),
    ]
    for number, answer in enumerate(answers, 1):
        question = f"{number:>2}/10"
        following = f"{number + 1:>2}/10" if number < len(answers) else "Wrote "
        while following not in terminal.output:
            asked = terminal.output.count(question)
            answer()
            terminal.wait_until(
                lambda output, following=following, question=question, asked=asked: (
                    following in output or output.count(question) > asked
                )
            )


@pytest.mark.slow
def test_a_map_is_learned_written_and_tried_at_once(pi, fake_pad, map_file):
    with learning(pi, map_file) as terminal:
        terminal.wait_for(" 1/10")
        show_controls(fake_pad, terminal)
        terminal.wait_for("last event")
        fake_pad.steer(-1.0)
        terminal.wait_for("-1.00")
        fake_pad.press("A")
        code, lines = terminal.end()
    assert code == 0
    assert lines[0] == "Microsoft X-Box One S pad at /dev/input/event7, read by inputs"
    assert "map my_pad.json: Microsoft X-Box One S pad" in lines
    assert f"Wrote {map_file}." in "".join(lines)
    learned = json.loads(map_file.read_text())
    ours = json.loads((path.ROOT / "car/pad/maps/xpad.json").read_text())
    for control in ("throttle", "brake"):
        del ours[control]["full_by_name"]
    assert learned == ours | {"about": "Microsoft X-Box One S pad"}
    own_lines = [line for line in lines if str(map_file) not in line]  # as long as its path
    assert max(map(len, own_lines)) < 80


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_an_interrupted_lesson_writes_nothing(pi, fake_pad, map_file, number):
    with learning(pi, map_file) as terminal:
        terminal.wait_for(" 1/10")
        move(fake_pad, "ABS_X", -20000, -32768, 0)
        terminal.wait_for(" 2/10")
        if number == signal.SIGINT:
            terminal.type("\x03")
        else:
            terminal.process.send_signal(number)
        code, lines = terminal.end()
    assert code == 130
    assert "Traceback" not in "\n".join(lines)
    assert list(map_file.parent.glob("*my_pad*")) == []


@pytest.mark.slow
def test_an_unplugged_pad_ends_the_lesson_with_one_line(pi, fake_pad, map_file):
    with learning(pi, map_file) as terminal:
        terminal.wait_for(" 1/10")
        fake_pad.unplug()
        code, lines = terminal.end()
    assert code == 1
    error = (
        "error: Microsoft X-Box One S pad at /dev/input/event7 was unplugged; nothing was written"
    )
    assert any(line.startswith(error) for line in lines)
    assert not map_file.exists()


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_map_that_exists_is_replaced_only_by_a_yes(pi, fake_pad, map_file, answer):
    map_file.write_text("{")  # as broken as it may be
    with learning(pi, map_file) as terminal:
        terminal.wait_for("my_pad.json exists. Replace it")
        terminal.type(f"{answer}\n")
        if answer == "y":
            terminal.wait_for(" 1/10")
            show_controls(fake_pad, terminal)
            terminal.wait_for("last event")
            fake_pad.press("A")
        code, lines = terminal.end()
    assert code == (0 if answer == "y" else 1)
    assert (map_file.read_text() == "{") is (answer == "n")
    if answer == "n":
        assert "error: nothing was changed" in lines
        assert not any("/10" in line for line in lines)


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_found_before_the_first_question(pi, fake_pad, map_file):
    folder = map_file.parent / "read-only"
    folder.mkdir()
    enter = "sh", "-ec", READ_ONLY, folder
    with learning(pi, folder / "my_pad.json", *enter) as terminal:
        code, lines = terminal.end()
    assert (code, lines[0]) == (2, f"error: {folder} cannot be written: Read-only file system")


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """Return the folder of a configuration without a map."""
    content = json.loads(path.HARDWARE_CONF.read_text())
    (tmp_path / "hardware_conf.json").write_text(json.dumps(content | {"pad": {}}))
    monkeypatch.setattr(path, "HARDWARE_CONF", tmp_path / "hardware_conf.json")
    return tmp_path


@pytest.fixture
def learn(monkeypatch, call):
    """Return a function that learns in this process, on a terminal on which a no is typed."""
    master, slave = pty.openpty()
    os.write(master, b"n\n")
    stdin = os.fdopen(slave)

    def learn():
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        return call(run_manual, "--check-pad", "--learn")

    yield learn
    stdin.close()
    os.close(master)


@pytest.mark.parametrize("options", [["--learn", "--check-pad"], ["--check-pad", "--learn"]])
def test_without_a_terminal_nothing_is_asked(conf, call, options):
    code, out, err = call(run_manual, *options)
    assert (code, out) == (1, None)
    assert err.startswith("error: --learn asks for one control after the other: run it in a term")


@pytest.mark.parametrize("options", [["--learn"], ["-o", "drive", "--learn"]])
def test_learning_belongs_to_the_check_of_the_pad(conf, options, capsys):
    with pytest.raises(SystemExit) as caught:
        run_manual.main(options)
    assert caught.value.code == 2
    assert "--learn requires --check-pad" in capsys.readouterr().err
    assert [each.name for each in conf.iterdir()] == ["hardware_conf.json"]


def test_the_map_lies_beside_the_configuration(conf, learn):
    (conf / "my_pad.json").write_text("mine")
    code, _, err = learn()
    assert code == 1
    assert f"{conf / 'my_pad.json'} exists. Replace it" in err
    assert (conf / "my_pad.json").read_text() == "mine"


@pytest.mark.parametrize("kind", ["folder", "link", "built in"])
def test_what_is_no_place_for_a_map_is_refused(conf, learn, kind):
    (conf / "elsewhere").mkdir()
    name = "my_pad.json"
    match kind:
        case "folder":
            (conf / name).mkdir()
        case "link":
            (conf / name).symlink_to("elsewhere/other.json")
        case "built in":
            name = str(path.ROOT / "car/pad/maps/xpad.json")
    content = json.loads(path.HARDWARE_CONF.read_text())
    path.HARDWARE_CONF.write_text(json.dumps(content | {"pad": {"map": name}}))
    code, _, err = learn()
    assert code == 2
    assert name in err


def test_without_a_pad_nothing_is_written(conf, learn):
    code, _, err = learn()
    assert code == 1
    assert err.startswith("error: no pad is connected: plug one in")
    assert [each.name for each in conf.iterdir()] == ["hardware_conf.json"]
