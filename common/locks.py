"""Locks on files and folders between processes, released when the process ends.

Not filelock: that library creates a lock file beside the recording, cannot lock a folder, and a
child process does not inherit its locks. `flock` has none of these limits.

Some file systems have no locks (ENOLCK from NFS without its lock service, EOPNOTSUPP from some
FUSE). Each caller decides what to do without them, with one rule for all: nothing is deleted or
merged that another process might still be writing.
"""

import errno
import fcntl
from typing import BinaryIO


class LocksUnsupported(Exception):
    """A file system without locks; the message is the reason that the system gives."""


def acquire(file: int | BinaryIO, *, wait: bool = False, shared: bool = False) -> bool:
    """Lock a file or folder until its descriptor is closed, and return True.

    If another process holds the lock: return False, or wait for it with `wait`. Of `shared` locks
    there may be many at once, and none beside one that is not.

    Raises:
        LocksUnsupported: the file system has no locks.
    """
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, operation if wait else operation | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            return False
        raise LocksUnsupported(error.strerror) from error
    return True
