"""Small assignments for tests: written as cells, handed in, judged without a jail."""

import copy

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from referee_sessions import ForkedSession

from referee.assignment import read_assignment
from referee.intake import rebuild
from referee.judge import judge
from referee.student import Student

SECONDS = 20


class Assignment:
    """An assignment of one notebook, written as cells, and what is handed in."""

    def __init__(self, folder, cells):
        self.folder = folder / "source" / "a"
        self.folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells), self.folder / "a.ipynb")
        self.notebook = read_assignment(folder, "a").notebooks[0]
        self.source = nbformat.read(self.folder / "a.ipynb", as_version=4)

    def hand_in(self, answers, added=()):
        """Return the submission: answers by grade id, and added cells by what they stand before."""
        submitted = copy.deepcopy(self.source)
        for cell in submitted.cells:
            cell.source = answers.get(
                cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source
            )
        for before, text in added:
            ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in submitted.cells]
            submitted.cells.insert(ids.index(before), new_code_cell(text))
        return rebuild(self.source, submitted).notebook

    def judge(self, answers=None, added=(), seconds=SECONDS, **options):
        """Return the verdicts by grade id."""
        student = Student(ForkedSession, seconds)
        try:
            verdicts = judge(
                self.hand_in(answers or {}, added),
                self.notebook,
                student,
                seconds,
                folder=self.folder,
                **options,
            )
        finally:
            student.close()
        return {verdict.grade_id: verdict for verdict in verdicts}


def graded(grade_id, text, **kind):
    data = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
    return new_code_cell(text, metadata={"nbgrader": data | {"grade_id": grade_id} | kind})


def answer(text, grade_id="q"):
    body = text if "### BEGIN SOLUTION" in text else f"### BEGIN SOLUTION\n{text}\n### END SOLUTION"
    return graded(grade_id, body, solution=True)


def exam(text, grade_id="q-1", points=2):
    return graded(grade_id, text, grade=True, locked=True, points=points)


def locked(text, grade_id="driver"):
    return graded(grade_id, text, locked=True)


def hidden(text):
    return f"### BEGIN HIDDEN TESTS\n{text}\n### END HIDDEN TESTS"


DOUBLE = "def double(x):\n    return 2 * x"
