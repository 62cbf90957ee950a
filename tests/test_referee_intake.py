"""Whatever file a student hands in, the notebook that is graded is the instructor's."""

import datetime
import json
import os
import re
import stat
import sys
import tracemalloc
from copy import deepcopy
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from nbgrader import utils
from nbgrader.preprocessors import ClearSolutions
from traitlets.config import Config

from referee.intake import (
    MOST_ADDED,
    Unreadable,
    find,
    parse,
    read,
    read_bytes,
    read_timestamp,
    rebuild,
)
from tests import referee_faults as faults

ROOT = Path(__file__).resolve().parents[1]
PATHS = {
    "letters": ROOT / "tests/foreign_course/source/letters/letters.ipynb",
    "ps1": ROOT / "solutions/ps1/ps1.ipynb",
}
SOURCES = {name: nbformat.read(path, as_version=4) for name, path in PATHS.items()}
GOOD = {name: faults.good_submission(source) for name, source in SOURCES.items()}
LETTERS = SOURCES["letters"]
MORE = int(os.environ.get("REFEREE_FUZZ", "1"))
"""How many times as many examples the fuzz tests try; 1 takes about half a minute in all."""


def data_of(notebook):
    return json.dumps(notebook).encode()


def rebuilt(notebook, name="letters"):
    return rebuild(SOURCES[name], parse(data_of(notebook)))


def messages(intake):
    return [note.message for note in intake.notes]


def is_added(cell):
    return cell.metadata.get("referee", {}).get("added", False)


def with_id(notebook, grade_id):
    return next(
        c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    )


# --- the outcome of each fault ------------------------------------------------------------------


class NoNotebook:
    """Stands for IPython where a cell uses its magics."""

    def __init__(self, namespace):
        self.namespace = namespace

    def run_cell_magic(self, name, line, body):
        exec(body, self.namespace)

    def __getattr__(self, name):
        return lambda *arguments: None


def run(text, namespace):
    """Run a cell; tell whether it ran to its end."""
    try:
        exec(TransformerManager().transform_cell(text), namespace)
    except Exception:
        return False
    return True


def points(notebook):
    """Return the points of each question, by the grade id of its answer, as if nothing cheated."""
    namespace, scores, question = {}, {}, None
    namespace["get_ipython"] = lambda: NoNotebook(namespace)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        passed = run(cell.source, namespace)
        if utils.is_solution(cell):
            question = cell.metadata.nbgrader.grade_id
            scores[question] = 0
        elif utils.is_grade(cell):
            scores[question] += passed * cell.metadata.nbgrader.points
    plt.close("all")
    return scores


def take_in(folder, name):
    """Return what becomes of a submission: an outcome or the rebuilt notebook, and messages."""
    found, notes = find(folder, [name])
    notes += read_timestamp(folder)[1]
    if not found:
        return faults.ABSENT, [note.message for note in notes]
    try:
        intake = rebuild(SOURCES[name], read(found[name]))
    except Unreadable as error:
        return faults.UNREADABLE, [str(error)]
    return intake.notebook, [note.message for note in notes + intake.notes]


@pytest.fixture(scope="module")
def full():
    """Return the points of each question of the reference, after asserting that it has all."""
    scores = {
        name: points(rebuild(SOURCES[name], parse(data_of(GOOD[name]))).notebook) for name in GOOD
    }
    totals = {name: sum(by_question.values()) for name, by_question in scores.items()}
    assert totals == {"letters": 9, "ps1": 94}
    return scores


def test_a_blank_submission_has_no_points_and_a_good_one_needs_no_note(full):
    for name, source in SOURCES.items():
        released = ClearSolutions().preprocess(deepcopy(source), {})[0]
        assert set(points(rebuild(source, released).notebook).values()) == {0}
        assert rebuild(source, released).notes == []
        assert rebuilt(GOOD[name], name).notes == []


