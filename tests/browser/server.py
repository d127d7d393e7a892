"""The labelizer as a process, which can be killed and restarted on the same port.

It is forked from a process that has imported the script: imports are most of what a start costs.
"""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import urllib.request
from contextlib import closing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import path
from get_data.labels import label_file
from tests.browser import labelizer_process
from tests.helpers.waiting import HANGS_S, wait_until

FORK_SERVER = multiprocessing.get_context("forkserver")
FORK_SERVER.set_forkserver_preload(list(labelizer_process.PRELOAD))


def free_port() -> int:
    """Return a port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Labelizer:
    """A process of `run_labelizer.py` on a folder.

    `anew`: a Python of its own imports the script, as when a user starts it. `browser`: what opens
    the page on a desktop; nothing by default.
    """

    def __init__(
        self, folder: Path, *options: object, anew: bool = False, browser: str = "true"
    ) -> None:
        self.folder = folder
        self.labels = folder / label_file.NAME
        self.options = [str(option) for option in options]
        self.port = free_port()
        self.log = folder.parent / f"{folder.name}.log"
        self.counts: dict[str, Any] = {}
        self._anew, self._browser = anew, browser
        self._out = self.log.with_suffix(".out")
        self._process: ForkServerProcess | None = None

    @property
    def url(self) -> str:
        """Address that it printed last, token included."""
        addresses = re.findall(r"^Open (\S+)$", self.log.read_text(), re.MULTILINE)
        address: str = addresses[-1]
        return address

    @property
    def origin(self) -> str:
        """Address without path and token."""
        return f"http://127.0.0.1:{self.port}"

    def enter(self) -> tuple[dict[str, str], str]:
        """Open the page; return the headers that authenticate further requests, and the page."""
        with urllib.request.urlopen(self.url, timeout=HANGS_S) as response:
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
        assert self._process.pid is not None
        return self._process.pid

    def start(self) -> "Labelizer":
        """Start the process, and wait until it serves the page."""
        user = [] if "--user" in self.options else ["--user", "Zoé"]
        arguments = [str(self.folder), "--port", str(self.port), *user, *self.options]
        environment = os.environ | {"BROWSER": self._browser}
        self.log.write_text("")
        with contextlib.chdir(path.ROOT):  # where it finds the modules to preload
            forkserver.ensure_running()
        self._process = FORK_SERVER.Process(
            target=labelizer_process.run,
            args=(arguments, environment),
            kwargs={"stdout": self._out, "stderr": self.log, "anew": self._anew},
            daemon=True,
        )
        self._process.start()
        wait_until(self._is_ready_or_exited, within_s=HANGS_S)
        assert self._process.is_alive(), self.log.read_text()
        return self

    def _is_ready_or_exited(self) -> bool:
        assert self._process is not None
        return not self._process.is_alive() or "Press Ctrl-C to stop" in self.log.read_text()

    def kill(self) -> None:
        """Kill the process."""
        assert self._process is not None
        self._process.kill()
        self._process.join()
        self._process = None

    def stop(self) -> None:
        """Stop the process as Ctrl-C does, and check that it reports no bug."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.is_alive():
            os.kill(process.pid, signal.SIGINT)
        process.join(HANGS_S)
        assert process.exitcode == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()
        self.counts = json.loads(self._out.read_text())

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
def running(folder: Path, *options: object, anew: bool = False, browser: str = "true"):
    """Run a labelizer while the block runs."""
    labelizer = Labelizer(folder, *options, anew=anew, browser=browser).start()
    try:
        yield labelizer
    finally:
        labelizer.stop()
