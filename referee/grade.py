"""Grades one submission: from the submitted folder to scores, reasons and judged notebooks.

`grade_one` depends on its task and the instructor's files only, writes nothing, and gives plain
data. So it can be repeated, and run in any process on any machine that sees the course's folder.
What one submission after another needs (the jail with its packages loaded, the instructor's
notebooks, what misconceptions give) is kept between calls.
"""

import functools
import re
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from referee import feedback, intake
from referee.assignment import read_assignment, read_config
from referee.explain import Explainer
from referee.judge import Verdict, judge
from referee.receipt import read_receipt
from referee.sandbox import Limits, Sandbox
from referee.settings import Settings
from referee.student import Student

GRADED, UNREADABLE, MISSING = "graded", "unreadable", "missing"
ORDER = (GRADED, MISSING, UNREADABLE)
JUDGING = "judging"
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
LONGEST_REASON = 300


@dataclass(frozen=True)
class Task:
    """A submission to be graded: plain data. `course` and `folder` are absolute paths."""

    course: str
    assignment: str
    student: str
    folder: str
    settings: Settings

    def to_dict(self):
        return asdict(self)

    @classmethod
    def from_dict(cls, data):
        return cls(**{**data, "settings": Settings(**data["settings"])})


def grade_one(task):
    """Grade a submission.

    Returns
    -------
    dict of plain data: what `outcome.schema.json` describes, and

    - `notebooks`, a dict from names to the judged notebooks as JSON text;
    - `receipt`, as `referee.receipt.Receipt.to_dict` gives it;
    - `problem`, why misconceptions cannot be explained, empty if they can.
    """
    return prepare(task).grade(task)


def prepare(task):
    """Return what grades the tasks of the same assignment and settings, jail included.

    Raises
    ------
    ValueError
        If the assignment cannot be read.
    CannotJail
        If this machine cannot jail, and the settings do not say that it need not.
    """
    return _grader(task.course, task.assignment, *_key(task.settings))


def read_sources(assignment):
    """Return the instructor's notebooks as they are on disk, by name."""
    return {
        notebook.name: nbformat.read(assignment.folder / f"{notebook.name}.ipynb", as_version=4)
        for notebook in assignment.notebooks
    }


def close():
    """End what is kept between calls."""
    for grader in _graders:
        grader.close()
    _graders.clear()
    _grader.cache_clear()


_graders = []


def _key(settings):
    forbidden = tuple(sorted((name, tuple(calls)) for name, calls in settings.forbidden.items()))
    return settings.packages, settings.seconds, settings.memory, settings.unsafe, forbidden


@functools.cache
def _grader(course, name, packages, seconds, memory, unsafe, forbidden):
    calls = {grade_id: list(names) for grade_id, names in forbidden}
    settings = Settings(packages, seconds, memory, unsafe, calls)
    grader = _Grader(course, name, settings)
    _graders.append(grader)
    return grader


