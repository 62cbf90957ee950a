"""References get all points, blanks none; misconceptions lose, with their name; variants keep."""

import copy
import functools
from pathlib import Path

import nbformat
import pytest
from referee_sessions import ForkedSession

from referee import explain
from referee.assignment import read_assignment
from referee.cases import MISCONCEPTION, answer_source, load_cases
from referee.check import check
from referee.explain import Explainer
from referee.intake import rebuild
from referee.judge import judge
from referee.student import Student

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ROOT / "tests" / "foreign_course"
SETS = [(ROOT, path.parent.name) for path in sorted(ROOT.glob("solutions/*/*.ipynb"))]
COURSES = [(FOREIGN, "letters"), *SETS]
SECONDS = 60


@functools.cache
def checked(course, name):
    """Return what `referee check` reports: minutes of work, done once for all tests here."""
    return check(read_assignment(course, name))


@functools.cache
def load(course, name):
    assignment = read_assignment(course, name)
    (notebook,) = assignment.notebooks
    path = assignment.folder / f"{notebook.name}.ipynb"
    return assignment, notebook, nbformat.read(path, as_version=4)


def judged(assignment, notebook, source, answers):
    submitted = copy.deepcopy(source)
    for cell in submitted.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    student = Student(ForkedSession, SECONDS)
    rebuilt = rebuild(source, submitted).notebook
    try:
        return judge(rebuilt, notebook, student, SECONDS, folder=assignment.folder)
    finally:
        student.close()


@pytest.mark.parametrize(("course", "name"), COURSES)
def test_the_tests_of_each_problem_set_can_be_trusted(course, name):
    report = checked(course, name)
    assert report.questions
    assert report.holds, report.problems


@pytest.mark.parametrize(("course", "name"), COURSES)
def test_references_get_all_points_and_blanks_none(course, name):
    assignment, notebook, source = load(course, name)
    by_test = [test.grade_id for question in notebook.questions for test in question.tests]
    verdicts = judged(assignment, notebook, source, {})
    assert [v.grade_id for v in verdicts if v.score is not None] == by_test
    assert all(v.score == v.max and not v.lost for v in verdicts if v.score is not None)
    written = [cell.grade_id for cell in notebook.written]
    assert [v.grade_id for v in verdicts if v.score is None] == written
    blank = {q.grade_id: q.answer.blank for q in notebook.questions}
    verdicts = judged(assignment, notebook, source, blank)
    assert all(v.score == 0 and v.check for v in verdicts if v.score is not None)


@pytest.mark.parametrize(("course", "name"), COURSES)
def test_each_case_gets_the_points_of_the_check_and_each_misconception_its_name(course, name):
    """Submission n holds the n-th case of every question; one without an n-th case is blank."""
    assignment, notebook, source = load(course, name)
    rows = {row.grade_id: row for row in checked(course, name).questions}
    cases = {case.line: case for case in load_cases(assignment.cases)}
    most = max(len(row.cases) for row in rows.values())
    named = 0
    with Explainer(notebook, assignment.cases, assignment.folder) as explainer:
        for number in range(most):
            held = {q: row.cases[number] for q, row in rows.items() if number < len(row.cases)}
            answers = {
                question.grade_id: question.answer.source
                + "\n\n"
                + answer_source(assignment.cases, cases[held[question.grade_id].line])
                if question.grade_id in held
                else question.answer.blank
                for question in notebook.questions
            }
            verdicts = judged(assignment, notebook, source, answers)
            findings = explainer.explain(verdicts)
            for question in notebook.questions:
                row = held.get(question.grade_id)
                ids = [test.grade_id for test in question.tests]
                mine = [verdict for verdict in verdicts if verdict.grade_id in ids]
                lost = [verdict.grade_id for verdict in mine if verdict.lost]
                assert lost == (row.lost if row else ids)
                found = {g: f for g, f in findings.items() if g in ids}
                if row is None or row.kind != MISCONCEPTION:
                    assert not found
                    continue
                assert row.grade_id in found
                assert is_named(found[row.grade_id], cases, row, mine), (row, found)
                named += 1
        assert explainer.problem == ""
    assert named == sum(row.kind == MISCONCEPTION for q in rows.values() for row in q.cases)


def is_named(finding, cases, row, verdicts):
    """Whether a finding is the case, or one of the same part that gives the same on every call."""
    if finding.line == row.line:
        return True
    twin = cases[finding.line]
    calls = [call for verdict in verdicts for call in verdict.calls if call.name == row.name]
    for call in calls:
        try:
            value = twin.function(*call.args, **call.kwargs)
        except Exception as error:
            if call.raised is None or type(error).__name__ != call.raised.name:
                return False
        else:
            if call.raised is not None or not explain.same(value, call.value):
                return False
    return twin.grade_id == row.grade_id and bool(calls)
