"""Courses to be attacked, and graders that lack a protection.

A `Target` is a course of one assignment in a folder that anybody may read and write, so that what
hinders an attack is the jail and not the mode of a file.
"""

import contextlib
import copy
import functools
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import types
from dataclasses import replace
from pathlib import Path
from unittest import mock

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from referee_assignments import answer, exam, graded, hidden, locked
from referee_attacks import (
    ALONE,
    CONNECTED,
    DEAF,
    MARK,
    OPEN,
    PREY,
    SHARED,
    SUPPLIED,
    TOGETHER,
    TRUSTING,
    Submission,
)

from referee import grade, judge, wire
from referee.assignment import ANSWER, TEST, WRITTEN, read_assignment
from referee.intake import rebuild
from referee.sandbox import Sandbox
from referee.settings import Settings
from referee.student import Ended, Student
from tools.demo_class import reference_answers

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ROOT / "tests" / "foreign_course" / "source" / "letters"
SECONDS = 4.0  # for an attack, which may take all it gets
PATIENCE = 30.0  # for the honest, also on a busy machine
NAMES = ("letters", "supplies", "tensors", "ps1")
WITHOUT = {OPEN: ("files",), SHARED: ("processes",), CONNECTED: ("network", "seccomp")}
CONFIG = "c = get_config()\nc.CourseDirectory.course_id = 'attacked'\n"

TENSORS = [
    graded("imports", "import torch", locked=True),
    answer(
        """\
def leaky(x, slope):
    ### BEGIN SOLUTION
    return torch.where(x > 0, x, slope * x)
    ### END SOLUTION""",
        "leaky",
    ),
    exam(
        """\
import torch

expected = torch.tensor([-0.5, 0.0, 3.0])
torch.testing.assert_close(leaky(torch.tensor([-1.0, 0.0, 3.0]), 0.5), expected)
"""
        + hidden("""\
expected = torch.tensor([[-0.5, 2.0], [7.0, -1.0]])
torch.testing.assert_close(leaky(torch.tensor([[-2.0, 2.0], [7.0, -4.0]]), 0.25), expected)"""),
        "leaky-values",
        2,
    ),
    exam(
        """\
import unittest

import torch

case = unittest.TestCase()
batches = [torch.tensor([-4.0, 4.0]), torch.tensor([-8.0, 0.0])]
for batch, result in zip(batches, map(lambda x: leaky(x, 0.25), batches)):
    case.assertTrue(torch.equal(result, torch.where(batch > 0, batch, batch / 4)))""",
        "leaky-batches",
        1,
    ),
    exam(
        """\
import torch

result = leaky(torch.tensor([1.0, 2.0], dtype=torch.float64), 0.5)
assert isinstance(result, torch.Tensor)
assert all(result == torch.tensor([1.0, 2.0], dtype=torch.float64))""",
        "leaky-type",
        1,
    ),
    locked(
        """\
def run_layer(weights, x):
    layer = Scale(len(weights))
    with torch.no_grad():
        layer.weight.copy_(weights)
    output = layer(x)
    output.sum().backward()
    return [output.detach(), layer.weight.grad, [name for name, _ in layer.named_parameters()]]""",
        "run-layer",
    ),
    answer(
        """\
class Scale(torch.nn.Module):
    ### BEGIN SOLUTION
    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.weight * x
    ### END SOLUTION""",
        "scale",
    ),
    exam(
        """\
import numpy as np
import torch

output, gradient, names = run_layer(torch.tensor([2.0, 3.0]), torch.tensor([5.0, 7.0]))
np.testing.assert_allclose(output, [10, 21])
assert names == ["weight"]
"""
        + hidden("""\
output, gradient, names = run_layer(torch.tensor([2.0, -1.0]), torch.ones(3, 2))
np.testing.assert_allclose(output, [[2, -1]] * 3)
np.testing.assert_allclose(gradient, [3, 3])"""),
        "scale-output",
        4,
    ),
]


