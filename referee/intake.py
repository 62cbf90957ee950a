"""Takes in what a student handed in, whatever it is, and rebuilds the notebook that is graded.

Three steps, each for itself:

- `find` looks for the notebooks in the folder of a submission, also under another name.
- `read` reads one file and keeps of it only what grading needs: of each cell its type, text, cell
  id, grade id and attached pictures. Outputs and all other metadata are not even kept in memory.
- `rebuild` puts the student's text into the instructor's notebook. From the student come the text
  of answers and the cells that they added. All else is the instructor's.

A file here is hostile data: it is never followed if it is a link, never read beyond the limit,
and every step takes time in proportion to its length.
"""

import contextlib
import copy
import datetime
import json
import logging
import os
import re
import stat
import unicodedata
from bisect import bisect
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

from nbformat.notebooknode import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions

LIMIT = 32 * 2**20
BRACKETS = 1_000_000
LONGEST_TEXT = 1_000_000
MOST_CELLS = 10_000
MOST_ADDED = 500
MOST_FILES = 10_000
LONGEST_NAME = 60
TIMESTAMP = "timestamp.txt"
# A date, a time, and perhaps the name of a zone, which must not be the path of a file.
TIME = re.compile(r"\d{4}-\d\d?-\d\d?[T ][\d:.]+ ?(?:[+-]?\w+(?:/\w+)*|[+-]\d\d:\d\d)?")

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
DEFINITION = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
NO_TEXT = re.compile("[\ud800-\udfff\0]")
CONFLICT = re.compile(r"^(?:<<<<<<<|=======|>>>>>>>)(?=\s|$)", re.MULTILINE)


class Unreadable(ValueError):
    """A file cannot be graded; the message tells the student why and what to do."""


@dataclass(frozen=True)
class Note:
    """What was found amiss and what was done; `grade_id` is None where it concerns no one cell."""

    grade_id: str | None
    message: str


@dataclass(frozen=True)
class Intake:
    """A notebook to be graded, and what the student is told about how it came about."""

    notebook: NotebookNode
    notes: list[Note]


# --- finding ----------------------------------------------------------------------------------

EXTENSION = re.compile(r"(?:\.ipynb|\.json|\.txt)+$")
DECORATION = re.compile(
    r"^(?:copy[ _]of|kopie[ _]von|copie[ _]de|copia[ _]de)[ _]"
    r"|[ _-]*\(\d+\)$"
    r"|[ _-]+cop(?:y|ie|ia)[ _-]?\d*$"
    r"|[ _]*のコピー$"
    r"|[ _]*副本$"
)


def find(folder, names):
    """Find the notebooks of a submission.

    An exact name wins. Else the one file whose name differs only as copies and downloads do
    (`ps1 (1).ipynb`, `Copy of ps1.ipynb`, `PS1.ipynb`, `ps1.ipynb.txt`) is taken, or, where one
    notebook is wanted and one is there, that one. Several such files: none is taken.

    Parameters
    ----------
    folder : path of the submission
    names : names of the wanted notebooks, without `.ipynb`

    Returns
    -------
    found : dict from name to path; a name without a file is absent
    notes : list of Note

    Raises
    ------
    Unreadable
        If the folder is missing, a link, or no folder.
    """
    folder = Path(folder)
    with _explained(f"The folder {_quoted(folder.name)}"):
        kind = os.lstat(folder).st_mode
    if not stat.S_ISDIR(kind):
        what = "a link" if stat.S_ISLNK(kind) else "not a folder"
        raise Unreadable(f"The submission is {what}. Hand in the folder with the notebook itself.")
    found = {name: folder / f"{name}.ipynb" for name in names if _exists(folder, f"{name}.ipynb")}
    with _explained(f"The folder {_quoted(folder.name)}"), os.scandir(folder) as entries:
        others = [entry.name for entry in islice(entries, MOST_FILES)]
    taken = {path.name for path in found.values()}
    others = sorted(name for name in others if name not in taken and _is_file(folder / name))
    others = [name for name in others if not name.startswith(".")]
    wanted = [name for name in names if name not in found]
    near = {name: [other for other in others if _bare(other) == _bare(name)] for name in wanted}
    loose = [other for other in others if other.casefold().endswith(".ipynb")]
    if len(wanted) == 1 and len(loose) == 1 and not near[wanted[0]]:
        near[wanted[0]] = loose
    notes = []
    for name in wanted:
        files = ", ".join(map(_quoted, near[name][:5]))
        if len(near[name]) == 1:
            found[name] = folder / near[name][0]
            notes.append(
                Note(None, f"There was no file {name}.ipynb. The file {files} was graded instead.")
            )
        elif near[name]:
            notes.append(
                Note(
                    None,
                    f"There was no file {name}.ipynb, but several that could be meant: {files}. "
                    f"None was graded. Hand in one of them under the name {name}.ipynb.",
                )
            )
        else:
            notes.append(Note(None, f"There was no file {name}.ipynb. Nothing was graded for it."))
    return found, notes


