"""The live view of a drive in a browser: its address and its state."""

import json
import os
import signal
import socket
import threading
import urllib.request
from contextlib import suppress
from functools import partial

import pytest

from get_data import run_manual
from get_data.commands import run_manual as command
from tests.helpers.waiting import wait_until
from tests.test_live_view import free_port


@pytest.mark.slow
def test_a_car_that_drives_on_without_recording_is_shown_as_driving(tmp_path, monkeypatch, call):
    monkeypatch.setattr(command, "Recorder", partial(command.Recorder, min_free_bytes=2**62))
    port, states = free_port(), []

    def is_driving():
        with (
            suppress(OSError),  # the server does not listen yet
            urllib.request.urlopen(f"http://127.0.0.1:{port}/state") as answer,
        ):
            state = json.load(answer)
            if state.get("progress", {}).get("stopped"):
                states.append(state["state"])
        return "driving" in states

    def watch():
        try:
            wait_until(is_driving)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    watching = threading.Thread(target=watch)
    watching.start()
    code, counts, _ = call(run_manual, "-o", tmp_path / "d", "--simulate", "--view", port)
    watching.join()
    assert states[-1] == "driving"
    assert all(state.endswith("press Menu") for state in states[:-1])
    assert (code, bool(counts["stopped"])) == (1, True)


def test_the_view_is_announced_with_an_address_for_the_network(tmp_path, call, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "car")
    port = free_port()
    view = ["--view", port, "--view-host", "0.0.0.0"]
    code, _, err = call(run_manual, "-o", tmp_path / "d", "--simulate", "--duration", "0.2", *view)
    assert code == 0
    assert f"http://car.local:{port}/\n" in err