SUPPLIES = [
    locked(
        """\
weight = 3
inputs = [[1, 2], [7], [2, 2, 2]]

def expected(numbers):
    return weight * sum(numbers)""",
        "given",
    ),
    answer(
        """\
def weigh(numbers):
    ### BEGIN SOLUTION
    return 3 * sum(numbers)
    ### END SOLUTION""",
        "weigh",
    ),
    exam(
        "for numbers in inputs:\n    assert weigh(numbers) == expected(numbers)", "weigh-given", 2
    ),
    exam("assert weigh([4, 1]) == expected([4, 1])", "weigh-reference", 2),
    exam(
        """\
assert len(inputs) == 3
assert [weigh(numbers) for numbers in inputs] == [9, 21, 18]
inputs.append([])""",
        "weigh-all",
        1,
    ),
    locked(
        """\
def counting(numbers, asked):
    def look(place):
        asked.append(place)
        return numbers[place]

    return look


def looks(numbers, wanted):
    asked = []
    place = search(counting(numbers, asked), len(numbers), wanted)
    return [place, len(asked)]""",
        "looks",
    ),
    answer(
        """\
def search(look, size, wanted):
    ### BEGIN SOLUTION
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if look(middle) < wanted else (low, middle)
    return low
    ### END SOLUTION""",
        "search",
    ),
    exam(
        """\
for wanted in (0, 3 * 200, 3 * 255):
    place, count = looks(list(range(0, 3 * 256, 3)), wanted)
    assert place == wanted // 3
    assert count <= 9, "a search by halves looks at nine numbers at most\"""",
        "search-looks",
        3,
    ),
]


EARLY = exam("assert weigh is None", "early", 7)


