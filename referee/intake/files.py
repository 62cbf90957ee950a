"""Opens files and folders of a submission, which are hostile: links, devices, of any size."""

import contextlib
import os
import stat
from pathlib import Path

from referee.intake.notes import Unreadable, quoted

LIMIT = 32 * 2**20


def read_bytes(path, limit=LIMIT):
    """Return the bytes of an ordinary file that is no link and no larger than the limit.

    Raises
    ------
    Unreadable
        If it is not that.
    """
    name = quoted(Path(path).name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    with explained(name):
        kind = os.lstat(path).st_mode
        if stat.S_ISLNK(kind):
            raise Unreadable(f"{name} is a link to another file. Hand in the notebook itself.")
        if stat.S_ISDIR(kind):
            raise Unreadable(f"{name} is a folder. Hand in the notebook itself.")
        if not stat.S_ISREG(kind):
            raise Unreadable(f"{name} is not an ordinary file. Hand in the notebook itself.")
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable(f"{name} is not an ordinary file. Hand in the notebook itself.")
            data = file.read(limit + 1)
    if len(data) > limit:
        size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit} bytes"
        raise Unreadable(
            f"{name} is larger than {size}, the most that is read. Clear all outputs, save the "
            "notebook and hand it in again."
        )
    return data


@contextlib.contextmanager
def explained(what):
    """Raise `Unreadable` with words for the student where the system raises its own error."""
    try:
        yield
    except FileNotFoundError:
        raise Unreadable(f"{what} does not exist.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise Unreadable(f"{what} could not be opened: {reason}.") from None


def exists(folder, name):
    """Whether there is something by that name, if only a link that leads nowhere."""
    try:
        os.lstat(folder / name)
    except OSError:
        return False
    return True


def is_file(path):
    """Whether this is an ordinary file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False
