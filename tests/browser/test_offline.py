"""Without any network."""

import pytest
from playwright.sync_api import Error

from tests.browser.page_actions import keys, saved


def test_everything_works_without_a_network(page, labelizer, context):
    """In all tests of this folder the browser reaches this machine alone."""
    with pytest.raises(Error, match="PROXY"):
        context.new_page().goto("http://192.0.2.1/")
    keys(page, "4")
    saved(page)
    assert labelizer.entry(0)["direction"] == 4
