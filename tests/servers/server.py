"""The base of all servers: a folder, a port, a supervisor, start and stop."""

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from common.errors import ToolkitError
from tests.helpers import forked
from tests.servers import supervisor
from tests.servers.addresses import Login


class ServerFailed(ToolkitError):
    """A server did not start, or has died."""


class Server:
    """A server in its own folder, which ends with the process that started it.

    Without `folder` it uses a temporary one. With `life`, a named pipe, it ends when nobody has the
    pipe open for writing any more, rather than with this process.
    """

    name = "server"
    roles: tuple[str, ...] = ("admin", "writer", "searcher")
    host = "127.0.0.1"
    user: str | None = None  # whom it runs as; None for the current user
    start_timeout_s = 900.0  # generous: only ends a start that hangs

    def __init__(self, folder: Path | None = None, life: Path | None = None) -> None:
        self.port = free_port()
        self._is_temporary = folder is None
        self._life = life
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._group = 0
        if folder is None:
            beside = life.parent if life else None
            folder = Path(tempfile.mkdtemp(prefix=f"patate-{self.name}-", dir=beside))
        else:
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.absolute()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return self.folder / "log.txt"

    @property
    def pid(self) -> int:
        """The server's process, which leads a process group of its own."""
        return self._group

    def start(self) -> Self:
        """Start the server, or start it again with the same port and data.

        Raises:
            ServerFailed: it does not become ready.
        """
        self.prepare()
        command = [sys.executable, supervisor.__file__]
        command += ["--user", self.user] if self.user else []
        command += ["--remove", str(self.folder)] if self._is_temporary else []
        new_interpreter = forked.new_interpreters()  # which is small, and lives long
        with self.log.open("ab") as log, self._lifeline() as stdin, new_interpreter:
            self._supervisor = subprocess.Popen(
                [*command, "--", *self.command()],
                env=os.environ | self.environment(),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._supervisor.stdout
        with self._supervisor.stdout as pid:
            self._group = int(pid.readline() or 0)
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """Stop the server in an orderly way; it keeps its data and may be started again."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server in the middle of its work; its data stay as they were."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Stop and start the server."""
        self.stop()
        return self.start()

    def close(self) -> None:
        """Stop the server, and remove its folder if it is temporary. May be called twice."""
        self.stop()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def leave(self) -> None:
        """Leave the server to others: it goes on when this process ends."""
        if self._supervisor:
            self._supervisor.returncode = 0  # else Popen warns of a child that still runs
            self._supervisor = None

    def check(self) -> None:
        """Raise ServerFailed if the server has died since its start."""
        assert self._supervisor
        code = self._supervisor.poll()
        if code is not None:
            how = f"signal {code - 128}" if code > 128 else f"exit code {code}"
            raise ServerFailed(
                f"{self.name} has died ({how}); its last words: {self._last_words()}"
            )

    def prepare(self) -> None:
        """Fill the folder with what the server needs to start."""

    def command(self) -> Sequence[str]:
        """Return the command that runs the server."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return the variables that the server's environment has besides ours."""
        return {}

    def is_ready(self) -> bool:
        """Return whether the server answers and is set up."""
        raise NotImplementedError

    def logins(self) -> dict[str, Login]:
        """Return the logins by role, created at the first start and kept in the folder."""
        kept = self.folder / "logins.json"
        made = json.loads(kept.read_text()) if kept.exists() else {}
        missing = [name for name in self.roles if name not in made]
        if missing:
            made |= {name: secrets.token_urlsafe(16) for name in missing}
            kept.touch(mode=0o600)
            kept.write_text(json.dumps(made))
        return {name: Login(name, made[name]) for name in self.roles}

    def _wait_until_ready(self) -> None:
        assert self._supervisor
        deadline = time.monotonic() + self.start_timeout_s
        while not self.is_ready():
            if self._supervisor.poll() is not None or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                said = self._last_words(lines=20)
                raise ServerFailed(f"{self.name} did not start; its last words: {said}")
            time.sleep(0.05)

    def _last_words(self, *, lines: int = 1) -> str:
        said = self.log.read_text(errors="replace").strip().splitlines()[-lines:]
        return "\n".join(said)[-2000:] or "none"

    def _end(self, number: signal.Signals) -> None:
        """End server and supervisor, by force if need be."""
        if self._supervisor is None:
            return
        for each in (number, signal.SIGKILL):
            if self._supervisor.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._group, each)
                with suppress(subprocess.TimeoutExpired):
                    self._supervisor.wait(supervisor.SHUTDOWN_TIMEOUT_S)
        if self._supervisor.stdin:
            self._supervisor.stdin.close()
        self._supervisor = None

    @contextmanager
    def _lifeline(self) -> Iterator[int]:
        """Yield what the supervisor reads: its end of file ends the server."""
        if self._life is None:
            yield subprocess.PIPE
            return
        descriptor = os.open(self._life, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def free_port() -> int:
    """Return a port of this machine that nobody listens on.

    It is outside the range of outgoing connections, one of which might take it before the server
    starts, or during a restart.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as trial, suppress(OSError):
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return port
