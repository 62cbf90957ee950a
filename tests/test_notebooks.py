"""Notebooks have the form that reads well everywhere."""

import re

import nbformat
import pytest
from conftest import ROOT

from tools import notebooks

CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
ALL = notebooks.find()
MEGABYTE = 2**20
LONGEST_CELL = 25
SHORTEST_ALT = 25
MYST = {
    "a fence with a directive": r"^\s*(```|~~~)\s*\{",
    "a colon fence": r"^\s*:{3,}",
    "a role": r"\{[a-z:]+\}`",
    "a target": r"^\([\w-]+\)=\s*$",
    "a comment": r"^%\s",
    "a substitution": r"\{\{.*\}\}",
}

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
all_notebooks = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def cells(path, kind):
    for number, cell in enumerate(notebooks.read(path).cells):
        if cell.cell_type == kind:
            yield number, cell


def prose(text):
    """Return Markdown without code blocks, code spans and formulas."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.S)
    return re.sub(r"`[^`\n]+`", "", text)


def pictures(cell):
    return [key for out in cell.outputs for key in out.get("data", {}) if key.startswith("image/")]


@all_notebooks
def test_a_notebook_is_stored_as_the_normalizer_writes_it(path, tmp_path):
    notebook = notebooks.read(path)
    notebooks.normalize(notebook)
    notebooks.write(notebook, tmp_path / "normalized.ipynb")
    assert (tmp_path / "normalized.ipynb").read_bytes() == path.read_bytes()


@all_notebooks
def test_a_notebook_is_at_most_one_megabyte(path):
    assert path.stat().st_size <= MEGABYTE


@all_notebooks
def test_a_notebook_holds_no_myst_that_shows_as_raw_text_in_colab(path):
    for number, cell in cells(path, "markdown"):
        text = re.sub(r"^```(?!\s*\{).*?^```", "", cell.source, flags=re.M | re.S)
        for name, pattern in MYST.items():
            assert not re.search(pattern, text, flags=re.M), f"cell {number}: {name}"


@chapters
def test_a_chapter_begins_with_its_title_and_what_it_presumes_and_how_long_it_takes(path):
    head = notebooks.read(path).cells[0].source
    assert re.match(r"# \S", head)
    assert re.search(r"\*Presumes: .+ Time: .*\d+ minutes", head, flags=re.S)


@chapters
def test_a_chapter_has_one_title(path):
    titles = [
        line
        for _, cell in cells(path, "markdown")
        for line in re.sub(r"^```.*?^```", "", cell.source, flags=re.M | re.S).splitlines()
        if line.startswith("# ")
    ]
    assert len(titles) == 1


@chapters
def test_a_chapter_ends_with_summary_exercises_and_references(path):
    headings = re.findall(
        r"^## (.+)$", "\n".join(cell.source for _, cell in cells(path, "markdown")), flags=re.M
    )
    assert "Summary" in headings and "Exercises" in headings and "References" in headings


@chapters
def test_the_first_code_cell_imports_cnnbook(path):
    _, first = next(cells(path, "code"))
    assert "setup" in first.metadata.tags
    assert first.source.startswith("try:\n    import cnnbook\n")


@chapters
def test_every_code_cell_is_short(path):
    for number, cell in cells(path, "code"):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_CELL, f"cell {number} has {len(lines)} lines"


@chapters
def test_every_figure_has_an_alternative_text_that_tells_something(path):
    for number, cell in cells(path, "code"):
        if pictures(cell):
            text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(text) >= SHORTEST_ALT, f"cell {number}: {text!r}"
            assert not re.match(r"(?i)(a |the )?(figure|image|plot|picture)\b", text), text


@chapters
def test_no_cell_stores_an_error_or_text_of_stderr(path):
    for number, cell in cells(path, "code"):
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {number}"
            assert output.get("name") != "stderr", f"cell {number}: {output.text}"


@chapters
def test_every_code_cell_was_executed_in_order(path):
    counts = [cell.execution_count for _, cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@all_notebooks
def test_a_notebook_names_no_path_of_the_machine_that_ran_it(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w./-])/(home|root|tmp|Users|work)/\w", text)


@chapters
def test_links_to_other_pages_lead_to_files_that_exist(path):
    for number, cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(cell.source)):
            if not re.match(r"https?://|mailto:", target):
                assert (path.parent / target).exists(), f"cell {number}: {target}"


def test_solutions_store_no_outputs():
    for path in ALL:
        if path not in CHAPTERS:
            assert not any(cell.outputs for _, cell in cells(path, "code")), path


def test_normalizing_drops_what_depends_on_who_saved_and_keeps_what_a_tool_needs(tmp_path):
    text = nbformat.v4.new_output("stream", name="stdout", text="1")
    code = nbformat.v4.new_code_cell(
        "1",
        outputs=[text],
        execution_count=7,
        metadata={"tags": ["a"], "ExecuteTime": 3, "scrolled": True},
    )
    graded = nbformat.v4.new_code_cell("1", metadata={"nbgrader": {"grade_id": "q1"}})
    notebook = nbformat.v4.new_notebook(
        cells=[code, graded, nbformat.v4.new_code_cell("1")], metadata={"toc": {"base": 1}}
    )
    notebooks.normalize(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.cells[0].metadata == {"tags": ["a"]}
    assert notebook.cells[0].execution_count == 1
    assert notebook.cells[1].id == "q1"
    assert len({cell.id for cell in notebook.cells}) == 3