def test_there_are_many_faults_of_every_kind():
    names = [fault.name for fault in faults.FAULTS]
    assert len(names) == len(set(names)) >= 100
    outcomes = [fault.outcome for fault in faults.FAULTS]
    assert all(outcomes.count(outcome) >= 2 for outcome in set(outcomes))
    assert len(set(outcomes)) == 5


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_each_fault_has_its_outcome_and_its_message(fault, name, tmp_path, full):
    faults.plant(fault, tmp_path, name, GOOD[name])
    result, told = take_in(tmp_path, name)
    if fault.message:
        assert any(re.search(fault.message, text) for text in told), told
    else:
        assert not any("answer cell" in text and "blank" in text for text in told), told
    assert all(text.endswith((".", "?")) and "\n" not in text for text in told)
    if fault.outcome in (faults.ABSENT, faults.UNREADABLE):
        assert result == fault.outcome
        assert told and not any(str(tmp_path) in text for text in told)
        return
    nbformat.validate(result)
    assert not any("\r" in cell.source or "\0" in cell.source for cell in result.cells)
    written = with_id(result, {"letters": "q3", "ps1": "q10-edges"}[name])
    good = with_id(nbformat.from_dict(GOOD[name]), written.metadata.nbgrader.grade_id)
    assert (written.source == good.source) == (fault.outcome != faults.NOTHING)
    first = next(iter(full[name]))
    expected = dict(full[name])
    if fault.outcome == faults.LOST:
        expected[first] = 0
    if fault.outcome == faults.NOTHING:
        expected = dict.fromkeys(expected, 0)
    assert points(result) == expected


# --- what of the rebuilt notebook is the instructor's -------------------------------------------


BLANK = rebuild(LETTERS, {"cells": []}).notebook


def assert_is_the_instructors(intake):
    """Assert that only answers and marked added cells hold anything of the student's."""
    notebook = intake.notebook
    own = [cell for cell in notebook.cells if not is_added(cell)]
    assert len(own) == len(LETTERS.cells)
    for cell, before, original in zip(own, BLANK.cells, LETTERS.cells, strict=True):
        assert cell.metadata == original.metadata
        assert (cell.cell_type, cell.id) == (original.cell_type, original.id)
        assert cell.get("outputs", []) == []
        if not utils.is_solution(original):
            assert cell == before
    added = [cell for cell in notebook.cells if is_added(cell)]
    assert len(added) <= MOST_ADDED
    for number, cell in enumerate(added):
        assert cell.metadata == {"referee": {"added": True}}
        assert cell.id == f"added-{number + 1}"
        assert cell.cell_type in ("code", "markdown")
        assert cell.get("outputs", []) == []
    assert notebook.metadata == LETTERS.metadata
    json.dumps(notebook, allow_nan=False).encode("ascii")
    nbformat.writes(notebook).encode("utf-8")
    for note in intake.notes:
        assert type(note.message) is str and len(note.message) < 300


@pytest.mark.parametrize("name", SOURCES)
def test_hidden_lines_stay_in_test_cells_and_nowhere_else(name):
    source = deepcopy(SOURCES[name])
    task = deepcopy(source.cells[-1])
    task.id = task.metadata.nbgrader.grade_id = "task"
    task.metadata.nbgrader.update(grade=False, solution=False, locked=True, task=True)
    task.source = "Do it.\n### BEGIN MARK SCHEME\nfor graders\n### END MARK SCHEME"
    source.cells.append(task)
    tests = [c.id for c in SOURCES[name].cells if "### BEGIN HIDDEN TESTS" in c.source]
    for submitted in ({"cells": []}, parse(data_of(GOOD[name]))):
        cells = rebuild(source, submitted).notebook.cells
        assert [cell.id for cell in cells if "### BEGIN HIDDEN TESTS" in cell.source] == tests
        everything = "".join(cell.source for cell in cells)
        assert "for graders" not in everything and "BEGIN SOLUTION" not in everything
        assert cells[-1].source.startswith("Do it.")


