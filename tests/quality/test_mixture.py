"""Values that differ within a set, contradictions and duplicates."""

from get_data.labels import edits
from get_data.quality.mixture import find_mixture
from tests.conftest import START, document


def mixture_of(*documents):
    return find_mixture({each["img_id"]: each for each in documents})


def test_labels_of_one_recording_have_all_in_common():
    found = mixture_of(*map(document, range(4)))
    assert (found.nb_dir, found.nb_speed, found.cars) == ({5: 4}, {2: 4}, {"patate": 4})
    assert found.sizes == {(160, 120): 4}
    assert (found.contradictions, found.duplicates) == ((), ())


def test_what_differs_is_counted():
    other = document(1)
    other["label"] |= {"nb_dir": 3, "label_direction": 1, "nb_speed": 4}
    other["car_setting"] = {}
    del other["resolution"]
    found = mixture_of(document(0), other, document(2))
    assert (found.nb_dir, found.nb_speed) == ({5: 2, 3: 1}, {2: 2, 4: 1})
    assert (found.cars, found.sizes) == ({"patate": 2, "": 1}, {(160, 120): 2, (0, 0): 1})


def test_a_class_that_the_driver_did_not_steer_contradicts_unless_a_person_set_it():
    wrong, corrected = document(1, steering=0.9), document(2, steering=0.9)
    del wrong["label"]["steering"]
    wrong["label"]["label_direction"] = 0
    corrected = edits.corrected(corrected, created_by="Ada", direction=0, speed=1, created_on=START)
    assert mixture_of(document(0), wrong, corrected).contradictions == (wrong["img_id"],)
    wrong["label"]["created_by"] = "pilot"
    assert mixture_of(wrong).contradictions == (wrong["img_id"],)


def test_a_steering_that_was_set_and_agrees_with_its_class_is_no_contradiction():
    meant = document(1, steering=0.9)
    meant["label"] |= {"label_direction": 0, "steering": -0.9}
    assert mixture_of(meant).contradictions == ()


def test_a_value_on_the_edge_of_a_class_is_in_it():
    edges = [document(number, steering=-1 + 0.4 * number) for number in range(6)]
    assert mixture_of(*edges).contradictions == ()


def test_pictures_of_the_same_content_are_duplicates():
    same = document(3) | {"picture_sha256": document(1)["picture_sha256"]}
    unknown = [document(number) | {"picture_sha256": ""} for number in (4, 5)]
    found = mixture_of(document(0), document(1), same, *unknown)
    assert found.duplicates == ((document(1)["img_id"], document(3)["img_id"]),)
