"""How long a server is waited for: one rule for labels and pictures.

What fails for a reason that may pass (a time-out, a broken connection, 429, 502, 503, 504) is tried
again after 0.2 s, then 0.4 s and so on up to 5 s, and for the last time a minute after the first.
While a server has not answered once, the set-up may be wrong, and patience ends sooner.
"""

import random
from collections.abc import Iterator

REQUEST_S = 30
PATIENCE_S = 60.0
FIRST_PATIENCE_S = 8.0

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0


def delays() -> Iterator[float]:
    """How long to wait before each new try, in seconds; a little by chance, without an end."""
    delay_s = _FIRST_DELAY_S
    while True:
        yield delay_s * random.uniform(0.5, 1)
        delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
