"""A model that drives, read from a JSON file.

    {"format": "patate-pilot", "version": 1, "width": 40, "height": 30,
     "layers": [{"weights": [[...], ...], "bias": [...], "activation": "linear"}]}

A picture is scaled to `width` x `height` pixels and turned to grey levels from 0 to 1, row after
row: the input of the first layer. A layer has a row of weights for each of its inputs; its output
is `activation(input @ weights + bias)`. The last one has two outputs: steering from -1 to 1, and
throttle as a share of full throttle. That is enough for a linear regression and for a small dense
network of any library. Nothing in the file is executed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from car.interfaces import Command, Pixels
from common import strict_json, structs
from common.errors import InputError

Floats = NDArray[np.float64]
Activation = Literal["linear", "relu", "tanh"]

FORMAT = "patate-pilot"
VERSION = 1
OUTPUTS = 2  # steering and throttle
MAX_BYTES = 20_000_000  # a million weights

_Pixels = Annotated[int, Meta(ge=1, le=640)]
_Row = Annotated[list[float], Meta(min_length=1)]


class _Layer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    weights: Annotated[list[_Row], Meta(min_length=1)]
    bias: _Row
    activation: Activation = "linear"


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    version: int
    width: _Pixels
    height: _Pixels
    layers: Annotated[list[_Layer], Meta(min_length=1, max_length=16)]


@dataclass(frozen=True, slots=True)
class Layer:
    """A dense layer: `weights` is (inputs, outputs), `bias` (outputs,)."""

    weights: Floats
    bias: Floats
    activation: Activation = "linear"

    def output(self, values: Floats) -> Floats:
        """Return the output for an input, or for rows of inputs."""
        result = values @ self.weights + self.bias
        if self.activation == "relu":
            return np.maximum(result, 0.0)
        if self.activation == "tanh":
            return np.tanh(result)
        return result


class Model:
    """Steering and throttle from small grey pictures."""

    def __init__(
        self, width_px: int, height_px: int, layers: list[Layer], *, source: str, sha256: str
    ) -> None:
        """Join the layers, which must fit; `source` is the name of their file."""
        self.width_px, self.height_px = width_px, height_px
        self.layers = layers
        self.source, self.sha256 = source, sha256

    def describe(self) -> str:
        """Return the model, in one line."""
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        return f"pilot {self.source}, {self.width_px}x{self.height_px} pixels, {layers}"

    def settings(self) -> dict[str, object]:
        """Return what tells this model from others, for the labels."""
        return {"pilot": self.source, "pilot_sha256": self.sha256}

    def command(self, pixels: Pixels) -> Command:
        """Return the command for what the camera sees; its values may be outside of -1..1."""
        steering, throttle = self.predict(small_grey(pixels, self.width_px, self.height_px))
        return Command(float(steering), float(throttle))

    def predict(self, grey: Floats) -> Floats:
        """Return steering and throttle for a row of grey levels, or one row for each of many."""
        with np.errstate(all="ignore"):  # a command that is no number stops the car
            for layer in self.layers:
                grey = layer.output(grey)
        return grey


def small_grey(pixels: Pixels, width_px: int, height_px: int) -> Floats:
    """Return a picture as a model sees it: a row of grey levels from 0 to 1."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (width_px, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).ravel() / 255


def read(path: Path) -> Model:
    """Read a model file.

    Raises:
        InputError: with the file, the place in it, and what is wrong.
    """
    raw = strict_json.read_bytes(path, "a pilot file", max_bytes=MAX_BYTES)
    content = strict_json.parse(raw, str(path))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path} is not a pilot file: "format" is not "{FORMAT}"')
    if content.get("version") != VERSION:
        version = str(content.get("version"))[:20]
        raise InputError(f"{path} has version {version}; this program reads version {VERSION}")
    try:
        file = structs.convert(content, _File)
        layers = _join(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    sha256 = hashlib.sha256(raw).hexdigest()
    return Model(file.width, file.height, layers, source=path.name, sha256=sha256)


def _join(file: _File) -> list[Layer]:
    """Return the layers as arrays.

    Raises:
        InputError: a layer does not fit the one before it.
    """
    inputs, layers = file.width * file.height, []
    for number, layer in enumerate(file.layers):
        name = f"layers[{number}]"
        outputs = OUTPUTS if layer is file.layers[-1] else len(layer.bias)
        if len(layer.weights) != inputs:
            raise InputError(
                f"{name}.weights: expected {inputs:,} rows, one for each input, "
                f"got {len(layer.weights):,}"
            )
        if len(layer.bias) != outputs:
            raise InputError(
                f"{name}.bias: expected {outputs} values, steering and throttle, "
                f"got {len(layer.bias):,}"
            )
        for row in layer.weights:
            if len(row) != outputs:
                raise InputError(
                    f"{name}.weights: expected {outputs:,} values in each row, as in bias, "
                    f"got {len(row):,}"
                )
        weights = np.array(layer.weights, np.float64)
        layers.append(Layer(weights, np.array(layer.bias, np.float64), layer.activation))
        inputs = outputs
    return layers
