"""Reports tests as they run, a line of JSON each: in the virtual Pi, for `running.py`."""

import json
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--report-to FILE`."""
    parser.addoption("--report-to", type=Path, required=True, help="file for reports, as JSON")


class _Reporter:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._file = config.getoption("--report-to").open("w")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()


def pytest_configure(config: pytest.Config) -> None:
    """Report from now on."""
    config.pluginmanager.register(_Reporter(config))
