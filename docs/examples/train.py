"""Train a model on a fetched set, in seconds, and save it as a pilot that drives the simulator.

python get_data/search_and_download.py -q get_data/queries/for_training.json -p training/all
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


def fit(pictures, commands, ridge=RIDGE):
    """Return weights and bias of a ridge regression on the drive and its mirror image."""
    flipped = pictures.reshape(-1, HEIGHT, WIDTH)[:, :, ::-1].reshape(pictures.shape)
    inputs, outputs = np.vstack([pictures, flipped]), np.vstack([commands, commands * (-1, 1)])
    middle, average = inputs.mean(axis=0), outputs.mean(axis=0)
    squares = (inputs - middle).T @ (inputs - middle) + ridge * np.eye(len(middle))
    weights = np.linalg.solve(squares, (inputs - middle).T @ (outputs - average))
    return weights, average - middle @ weights


def main(folder, pilot_file):
    """Train on the set, and save the model as a pilot."""
    pictures, commands = read_set(folder, "train", None)  # None: fetched without --split
    if not len(pictures):
        sys.exit(f"error: {folder} has no picture to train on that a person drove or labelled")
    weights, bias = fit(pictures, commands)
    seen, driven = read_set(folder, "val")
    told = f"R2 not measured: val has {len(seen):,} pictures and no bends (fetch with --split)"
    if len(seen) and np.ptp(driven[:, 0]) > 0:
        missed = (driven - seen @ weights - bias).var(0)[0] / driven.var(0)[0]
        told = f"R2 of the steering in val, {len(seen):,} pictures: {1 - missed:.2f}"
    print(f"Trained on {len(pictures):,} pictures that people drove or labelled; {told}")
    layers = [{"weights": weights.tolist(), "bias": bias.tolist()}]
    pilot = {"format": "patate-pilot", "version": 1, "width": WIDTH, "height": HEIGHT}
    pilot_file.write_text(json.dumps(pilot | {"layers": layers}), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(sys.argv[1], "metadata.jsonl").is_file():
        sys.exit("usage: train.py DIR PILOT_JSON; DIR is a folder of search_and_download.py -p DIR")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
