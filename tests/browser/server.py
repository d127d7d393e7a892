"""The labelizer as its own process, which can be killed and started again on the same port."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import path
from get_data.labels import label_file
from tests.helpers.waiting import HANGS_S, wait_until

SCRIPT = path.ROOT / "get_data" / "run_labelizer.py"


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Labelizer:
    """`run_labelizer.py` on a folder."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder = folder
        self.labels = folder / label_file.NAME
        self.options = [str(one) for one in options]
        self.port = free_port()
        self.log = folder.parent / f"{folder.name}.log"
        self.counts: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """The address that it printed last, which tells its secret."""
        found = re.findall(r"^Open (\S+) in a browser", self.log.read_text(), re.MULTILINE)
        address: str = found[-1]
        return address

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def enter(self) -> tuple[dict[str, str], str]:
        """The headers of whoever opened the address, who may write; and the page."""
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            page: str = answer.read().decode()
            cookies = [one.partition(";")[0] for one in answer.headers.get_all("Set-Cookie")]
        [token] = re.findall(r'name="csrf-token" content="(\w+)"', page)
        return {"Cookie": "; ".join(cookies), "X-CSRFToken": token}, page

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Labelizer":
        """It answers."""
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(self.folder), "--port", str(self.port)]
                + (["--user", "Zoé"] if "--user" not in self.options else [])
                + self.options,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"BROWSER": "true"},  # of whoever runs the tests: not opened
            )
        wait_until(self._has_spoken, within_s=HANGS_S)
        assert self._process.poll() is None, self.log.read_text()
        return self

    def _has_spoken(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or "Press Ctrl-C to stop" in self.log.read_text()

    def kill(self) -> None:
        """It is gone, at once."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """It has ended as Ctrl-C ends it, without a word of a bug."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=HANGS_S)
        assert self._process.returncode == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()
        self.counts = json.loads(out)

    @property
    def work_file(self) -> Path:
        """Where the work is kept."""
        return self.labels.with_name(f"{self.labels.name}.labelizer.sqlite3")

    def rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """What the work file holds just now."""
        with closing(sqlite3.connect(f"file:{self.work_file}?mode=ro", uri=True)) as database:
            return database.execute(question, values).fetchall()

    def operations(self) -> list[dict[str, Any]]:
        """All operations in their order."""
        return [
            json.loads(row[0]) for row in self.rows("SELECT content FROM operation ORDER BY seq")
        ]

    def entry(self, position: int) -> dict[str, int]:
        """What has been decided about one picture."""
        names = ("direction", "speed", "reviewed", "deleted")
        [row] = self.rows(f"SELECT {', '.join(names)} FROM entry WHERE position = ?", position)
        return dict(zip(names, row, strict=True))

    def exports(self) -> list[Path]:
        """The label files that it wrote, oldest first."""
        return sorted(self.folder.glob("labels_*.json"))


@contextlib.contextmanager
def running(folder: Path, *options: object):
    """A labelizer that runs while the block does."""
    labelizer = Labelizer(folder, *options).start()
    try:
        yield labelizer
    finally:
        labelizer.stop()
