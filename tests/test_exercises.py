"""`exercises/` is what `solutions/` gives, and gives nothing away."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from referee.cases import load_cases
from tools import exercises

ROOT = Path(__file__).resolve().parents[1]
NAMES = exercises.assignments()
FILES = {f"{name}/{name}.ipynb" for name in NAMES}
MARKS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")
SHORTEST = 12


@pytest.fixture
def course(tmp_path):
    """A course with the configuration of this one and another problem set."""
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    shutil.copytree(ROOT / "tests/foreign_course/source", tmp_path / "solutions")
    return tmp_path


def regions(cell):
    """Return the lines of a cell that students must not see, and those that they see."""
    data = cell.metadata.get("nbgrader", {})
    lines = cell.source.splitlines()
    if data.get("solution") and "BEGIN SOLUTION" not in cell.source:
        return lines, []
    secret, visible, inside = [], [], False
    for line in lines:
        if any(mark in line for mark in MARKS):
            inside = "BEGIN" in line
        else:
            (secret if inside else visible).append(line)
    return secret, visible


def secrets(folder):
    """Return the texts of a problem set that no student may find: lines and explanations."""
    secret, visible = [], []
    for path in folder.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            hidden, shown = regions(cell)
            secret += hidden
            visible += shown
    if (folder / "cases.py").exists():
        secret += [case.explanation for case in load_cases(folder / "cases.py")]
    seen = "\n".join(visible)
    texts = {line.strip() for line in secret}
    return {text for text in texts if len(text) >= SHORTEST and text not in seen}


def leaks(released, folder):
    """Return which secrets of a problem set the released files hold, anywhere in them."""
    texts = [data.decode("utf-8", errors="replace") for data in released.values()]
    forms = {s: (s, json.dumps(s)[1:-1], json.dumps(s, ensure_ascii=False)[1:-1]) for s in MARKS}
    for secret in secrets(folder):
        forms[secret] = (
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
        )
    return {s for s, ways in forms.items() for text in texts if any(way in text for way in ways)}


def released(folder):
    return exercises.contents(folder / "exercises")


def test_exercises_are_what_the_solutions_give():
    assert exercises.differences() == []


def test_exercises_hold_one_notebook_for_each_problem_set_and_nothing_else():
    assert NAMES
    assert set(released(ROOT)) == FILES


@pytest.mark.parametrize("name", NAMES)
def test_exercises_hold_no_solution_no_hidden_test_and_no_case(name):
    folder = ROOT / "solutions" / name
    assert len(secrets(folder)) > 100
    assert leaks(released(ROOT), folder) == set()


@pytest.mark.parametrize("name", sorted(FILES))
def test_exercises_hold_no_outputs(name):
    notebook = nbformat.read(ROOT / "exercises" / name, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_the_same_solutions_give_the_same_bytes(course):
    exercises.generate(course / "exercises", course)
    assert list(released(course)) == ["letters/letters.ipynb"]
    assert exercises.differences(course) == []


def test_making_exercises_leaves_nothing_else_behind(course):
    before = exercises.contents(course)
    exercises.generate(course / "exercises", course)
    after = exercises.contents(course)
    assert set(after) - set(before) == {"exercises/letters/letters.ipynb"}


def test_a_stale_exercise_is_named(course):
    exercises.generate(course / "exercises", course)
    path = course / "solutions/letters/letters.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("small or capital", "small or big"))
    (course / "exercises/letters/notes.txt").write_text("by hand")
    assert exercises.differences(course) == ["letters/letters.ipynb", "letters/notes.txt"]


def test_judging_data_stay_and_other_data_go_along(course):
    source = course / "solutions/letters"
    (source / "judging").mkdir()
    (source / "judging/unseen.txt").write_text("what the tests alone may read")
    (source / "words.txt").write_text("what students may read")
    exercises.generate(course / "exercises", course)
    assert set(released(course)) == {"letters/letters.ipynb", "letters/words.txt"}


def test_each_kind_of_leak_is_found(course):
    exercises.generate(course / "exercises", course)
    folder = course / "solutions/letters"
    files = released(course)
    assert leaks(files, folder) == set()
    text = files["letters/letters.ipynb"].decode()
    for leak in (
        'return sum(letter in "aeiouAEIOU" for letter in text)',
        'assert count_vowels("YEARLY") == 2, "y is no vowel"',
        "YOUR words: why may y be called a vowel?",
        "Capital letters are vowels too.",
    ):
        escaped = json.dumps(leak)[1:-1]
        assert leaks({"notebook": text.replace("Letters", escaped).encode()}, folder) == {leak}
    cases = (folder / "cases.py").read_bytes()
    assert "In this question y is no vowel." in leaks(files | {"letters/cases.py": cases}, folder)


def test_without_the_configuration_the_cases_would_go_along(course):
    config = course / "nbgrader_config.py"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('["cases.py", "judging"]', "[]"))
    exercises.generate(course / "exercises", course)
    assert "letters/cases.py" in released(course)
    assert leaks(released(course), course / "solutions/letters")
