"""The processor time of an action, to compare with that of a smaller one in the same run."""

import time
from collections.abc import Callable


def least_cpu_s(action: Callable[[], object]) -> float:
    """Return the processor time of an action, at its best: other programs add nothing to it."""
    least = float("inf")
    for _ in range(3):
        before = time.process_time()
        action()
        least = min(least, time.process_time() - before)
    return least
