"""A person who knows the truth corrects a simulated drive, with as few keys as the page allows."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from get_data.labels import edits, label_file
from get_data.labels.classes import Classes
from tests.browser.conftest import SIZE, Watch, ready
from tests.browser.page_actions import keys, saved
from tests.browser.server import running
from tests.conftest import START
from tests.helpers import learning
from tests.helpers.waiting import HANGS_S

pytestmark = pytest.mark.slow

COUNT = 1000
ISOLATED, RUNS, RUN = 100, 10, 10
MAX_KEYS = 300
LONGEST = 30  # keys of one correction
MIN_REPAIRED = 190  # of 200
MAX_HARMED = 10  # right labels that a correction of a whole run made wrong
CLASSES = Classes(max_throttle=0.5)
NEAR = 1 / CLASSES.nb_dir  # half a class: what a person sees, and a key repairs


class Planted(NamedTuple):
    """Steering of a drive as it should be, and as the labels have it."""

    truth: np.ndarray
    labels: np.ndarray

    @property
    def wrong(self):
        """Positions of the wrong labels."""
        return np.flatnonzero(self.truth != self.labels)


def plant(truth):
    """Make labels wrong by 0.5 to 1: single ones, and runs of neighbours by the same amount."""
    random = np.random.default_rng(1)
    labels = truth.copy()
    is_free = np.ones(COUNT, bool)

    def spoil(first, count):
        amount = random.uniform(0.5, 1) * random.choice([-1, 1])
        part = truth[first : first + count]
        fits = np.abs(part + amount) <= 1
        labels[first : first + count] = np.where(fits, part + amount, part - amount)
        is_free[max(first - 2, 0) : first + count + 2] = False

    for count, wanted in ((RUN, RUNS), (1, ISOLATED)):
        for _ in range(wanted):
            starts = [
                first for first in range(COUNT - count + 1) if is_free[first : first + count].all()
            ]
            spoil(int(random.choice(starts)), count)
    return Planted(truth, np.clip(labels, -1, 1))


def save_drive(folder, lesson, steering):
    """Save a drive with this steering, its pictures as small as the model sees them."""
    folder.mkdir()
    labels = {}
    for number, row in enumerate(lesson.pictures):
        grey = np.round(row.reshape(learning.HEIGHT_PX, learning.WIDTH_PX) * 255).astype(np.uint8)
        content = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        label = edits.new_label(
            captured=START + timedelta(seconds=number / learning.RATE_HZ),
            picture=content,
            width=learning.WIDTH_PX,
            height=learning.HEIGHT_PX,
            steering=float(steering[number]),
            throttle=0.3,
            classes=CLASSES,
            session={"driver": "Zoé"},
            car_setting={"car": "patate"},
        )
        labels[label["img_id"]] = label
        (folder / label["file_name"]).write_bytes(content)
    label_file.write(folder / label_file.NAME, labels)
    return sorted(labels)


# What a person sees in the grid: the pictures in sight, each with its needles, and where one is.
SEE_GRID = """() => {
    const { top, bottom } = document.getElementById("scroller").getBoundingClientRect();
    const seen = [...document.querySelectorAll(".tile:not([hidden])")].filter((tile) => {
        const box = tile.getBoundingClientRect();
        return box.top >= top - 1 && box.bottom <= bottom + 1;
    });
    const placeOf = (tile) => Number(tile.id.slice(5));
    const tops = seen.map((tile) => Math.round(tile.getBoundingClientRect().y));
    return {
        tiles: seen.map((tile) => [placeOf(tile), tile.title,
            Number.parseFloat(tile.querySelector(".needles").dataset.needles.split(" ")[3])]),
        current: placeOf(document.querySelector(".tile.current")),
        columns: tops.filter((each) => each === Math.min(...tops)).length,
    };
}"""
# And in the film strip: the pictures, which of them are selected, and their needles.
SEE_STRIP = """() => [...document.querySelectorAll("#strip .neighbour:not(.none)")].map((tile) => {
    const needles = tile.querySelector(".needles").dataset.needles.split(" ").map(Number);
    return [tile.title.split(":")[0], tile.classList.contains("selected"), needles[0], needles[3]];
})"""


class Person:
    """Somebody at the page who sees at once what is right, and counts the keys."""

    def __init__(self, page, img_ids, planted):
        self.page = page
        self.positions = {img_id: position for position, img_id in enumerate(img_ids)}
        self.truth = planted.truth
        self.is_wrong = np.abs(planted.labels - planted.truth) > NEAR
        self.pressed = []

    def press(self, *presses):
        """Press keys."""
        keys(self.page, *presses)
        self.pressed += presses

    def set_class(self, position):
        """Press the key of the right class."""
        self.press(str(CLASSES.direction(float(self.truth[position]))))
        self.is_wrong[position] = False

    def correct(self):
        """Find the next wrong label in the grid, and press what it needs; False at the end."""
        seen = self.page.evaluate(SEE_GRID)
        wrong = [tile for tile in sorted(seen["tiles"]) if self.is_wrong[self.positions[tile[1]]]]
        if not wrong:
            self.press("PageDown")
            return self.page.evaluate(SEE_GRID)["current"] != seen["current"]
        place, img_id, model = wrong[0]
        self.go(place - seen["current"], seen["columns"])
        position = self.positions[img_id]
        if self.is_wrong[max(position - 1, 0) : position + 2].sum() > 1:
            self.correct_run(position)
        elif model is not None and abs(model - self.truth[position]) <= NEAR:
            self.press("m")
            self.is_wrong[position] = False
        else:
            self.set_class(position)
        return True

    def go(self, forward, columns):
        """Move by rows and columns of the grid."""
        rows = round(forward / columns)
        rest = forward - rows * columns
        self.press(*["ArrowDown" if rows > 0 else "ArrowUp"] * abs(rows))
        self.press(*["ArrowRight" if rest > 0 else "ArrowLeft"] * abs(rest))

    def correct_run(self, position):
        """Look at the run in Single, select it, and draw a line through it."""
        first = last = position
        while first and self.is_wrong[first - 1]:
            first -= 1
        while last < COUNT - 1 and self.is_wrong[last + 1]:
            last += 1
        self.press("v", "c")
        if self.selected() != set(range(first, last + 1)):
            self.press("Escape")
            self.select(position, first, last)
        run = list(range(first, last + 1))
        self.press(self.choose(self.page.evaluate(SEE_STRIP), run))
        self.is_wrong[run] = False
        self.press("n", "v")

    def selected(self):
        """Return the positions that are selected in the film strip."""
        seen = self.page.evaluate(SEE_STRIP)
        return {self.positions[img_id] for img_id, is_selected, *_ in seen if is_selected}

    def select(self, position, first, last):
        """Select a run by keys, from its nearer end."""
        if position - first <= last - position:
            moves = ["ArrowLeft"] * (position - first) + ["Shift+ArrowRight"] * (last - first)
        else:
            moves = ["ArrowRight"] * (last - position) + ["Shift+ArrowLeft"] * (last - first)
        self.press(*moves)

    def choose(self, seen, run):
        """Return the key that makes more of a run right: a line, or the needles of the model."""
        needles = {self.positions[img_id]: (label, model) for img_id, _, label, model in seen}
        model = np.array([needles[position][1] for position in run], float)
        ends = [needles.get(end, needles[run[0]])[0] for end in (run[0] - 1, run[-1] + 1)]
        line = np.interp(run, [run[0] - 1, run[-1] + 1], ends)
        right = [(np.abs(each - self.truth[run]) <= NEAR).sum() for each in (line, model)]
        return "Shift+W" if right[0] >= right[1] else "m"


@pytest.fixture(scope="module")
def lesson():
    """A simulated drive on a virtual clock."""
    return learning.record("school", seed=1, pictures=COUNT)


def test_a_person_repairs_nearly_all_wrong_labels_with_few_keys(lesson, browser, tmp_path):
    """The most suspicious first: half of the wrong labels alone, half in runs of ten."""
    planted = plant(lesson.steering)
    assert len(planted.wrong) == ISOLATED + RUNS * RUN
    img_ids = save_drive(tmp_path / "drive", lesson, planted.labels)
    watch = Watch()
    page = watch.page(browser.new_page(viewport=SIZE))
    page.set_default_timeout(HANGS_S * 1000)  # the search is at low priority
    with running(tmp_path / "drive") as labelizer:
        page.goto(labelizer.url)
        ready(page)
        page.click("#overview [data-action=start-suspicious]")
        person = Person(page, img_ids, planted)
        person.press("v")
        while len(person.pressed) < MAX_KEYS - LONGEST and person.is_wrong.any():
            if not person.correct():
                break
        saved(page)
        set_here = "SELECT position, steering FROM entry WHERE steering IS NOT NULL"
        corrected = dict(labelizer.rows(set_here))
        page.close()
    watch.check()
    now = planted.labels.copy()
    now[list(corrected)] = list(corrected.values())
    is_right = np.abs(now - planted.truth) <= NEAR
    repaired = int(is_right[planted.wrong].sum())
    harmed = int((~np.delete(is_right, planted.wrong)).sum())
    report = f"{repaired} repaired, {harmed} harmed, keys: {Counter(person.pressed)}"
    assert len(person.pressed) <= MAX_KEYS, report
    assert repaired >= MIN_REPAIRED, report
    assert harmed <= MAX_HARMED, report