def test_the_course_may_mark_its_solutions_otherwise():
    source = deepcopy(LETTERS)
    for cell in source.cells:
        cell.source = cell.source.replace("### BEGIN SOLUTION", "# <answer>")
        cell.source = cell.source.replace("### END SOLUTION", "# </answer>")
    config = Config()
    config.ClearSolutions.begin_solution_delimeter = "# <answer>"
    config.ClearSolutions.end_solution_delimeter = "# </answer>"
    config.ClearSolutions.code_stub = {"python": "pass  # your turn"}
    answer = with_id(rebuild(source, {"cells": []}, config).notebook, "q1").source
    assert "your turn" in answer and "vowels in a text" in answer and "sum(" not in answer


def test_marks_that_do_not_match_are_the_instructors_error():
    source = deepcopy(LETTERS)
    source.cells[3].source = source.cells[3].source.replace("### END SOLUTION", "")
    with pytest.raises(ValueError, match="source must be a valid nbgrader notebook: no end"):
        rebuild(source, {"cells": []})


def test_outputs_of_the_instructor_go_too():
    source = deepcopy(LETTERS)
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="an old run")]
            cell.execution_count = 3
    assert rebuild(source, {"cells": []}).notebook == BLANK


def test_rebuilding_changes_neither_notebook():
    source, submitted = deepcopy(LETTERS), parse(data_of(GOOD["letters"]))
    before = deepcopy(submitted)
    intake = rebuild(source, submitted)
    for cell in intake.notebook.cells:
        cell.source = cell.metadata["x"] = "changed"
    assert (source, submitted) == (LETTERS, before)


def test_pictures_of_a_written_answer_stay_and_other_attachments_go():
    notebook = deepcopy(GOOD["letters"])
    picture = {"image/png": "iVBORw0KGgo=\n"}
    notebook["cells"][-1]["attachments"] = {
        "sketch.png": picture,
        "page.html": {"text/html": "PHNjcmlwdD4="},
        "drawing.svg": {"image/svg+xml": "PHN2Zy8+"},
        "broken.png": {"image/png": '"><script>alert(1)</script>'},
    }
    note = {"cell_type": "markdown", "source": "![](attachment:a)", "attachments": {"a": picture}}
    notebook["cells"].append(note)
    cells = rebuilt(notebook).notebook.cells
    assert cells[-2].attachments == {"sketch.png": picture}
    assert cells[-1].attachments == {"a": picture}
    assert is_added(cells[-1]) and not is_added(cells[-2])


# --- where added cells stand -------------------------------------------------------------------


def order(notebook):
    """Return ids of cells; of those that were added, the text."""
    return [cell.source if is_added(cell) else cell.id for cell in notebook.cells]


def inserted(places):
    """Return the good submission with code cells before the cells of given ids."""
    notebook = deepcopy(GOOD["letters"])
    for before, text in places:
        ids = [cell.get("id") for cell in notebook["cells"]]
        place = ids.index(before) if before else len(ids)
        notebook["cells"].insert(place, faults.code(text))
    return notebook


def test_added_cells_stand_where_the_student_put_them():
    places = [("title", "a"), ("q1", "b"), ("q1", "c"), ("q1-simple", "d"), (None, "e")]
    intake = rebuilt(inserted(places))
    ids = [cell.id for cell in LETTERS.cells]
    expected = ["a", *ids[:3], "b", "c", *ids[3:5], "d", *ids[5:], "e"]
    assert order(intake.notebook) == expected and intake.notes == []
    assert_is_the_instructors(intake)


def test_cells_that_lost_all_marks_are_known_by_their_text():
    notebook = inserted([("q2-text", "mine = 1")])
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    ids = [cell.id for cell in LETTERS.cells]
    assert order(rebuilt(notebook).notebook) == [*ids[:8], "mine = 1", *ids[8:]]


def test_an_added_raw_cell_becomes_text():
    notebook = inserted([])
    notebook["cells"].append({"cell_type": "raw", "source": "<b>note</b>", "metadata": {}})
    cell = rebuilt(notebook).notebook.cells[-1]
    assert is_added(cell) and (cell.cell_type, cell.source) == ("markdown", "<b>note</b>")


