"""Train a model on a fetched set, in seconds, and save it as a pilot that drives the simulator.

python get_data/search_and_download.py -p training/all --split train=80,val=20
python docs/examples/train.py training/all pilot.json
python get_data/run_manual.py -o drives/by-model --simulate --pilot pilot.json
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, RIDGE = 40, 30, 10.0  # of the model's pictures, in pixels; keeps the weights small


def read_set(folder, *splits):
    """Return pictures, as rows of grey levels from 0 to 1, and their steering and throttle."""
    pictures, commands = [], []
    for line in map(json.loads, (folder / "metadata.jsonl").read_bytes().splitlines()):
        if line.get("split") in splits and line["created_by"] not in ("pilot", "nobody"):
            grey = cv2.imread(str(folder / line["file_name"]), cv2.IMREAD_GRAYSCALE)
            small = cv2.resize(grey, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            pictures.append(small.ravel() / 255)
            commands.append((line["steering"], line["throttle"]))  # corrections included
    return np.array(pictures), np.array(commands)


def mirrored(pictures, commands):
    """Return the same drive on a track that bends the other way."""
    flipped = pictures.reshape(-1, HEIGHT, WIDTH)[:, :, ::-1].reshape(pictures.shape)
    return flipped, commands * (-1, 1)


def fit(pictures, commands, ridge=RIDGE):
    """Return weights and bias of a ridge regression on the drive and its mirror image."""
    flipped, opposite = mirrored(pictures, commands)
    inputs, outputs = np.concatenate([pictures, flipped]), np.concatenate([commands, opposite])
    middle, average = inputs.mean(axis=0), outputs.mean(axis=0)
    centred = inputs - middle
    squares = centred.T @ centred + ridge * np.eye(len(middle))
    weights = np.linalg.solve(squares, centred.T @ (outputs - average))
    return weights, average - middle @ weights


def main(folder, pilot_file):
    """Train on the set, and save the model as a pilot."""
    weights, bias = fit(*read_set(folder, "train", None))  # None: fetched without --split
    pictures, commands = read_set(folder, "val")
    if len(pictures):
        missed, spread = (commands - pictures @ weights - bias).var(0), commands.var(0)
        print(f"R2 of the steering in val: {1 - missed[0] / spread[0]:.2f}")
    layers = [{"weights": weights.tolist(), "bias": bias.tolist()}]
    pilot = {"format": "patate-pilot", "version": 1, "width": WIDTH, "height": HEIGHT}
    pilot_file.write_text(json.dumps(pilot | {"layers": layers}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
