"""Reads a student's notebook, and says what is wrong with a file that is none."""

import json
import re
from pathlib import Path

from nbformat.notebooknode import NotebookNode

from referee.intake.cells import cell_list, cleaned
from referee.intake.files import LIMIT, read_bytes
from referee.intake.notes import Unreadable, quoted

BRACKETS = 1_000_000
MOST_CELLS = 10_000
CONFLICT = re.compile(r"^(?:<<<<<<<|=======|>>>>>>>)(?=\s|$)", re.MULTILINE)


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


def parse(data, name="notebook.ipynb"):
    """Return the bytes of a notebook file as `read` does.

    Raises
    ------
    Unreadable
        If they are not a notebook.
    """
    name = quoted(name)
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
    cells = cell_list(content)
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
    return NotebookNode(cells=cleaned(cells), metadata=NotebookNode(), nbformat=4, nbformat_minor=5)


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