def test_an_edited_plain_cell_counts_as_added_after_the_original():
    for keep_id in (True, False):
        notebook = inserted([])
        cell = notebook["cells"][4]
        cell["source"] = 'count_vowels("other letters")'
        if not keep_id:
            del cell["id"]
        found = order(rebuilt(notebook).notebook)
        assert found[4:6] == ["try-it", cell["source"]] and len(found) == len(LETTERS.cells) + 1


def test_an_edited_plain_cell_is_not_taken_for_the_answer_beside_it():
    notebook = inserted([])
    notebook["cells"][4]["source"] = "mine = 1"
    del notebook["cells"][3]
    intake = rebuilt(notebook)
    assert with_id(intake.notebook, "q1").source == with_id(BLANK, "q1").source
    assert order(intake.notebook)[4:6] == ["try-it", "mine = 1"]
    assert messages(intake) == ["The answer cell `q1` is missing. It counts as blank."]


def test_one_cell_is_not_taken_for_two_answers():
    cells = {cell.get("id"): cell for cell in inserted([("q1", "x = 1")])["cells"]}
    driver = [cells.pop(grade_id) for grade_id in ("q1", "q2", "q2-driver")][-1]
    first, *rest = cells.values()
    notebook = {"cells": [first, *rest[:2], driver, *rest[2:]]}
    found = rebuilt(notebook).notebook
    assert with_id(found, "q1").source == "x = 1"
    assert with_id(found, "q2").source == with_id(BLANK, "q2").source


def test_a_plain_cell_that_was_deleted_or_cleared_is_put_back():
    notebook = inserted([])
    del notebook["cells"][4]
    notebook["cells"][1]["source"] = ""
    assert order(rebuilt(notebook).notebook) == [cell.id for cell in LETTERS.cells]


def test_added_cells_keep_their_order_where_the_cells_around_them_are_gone():
    notebook = inserted([("q2-text", "x = 1"), ("q2-driver", "x += 1")])
    gone = {"q2-text", "q2-driver", "q2", "q2-all"}
    notebook["cells"] = [c for c in notebook["cells"] if c.get("id") not in gone]
    found = order(rebuilt(notebook).notebook)
    place = found.index("q2-all")
    assert found[place - 3 : place] == ["q2", "x = 1", "x += 1"]


def test_of_several_answers_the_last_above_the_tests_counts():
    notebook = inserted([])
    blank = with_id(BLANK, "q1").source
    texts = ["first = 1", blank, "second = 2", "", blank + "  "]
    copies = [{**deepcopy(notebook["cells"][3]), "id": text, "source": text} for text in texts]
    late = {**deepcopy(notebook["cells"][3]), "id": "late", "source": "late = 3"}
    notebook["cells"][3:4] = copies
    notebook["cells"].append(late)
    intake = rebuilt(notebook)
    found = order(intake.notebook)
    assert with_id(intake.notebook, "q1").source == "second = 2"
    assert found[2:5] == ["q1-text", "first = 1", "q1"] and found[-1] == "late = 3"
    (note,) = intake.notes
    assert note.grade_id == "q1"
    assert note.message.startswith("6 cells are marked as the answer cell `q1`.")
    assert "last one with text above the tests counts" in note.message


def test_without_an_answer_above_the_tests_the_last_one_counts():
    notebook = inserted([])
    answer = notebook["cells"].pop(3)
    notebook["cells"] += [{**answer, "id": text, "source": text} for text in ("old = 1", "new = 2")]
    intake = rebuilt(notebook)
    assert with_id(intake.notebook, "q1").source == "new = 2"
    assert order(intake.notebook)[-1] == "old = 1"


def test_a_note_belongs_to_the_cell_that_it_speaks_of():
    notebook = inserted([])
    del notebook["cells"][5], notebook["cells"][3]
    assert [note.grade_id for note in rebuilt(notebook).notes] == ["q1", "q1-simple"]


