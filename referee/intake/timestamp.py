"""Reads nbgrader's file that says when a submission was handed in."""

import datetime
import re
from pathlib import Path

from nbgrader import utils

from referee.intake.files import exists, read_bytes
from referee.intake.notes import Note

TIMESTAMP = "timestamp.txt"
LONGEST_TIME = 60
# A date, a time, and perhaps the name of a zone, which must not be the path of a file.
TIME = re.compile(r"\d{4}-\d\d?-\d\d?[T ][\d:.]+ ?(?:[+-]?\w+(?:/\w+)*|[+-]\d\d:\d\d)?")


def read_timestamp(folder, now=None):
    """Read when a submission was handed in, from nbgrader's `timestamp.txt`, as nbgrader does.

    nbgrader writes that file on the student's side, so it is a claim and no proof.

    Parameters
    ----------
    folder : path of the submission
    now : datetime in UTC without time zone, or None for the present

    Returns
    -------
    time : datetime in UTC without time zone as nbgrader keeps it, or None if there is none
    notes : list of Note
    """
    path = Path(folder) / TIMESTAMP
    if not exists(Path(folder), TIMESTAMP):
        return None, []
    now = now or datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    try:
        text = read_bytes(path, LONGEST_TIME).decode("utf-8-sig").strip()
        if not TIME.fullmatch(text):
            raise ValueError(text)
        time = utils.parse_utc(text)
    except (ValueError, OverflowError, TypeError, AttributeError):
        message = f"The file {TIMESTAMP} does not hold a time. The time of handing in is unknown."
        return None, [Note(None, message)]
    notes = []
    if time > now + datetime.timedelta(days=1):
        notes.append(Note(None, f"The time of handing in lies in the future: {time} UTC."))
    return time, notes
