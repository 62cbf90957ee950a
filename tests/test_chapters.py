"""Chapters' outputs and pictures are current, and their folded solutions run."""

import contextlib
import importlib.util
import multiprocessing
import os
import re
import sys
import textwrap

import nbformat
import pytest
from conftest import ROOT

from tools.determinism import ENVIRONMENT

CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
NEEDS_KERAS = {"a2-keras"}
SOLUTION = re.compile(r"<details>.*?</details>", flags=re.S)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.M | re.S)


def solutions(notebook):
    """Return the code of a notebook's folded solutions, in order."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    folds = SOLUTION.findall("\n\n".join(texts))
    return [textwrap.dedent(block) for fold in folds for block in PYTHON_BLOCK.findall(fold)]


def nbval(folder, report):
    """Run nbval on the notebook of a folder as a pytest of its own, and exit with its code."""
    os.environ.update(ENVIRONMENT)
    os.chdir(folder)
    with report.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        options = ["-q", "-p", "no:cacheprovider", "-p", "nbval_pictures", "-c", os.devnull]
        options += ["--nbval", "--nbval-current-env", "--rootdir", str(folder)]
        options += ["--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg")]
        sys.exit(int(pytest.main([*options, "notebook.ipynb"])))


def run_nbval(path, folder):
    """Run nbval on a copy of a notebook that lies alone in a folder; return its code and report.

    The folded solutions run after the last cell, in the same kernel; what they print is not stored.
    nbval runs in a fork of this process, which has loaded it; the kernel is a fresh process.
    """
    folder.mkdir(exist_ok=True)
    notebook = nbformat.read(path, as_version=4)
    for block in solutions(notebook):
        cell = nbformat.v4.new_code_cell(block, metadata={"tags": ["nbval-ignore-output"]})
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / "notebook.ipynb")
    report = folder.with_name("report.txt")
    process = multiprocessing.get_context("fork").Process(target=nbval, args=(folder, report))
    process.start()
    process.join()
    return process.exitcode, report.read_text(encoding="utf-8")


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_gives_the_outputs_that_are_stored_and_its_solutions_run(notebook, tmp_path):
    if notebook.stem in NEEDS_KERAS and importlib.util.find_spec("keras") is None:
        message = "Keras is absent (make keras, or: pip install -r requirements-keras.txt)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    code, report = run_nbval(notebook, tmp_path / "run")
    assert code == 0, report[-8000:]


@pytest.mark.parametrize("known, code", [("x == 1", 0), ("x == 2", 1)])
def test_a_folded_solution_that_fails_is_found(tmp_path, known, code):
    fold = f"<details><summary>Solution</summary>\n\n```python\nassert {known}\n```\n\n</details>"
    cells = [nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_markdown_cell(fold)]
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert run_nbval(path, tmp_path / "run")[0] == code


def small_notebook(path, source, outputs, tags=()):
    cell = nbformat.v4.new_code_cell(
        source, outputs=outputs, execution_count=1, metadata={"tags": list(tags)}
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def picture(kind, data):
    return nbformat.v4.new_output("display_data", data={kind: data})


SHOW = "from IPython.display import display\ndisplay({{{!r}: {!r}}}, raw=True)"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/svg+xml", "text/plain"])
def test_a_stale_output_of_any_kind_is_found(tmp_path, kind):
    source = SHOW.format(kind, PNG)
    current = small_notebook(tmp_path / "current.ipynb", source, [picture(kind, PNG)])
    stale = small_notebook(tmp_path / "stale.ipynb", source, [picture(kind, PNG[:-8] + "AAAAAAA=")])
    assert run_nbval(current, tmp_path / "run")[0] == 0
    assert run_nbval(stale, tmp_path / "run")[0] == 1


@pytest.mark.parametrize(
    "stored, code",
    [
        ("accuracy 96.8 % (measured)\nloss 0.1 (measured) in nats\n", 0),
        ("accuracy 97.1 % (measured)\nloss 0.2 (measured) in nats\n", 1),
    ],
)
def test_only_lines_that_end_in_measured_may_differ(tmp_path, stored, code):
    source = "print('accuracy 97.1 % (measured)')\nprint('loss 0.1 (measured) in nats')"
    output = nbformat.v4.new_output("stream", name="stdout", text=stored)
    path = small_notebook(tmp_path / "a.ipynb", source, [output])
    assert run_nbval(path, tmp_path / "run")[0] == code


def test_a_picture_of_measured_data_may_differ_but_not_vanish(tmp_path):
    source = SHOW.format("image/svg+xml", "<svg/>")
    other = [picture("image/svg+xml", "<svg><g/></svg>")]
    tags = ["measured"]
    kept = small_notebook(tmp_path / "a.ipynb", source, other, tags)
    gone = small_notebook(tmp_path / "b.ipynb", "pass", other, tags)
    assert run_nbval(kept, tmp_path / "run")[0] == 0
    assert run_nbval(gone, tmp_path / "run")[0] == 1
