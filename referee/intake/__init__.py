"""Takes in what a student handed in, whatever it is, and rebuilds the notebook that is graded.

Three steps, each for itself:

- `find` looks for the notebooks in the folder of a submission, also under another name.
- `read` reads one file and keeps of it only what grading needs: of each cell its type, text, cell
  id, grade id and attached pictures. Outputs and all other metadata are not even kept in memory.
- `rebuild` puts the student's text into the instructor's notebook. From the student come the text
  of answers and the cells that they added. All else is the instructor's.

A file here is hostile data: it is never followed if it is a link, never read beyond the limit,
and every step takes time in proportion to its length.

Imports go one way: `rebuilding` → `matching` → `places`; `rebuilding`, `reading` → `cells`;
`reading`, `finding`, `timestamp` → `files` → `notes`, which holds what a student is told.
"""

from referee.intake.files import read_bytes
from referee.intake.finding import find
from referee.intake.notes import Note, Unreadable
from referee.intake.reading import parse, read
from referee.intake.rebuilding import MOST_ADDED, Intake, rebuild
from referee.intake.timestamp import TIMESTAMP, read_timestamp

__all__ = [
    "MOST_ADDED",
    "TIMESTAMP",
    "Intake",
    "Note",
    "Unreadable",
    "find",
    "parse",
    "read",
    "read_bytes",
    "read_timestamp",
    "rebuild",
]
