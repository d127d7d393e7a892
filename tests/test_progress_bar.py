"""Progress on a terminal, which must not take longer than the work."""

import io

import pytest

from get_data.cli import output


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self):
        return True


@pytest.mark.parametrize("total", [None, 20_000])
def test_a_bar_is_not_drawn_for_each_item(monkeypatch, total):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    items = output.progress_bar(
        iter(range(20_000)), total=total, description="searching", unit="label"
    )
    assert list(items) == list(range(20_000))
    assert terminal.getvalue().count("searching") <= 4500
