"""Which edition of an assignment a submission was graded by.

It is kept in the metadata of the graded notebooks, where nothing of a student's comes. If the
edition is another now, the submission is graded again.
"""

import hashlib
import json
from pathlib import Path

import nbformat

KEY = "referee"
PASSED_OVER = {".ipynb_checkpoints", "__pycache__"}


def edition(assignment, settings):
    """Return a digest of what decides on the points: cells, cases, files, and two options.

    Limits are not in it: they do not change what honest work gets, and a run that is taken up
    with another `--timeout` must not begin anew.
    """
    parts = [[*settings.packages], settings.forbidden]
    for path in sorted(assignment.folder.rglob("*")):
        if path.is_file() and PASSED_OVER.isdisjoint(path.parts):
            name = path.relative_to(assignment.folder).as_posix()
            data = _cells(path) if path.suffix == ".ipynb" else path.read_bytes()
            parts.append([name, hashlib.sha256(data).hexdigest()])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _cells(path):
    """Return what counts of a notebook as bytes; its outputs do not."""
    cells = nbformat.read(path, as_version=4).cells
    kept = [[c.cell_type, c.source, c.metadata.get("nbgrader", {})] for c in cells]
    return json.dumps(kept, sort_keys=True).encode()


def mark(notebook, edition):
    """Write into a graded notebook which edition it was graded by."""
    notebook.metadata[KEY] = {"edition": edition}


def read_marks(folder):
    """Return the editions that the notebooks in a folder were graded by."""
    marks = set()
    for path in Path(folder).glob("*.ipynb"):
        metadata = json.loads(path.read_bytes())["metadata"]
        marks.add(metadata.get(KEY, {}).get("edition"))
    return marks