# --- names of files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "ps1 (1).ipynb",
        "ps1(12).ipynb",
        "ps1 (1) (2).ipynb",
        "Copy_of_ps1.ipynb",
        "Copy of Copy of ps1.ipynb",
        "ps1-Copy2.ipynb",
        "ps1 copy.ipynb",
        "ps1 - Copy (2).ipynb",
        "PS1.ipynb",
        "ps1.IPYNB",
        "ps1.ipynb.txt",
        "ps1.ipynb.json",
        "ps1.json",
        "ps1.ipynb のコピー",
        "ps1",
    ],
)
def test_a_file_with_nearly_the_right_name_is_taken(name, tmp_path):
    (tmp_path / name).write_text("{}")
    (tmp_path / "ps10.ipynb").write_text("{}")
    found, notes = find(tmp_path, ["ps1", "ps10"])
    assert found == {"ps1": tmp_path / name, "ps10": tmp_path / "ps10.ipynb"}
    assert [note.message for note in notes] == [
        f"There was no file ps1.ipynb. The file “{name}” was graded instead."
    ]


@pytest.mark.parametrize("name", ["ps10.ipynb", "ps.ipynb", "ps11 (1).ipynb", "xps1.ipynb"])
def test_a_file_with_another_name_is_not_taken_for_one_of_two(name, tmp_path):
    (tmp_path / name).write_text("{}")
    found, notes = find(tmp_path, ["ps1", "ps2"])
    assert found == {} and len(notes) == 2


def test_the_one_notebook_is_taken_for_the_one_that_is_wanted(tmp_path):
    for name in ("final version!.ipynb", "ps2.ipynb", ".hidden.ipynb", "notes.txt"):
        (tmp_path / name).write_text("{}")
    found, _ = find(tmp_path, ["ps1", "ps2"])
    assert found["ps1"].name == "final version!.ipynb"


def test_the_name_of_a_file_cannot_spoil_a_message(tmp_path):
    os.close(os.open(bytes(tmp_path) + b"/ps1\n\x1b[31m\xff" + b"x" * 200 + b".ipynb", os.O_CREAT))
    _, notes = find(tmp_path, ["ps1"])
    (message,) = [note.message for note in notes]
    assert message.isprintable() and len(message) < 200
    message.encode("utf-8")


def test_a_copy_of_one_notebook_is_not_taken_for_another(tmp_path):
    for name in ("ps1.ipynb", "ps1 (1).ipynb"):
        (tmp_path / name).write_text("{}")
    found, (note,) = find(tmp_path, ["ps1", "ps2"])
    assert [*found] == ["ps1"]
    assert note.message == "There was no file ps2.ipynb. Nothing was graded for it."


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_the_folder_of_a_submission_is_a_folder(kind, tmp_path):
    folder = tmp_path / "folder"
    if kind == "file":
        folder.touch()
    if kind == "link":
        folder.symlink_to(tmp_path)
    what = {"missing": "does not exist", "file": "not a folder", "link": "is a link"}[kind]
    with pytest.raises(Unreadable, match=what):
        find(folder, ["ps1"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21 07:41:34.123456 UTC", "2026-11-21 07:41:34.123456"),
        ("2026-11-21 07:41:34 UTC\n", "2026-11-21 07:41:34"),
        ("2026-11-21T07:41:34Z", "2026-11-21 07:41:34"),
        ("2026-11-21 16:41:34.5 Asia/Tokyo", "2026-11-21 07:41:34.500000"),
        ("2026-11-21 16:41:34 +32400", "2026-11-21 07:41:34"),
        ("2026-11-21T16:41:34+09:00", "2026-11-21 07:41:34"),
        ("2026-11-21 07:41:34", "2026-11-21 07:41:34"),
    ],
)
def test_the_time_stamps_that_nbgrader_writes_are_read(text, expected, tmp_path):
    (tmp_path / "timestamp.txt").write_text(text)
    now = datetime.datetime(2026, 11, 21, 8)
    time, notes = read_timestamp(tmp_path, now)
    assert str(time) == expected and notes == []
    assert time == utils.parse_utc(text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "7",
        "2026-13-45 07:41:34 UTC",
        "2026-11-21 07:41:34 /etc/passwd",
        "2026-11-21 07:41:34 ../../etc/passwd",
        "2026-11-21 07:41:34 +" + "9" * 30,
        "0001-01-01 00:00:00 +32400",
        "2026-11-21 99:99:99",
    ],
)
def test_a_time_stamp_that_holds_no_time_is_named(text, tmp_path):
    (tmp_path / "timestamp.txt").write_text(text)
    time, (note,) = read_timestamp(tmp_path)
    assert time is None and note.message.endswith("The time of handing in is unknown.")


