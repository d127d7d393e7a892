"""The labelizer as a process, which can be killed and restarted on the same port."""

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
    """Return a port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Labelizer:
    """A process of `run_labelizer.py` on a folder."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder = folder
        self.labels = folder / label_file.NAME
        self.options = [str(option) for option in options]
        self.port = free_port()
        self.log = folder.parent / f"{folder.name}.log"
        self.counts: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Address that it printed last, token included."""
        addresses = re.findall(r"^Open (\S+) in a browser", self.log.read_text(), re.MULTILINE)
        address: str = addresses[-1]
        return address

    @property
    def origin(self) -> str:
        """Address without path and token."""
        return f"http://127.0.0.1:{self.port}"

    def enter(self) -> tuple[dict[str, str], str]:
        """Open the page; return the headers that authenticate further requests, and the page."""
        with urllib.request.urlopen(self.url, timeout=20) as response:
            page: str = response.read().decode()
            cookies = [
                cookie.partition(";")[0] for cookie in response.headers.get_all("Set-Cookie")
            ]
        [token] = re.findall(r'name="csrf-token" content="(\w+)"', page)
        return {"Cookie": "; ".join(cookies), "X-CSRFToken": token}, page

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Labelizer":
        """Start the process, and wait until it serves the page."""
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(self.folder), "--port", str(self.port)]
                + (["--user", "Zoé"] if "--user" not in self.options else [])
                + self.options,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"BROWSER": "true"},  # opens no window
            )
        wait_until(self._is_ready_or_exited, within_s=HANGS_S)
        assert self._process.poll() is None, self.log.read_text()
        return self

    def _is_ready_or_exited(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or "Press Ctrl-C to stop" in self.log.read_text()

    def kill(self) -> None:
        """Kill the process."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def stop(self) -> None:
        """Stop the process as Ctrl-C does, and check that it reports no bug."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=HANGS_S)
        assert self._process.returncode == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()
        self.counts = json.loads(out)

    @property
    def work_file(self) -> Path:
        """Path of the work file."""
        return self.labels.with_name(f"{self.labels.name}.labelizer.sqlite3")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Query the work file."""
        with closing(sqlite3.connect(f"file:{self.work_file}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    def operations(self) -> list[dict[str, Any]]:
        """Return all operations in order."""
        return [
            json.loads(row[0]) for row in self.rows("SELECT content FROM operation ORDER BY seq")
        ]

    def entry(self, position: int) -> dict[str, int]:
        """Return the state of one entry."""
        names = ("direction", "speed", "reviewed", "deleted")
        [row] = self.rows(f"SELECT {', '.join(names)} FROM entry WHERE position = ?", position)
        return dict(zip(names, row, strict=True))

    def exports(self) -> list[Path]:
        """Return the exported label files, oldest first."""
        return sorted(self.folder.glob("labels_*.json"))


@contextlib.contextmanager
def running(folder: Path, *options: object):
    """Run a labelizer while the block runs."""
    labelizer = Labelizer(folder, *options).start()
    try:
        yield labelizer
    finally:
        labelizer.stop()
