"""The file of a pilot, and what it makes of a picture."""

import json
import pickle

import numpy as np
import pytest

from car.interfaces import Command
from car.pilot import model
from common.errors import InputError
from tests.pilot import files

GREY = np.full((120, 160, 3), 51, np.uint8)


def layer(inputs, outputs, value=0.0, **more):
    return {"weights": [[value] * outputs] * inputs, "bias": [0.0] * outputs, **more}


def test_a_linear_model_adds_up_what_it_sees(tmp_path):
    weights = [[0.1 * row, 0.0] for row in range(12)]
    layers = [{"weights": weights, "bias": [0.05, 0.4]}]
    pilot = model.read(files.write(tmp_path / "p.json", layers=layers))
    pixels = GREY.copy()
    pixels[:40, :40] = 0  # the first of 4 x 3
    pixels[80:, 120:] = 255  # the last
    command = pilot.command(pixels)
    expected = 0.05 + 0.1 * (0.2 * sum(range(1, 11)) + 11)
    assert (command.steering, command.throttle) == pytest.approx((expected, 0.4))


@pytest.mark.parametrize(
    ("activation", "expected"), [("linear", -1.2), ("relu", 0.0), ("tanh", np.tanh(-1.2))]
)
def test_a_network_has_layers_with_activations(tmp_path, activation, expected):
    """Each hidden value is 12 times grey 0.2 times -0.5; the outputs are its sum and half of it."""
    hidden = layer(12, 3, -0.5, activation=activation)
    last = {"weights": [[1.0, 0.5], [0.0, 0.0], [0.0, 0.0]], "bias": [0, 0]}
    pilot = model.read(files.write(tmp_path / "p.json", layers=[hidden, last]))
    command = pilot.command(GREY)
    assert (command.steering, command.throttle) == pytest.approx((expected, expected / 2))


def test_pictures_of_every_size_are_scaled(tmp_path):
    pilot = model.read(files.write(tmp_path / "p.json"))
    for shape in ((12, 16, 3), (480, 640, 3)):
        assert pilot.command(np.zeros(shape, np.uint8)) == Command(0.1, 0.3)


def test_a_label_tells_which_model_drove(tmp_path):
    one, other = (
        model.read(files.write(tmp_path / "p.json", steering=steering)).settings()
        for steering in (0.1, 0.2)
    )
    assert one["pilot"] == other["pilot"] == "p.json"
    assert one["pilot_sha256"] != other["pilot_sha256"]


BAD = {  # and what the message contains
    "empty": (b"", "not JSON"),
    "a pickle": (pickle.dumps({"format": "patate-pilot"}), "UTF-8"),
    "a list": (b"[]", "patate-pilot"),
    "a label file": (b'{"20240501T12-00-00-000000": {}}', "patate-pilot"),
    "a later version": (files.content(version=2), "version 2"),
    "a version of another kind": (files.content(version=[1] * 1000), "version [1, 1"),
    "an unknown key": (files.content(labels=[]), "labels"),
    "no layers": (files.content(layers=[]), "layers"),
    "too many layers": (files.content(layers=[layer(12, 12)] * 17), "layers"),
    "no picture": (files.content(width=0), "width"),
    "a huge picture": (files.content(width=10**9), "width"),
    "NaN": (json.dumps(files.content()).replace("0.1", "NaN").encode(), "NaN"),
    "a number beyond all": (json.dumps(files.content()).replace("0.1", "1e999").encode(), "1e999"),
    "a text as weight": (files.content(layers=[layer(12, 2, "0.1")]), "layers[0].weights[0][0]"),
    "too few rows": (files.content(layers=[layer(11, 2)]), "layers[0].weights: expected 12"),
    "rows that differ": (
        files.content(layers=[layer(12, 2) | {"weights": [[0.0, 0.0]] * 11 + [[0.0]]}]),
        "layers[0].weights: expected 2",
    ),
    "one output": (files.content(layers=[layer(12, 1)]), "layers[0].bias: expected 2"),
    "layers that do not fit": (
        files.content(layers=[layer(12, 4), layer(5, 2)]),
        "layers[1].weights: expected 4",
    ),
    "an unknown activation": (files.content(layers=[layer(12, 2, activation="exp")]), "activation"),
    "nested too deeply": (b'{"a":' * 100_000, "nested"),
}


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(("content", "fact"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_no_pilot_is_refused_in_one_line(tmp_path, content, fact):
    file = tmp_path / "pilot.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(InputError) as caught:
        model.read(file)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert fact in message
    assert len(message) - len(str(file)) < 150
    assert message.isprintable()


def test_a_file_of_any_size_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="100 bytes"):
        model.read(files.write(tmp_path / "pilot.json"))
