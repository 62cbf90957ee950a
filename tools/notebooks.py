"""Execute notebooks and normalize them: `python -m tools.notebooks [--normalize] [FILE ...]`.

Chapters are executed, each in an empty folder; notebooks of problem sets hold no outputs, so
they are normalized only. Normalizing keeps what a reader or a tool needs and drops the rest, so
that a diff shows what somebody changed and nothing else.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.determinism import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[1]
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_METADATA = ("deletable", "editable", "mystnb", "nbgrader", "tags")
SECONDS_PER_CELL = 600


def find():
    """Return the paths of all notebooks of the course, chapters first."""
    return [*sorted(ROOT.glob("chapters/*.ipynb")), *sorted(ROOT.glob("solutions/*/*.ipynb"))]


def is_chapter(path):
    return Path(path).resolve().parent == ROOT / "chapters"


def cell_id(cell, taken):
    """Name a cell after its grade id or else its text, so that ids outlive unrelated edits."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id")
    if not name:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}-{count}"
    taken.add(unique)
    return unique


def normalize(notebook):
    """Drop what depends on who saved the notebook, in place: metadata, ids, counts."""
    taken, count = set(), 0
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.source = cell.source.strip("\n")
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
        )
        cell.id = cell_id(cell, taken)
        if cell.cell_type == "code":
            executed = cell.execution_count is not None
            count += executed
            cell.execution_count = count if executed else None
            for output in cell.outputs:
                if "metadata" in output:
                    output.metadata = {}
                if "execution_count" in output:
                    output.execution_count = cell.execution_count


def clear(notebook):
    """Remove all outputs, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def execute(notebook):
    """Run a notebook from its first cell in an empty folder, in place."""
    clear(notebook)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            coalesce_streams=True,
            record_timing=False,
        )
        client.execute()
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise SystemExit(f"cell {number} writes to stderr:\n{output.text}")


def read(path):
    return nbformat.read(path, as_version=4)


def write(notebook, path):
    """Validate a notebook and write it; the same notebook always gives the same bytes."""
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n"
    Path(path).write_text(text, encoding="utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--normalize", action="store_true", help="do not execute")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    os.environ.update(ENVIRONMENT)
    changed = False
    for path in options.files or find():
        before, start = path.read_bytes(), time.perf_counter()
        notebook = read(path)
        if not is_chapter(path):
            clear(notebook)
        elif not options.normalize:
            try:
                execute(notebook)
            except CellExecutionError as error:
                raise SystemExit(f"{path}: {error}") from None
        normalize(notebook)
        write(notebook, path)
        changed |= path.read_bytes() != before
        if not options.normalize:
            print(f"{path}  {time.perf_counter() - start:.0f} s", flush=True)
    return int(options.normalize and changed)


if __name__ == "__main__":
    sys.exit(main())
