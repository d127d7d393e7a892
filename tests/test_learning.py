"""The simulator's drives are worth learning from: a model that learned from one drives."""

import pytest

from car.constants import TRACKS
from tests.helpers import learning

pytestmark = pytest.mark.slow

LAPS = 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_model_that_learned_from_one_drive_stays_on_the_road_on_every_track(seed):
    lesson = learning.record("school", seed=seed, pictures=2000)
    model = learning.fit(lesson)
    for track in TRACKS:
        outcome = learning.drive(model, track, seed=seed + 100, laps=LAPS)
        assert (outcome.laps, outcome.left_road) == (LAPS, False), track
        assert outcome.rms_offset_m < 0.06, track


def test_a_model_gets_over_pushes_since_its_lesson_showed_recoveries():
    model = learning.fit(learning.record("park", seed=1, pictures=2000))
    outcome = learning.drive(model, "park", seed=101, laps=LAPS, push_rate_hz=0.3)
    assert (outcome.laps, outcome.left_road) == (LAPS, False)


def test_labels_of_the_wrong_pictures_teach_nothing():
    """Else the test above might pass whatever is recorded."""
    lesson = learning.record("school", seed=1, pictures=1000)
    late = learning.Lesson(lesson.pictures[40:], lesson.steering[:-40])
    assert learning.drive(learning.fit(late), "school", seed=101, laps=1).left_road


def test_a_mirrored_lesson_steers_the_other_way():
    lesson = learning.record("school", seed=1, pictures=10)
    twice = learning.mirrored(learning.mirrored(lesson))
    assert (learning.mirrored(lesson).steering == -lesson.steering).all()
    assert (twice.pictures == lesson.pictures).all()
    assert not (learning.mirrored(lesson).pictures == lesson.pictures).all()
