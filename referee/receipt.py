"""When a submission was handed in, and the secret of its feedback: nbgrader's two files beside it.

They are read before the notebooks are. So if a newer submission takes the place of this one
while it is graded, what is recorded is the older time, and the next run grades the newer.
"""

import datetime
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from referee.intake import Unreadable, read_bytes, read_timestamp

SECRET, LONGEST_SECRET = "submission_secret.txt", 500


@dataclass(frozen=True)
class Receipt:
    """`time` in UTC without time zone, None if it is unknown; `notes` say what is amiss with it."""

    time: datetime.datetime | None
    secret: str
    notes: list[str] = field(default_factory=list)

    def to_dict(self):
        """Return it as plain data, for JSON."""
        return {**vars(self), "time": self.time and self.time.isoformat()}

    @classmethod
    def from_dict(cls, data):
        time = data["time"] and datetime.datetime.fromisoformat(data["time"])
        return cls(**{**data, "time": time})


def read_receipt(folder):
    """Return the receipt of the submission in a folder."""
    time, notes = read_timestamp(folder)
    return Receipt(time, read_secret(folder), [note.message for note in notes])


def read_secret(folder):
    """Return what nbgrader makes the address of the student's feedback from.

    Where the submission holds none that can be used, a new one: nobody will find that feedback,
    but it takes no other student's place.
    """
    try:
        secret = read_bytes(Path(folder, SECRET), LONGEST_SECRET).decode("ascii").strip()
    except (Unreadable, UnicodeDecodeError):
        secret = ""
    return secret or secrets.token_hex(64)
