"""A class played from release to exported grades gets the scores it must, with either grader."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from referee.assignment import read_assignment
from referee.check import check
from tools import demo_class

ROOT = Path(__file__).resolve().parents[1]
NAME = "ps1"


@pytest.fixture(scope="module", params=["referee", "stock"])
def grader(request):
    return request.param


@pytest.fixture(scope="module")
def lines(grader):
    return []


@pytest.fixture(scope="module")
def students(grader, lines):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_GRADER", grader)
        return {student.name: student for student in demo_class.play(NAME, say=lines.append)}


@pytest.fixture(scope="module")
def assignment():
    return read_assignment(ROOT, NAME)


@pytest.fixture(scope="module")
def points(assignment):
    return {test.grade_id: test.points for q in assignment.questions for test in q.tests}


@pytest.fixture(scope="module")
def lost(assignment):
    """The parts that the misconception loses, as `referee check` sees it."""
    case, question = demo_class.first_misconception(assignment)
    report = check(assignment, only=question.grade_id)
    (row,) = [row for row in report.questions[0].cases if row.line == case.line]
    assert case.grade_id in row.lost
    return set(row.lost)


def test_right_answers_get_all_points(students, points):
    assert students["ada"].scores == {name: (value, value) for name, value in points.items()}


def test_a_misconception_loses_its_parts_and_no_other(students, points, lost):
    expected = {name: (0 if name in lost else value, value) for name, value in points.items()}
    assert students["ben"].scores == expected


def test_a_blank_notebook_gets_nothing(students, points):
    assert students["cleo"].scores == {name: (0, value) for name, value in points.items()}


def test_exported_grades_are_the_sums_of_the_scores(students, points, lost):
    total = sum(points.values())
    exported = {name: student.exported for name, student in students.items()}
    lost_points = sum(points[name] for name in lost)
    assert exported == {"ada": total, "ben": total - lost_points, "cleo": 0}


def test_each_student_fetches_feedback_that_names_what_failed(students, grader, assignment):
    pages = {
        name: " ".join(BeautifulSoup(student.feedback, "html.parser").get_text().split())
        for name, student in students.items()
    }
    assert all(pages.values())
    case, _ = demo_class.first_misconception(assignment)
    if grader == "stock":
        assert "NotImplementedError" in pages["cleo"]
        assert "AssertionError" in pages["ben"] and "AssertionError" not in pages["ada"]
    else:
        assert "In your code: cell q1-echo, line" in pages["cleo"]
        assert case.explanation in pages["ben"] and "Failed check:" in pages["ben"]
        assert case.explanation not in pages["ada"] and "Failed check:" not in pages["ada"]


def test_every_step_is_a_line_and_every_question_a_row(students, lines, assignment):
    assert len(lines) == 16
    assert all(" nbgrader " in line and line.endswith(" s") for line in lines)
    table = demo_class.table(assignment, list(students.values())).splitlines()
    assert table[0].split() == ["ada", "ben", "cleo"]
    first = [line.split()[0] for line in table[2:-3]]
    assert first == [question.grade_id for question in assignment.questions]


def test_a_command_that_fails_is_told_with_its_output(tmp_path, assignment):
    group = demo_class.Class(tmp_path, ROOT, assignment, print)
    with pytest.raises(RuntimeError, match="instructor: nbgrader release_assignment failed"):
        group.nbgrader("instructor", "release_assignment", "no-such-set")
