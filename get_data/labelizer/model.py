"""A model of the steering, which tells labels that look wrong; computed beside the server.

A process of its own at low priority reads the pictures and judges the labels of the file
(`quality/suspicion.py`), so that the page stays fast and a failure leaves it without a model only.
"""

import os
import subprocess
import threading
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from common.child_process import ChildFailed, end_process, start_process
from get_data.labelizer.catalogue import Catalogue, Flag
from get_data.labelizer.model_wire import Judgement, Message, Progress, to_line, to_request
from get_data.labelizer.operations import Floats, Integers
from get_data.quality.samples import Samples

MIN_PICTURES = 250  # with a label that is not settled; fewer are looked through at once

_SETTLED = Flag.PERSON | Flag.MARKED
_PROCESS = "get_data.labelizer.model_process"
_NAME = "the search for labels that look wrong"
_DOUBTFUL_SCORE = 0.2  # one in ten labels of a clean drive has more
_DIGITS = 4  # of scores and steering that the page gets

Status = Literal["none", "computing", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ModelState:
    """State of the model, as the page gets it; `none`: there are too few labels for one."""

    status: Status
    done: int = 0
    total: int = 0
    message: str = ""


class Model:
    """A model of the labels of a catalogue; `reply` is the JSON that the page gets."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._positions = find_judged(catalogue)
        self._child: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()  # between the start of the process and the end of the server
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        open_labels = (catalogue.flags[self._positions] & _SETTLED) == 0
        self._has_enough = np.count_nonzero(open_labels) >= MIN_PICTURES
        status: Status = "computing" if self._has_enough else "none"
        self._show(ModelState(status, total=self._positions.size))

    def _show(self, state: ModelState) -> None:
        self.reply = msgspec.json.encode(state)

    def start(self) -> None:
        """Start the process, unless there are too few labels."""
        if self._has_enough:
            self._thread.start()

    def close(self) -> None:
        """Stop the process and wait for its end."""
        self._closing.set()
        with self._lock:
            if self._child:
                self._child.kill()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            judgement = self._judge()
        except (ChildFailed, OSError, msgspec.MsgspecError, UnicodeError) as error:
            if not self._closing.is_set():
                self._show(ModelState("failed", message=str(error)))
        else:
            drives = np.unique(self._catalogue.captures.drive.index[self._positions])
            self.reply = msgspec.json.encode(
                _judgement_for_page(judgement, self._positions, drives)
            )

    def _judge(self) -> Judgement:
        """Return the judgement of the process.

        Raises:
            ChildFailed: the process did not start, failed, or was killed.
        """
        samples = read_samples(self._catalogue, self._positions)
        request = to_line(to_request(os.fsencode(self._catalogue.folder.absolute()), samples))
        child = start_process(_PROCESS, "", name=_NAME, stdin=subprocess.PIPE)
        with self._lock:
            self._child = child
            if self._closing.is_set():
                child.kill()
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(request)
            child.stdin.flush()
            for line in child.stdout:
                message = msgspec.json.decode(line, type=Message)
                if isinstance(message, Judgement):
                    return message
                self._show_progress(message)
        finally:
            child.kill()
            reason = end_process(child, name=_NAME)
        raise ChildFailed(reason)

    def _show_progress(self, progress: Progress) -> None:
        self._show(ModelState("computing", progress.done, progress.total))


def find_judged(catalogue: Catalogue) -> Integers:
    """Return the positions of the labels that can be judged."""
    has_classes = (catalogue.direction >= 0) & (catalogue.speed >= 0)
    return np.flatnonzero(has_classes & ~np.isnan(catalogue.steering))


def read_samples(catalogue: Catalogue, positions: Integers) -> Samples:
    """Return the labels at these positions, which are in the order of samples."""
    captures, groups = catalogue.captures, catalogue.groups
    group = catalogue.group[positions]
    _, drive = np.unique(captures.drive.index[positions], return_inverse=True)
    return Samples(
        img_ids=[catalogue.ids[position] for position in positions],
        file_names=[catalogue.file_names[position] or "" for position in positions],
        sha256=[captures.sha256[position] for position in positions],
        time_us=captures.time_us[positions],
        drive=drive.astype(np.int32),
        steering=catalogue.steering[positions].astype(np.float32),
        throttle=np.nan_to_num(catalogue.throttle[positions]).astype(np.float32),
        raw_steering=catalogue.raw_direction[positions].astype(np.float32),
        direction=catalogue.direction[positions].astype(np.int16),
        nb_dir=np.array([each.nb_dir for each in groups], np.int16)[group],
        speed=catalogue.speed[positions].astype(np.int16),
        nb_speed=np.array([each.nb_speed for each in groups], np.int16)[group],
        reviewed=(catalogue.flags[positions] & _SETTLED) != 0,
    )


def _judgement_for_page(
    judgement: Judgement, positions: Integers, drives: NDArray[np.int32]
) -> dict[str, Any]:
    """Return the columns of the judged positions; null where the model does not know.

    `drives`: number in the catalogue of each drive that was judged.
    """
    order = positions[np.frombuffer(judgement.order, "<i8")]
    clips = positions[np.array(judgement.clips, np.int64).reshape(-1, 2)]
    return {
        "status": "ready",
        "positions": positions.tolist(),
        "score": _rounded(np.frombuffer(judgement.score, "<f4")),
        "predicted": _rounded(np.frombuffer(judgement.predicted, "<f4")),
        "doubtful": _DOUBTFUL_SCORE,
        "wrong": positions[judgement.wrong].tolist() if judgement.wrong else [],
        "order": order.tolist(),
        "clips": clips.tolist(),
        "late": [
            {"drive": drive, "pictures": late.pictures}
            for drive, late in zip(drives.tolist(), judgement.drives, strict=True)
            if late.pictures
        ],
    }


def _rounded(values: Floats) -> list[float | None]:
    rounded: list[float | None] = np.round(values.astype(np.float64), _DIGITS).tolist()
    return rounded
