"""What a student is told about the file and the cells that they handed in."""

from dataclasses import dataclass

LONGEST_NAME = 60


class Unreadable(ValueError):
    """A file cannot be graded; the message tells the student why and what to do."""


@dataclass(frozen=True)
class Note:
    """What was found amiss and what was done; `grade_id` is None where it concerns no one cell."""

    grade_id: str | None
    message: str


def quoted(name):
    """Return a file's name as it can stand in a message."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name[:255])
    return f"“{name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + '…'}”"
