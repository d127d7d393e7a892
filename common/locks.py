"""Locks on files and folders between processes, which end with the process that holds them.

`flock` on what is there already: unlike the files of a library such as filelock it leaves nothing
beside the recording, a child inherits it, and a folder can be locked. Some file systems have none
(ENOLCK of NFS without its lock service, EOPNOTSUPP of some FUSE): that is not another process, and
each caller decides what it can do without. One decides alike: nothing is deleted or merged that
another process might still be writing.
"""

import errno
import fcntl
from typing import BinaryIO


class LocksUnsupported(Exception):
    """The file system has no locks; the text is the system's reason."""


def acquire(file: int | BinaryIO, *, wait: bool = False) -> bool:
    """Lock the file or folder until its descriptor is closed; return False when another holds it.

    With `wait` the other one is waited for. Raises: LocksUnsupported.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.EWOULDBLOCK:
            return False
        raise LocksUnsupported(error.strerror) from error
    return True
