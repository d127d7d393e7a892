"""Stop signals in the first moments of a script: one line and exit code 130.

    if __name__ == "__main__":
        early_signals.exit_on_signal()  # before all other imports

Nothing is imported here that the interpreter has not loaded already: the module `signal` takes as
long to load as all of this.
"""

import _signal
import os

EXIT_CODE = 130

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


def exit_on_signal() -> None:
    """Exit at once on a stop signal, until other handlers are set."""
    for name in _NAMES:
        number = getattr(_signal, name, None)  # Windows lacks one
        if number is not None and _signal.getsignal(number) != _signal.SIG_IGN:  # as with nohup
            _signal.signal(number, _exit)


def _exit(_number: int, _frame: object) -> None:
    try:
        os.write(2, b"interrupted\n")
    except OSError:
        pass
    finally:
        os._exit(EXIT_CODE)