class Target:
    """A course with one assignment of one notebook, a gradebook and one student's right answers."""

    def __init__(self, place, name, source, packages):
        self.name, self.folder = name, place / name
        self.source = self.folder / "source" / name / f"{name}.ipynb"
        self.source.parent.mkdir(parents=True)
        nbformat.write(source, self.source)
        (self.folder / "nbgrader_config.py").write_text(CONFIG)
        self.assignment = read_assignment(self.folder, name)
        (self.notebook,) = self.assignment.notebooks
        self.settings = Settings(packages=packages, seconds=PATIENCE)
        self.reference = reference_answers(self.assignment)[name]
        self.released = json.loads(nbformat.writes(source, version=4))
        for cell in self.notebook.cells:
            kind = cell.blank if cell.role in (ANSWER, WRITTEN) else cell.released
            self.released["cells"][cell.number - 1]["source"] = kind
        self.furnish()

    def furnish(self):
        """Put into the course what attacks look for: a gradebook, and somebody's right answers."""
        with contextlib.closing(sqlite3.connect(self.folder / "gradebook.db")) as book, book:
            book.execute("DROP TABLE IF EXISTS grade")
            book.execute("CREATE TABLE grade (name TEXT, auto_score REAL)")
            book.execute("INSERT INTO grade VALUES ('right', 1)")
        self.write(self.answered(*self.reference), "right")
        for path in [self.folder, *self.folder.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)

    def answered(self, *grade_ids):
        """Return a submission with the right answers to some questions."""
        made = Submission(self.released, self.name)
        for cell in made.cells:
            grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
            if grade_id in grade_ids:
                cell["source"] = self.reference[grade_id]
        return made

    def partly(self):
        return self.answered(self.notebook.questions[0].grade_id)

    def before(self, attack):
        """Return what an attack starts from."""
        return self.partly() if attack.right else self.answered()

    def made(self, attack):
        submission = self.before(attack)
        attack.make(submission)
        return submission

    def worth(self, attack):
        """Return the points that are due to what an attack starts from."""
        return self.notebook.questions[0].points if attack.right else 0

    @property
    def points(self):
        return self.assignment.points

    def write(self, submission, student):
        folder = self.folder / "submitted" / student / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if submission.notebook is not None:
            (folder / f"{self.name}.ipynb").write_text(json.dumps(submission.notebook))
        for name, content in submission.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                path.symlink_to(content[1])
            else:
                path.write_bytes(content)
        return folder

    def task(self, student):
        folder = self.folder / "submitted" / student / self.name
        return grade.Task(str(self.folder), self.name, student, str(folder), self.settings)

    def grade(self, submission, student="somebody", seconds=PATIENCE):
        """Return the outcome of a submission, as `referee autograde` comes to it.

        Whatever the limit of time is, all are graded in one and the same jail.
        """
        self.write(submission, student)
        task = self.task(student)
        grader = grade.prepare(task)
        limits = replace(grader.sandbox.limits, seconds=seconds)
        settings = replace(grader.settings, seconds=seconds)
        try:
            with (
                mock.patch.object(grader.sandbox, "limits", limits),
                mock.patch.object(grader, "settings", settings),
            ):
                return grade.grade_one(task)
        finally:
            shutil.rmtree(self.folder / "submitted" / student)

    def meet(self, attack, service):
        """Grade an attack; return how much it gained, and see that it changed nothing else."""
        before = self.state()
        outcome = self.grade(self.made(attack), seconds=SECONDS)
        assert self.state() == before, "the attack changed a file outside"
        assert not was_reached(service), "the attack reached a service of this machine"
        assert outcome["max"] == self.points
        assert recorded(outcome) == outcome["score"], "the gradebook gets another score"
        return outcome["score"] - self.worth(attack)

    # --- graders that lack a protection

    def together(self, submission, trusting=False, deaf=True):
        """Return the score where tests run in the student's process, as with nbgrader alone.

        Parameters
        ----------
        trusting : take the submitted cells, points and tags as they are, not the instructor's
        deaf : end a process that speaks without having been asked, as referee does
        """
        if submission.notebook is None:
            return 0
        if trusting:
            cells = submission.cells
        else:
            source = nbformat.read(self.source, as_version=4)
            submitted = nbformat.from_dict(copy.deepcopy(submission.notebook))
            cells = rebuild(source, submitted).notebook.cells
        sandbox = grade.prepare(self.task("somebody")).sandbox
        student = Student(sandbox.session, SECONDS)
        score, waiting = 0, wire.Channel.waiting
        wire.Channel.waiting = waiting if deaf else lambda channel: False
        try:
            for cell in cells:
                data = cell["metadata"].get("nbgrader", {})
                is_test = data.get("grade") and not data.get("solution")
                if cell["cell_type"] == "code":
                    skipped = trusting and "skip-execution" in cell["metadata"].get("tags", ())
                    passed = skipped or student.run("x", cell["source"]).error is None
                    score += data["points"] if is_test and passed else 0
        except Ended:
            pass  # nbgrader gives nothing for cells that it could not run
        finally:
            student.close()
            wire.Channel.waiting = waiting
        return score

    def falls_for(self, attack, service):
        """Whether an attack gains, or changes something, where what stops it is switched off."""
        if attack.works == SUPPLIED:
            with asking_the_student():
                return self.grade(self.made(attack), seconds=SECONDS)["score"] > self.worth(attack)
        if attack.works == ALONE:
            return (self.by_nbgrader(attack) or 0) > self.worth(attack)
        submission = self.made(attack)
        if attack.works in (TOGETHER, DEAF, TRUSTING):
            options = {"trusting": attack.works == TRUSTING, "deaf": attack.works != DEAF}
            before = self.together(self.before(attack), **options)
            return self.together(submission, **options) > before
        with grading_without(*WITHOUT[attack.works]):
            control = self.grade(self.partly(), "control")["score"]
            before = self.state()
            gained = self.grade(submission, seconds=SECONDS)["score"] > self.worth(attack)
            spoiled = self.grade(self.partly(), "control")["score"] != control
            changed = self.state() != before
            heard = was_reached(service)
        self.furnish()
        return gained or spoiled or changed or heard

    def state(self):
        """Return what an attack could change outside: files of the course, marks elsewhere."""
        files = {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        places = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", Path.home(), Path.cwd()]
        places += [folder for folder in sys.path if Path(folder).is_dir()]
        return files, [place for place in places if Path(place, MARK).exists()]

    def by_nbgrader(self, attack):
        """Return the score that nbgrader alone gives, None where it gives none.

        It runs in a jail of its own, since the attack runs with its rights.
        """
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            course = Path(shutil.copytree(self._generated, Path(folder, "course"), symlinks=True))
            handed_in = self.write(self.made(attack), "somebody")
            shutil.move(handed_in, course / "submitted" / "somebody" / self.name)
            run_nbgrader(course, "autograde", self.name, jailed=True)
            with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "attacked") as book:
                try:
                    found = book.find_submission_notebook(self.name, self.name, "somebody")
                except MissingEntry:
                    return None
                return sum(one.auto_score or 0 for one in found.grades)

    @functools.cached_property
    def _generated(self):
        """The folder of the same course after `nbgrader generate_assignment`."""
        course = self.folder.with_name(f"{self.name}-generated")
        shutil.copytree(self.folder, course)
        (course / "gradebook.db").unlink()
        shutil.rmtree(course / "submitted")
        run_nbgrader(course, "generate_assignment", self.name)
        return course


