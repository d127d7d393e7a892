"""Exit codes of all scripts; README has them as a table."""

from common import signals

DONE = 0
FAILED = 1
WRONG_USAGE = 2
SOME_ITEMS_FAILED = 3
INTERRUPTED = signals.EXIT_CODE
