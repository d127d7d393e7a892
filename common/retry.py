"""Retries with exponential backoff, and how long a server is retried: one rule for all servers.

Transient failures (a timeout, a broken connection, 429, 502, 503, 504) are retried after 0.2 s,
then 0.4 s and so on up to 5 s, until a minute after the first attempt. A server that has not
answered yet may not be there at all, so first contact is given up sooner.

Not stamina or tenacity: both retry a call that raises, with a timeout fixed beforehand. Here the
timeout depends on whether the server has ever answered, and two of the four users retry the
rejected part of a response that succeeded. Either library would also add 50 ms to every start.
"""

import random
import time

REQUEST_TIMEOUT_S = 30
TIMEOUT_S = 60.0
FIRST_CONTACT_TIMEOUT_S = 8.0

_FIRST_DELAY_S = 0.2
_MAX_DELAY_S = 5.0


class Backoff:
    """The delays between the attempts of one request, each up to twice as long as the one before.

    backoff = Backoff()
    while True:
        try:
            return send(request)
        except ServerBusy:
            if not backoff.wait(TIMEOUT_S):
                raise
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._max_delay_s = _FIRST_DELAY_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first attempt."""
        return time.monotonic() - self._started

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the next attempt is due and return True.

        Return False at once when that is more than `timeout_s` after the first attempt.
        """
        delay_s = self._max_delay_s * random.uniform(0.5, 1)  # jitter
        if self.elapsed_s + delay_s > timeout_s:
            return False
        time.sleep(delay_s)
        self._max_delay_s = min(2 * self._max_delay_s, _MAX_DELAY_S)
        return True