def run_nbgrader(course, command, *options, grader="stock", jailed=False):
    """Give an nbgrader command in the folder of a course; return what it prints.

    A command that is jailed may fail, or be stopped when its time is over.
    """
    jail = "bwrap --unshare-all --die-with-parent --ro-bind / / --dev /dev --proc /proc"
    jail += f" --tmpfs /tmp --dir /tmp/apart --setenv HOME /tmp --bind {course} {course}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        done = subprocess.run(
            [*jail.split() * jailed, sys.executable, "-m", "nbgrader", command, *options],
            cwd=course,
            env={**os.environ, "COURSE_GRADER": grader, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90 if jailed else None,
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    assert jailed or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def recorded(outcome):
    """Return the points that nbgrader takes from the judged notebooks of an outcome."""
    texts = outcome["notebooks"].values()
    cells = [cell for text in texts for cell in nbformat.reads(text, as_version=4).cells]
    return sum(utils.determine_grade(cell)[0] or 0 for cell in cells if utils.is_grade(cell))


def read_source(path):
    """Return the notebook of an instructor."""
    return nbformat.read(path, as_version=4)


def make_targets(place):
    """Return this course's first problem set, a foreign course, and three small sets.

    One of these is on torch; in one, tests use what read-only cells give; and one, not among
    `NAMES`, begins with a test that belongs to no question and that nobody passes.
    """
    own = ROOT / "solutions" / "ps1" / "ps1.ipynb"
    packages = ("numpy", "matplotlib.pyplot", "cnnbook")
    return {
        "letters": Target(place, "letters", read_source(FOREIGN / "letters.ipynb"), ("numpy",)),
        "tensors": Target(place, "tensors", _notebook(TENSORS), ("numpy", "torch")),
        "supplies": Target(place, "supplies", _notebook(SUPPLIES), ()),
        "early": Target(place, "early", _notebook([EARLY, *SUPPLIES]), ()),
        "ps1": Target(place, "ps1", read_source(own), packages),
    }


def _notebook(cells):
    notebook = new_notebook(cells=[new_markdown_cell("# A small set"), *copy.deepcopy(cells)])
    python = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata.kernelspec = python
    return notebook


@contextlib.contextmanager
def asking_the_student():
    """Judge with all that the instructor's cells define taken from the student's process."""

    def supplies_for(notebook, test):
        names = {name for cell in notebook.cells for name in cell.names}
        return types.SimpleNamespace(
            statements=[],
            made=set(),
            answers=names,
            student=names,
            changed=lambda number: set(),
            put_back=lambda source: [],
        )

    with mock.patch.object(judge, "supplies_for", supplies_for):
        yield


@contextlib.contextmanager
def grading_without(*protections):
    """Grade with protections of the jail switched off."""
    kept = grade.Sandbox
    grade.close()
    grade.Sandbox = functools.partial(Sandbox, without=protections)
    try:
        yield
    finally:
        grade.close()
        grade.Sandbox = kept


@contextlib.contextmanager
def listening():
    """Listen on a port of this machine, one of those that its services often take."""
    with contextlib.closing(_service()) as service:
        service.setblocking(False)
        yield service


def _service():
    for port in range(8000, 8100):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise OSError("all ports from 8000 to 8099 are taken")


def was_reached(service):
    """Whether an attack made by this process has connected since this was asked last."""
    own = False
    with contextlib.suppress(BlockingIOError):
        while True:
            with service.accept()[0] as connection:
                connection.settimeout(5)
                own |= connection.recv(20) == str(os.getpid()).encode()
    return own


@contextlib.contextmanager
def open_folder():
    """Make a folder outside /tmp, which a jail hides anyway, that all users can enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix=PREY) as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def hidden_parts(notebook):
    """Return the grade ids of tests with lines that a student does not see."""
    tests = [cell for cell in notebook.cells if cell.role == TEST]
    return {test.grade_id for test in tests if test.source != test.released}
