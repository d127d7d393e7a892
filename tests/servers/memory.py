"""A folder in memory for what the servers of a test run store.

Elasticsearch syncs each change of its cluster's state, of which an index that is created makes
several. In memory, creating and deleting an index needs two thirds of the CPU time.
"""

import os

_FOLDER = "/dev/shm"
_NEEDED_BYTES = 4 << 30  # far more than a run stores; containers often have 64 MB


def folder() -> str | None:
    """Return a folder in memory; None if there is none, or if TMPDIR names another place.

    Programs can be run from it: Elasticsearch unpacks libraries beside its data.
    """
    if "TMPDIR" in os.environ or not os.access(_FOLDER, os.W_OK | os.X_OK):
        return None
    state = os.statvfs(_FOLDER)
    is_large = state.f_bavail * state.f_frsize >= _NEEDED_BYTES
    return _FOLDER if is_large and not state.f_flag & os.ST_NOEXEC else None
