"""Runs the selected tests in virtual Pis: `pytest -p tests.environments.virtual_pi.running ...`.

Each machine runs its share and reports every test as it ends, so there is one item of pytest per
scenario, as without the plugin. What no machine reports has failed.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from common.errors import ToolkitError
from tests.environments.virtual_pi import machine

_MACHINES = min(2, len(os.sched_getaffinity(0)))  # each uses one core
_POLL_S = 0.2
_SILENT_S = 1800  # since the last report; no bound on how fast a machine is
_CONSOLE_LINES = 20


class _Running:
    """A machine with its share of the tests."""

    def __init__(self, image: machine.Image, items: list[pytest.Item], folder: Path) -> None:
        self.unreported = {item.nodeid: item for item in items}
        self.process = machine.start(image, list(self.unreported), folder)
        self._reports = (folder / "reports").open("rb")
        self._console = folder / "console"
        self._rest = b""
        self._heard_s = time.monotonic()

    @property
    def has_ended(self) -> bool:
        """Whether no more reports will come."""
        silent_s = time.monotonic() - self._heard_s
        return self.process.poll() is not None or silent_s > _SILENT_S

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the new reports."""
        *lines, self._rest = (self._rest + self._reports.read()).split(b"\n")
        for line in lines:
            self._heard_s = time.monotonic()
            yield json.loads(line)

    def console(self) -> str:
        """Return the last lines that the machine has printed."""
        lines = self._console.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_CONSOLE_LINES:])

    def end(self) -> None:
        """Turn the machine off."""
        self.process.kill()
        self.process.wait()
        self._reports.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests that were collected.

    Raises:
        UsageError: this machine lacks something; the message says what.
    """
    if session.testsfailed or session.config.option.collectonly or not session.items:
        return None
    try:
        image = machine.image()
    except ToolkitError as error:
        raise pytest.UsageError(str(error)) from error
    with ExitStack() as stack:
        machines = []
        for number in range(min(_MACHINES, len(session.items))):
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="virtual-pi-")))
            running = _Running(image, session.items[number::_MACHINES], folder)
            stack.callback(running.end)
            machines.append(running)
        _report_all(session.config, machines)
    return True


def _report_all(config: pytest.Config, machines: list[_Running]) -> None:
    """Pass on what the machines report until the last one ends, then what none has reported."""
    while True:
        have_ended = all(running.has_ended for running in machines)  # asked before the last read
        for running in machines:
            for facts in running.read():
                report = config.hook.pytest_report_from_serializable(config=config, data=facts)
                _pass_on(config, report)
                if report.when == "teardown":
                    del running.unreported[report.nodeid]
        if have_ended:
            break
        time.sleep(_POLL_S)
    for running in machines:
        message = f"the virtual Pi ended before this test did:\n{running.console()}"
        for item in running.unreported.values():
            where = (item.nodeid, item.location, {})
            _pass_on(config, pytest.TestReport(*where, "failed", message, when="setup"))
            _pass_on(config, pytest.TestReport(*where, "passed", None, when="teardown"))


def _pass_on(config: pytest.Config, report: pytest.TestReport) -> None:
    hook = config.hook
    if report.when == "setup":
        hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
    hook.pytest_runtest_logreport(report=report)
    if report.when == "teardown":
        hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)
