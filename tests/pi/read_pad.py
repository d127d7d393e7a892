"""Program that reads the pad as a drive does and prints each change as a line of JSON.

Runs in a namespace: `python -m tests.pi.read_pad '{"dead_zone": 0}'`. It ends with standard input
or a failure, and then reports how many descriptors are left open.
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
    """Read the pad until standard input ends or the pad fails."""
    pad = None
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    try:
        clock = RealClock()
        pad = XboxPad(hardware_conf.XboxPadConf(**json.loads(conf)), clock)
        say(describe=pad.describe(), name=pad.name, map=pad.map_name)
        watch(pad, clock)
    except ToolkitError as error:
        say(error=f"{type(error).__name__}: {error}")
    if pad:
        pad.close()
        pad.close()
        say(descriptors_left=len(list(Path("/proc/self/fd").iterdir())) - descriptors)


def watch(pad, clock):
    """Read the pad 50 times a second; report the cost at the end, beside that of a fixed sum.

    `began_s` are the start times of the latest readings, the newest last.
    """
    before, moment_s = None, clock.now()
    began_s = deque(maxlen=100)
    read_s, counted_s = [], []
    while not select.select([sys.stdin], [], [], 0)[0]:
        began_s.append(time.monotonic())
        start_s = time.thread_time()  # leaves out what other processes use
        state = pad.read()
        read_s.append(time.thread_time() - start_s)
        start_s = time.thread_time()
        sum(range(COUNTED))
        counted_s.append(time.thread_time() - start_s)
        values = {
            "steering": state.command.steering,
            "throttle": state.command.throttle,
            "pressed": sorted(button.name for button in state.pressed),
            "held": sorted(button.name for button in state.held),
            "lost": state.fault,
        }
        if values != before:
            say(**values, silent_s=state.silent_s, began_s=list(began_s), map=pad.map_name)
            before = values | {"pressed": []}
        moment_s = max(moment_s + 0.02, clock.now())
        clock.sleep_until(moment_s)
    say(read=cost(read_s), counted=cost(counted_s))


def cost(durations_s):
    """Return the mean and the 95th percentile."""
    count = len(durations_s)
    return {"mean": sum(durations_s) / count, "most": sorted(durations_s)[count * 95 // 100]}


def say(**facts):
    """Print a line of JSON."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
