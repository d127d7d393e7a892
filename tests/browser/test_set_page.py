"""The page of `check_set.py` in a real browser."""

import numpy as np
import pytest

from get_data import check_set
from tests.conftest import document, save

HOSTILE = "</title></style><script>document.title = 'taken'</script>"


@pytest.fixture
def file(tmp_path):
    """The page of a set with clips, a hostile name and a gap."""
    noise = np.random.default_rng(0)
    steering = np.clip(np.sin(np.arange(120) / 9) + noise.normal(0, 0.05, 120), -1, 1)
    steering[40:50] = -steering[40:50]
    numbers = [number for number in range(120) if number != 70]
    documents = [document(each, steering=float(steering[each]), event=HOSTILE) for each in numbers]
    folder = save(tmp_path / "drive", documents)
    page = tmp_path / "page.html"
    assert check_set.main([str(folder), "--html", str(page)]) == 0
    return page


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_is_whole_and_fits_in_light_and_dark(browser, watch, file, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = watch.page(context.new_page())
    page.goto(f"file://{file}")
    assert page.title() != "taken"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    assert page.locator(".drive svg path").count() >= 1
    assert page.locator(".findings li").count() >= 6
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
    assert light == (scheme == "light")
    context.close()