def test_a_submission_without_a_time_stamp_has_no_time(tmp_path):
    assert read_timestamp(tmp_path) == (None, [])


# --- limits ------------------------------------------------------------------------------------


def test_a_device_or_a_missing_file_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="is not an ordinary file"):
        read("/dev/zero")
    with pytest.raises(Unreadable, match="does not exist"):
        read(tmp_path / "ps1.ipynb")
    with pytest.raises(Unreadable, match="could not be opened: its name is not valid"):
        read("a\0b")
    with pytest.raises(Unreadable, match="could not be opened: File name too long"):
        read(tmp_path / ("x" * 300))


def test_a_file_is_read_up_to_the_limit_and_not_beyond(tmp_path):
    path = tmp_path / "ps1.ipynb"
    path.write_bytes(b"x" * 1000)
    assert len(read_bytes(path, 1000)) == 1000
    with pytest.raises(Unreadable, match="is larger than 999 bytes"):
        read_bytes(path, 999)


def test_a_file_that_is_swapped_for_a_link_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    path, secret = tmp_path / "ps1.ipynb", tmp_path / "secret"
    path.write_text("{}")
    secret.write_text("{}")
    status = os.lstat(path)
    path.unlink()
    path.symlink_to(secret)
    monkeypatch.setattr("referee.intake.files.os.lstat", lambda _: status)
    assert stat.S_ISREG(status.st_mode)
    with pytest.raises(Unreadable, match="could not be opened"):
        read(path)