def _exists(folder, name):
    try:
        os.lstat(folder / name)
    except OSError:
        return False
    return True


def _is_file(path):
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _bare(name):
    """Return what of a file's name is left without extension, case and marks of a copy."""
    name = unicodedata.normalize("NFC", name[:255]).casefold()
    before = None
    while name != before:
        before = name
        name = DECORATION.sub("", EXTENSION.sub("", name)).strip(" _-")
    return name


def _quoted(name):
    """Return a file's name as it can stand in a message."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name[:255])
    return f"“{name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + '…'}”"


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
    if not _exists(Path(folder), TIMESTAMP):
        return None, []
    now = now or datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    try:
        text = read_bytes(path, LONGEST_NAME).decode("utf-8-sig").strip()
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


# --- reading ----------------------------------------------------------------------------------


def read(path, limit=LIMIT):
    """Read a student's notebook, of any format.

    Parameters
    ----------
    path : path of the file
    limit : largest size that is read, in bytes

    Returns
    -------
    NotebookNode of format 4
        with cells that hold `cell_type` (code, markdown or raw), `source`, `metadata` with at
        most `{"nbgrader": {"grade_id": …}}`, and `id` and `attachments` where they were usable.
        Nothing else of the file is kept.

    Raises
    ------
    Unreadable
        If it is no ordinary file, too large, or not a notebook.
    """
    return parse(read_bytes(path, limit), Path(path).name)


def read_bytes(path, limit=LIMIT):
    """Return the bytes of an ordinary file that is no link and no larger than the limit.

    Raises
    ------
    Unreadable
        If it is not that.
    """
    name = _quoted(Path(path).name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    with _explained(name):
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
def _explained(what):
    try:
        yield
    except FileNotFoundError:
        raise Unreadable(f"{what} does not exist.") from None
    except (OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise Unreadable(f"{what} could not be opened: {reason}.") from None


def parse(data, name="notebook.ipynb"):
    """Return the bytes of a notebook file as `read` does.

    Raises
    ------
    Unreadable
        If they are not a notebook.
    """
    name = _quoted(name)
    stripped = data.strip(b"\0 \t\r\n")
    if not stripped:
        raise Unreadable(
            f"{name} is empty: the file was not saved or not uploaded whole. Save the notebook "
            "and hand it in again."
        )
    for start, what in ((b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b", "a gzip archive")):
        if stripped.startswith(start):
            raise Unreadable(f"{name} is {what}. Unpack it and hand in the notebook that it holds.")
    encoding = json.detect_encoding(data)
    text = data.decode(encoding, "replace").rstrip("\0")
    if text.lstrip()[:1] == "<" and not CONFLICT.match(text.lstrip()):
        raise Unreadable(
            f"{name} is a web page, not a notebook. Download the notebook file itself (in Colab: "
            "File → Download → Download .ipynb) and hand that in."
        )
    if text.count("[") + text.count("{") > BRACKETS:
        raise Unreadable(
            f"{name} has too many parts to be read. Clear all outputs, save the notebook and hand "
            "it in again."
        )
    try:
        # No number is used, and to convert one of a million digits takes quadratic time.
        content = json.loads(text, strict=False, parse_int=bool, parse_float=bool)
    except json.JSONDecodeError as error:
        raise Unreadable(_json_message(name, text, error)) from None
    except (RecursionError, MemoryError):
        raise Unreadable(f"{name} is nested too deeply to be a notebook.") from None
    cells = _cell_list(content)
    if cells is None:
        raise Unreadable(
            f"{name} is not a notebook: it has no list of cells. Open it in JupyterLab or Colab, "
            "save it again, and hand in the file that you see there."
        )
    if len(cells) > MOST_CELLS:
        raise Unreadable(
            f"{name} has {len(cells):,} cells, and at most {MOST_CELLS:,} are read. Delete what "
            "is not part of your answers and hand it in again."
        )
    return NotebookNode(
        cells=_cleaned(cells), metadata=NotebookNode(), nbformat=4, nbformat_minor=5
    )


def _json_message(name, text, error):
    conflict = CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        return (
            f"{name} holds the marks of an unresolved merge conflict (line {line}). Resolve it, "
            "see that the notebook opens, and hand it in again."
        )
    unterminated = error.msg.startswith("Unterminated string")
    if unterminated or error.pos >= len(text.rstrip()):
        return (
            f"{name} breaks off in line {error.lineno}: it was not saved or not uploaded whole. "
            "Save the notebook and hand it in again."
        )
    return (
        f"{name} is not a notebook: it is not valid JSON at line {error.lineno}, column "
        f"{error.colno}. Open it in JupyterLab or Colab, see that it opens, save it, and hand it "
        "in again."
    )


def _cell_list(content):
    """Return the list of raw cells of any notebook format, or None if there is none."""
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("cells"), list):
        return content["cells"]
    sheets = content.get("worksheets")
    if not isinstance(sheets, list):
        return None
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in lists if isinstance(cells, list) for cell in cells]


def _cleaned(cells):
    """Keep of raw cells what grading needs. What comes out may go in again and stays the same."""
    clean = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        kind = cell.get("cell_type")
        source = _text(cell.get("source", cell.get("input")))
        if kind not in ("code", "markdown", "raw"):
            kind = "raw"
        node = NotebookNode(cell_type=kind, metadata=NotebookNode(), source=source)
        if isinstance(cell.get("id"), str):
            node.id = cell["id"]
        grade_id = _inner(cell, "metadata", "nbgrader", "grade_id")
        if isinstance(grade_id, str):
            node.metadata.nbgrader = NotebookNode(grade_id=grade_id)
        pictures = _pictures(cell.get("attachments"))
        if pictures and kind != "code":
            node.attachments = pictures
        clean.append(node)
    return clean


def _inner(value, *keys):
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(source):
    """Return the text of a cell: one string or a list of lines; anything else is no text."""
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        ended = any(line.endswith("\n") for line in lines)
        source = ("" if ended else "\n").join(lines)
    if not isinstance(source, str):
        return ""
    return NO_TEXT.sub("\ufffd", source.replace("\r\n", "\n").replace("\r", "\n"))


def _pictures(attachments):
    """Return of a cell's attachments the pictures, which a written answer may show."""
    kept = NotebookNode()
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        if not isinstance(bundle, dict) or NO_TEXT.search(name):
            continue
        for kind in PICTURES:
            data = bundle.get(kind)
            if isinstance(data, str) and BASE64.fullmatch(data):
                kept[name] = NotebookNode({kind: data})
    return kept


