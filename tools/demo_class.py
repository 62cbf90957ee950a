"""Play a small class in a temporary folder: `python -m tools.demo_class [--assignment ps1]`.

An instructor and three students go from release to exported grades with nbgrader's commands;
nothing is mocked. The course's configuration lets referee grade; with `COURSE_GRADER=stock` in the
environment nbgrader grades in its own way. Each person has a home, a configuration and a working
folder. All are one Unix user, so students name themselves with nbgrader's own `submit --student`,
and the instructor switches off the comparison of a submission's name with its owner.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory

from referee.assignment import ANSWER, WRITTEN, read_assignment, read_config
from referee.cases import MISCONCEPTION, answer_source, load_cases

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """c = get_config()
c.CourseDirectory.course_id = "{course}"
c.Exchange.root = "{exchange}"
c.ExchangeCollect.check_owner = False
"""


@dataclass(frozen=True)
class Student:
    """What became of a student: `scores` are those of the tests, (score, points) by grade id.

    `exported` is the score in the exported grades, `feedback` the page that the student fetched.
    """

    name: str
    did: str
    scores: dict[str, tuple[float, float]]
    exported: float
    feedback: str


class Class:
    """The folders of an instructor and their students, and the commands that they give."""

    def __init__(self, folder, course, assignment, say):
        self.folder, self.assignment, self.say = Path(folder), assignment, say
        self.instructor = self._home("instructor")
        for name in ("nbgrader_config.py", assignment.folder.parent.name):
            path = Path(course, name)
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, self.instructor / name)
        exchange = self.folder / "exchange"
        exchange.mkdir()
        exchange.chmod(0o777)
        machine = self.folder / "machine"
        machine.mkdir()
        self.id = CourseDirectory(config=read_config(course), root=str(folder)).course_id
        text = CONFIG.format(course=self.id, exchange=exchange)
        (machine / "nbgrader_config.py").write_text(text, encoding="utf-8")

    def _home(self, name):
        home = self.folder / name
        home.mkdir()
        return home

    def enroll(self, name):
        self._home(name)

    def nbgrader(self, name, command, *options):
        """Let a person give an nbgrader command in their own folder."""
        home = self.folder / name
        environment = {
            **os.environ,
            "HOME": str(home),
            "IPYTHONDIR": str(home / ".ipython"),
            "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
            "JUPYTER_CONFIG_PATH": str(self.folder / "machine"),
            "JUPYTER_DATA_DIR": str(home / ".data"),
            "JUPYTER_RUNTIME_DIR": str(home / ".runtime"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", command, *options],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{name}: nbgrader {command} failed:\n{done.stdout}{done.stderr}")
        seconds = time.perf_counter() - start
        self.say(f"{name:<11} nbgrader {command:<21} {seconds:5.1f} s")

    def gradebook(self):
        return Gradebook(f"sqlite:///{self.instructor / 'gradebook.db'}", self.id)


def fill(path, answers):
    """Write answers into a notebook, by grade id."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(grade_id, cell.source)
    nbformat.write(notebook, path)


def reference_answers(assignment):
    """Return the reference answers by notebook and grade id, as a student would hand them in."""
    return {
        notebook.name: {
            cell.grade_id: "\n".join(
                line
                for line in cell.source.splitlines()
                if "## BEGIN SOLUTION" not in line and "## END SOLUTION" not in line
            )
            for cell in notebook.cells
            if cell.role in (ANSWER, WRITTEN)
        }
        for notebook in assignment.notebooks
    }


def first_misconception(assignment):
    """Return the first misconception of an assignment and the question it belongs to."""
    cases = load_cases(assignment.cases)
    case = next(case for case in cases if case.kind == MISCONCEPTION)
    for question in assignment.questions:
        if case.grade_id in [test.grade_id for test in question.tests]:
            return case, question
    raise ValueError(f"{assignment.cases}:{case.line} names no test cell: {case.grade_id!r}")