HOSTILE = {
    "digits": lambda n: b'{"cells": [], "x": ' + b"9" * n + b"}",
    "fraction": lambda n: b'{"cells": [], "x": ' + b"9" * n + b".5e-9}",
    "numbers": lambda n: b'{"cells": [], "x": [' + b"1," * (n // 2) + b"1]}",
    "lines": lambda n: _notebook_of('["a",' + '"b",' * (n // 4) + '"c"]'),
    "blanks": lambda n: _notebook_of('"async ' + " " * n + '"'),
    "definitions": lambda n: _notebook_of('"' + r"def f\n" * (n // 7) + '"'),
    "surrogates": lambda n: _notebook_of('"' + r"\ud800" * (n // 6) + '"'),
    "picture": lambda n: _notebook_of('"a"', '{"a": {"image/png": "' + " " * n + '!"}}'),
    "conflicts": lambda n: b"{" + b"<<<<<<<x\n" * (n // 9),
    "empty lines": lambda n: b"{" + b"\n" * n + b"?",
}


def _notebook_of(source, attachments="{}"):
    cell = f'{{"cell_type": "markdown", "source": {source}, "attachments": {attachments}}}'
    return f'{{"cells": [{cell}]}}'.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_work_and_memory_grow_in_proportion_to_the_file(name):
    """Counts events of the interpreter and bytes, since times vary: twice the file, twice both."""
    small, large = (_cost(HOSTILE[name](size)) for size in (100_000, 400_000))
    assert large[0] <= 5 * small[0] + 100
    assert large[1] <= 5 * small[1] + 1_000_000


def _cost(data):
    count = 0

    def event(*_):
        nonlocal count
        count += 1

    tracemalloc.start()
    sys.setprofile(event)
    try:
        rebuild(LETTERS, parse(data))
    except Unreadable:
        pass
    finally:
        sys.setprofile(None)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return count, memory


# --- fuzz --------------------------------------------------------------------------------------

FUZZ = settings(
    max_examples=500 * MORE,
    suppress_health_check=list(HealthCheck),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["code", "q1", "q1-simple", "def count_vowels(t): pass", "a\r\n\0\ud800"])
)
KEYS = st.sampled_from(
    "cells cell_type source input metadata nbgrader grade_id id attachments worksheets a".split()
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.sampled_from([cell["source"] for cell in GOOD["letters"]["cells"]]) | SCALARS | JSON
IDS = st.sampled_from([cell["id"] for cell in GOOD["letters"]["cells"]]) | SCALARS
CELLS = (
    st.fixed_dictionaries(
        {},
        optional={
            "cell_type": st.sampled_from(["code", "markdown", "raw", "heading"]) | JSON,
            "source": TEXTS,
            "input": TEXTS,
            "id": IDS,
            "metadata": st.fixed_dictionaries(
                {"nbgrader": st.fixed_dictionaries({"grade_id": IDS})}
            )
            | JSON,
            "attachments": JSON,
            "outputs": JSON,
        },
    )
    | JSON
)


def takes_in(data):
    """Take in bytes: they are refused, or what comes out is the instructor's."""
    try:
        submitted = parse(data)
    except Unreadable as error:
        message = str(error)
        assert message.isprintable() and len(message) < 300
        return None
    intake = rebuild(LETTERS, submitted)
    assert_is_the_instructors(intake)
    again = rebuild(LETTERS, submitted)
    assert (again.notebook, again.notes) == (intake.notebook, intake.notes)
    return intake


@FUZZ
@given(JSON)
def test_no_json_breaks_the_intake(value):
    takes_in(json.dumps(value).encode())


@FUZZ
@given(st.lists(CELLS, max_size=6), st.sampled_from(["cells", "worksheets"]), JSON)
def test_no_list_of_cells_breaks_the_intake(cells, key, metadata):
    notebook = {"metadata": metadata, "nbformat": metadata}
    notebook[key] = cells if key == "cells" else [{"cells": cells}, metadata]
    assert takes_in(json.dumps(notebook).encode()) is not None


@FUZZ
@given(st.data())
def test_no_change_of_a_good_notebook_breaks_the_intake(data):
    notebook = deepcopy(GOOD["letters"])
    cells = notebook["cells"]
    for _ in range(data.draw(st.integers(1, 6))):
        number = data.draw(st.integers(0, max(len(cells) - 1, 0)))
        other = data.draw(st.integers(0, len(cells)))
        what = data.draw(st.sampled_from(["drop", "copy", "move", "field", "mark", "new"]))
        if what == "new" or not cells:
            cells.insert(other, data.draw(CELLS))
        elif what == "drop":
            del cells[number]
        elif what == "copy":
            cells.insert(other, deepcopy(cells[number]))
        elif what == "move":
            cells.insert(min(other, len(cells) - 1), cells.pop(number))
        elif isinstance(cells[number], dict):
            if what == "field":
                cells[number][data.draw(KEYS)] = data.draw(TEXTS)
            else:
                cells[number]["metadata"] = {"nbgrader": {"grade_id": data.draw(IDS)}}
    assert takes_in(json.dumps(notebook).encode()) is not None


@FUZZ
@given(st.data())
def test_no_change_of_bytes_breaks_the_intake(data):
    changed = bytearray(data_of(GOOD["letters"]))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(changed)))
        end = min(len(changed), start + data.draw(st.sampled_from([0, 1, 2, 50, 10_000])))
        changed[start:end] = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"[", b"}"]))
    takes_in(bytes(changed))


@FUZZ
@given(st.binary(max_size=200))
def test_no_bytes_break_the_intake(data):
    takes_in(data)
