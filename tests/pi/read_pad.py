"""Reads the pad as a drive does, and says on stdout, as JSON, each reading that differs.

Run in a namespace: `python -m tests.pi.read_pad '{"dead_zone": 0}'`. Ends when standard
input does, or with a failure; then says how many descriptors are left open.
"""

import json
import select
import sys
import time
from collections import deque
from pathlib import Path

from car import hardware_conf
from car.clock import RealClock
from car.pad.xbox_pad import XboxPad
from common.errors import ToolkitError

COUNTED = 10_000


def main(conf: str) -> None:
    """The pad was read until standard input ended or the pad failed."""
    pad = None
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    try:
        clock = RealClock()
        pad = XboxPad(hardware_conf.Pad(**json.loads(conf)), clock)
        say(describe=pad.describe(), name=pad.name, map=pad.map_name)
        watch(pad, clock)
    except ToolkitError as error:
        say(error=f"{type(error).__name__}: {error}")
    if pad:
        pad.close()
        pad.close()
        say(descriptors_left=len(list(Path("/proc/self/fd").iterdir())) - descriptors)


def watch(pad, clock):
    """Fifty readings a second; what they cost is said at the end, with what counting costs here.

    `began_s` are the moments at which the latest readings began, the newest last.
    """
    before, moment_s = None, clock.now()
    began_s = deque(maxlen=100)
    read_s, counted_s = [], []
    while not select.select([sys.stdin], [], [], 0)[0]:
        began_s.append(time.monotonic())
        start_s = time.thread_time()  # what other processes do is not the pad's doing
        state = pad.read()
        read_s.append(time.thread_time() - start_s)
        start_s = time.thread_time()
        sum(range(COUNTED))
        counted_s.append(time.thread_time() - start_s)
        told = {
            "steering": state.command.steering,
            "throttle": state.command.throttle,
            "pressed": sorted(one.name for one in state.pressed),
            "held": sorted(one.name for one in state.held),
            "lost": state.fault,
        }
        if told != before:
            say(**told, silent_s=state.silent_s, began_s=list(began_s), map=pad.map_name)
            before = told | {"pressed": []}
        moment_s = max(moment_s + 0.02, clock.now())
        clock.sleep_until(moment_s)
    say(read=cost(read_s), counted=cost(counted_s))


def cost(each_s):
    """What they took on average, and what all but a twentieth stay below."""
    return {"mean": sum(each_s) / len(each_s), "most": sorted(each_s)[len(each_s) * 95 // 100]}


def say(**told):
    """One line of JSON."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
