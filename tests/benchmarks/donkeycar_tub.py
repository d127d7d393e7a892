"""Writes frames with donkeycar's `Tub.write_record`; runs in an environment of its own.

python donkeycar_tub.py FRAMES.npy FOLDER COUNT RATE_HZ
Prints one JSON object: seconds for all, and for each call. A rate of 0 is flat out.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np

with contextlib.redirect_stdout(io.StringIO()):  # it greets
    from donkeycar.parts.tub_v2 import Tub


def main(frames_file: str, folder: str, count: str, rate_hz: str) -> None:
    """Writes so many records and prints how long that took."""
    frames = np.load(frames_file)
    inputs = ["cam/image_array", "user/angle", "user/throttle", "user/mode"]
    tub = Tub(folder, inputs=inputs, types=["image_array", "float", "float", "str"])
    calls = []
    start = time.perf_counter()
    for number in range(int(count)):
        record = {
            "cam/image_array": frames[number % len(frames)],
            "user/angle": 0.1,
            "user/throttle": 0.3,
            "user/mode": "user",
        }
        before = time.perf_counter()
        tub.write_record(record)
        calls.append(time.perf_counter() - before)
        if float(rate_hz):
            time.sleep(max(0.0, start + (number + 1) / float(rate_hz) - time.perf_counter()))
    seconds = time.perf_counter() - start
    tub.close()
    print(json.dumps({"seconds": seconds, "calls": calls}))  # noqa: T201  read by recorder.py


if __name__ == "__main__":
    main(*sys.argv[1:])