def with_misconception(assignment, answers, case, question):
    """Return the answers with one function of one question replaced by a misconception's."""
    source = answer_source(assignment.cases, case)
    return {
        name: {
            grade_id: f"{text}\n\n\n{source}" if grade_id == question.grade_id else text
            for grade_id, text in cells.items()
        }
        for name, cells in answers.items()
    }


def play(name="ps1", course=ROOT, folder=None, say=print):
    """Play the class and return its students.

    Parameters
    ----------
    name : name of an assignment
    course : folder of the course, with its `nbgrader_config.py`
    folder : where to play, an empty folder that is kept; None for a temporary one
    say : what to do with the line that tells of each step
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="class-") as temporary:
            return play(name, course, temporary, say)
    assignment = read_assignment(course, name)
    answers = reference_answers(assignment)
    case, question = first_misconception(assignment)
    wrong = with_misconception(assignment, answers, case, question)
    roll = {
        "ada": ("all right", answers),
        "ben": (f"misconception at {case.grade_id}", wrong),
        "cleo": ("nothing", {}),
    }
    group = Class(folder, course, assignment, say)
    run = group.nbgrader
    run("instructor", "generate_assignment", name)
    run("instructor", "release_assignment", name)
    for student, (_, work) in roll.items():
        group.enroll(student)
        run(student, "fetch_assignment", name)
        for notebook, cells in work.items():
            fill(group.folder / student / name / f"{notebook}.ipynb", cells)
        run(student, "submit", name, f"--student={student}")
    run("instructor", "collect", name)
    run("instructor", "autograde", name)
    run("instructor", "generate_feedback", name)
    run("instructor", "release_feedback", name)
    for student in roll:
        run(student, "fetch_feedback", name, f"--student={student}")
    run("instructor", "export", "--to=grades.csv")
    exported = read_export(group.instructor / "grades.csv")
    return [
        Student(
            name=student,
            did=did,
            scores=read_scores(group, student),
            exported=exported[student],
            feedback=read_feedback(group.folder / student / name),
        )
        for student, (did, _) in roll.items()
    ]


def read_scores(group, student):
    """Return a student's automatic scores from the gradebook."""
    assignment = group.assignment
    parts = {test.grade_id for question in assignment.questions for test in question.tests}
    with group.gradebook() as gradebook:
        submission = gradebook.find_submission(assignment.name, student)
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        return {g.name: (g.auto_score, g.max_score) for g in grades if g.name in parts}


def read_export(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


def read_feedback(folder):
    """Return the feedback that a student fetched, empty if there is none."""
    pages = sorted(folder.glob("feedback/*/*.html"))
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def table(assignment, students):
    """Return the table of the class: a column for each student, a row for each question."""
    rows = [
        ["", *(student.name for student in students)],
        ["what they did", *(student.did for student in students)],
    ]
    for question in assignment.questions:
        pairs = [[s.scores[test.grade_id] for test in question.tests] for s in students]
        rows.append([question.grade_id, *map(_ratio, pairs)])
    rows.append(["all tests", *(_ratio(student.scores.values()) for student in students)])
    rows.append(["exported", *(f"{student.exported:g}" for student in students)])
    sizes = [f"{len(s.feedback) / 1e3:.0f} kB" if s.feedback else "none" for s in students]
    rows.append(["feedback", *sizes])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _ratio(pairs):
    scores, points = zip(*pairs, strict=True)
    return f"{sum(scores):g}/{sum(points):g}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assignment", default="ps1", metavar="NAME")
    parser.add_argument("--course-dir", type=Path, default=ROOT, metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="keep the folder, and say where it is")
    options = parser.parse_args(arguments)
    folder = tempfile.mkdtemp(prefix="class-") if options.keep else None
    try:
        assignment = read_assignment(options.course_dir, options.assignment)
        students = play(options.assignment, options.course_dir, folder)
    except (RuntimeError, ValueError) as error:
        print(f"class: {error}", file=sys.stderr)
        return 1
    print(f"\n{table(assignment, students)}")
    written = sum(cell.points for notebook in assignment.notebooks for cell in notebook.written)
    if written:
        print(f"\n{written:g} more points are given by hand, in nbgrader's formgrader.")
    if folder:
        print(f"\nThe class stays in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