# --- rebuilding -------------------------------------------------------------------------------


@dataclass
class _Place:
    """A cell of the instructor's notebook, and the submitted cell that stands in it."""

    cell: NotebookNode
    number: int
    released: str
    names: set[str]
    answer: bool
    marked: bool
    test: bool
    taken: int | None = None

    @property
    def grade_id(self):
        return self.cell.metadata.nbgrader.grade_id if self.marked else None

    @property
    def title(self):
        kind = "answer" if self.answer else "test" if self.test else "read-only"
        return f"{kind} cell `{self.grade_id}`"

    def holds(self, text):
        """Tell whether a text is the one that the student was given here."""
        return _even(text) in (_even(self.released), _even(self.cell.source))

    def is_blank(self, text):
        return not text.strip() or _even(text) == _even(self.released)


def rebuild(source, submitted, config=None):
    """Put a student's text into the instructor's notebook.

    The result has the instructor's cells in the instructor's order. Answers hold the student's
    text, test cells all their lines, other cells what was released. Cells that the student added
    stand after the cell that they followed, with the metadata `{"referee": {"added": true}}`.

    A submitted cell is known by its grade id, else by its cell id, else by its text, else by the
    functions that it defines, else, if it is the only one, by its place.

    Parameters
    ----------
    source : NotebookNode, the instructor's notebook, with solutions and hidden tests
    submitted : NotebookNode, the student's, as `read` gives it; outputs and metadata are ignored
    config : traitlets configuration of the course, which may set other solution marks, or None

    Returns
    -------
    Intake

    Raises
    ------
    ValueError
        If the marks of solutions or hidden tests in `source` do not match.
    """
    work = _Rebuilding(source, submitted, config)
    work.match_grade_ids()
    work.match_cell_ids()
    work.match_texts()
    work.match_names()
    work.match_neighbors()
    work.note_order()
    return Intake(work.notebook(), work.notes)


