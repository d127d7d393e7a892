"""Exit codes of all scripts; README has them as a table."""

from common import early_signals

DONE = 0
FAILED = 1
WRONG_USAGE = 2
SOME_ITEMS_FAILED = 3
INTERRUPTED = early_signals.EXIT_CODE
