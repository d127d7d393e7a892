"""Retries with exponential backoff, and how long a server is retried: one rule for all servers.

Transient failures (a timeout, a broken connection, 429, 502, 503, 504) are retried after 0.2 s,
then 0.4 s and so on up to 5 s, until a minute after the first attempt. A server that has not
answered yet may not be there at all, so first contact is given up sooner. Where many requests are
sent at once, a `Pace` ties them together.

Not stamina or tenacity: both retry a call that raises, with a timeout fixed beforehand. Here the
timeout depends on whether the server has ever answered, and two of the four users retry the
rejected part of a response that succeeded. Either library would also add 50 ms to every start.
"""

import math
import random
import threading
import time

REQUEST_TIMEOUT_S = 30
TIMEOUT_S = 60.0
FIRST_CONTACT_TIMEOUT_S = 8.0

_FIRST_DELAY_S = 0.2
_ALIVE_DELAY_S = 0.05  # the first delay where other requests succeed meanwhile
_MAX_DELAY_S = 5.0
# A server that refuses more than 60% of the requests gets fewer and fewer of them.
_REFUSAL_STEP_S = 0.010
_SUCCESS_STEP_S = 0.015


class Pace:
    """The pace of the requests that many threads send to one server.

    Slower after each refusal, faster again after each success. `last_success` and `fastest_s` (the
    least time that a request took) are infinite before the first success. Thread-safe.
    """

    def __init__(self) -> None:
        self.last_success = -math.inf
        self.fastest_s = math.inf
        self._delay_s = 0.0
        self._lock = threading.Lock()

    def succeeded(self, took_s: float) -> None:
        """Count a success."""
        self.last_success = time.monotonic()
        self.fastest_s = min(self.fastest_s, took_s)
        if self._delay_s:
            self._change(-_SUCCESS_STEP_S)

    def refused(self) -> None:
        """Count a refusal by a server that has too much to do."""
        self._change(_REFUSAL_STEP_S)

    def _change(self, step_s: float) -> None:
        with self._lock:
            self._delay_s = min(max(self._delay_s + step_s, 0.0), _MAX_DELAY_S)

    def wait(self) -> None:
        """Sleep until the next request is due; at once while the server refuses none."""
        if delay_s := self._delay_s:
            time.sleep(delay_s * random.uniform(0.5, 1.5))  # jitter


class Backoff:
    """The delays between the attempts of one request, each up to twice as long as the one before.

    With a `pace`, the timeout is counted from the last success of any of its requests, and the
    delays begin anew after one.

    backoff = Backoff()
    while True:
        try:
            return send(request)
        except ServerBusy:
            if not backoff.wait(TIMEOUT_S):
                raise
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._started = self._last_attempt = time.monotonic()
        self._max_delay_s = _FIRST_DELAY_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first attempt, or since the last success."""
        return time.monotonic() - max(self._started, self._pace.last_success)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until the next attempt is due and return True.

        Return False at once when that is more than `timeout_s` after the first attempt.
        """
        if self._pace.last_success > self._last_attempt:
            self._max_delay_s = _ALIVE_DELAY_S
        delay_s = self._max_delay_s * random.uniform(0.5, 1)  # jitter
        if self.elapsed_s + delay_s > timeout_s:
            return False
        time.sleep(delay_s)
        self._last_attempt = time.monotonic()
        self._max_delay_s = min(2 * self._max_delay_s, _MAX_DELAY_S)
        return True
