"""Chapters' outputs and pictures are current, and their folded solutions run."""

import re
import subprocess
import sys
import textwrap

import nbformat
import pytest
from conftest import ROOT

from tools.determinism import environment

CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
SOLUTION = re.compile(r"<details>.*?</details>", flags=re.S)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.M | re.S)


def solutions(notebook):
    """Return the code of a notebook's folded solutions, in order."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    folds = SOLUTION.findall("\n\n".join(texts))
    return [textwrap.dedent(block) for fold in folds for block in PYTHON_BLOCK.findall(fold)]


def run_nbval(path, folder):
    """Run nbval on a copy of a notebook that lies alone in a folder.

    The folded solutions run after the last cell, in the same kernel; what they print is not stored.
    """
    folder.mkdir(exist_ok=True)
    copy = folder / "notebook.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for block in solutions(notebook):
        cell = nbformat.v4.new_code_cell(block, metadata={"tags": ["nbval-ignore-output"]})
        notebook.cells.append(cell)
    nbformat.write(notebook, copy)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command += ["--nbval", "--nbval-current-env", "--rootdir", str(folder), str(copy)]
    command += ["--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg")]
    command += ["-p", "nbval_pictures"]
    settings = {**environment(), "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(command, env=settings, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_gives_the_outputs_that_are_stored_and_its_solutions_run(notebook, tmp_path):
    result = run_nbval(notebook, tmp_path)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


@pytest.mark.parametrize("known, code", [("x == 1", 0), ("x == 2", 1)])
def test_a_folded_solution_that_fails_is_found(tmp_path, known, code):
    fold = f"<details><summary>Solution</summary>\n\n```python\nassert {known}\n```\n\n</details>"
    cells = [nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_markdown_cell(fold)]
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert run_nbval(path, tmp_path / "run").returncode == code


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
    assert run_nbval(current, tmp_path / "run").returncode == 0
    assert run_nbval(stale, tmp_path / "run").returncode == 1


def test_only_lines_that_end_in_measured_may_differ(tmp_path):
    def stored(text):
        return [nbformat.v4.new_output("stream", name="stdout", text=text)]

    source = "print('accuracy 97.1 % (measured)')\nprint('loss 0.1')"
    same = "accuracy 96.8 % (measured)\nloss 0.1\n"
    other = "accuracy 97.1 % (measured)\nloss 0.2\n"
    varied = small_notebook(tmp_path / "a.ipynb", source, stored(same))
    changed = small_notebook(tmp_path / "b.ipynb", source, stored(other))
    assert run_nbval(varied, tmp_path / "run").returncode == 0
    assert run_nbval(changed, tmp_path / "run").returncode == 1


def test_a_picture_of_measured_data_may_differ_but_not_vanish(tmp_path):
    source = SHOW.format("image/svg+xml", "<svg/>")
    other = [picture("image/svg+xml", "<svg><g/></svg>")]
    tags = ["measured"]
    kept = small_notebook(tmp_path / "a.ipynb", source, other, tags)
    gone = small_notebook(tmp_path / "b.ipynb", "pass", other, tags)
    assert run_nbval(kept, tmp_path / "run").returncode == 0
    assert run_nbval(gone, tmp_path / "run").returncode == 1