class _Grader:
    def __init__(self, course, name, settings):
        self.settings = settings
        self.config = read_config(course)
        self.assignment = read_assignment(course, name)
        self.sources = read_sources(self.assignment)
        self.files = _files(self.assignment)
        self.memory = int(settings.memory * 2**20)
        limits = Limits(seconds=settings.seconds, memory=self.memory)
        self.sandbox = Sandbox(settings.packages, limits, unsafe=settings.unsafe)
        cases, folder = self.assignment.cases, self.assignment.folder
        # Files that find no room, or a jail that cannot be entered, concern everybody.
        self.sandbox.session(self.files).close()
        self.explainers = {
            notebook.name: Explainer(notebook, cases, folder)
            for notebook in self.assignment.notebooks
        }

    def close(self):
        self.sandbox.close()
        for explainer in self.explainers.values():
            explainer.close()

    def grade(self, task):
        phases = _Phases()
        receipt = read_receipt(task.folder)
        names = [notebook.name for notebook in self.assignment.notebooks]
        with phases("intake"):
            try:
                paths, found = intake.find(task.folder, names)
                said, absent = [_note(note) for note in found], MISSING
            except intake.Unreadable as error:
                paths, said, absent = {}, [str(error)], UNREADABLE
        done = [
            self._grade_notebook(notebook, paths.get(notebook.name), said, absent, phases)
            for notebook in self.assignment.notebooks
        ]
        questions = [question for one in done for question in one.questions]
        reasons = [reason for one in done for reason in one.reasons]
        return {
            "student": task.student,
            "assignment": self.assignment.name,
            "outcome": max((one.outcome for one in done), key=ORDER.index),
            "reason": _line("; ".join(dict.fromkeys(reason.rstrip(".") for reason in reasons))),
            "score": sum(question["score"] for question in questions),
            "max": sum(question["max"] for question in questions),
            "questions": questions,
            "phases": phases.seconds,
            "notebooks": {one.name: nbformat.writes(one.notebook, version=4) for one in done},
            "receipt": receipt.to_dict(),
            "problem": next(filter(None, (e.problem for e in self.explainers.values())), ""),
        }

    def _grade_notebook(self, notebook, path, said, absent, phases):
        """Grade one notebook; `said` is told to the student, `absent` the outcome without it."""
        outcome, why = GRADED, ""
        with phases("intake"):
            submitted = new_notebook()
            if path is None:
                outcome, why = absent, " ".join(said)
            else:
                try:
                    submitted = intake.read(path)
                except intake.Unreadable as error:
                    outcome, why = UNREADABLE, str(error)
            taken = intake.rebuild(self.sources[notebook.name], submitted, self.config)
        if outcome == GRADED:
            said = [*said, *map(_note, taken.notes)]
            verdicts, findings = self._judge(notebook, taken.notebook, phases)
        else:
            said = list(dict.fromkeys([*said, why]))
            verdicts = [
                Verdict(test.grade_id, 0.0, test.points, reason=why) for test in notebook.tests
            ]
            findings = {}
        with phases("feedback"):
            _fill(taken.notebook, verdicts, findings, said)
        reasons = [verdict.reason for verdict in verdicts if verdict.reason]
        reasons += _merged(taken.notes, said) if outcome == GRADED else said
        questions = [
            _question(verdict, findings.get(verdict.grade_id))
            for verdict in verdicts
            if verdict.score is not None
        ]
        return _Graded(notebook.name, taken.notebook, outcome, reasons, questions)

    def _judge(self, notebook, rebuilt, phases):
        folder = self.assignment.folder
        student = Student(lambda: self.sandbox.session(self.files), self.settings.seconds)
        try:
            with phases("judge"):
                verdicts = judge(
                    rebuilt,
                    notebook,
                    student,
                    self.settings.seconds,
                    folder=folder,
                    memory=self.memory,
                    forbidden=self.settings.forbidden,
                )
        finally:
            student.close()
        if not any(verdict.lost for verdict in verdicts):
            return verdicts, {}
        with phases("explain"):
            return verdicts, self.explainers[notebook.name].explain(verdicts)


@dataclass
class _Graded:
    name: str
    notebook: nbformat.NotebookNode
    outcome: str
    reasons: list[str]
    questions: list[dict]


class _Phases:
    """Adds up the seconds that each phase takes."""

    def __init__(self):
        self.seconds = defaultdict(float)

    @contextmanager
    def __call__(self, name):
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds[name] + time.perf_counter() - start, 4)


def _files(assignment):
    """Return what the student's code finds beside itself, by relative path."""
    with tempfile.TemporaryDirectory(prefix="referee-") as folder:
        assignment.copy_files(folder)
        paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        files = {path.relative_to(folder): path.read_bytes() for path in paths}
    return {path.as_posix(): data for path, data in files.items() if JUDGING not in path.parts}


def _fill(notebook, verdicts, findings, notes):
    """Put the feedback into a rebuilt notebook."""
    by_id = {verdict.grade_id: verdict for verdict in verdicts}
    for cell in notebook.cells:
        verdict = by_id.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if verdict is not None and cell.cell_type == "code":
            cell.outputs = feedback.outputs(verdict, findings.get(verdict.grade_id))
    if notes:
        lines = ["- " + PUNCTUATION.sub(r"\\\1", " ".join(note.split())) for note in notes]
        text = "**How this notebook was read**\n\n" + "\n".join(lines)
        notebook.cells.insert(0, new_markdown_cell(text, id="referee-notes"))


def _merged(notes, said):
    """Return what is said in order, notes that differ in their cell only as one."""
    cells = {}
    for note in notes:
        if note.grade_id:
            cells.setdefault(note.message.replace(note.grade_id, ""), []).append(note)
    others = {_note(note) for same in cells.values() for note in same[1:]}
    more = {_note(same[0]): f" (and {len(same) - 1} more)" for same in cells.values() if same[1:]}
    return [text.rstrip(".") + more.get(text, "") for text in said if text not in others]


def _note(note):
    return f"{note.grade_id}: {note.message}" if note.grade_id else note.message


def _question(verdict, finding):
    return {
        "grade_id": verdict.grade_id,
        "score": verdict.score,
        "max": verdict.max,
        "reason": _line(verdict.reason or verdict.check),
        "misconception": finding.explanation if finding else "",
    }


def _line(text):
    text = feedback.inert(" ".join(text.split()))
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"