@dataclass
class _Rebuilding:
    source: NotebookNode
    submitted: NotebookNode
    config: object
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self):
        self.places = _places(self.source, self.config)
        self.cells = _cleaned(_cell_list(self.submitted) or [])
        self.owner = {}  # number of a submitted cell -> its _Place
        self.edited = {}  # number of a submitted cell -> the plain cell that it was made from
        self.dropped = set()  # numbers of the copies that are not kept

    def note(self, place, message):
        self.notes.append(Note(place.grade_id if place else None, message))

    def take(self, place, number, how=None):
        """Let a submitted cell stand in a place."""
        place.taken = number
        self.owner[number] = place
        if how and place.answer:
            self.note(place, f"The {place.title} had lost its mark. It was recognized by {how}.")

    def free(self):
        """Return the numbers of the submitted cells that stand in no place yet."""
        return [
            number
            for number in range(len(self.cells))
            if not any(number in known for known in (self.owner, self.edited, self.dropped))
        ]

    def missing(self):
        return [place for place in self.places if place.taken is None]

    def match_grade_ids(self):
        groups = {place.grade_id: [] for place in self.places if place.marked}
        for number, cell in enumerate(self.cells):
            grade_id = _inner(cell, "metadata", "nbgrader", "grade_id")
            if grade_id in groups:
                groups[grade_id].append(number)
        marked = [place for place in self.places if groups.get(place.grade_id)]
        for place in marked:
            if not place.answer:
                self.take_locked(place, groups[place.grade_id])
        for place in marked:
            if place.answer:
                self.take_answer(place, groups[place.grade_id])

    def take_locked(self, place, numbers):
        """The instructor's text stands; a copy with other text is a cell that was added."""
        given = [number for number in numbers if place.holds(self.cells[number].source)]
        self.take(place, given[0] if given else numbers[0])
        self.dropped.update(given[1:])
        if len(numbers) > 1:
            self.note(
                place,
                f"The {place.title} was copied. The original is used once; copies that were "
                "changed count as cells that you added.",
            )
        elif not given:
            self.note(
                place,
                f"The {place.title} was changed. Its original text is used, and what you wrote "
                "in it does not count.",
            )

    def take_answer(self, place, numbers):
        """Of several, the last with text above the tests counts, as it would in a run of all."""
        blank = {n for n in numbers if place.is_blank(self.cells[n].source)}
        filled = [n for n in numbers if n not in blank] or numbers
        tests = [p.taken for p in self.tests_of(place) if p.taken is not None]
        above = [number for number in filled if number < min(tests, default=len(self.cells))]
        self.take(place, (above or filled)[-1])
        if len(numbers) > 1:
            self.dropped |= blank - {place.taken}
            which = "last one with text above the tests" if above else "last one with text"
            self.note(
                place,
                f"{len(numbers)} cells are marked as the {place.title}. The {which} counts as "
                "the answer; others with text count as cells that you added.",
            )

    def tests_of(self, place):
        for other in self.places[place.number + 1 :]:
            if other.answer:
                return
            if other.test:
                yield other

    def match_cell_ids(self):
        by_id = {}
        for number in self.free():
            cell = self.cells[number]
            if "id" in cell:
                by_id.setdefault(cell.id, number)
        for place in self.missing():
            number = by_id.get(place.cell.get("id"))
            if number is None:
                continue
            if place.answer or place.holds(self.cells[number].source):
                self.take(place, number, "its cell id")
            elif place.marked:
                self.take_locked(place, [number])
            else:
                place.taken = number
                self.edited[number] = place

    def match_texts(self):
        by_text = {}
        for number in reversed(self.free()):
            by_text.setdefault(_even(self.cells[number].source), []).append(number)
        for place in self.missing():
            for text in () if place.answer else (_even(place.released), _even(place.cell.source)):
                if text and by_text.get(text):
                    self.take(place, by_text[text].pop())
                    break

    def match_names(self):
        """An answer without a mark: the last code that defines one of its functions.

        That may be text in a locked cell, as when an answer was merged into the cell above it.
        """
        wanted = [place for place in self.missing() if place.answer and place.names]
        if not wanted:
            return
        names, by_name = set().union(*(place.names for place in wanted)), {}
        for number, cell in enumerate(self.cells):
            place = self.owner.get(number)
            known = place is not None and (place.answer or place.holds(cell.source))
            if not known and number not in self.dropped and cell.cell_type != "markdown":
                defined = (match[1] for match in DEFINITION.finditer(cell.source))
                for name in {name for name in defined if name in names}:
                    by_name.setdefault(name, []).append(number)
        for place in wanted:
            numbers = [n for name in sorted(place.names) for n in by_name.get(name, ())]
            numbers = [n for n in numbers if n not in self.owner or not self.owner[n].answer]
            filled = [n for n in numbers if not place.is_blank(self.cells[n].source)]
            if numbers:
                number = (filled or numbers)[-1]
                self.take(place, number, "the function that it defines")

    def match_neighbors(self):
        """An answer without a mark: the only cell of its type between the cells around it."""
        free = self.free()
        for gap, start, end in list(self.gaps()):
            for kind in ("code", "markdown"):
                places = [p for p in gap if p.answer and p.cell.cell_type == kind]
                if len(places) == 1:
                    inside = free[bisect(free, start) : bisect(free, end)]
                    numbers = [n for n in inside if self.cells[n].cell_type == kind]
                    if len(numbers) == 1:
                        self.take(places[0], numbers[0], "its place")

    def gaps(self):
        """Yield runs of missing cells, and the submitted cells between which they should stand."""
        gap, start = [], -1
        for place in [*self.places, None]:
            if place is not None and place.taken is None:
                gap.append(place)
                continue
            end = len(self.cells) if place is None else place.taken
            if gap and start < end:
                yield gap, start, end
            gap, start = [], end

    def note_order(self):
        order = [self.owner[n].number for n in sorted(self.owner) if self.owner[n].marked]
        if any(second < first for first, second in pairwise(order)):
            self.note(None, "Some cells stood in another order. The original order is used.")
        if self.places and not order:
            self.note(
                None,
                "No cell of this assignment was found in the notebook. Is it the right file?",
            )

    def notebook(self):
        """Return the rebuilt notebook."""
        added = self.added()
        cells = added.get(-1, [])
        for place in self.places:
            cells += [self.filled(place), *added.get(place.number, [])]
        for number, cell in enumerate(filter(_is_added, cells), start=1):
            cell.id = f"added-{number}"
        metadata = copy.deepcopy(self.source.metadata)
        return NotebookNode(cells=cells, metadata=metadata, nbformat=4, nbformat_minor=5)

    def filled(self, place):
        """Return the instructor's cell, with the student's text if it is an answer."""
        cell = copy.deepcopy(place.cell)
        cell.id = place.cell.get("id", f"cell-{place.number + 1}")
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
        if not place.test:
            cell.source = place.released
        if not place.answer:
            if place.test and place.taken is None and self.owner:
                self.note(place, f"The {place.title} was missing. It was put back.")
            return cell
        cell.pop("attachments", None)
        if place.taken is None:
            self.note(place, f"The {place.title} is missing. It counts as blank.")
            return cell
        submitted = self.cells[place.taken]
        if not submitted.source.strip():
            self.note(place, f"The {place.title} is empty. It counts as blank.")
            return cell
        if len(submitted.source) > LONGEST_TEXT:
            self.note(
                place,
                f"The {place.title} holds more than {LONGEST_TEXT:,} characters, the most that "
                "is read. It counts as blank.",
            )
            return cell
        if submitted.cell_type != cell.cell_type:
            self.note(
                place,
                f"The {place.title} had become a {submitted.cell_type} cell. It is read as the "
                f"{cell.cell_type} cell that it was.",
            )
        if "\ufffd" in submitted.source:
            self.note(
                place,
                f"Some characters of the {place.title} could not be read. The sign \ufffd stands "
                "for them. Save the notebook as UTF-8.",
            )
        cell.source = submitted.source
        if cell.cell_type != "code" and "attachments" in submitted:
            cell.attachments = submitted.attachments
        return cell

    def added(self):
        """Return the cells that the student added, by the number of the place that they follow."""
        added, anchor, count, left_out = {}, -1, 0, 0
        for number, cell in enumerate(self.cells):
            place = self.owner.get(number) or self.edited.get(number)
            anchor = place.number if place else anchor
            if number in self.owner or number in self.dropped or not cell.source.strip():
                continue
            if count == MOST_ADDED or len(cell.source) > LONGEST_TEXT:
                left_out += 1
                continue
            count += 1
            new = NotebookNode(
                cell_type="code" if cell.cell_type == "code" else "markdown",
                metadata=NotebookNode(referee=NotebookNode(added=True)),
                source=cell.source,
            )
            if new.cell_type == "code":
                new.update(outputs=[], execution_count=None)
            elif "attachments" in cell:
                new.attachments = cell.attachments
            added.setdefault(self.end_of_gap(anchor), []).append(new)
        if left_out:
            self.note(
                None,
                f"{left_out} of the cells that you added were left out: at most {MOST_ADDED} are "
                f"read, of at most {LONGEST_TEXT:,} characters each.",
            )
        return added

    def end_of_gap(self, number):
        """Skip what is missing after a place up to the next test, for it may be needed there.

        A blank answer that was put back must not undo the definition in a cell that was added.
        """
        following = self.places[number + 1 : number + 2]
        while following and following[0].taken is None and not following[0].test:
            number += 1
            following = self.places[number + 1 : number + 2]
        return number


def _is_added(cell):
    return "referee" in cell.metadata


def _places(source, config):
    """Return the instructor's cells, with what a student gets of each."""
    released = copy.deepcopy(source)
    for kind in (ClearSolutions, ClearHiddenTests, ClearMarkScheme):
        clear = kind(config=config)
        clear.log = logging.getLogger("referee")
        try:
            released, _ = clear.preprocess(released, {})
        except RuntimeError as error:
            raise ValueError(f"source must be a valid nbgrader notebook: {error}") from error
    return [
        _place(number, *cells)
        for number, cells in enumerate(zip(source.cells, released.cells, strict=True))
    ]


def _place(number, cell, released):
    locked = utils.is_locked(cell)
    answer = utils.is_solution(cell) or (utils.is_task(cell) and not locked)
    marked = bool(answer or locked or utils.is_grade(cell) or utils.is_task(cell))
    names = DEFINITION.findall(released.source) or DEFINITION.findall(cell.source)
    return _Place(
        cell=cell,
        number=number,
        released=released.source,
        names=set(names) if answer and cell.cell_type == "code" else set(),
        answer=answer,
        marked=marked,
        test=bool(utils.is_grade(cell) and not answer),
    )


def _even(text):
    """Return a text without what editors change unasked: blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
