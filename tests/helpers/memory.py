"""A folder in memory for the temporary files of a test run, and for what its servers store.

On a disk a third of a run is spent waiting for it, and Elasticsearch syncs each change of its
cluster's state, of which an index that is created makes several.
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
