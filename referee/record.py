"""The one writer: puts what became of a submission into the gradebook and the autograded folder.

A submission counts as graded once its autograded folder is in place. So a record is written in
an order that is safe to break off anywhere; whoever runs again then grades that submission anew
and writes the same again:

1. the new folder is written beside the place, under a name that nbgrader does not look at;
2. the old folder, if there is one, is moved away: from here on the submission is ungraded;
3. scores, comments and the late penalty go to the gradebook in one transaction;
4. the new folder gets its name: from here on the submission is graded.

Scores follow nbgrader's own rules, by its own code: a manual grade, a manual comment and extra
credit stay, and a late penalty comes from the plugin that the course chose. Preprocessors that a
course added to `Autograde.autograde_preprocessors` run on the notebook before it is written.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades
from traitlets.utils.importstring import import_item

from referee.edition import mark, read_marks
from referee.intake import TIMESTAMP, read_timestamp
from referee.receipt import SECRET

NEW, OLD = "referee-new", "referee-old"


class Recorder:
    """Writes for one assignment.

    Parameters
    ----------
    converter : nbgrader's Autograde object, whose folders, options and preprocessors are used
    assignment : Assignment, from which the files beside the notebooks are copied
    edition : what `referee.edition.edition` gives for it
    """

    def __init__(self, converter, assignment, edition=""):
        self.edition = edition
        self.converter, self.coursedir = converter, converter.coursedir
        self.assignment, self.name = assignment, assignment.name

    def place(self, student):
        """Return the autograded folder of a student's submission."""
        path = self.coursedir.format_path(self.coursedir.autograded_directory, student, self.name)
        return Path(os.path.normpath(path))

    def gradebook(self):
        """Open the gradebook.

        Raises
        ------
        ValueError
            If it is a file that does not exist.
        """
        url, prefix = self.coursedir.db_url, "sqlite:///"
        if url.startswith(prefix) and not Path(url.removeprefix(prefix)).exists():
            path = url.removeprefix(prefix)
            raise ValueError(
                f"there is no gradebook {path}; run `nbgrader generate_assignment {self.name}`"
            )
        return Gradebook(url, self.coursedir.course_id)

    def check_gradebook(self, sources):
        """Make sure that the gradebook knows the assignment as it is now.

        Parameters
        ----------
        sources : dict from names of notebooks to the instructor's notebooks

        Raises
        ------
        ValueError
            If it does not: what differs, and the command to run.
        """
        command = f"run `nbgrader generate_assignment {self.name}"
        with self.gradebook() as gradebook:
            try:
                known = gradebook.find_assignment(self.name).notebooks
            except MissingEntry:
                raise ValueError(
                    f"the gradebook does not know the assignment {self.name!r}; {command}`"
                ) from None
            recorded = {notebook.name: _recorded_cells(notebook) for notebook in known}
        wanted = {name: _source_cells(source) for name, source in sources.items()}
        if recorded != wanted:
            what = _difference(wanted, recorded)
            raise ValueError(
                f"{self.name} changed since it was generated: {what}; {command} --force`"
            )

    def is_graded(self, gradebook, student, folder):
        """Whether a submission was graded, and has no newer time stamp than then."""
        place = self.place(student)
        if not place.is_dir():
            return False
        try:
            gradebook.find_submission(self.name, student)
        except MissingEntry:
            return False
        new, old = read_timestamp(folder)[0], read_timestamp(place)[0]
        return new is None or (old is not None and new <= old)

    def is_up_to_date(self, student):
        """Whether a submission that was graded was so by this edition of the assignment."""
        return read_marks(self.place(student)) == {self.edition}

    def recorded_scores(self, gradebook, student):
        """Return the automatic scores of the tests, as (grade id, score, points)."""
        submission = gradebook.find_submission(self.name, student)
        return [
            (grade.name, grade.auto_score or 0.0, grade.max_score)
            for notebook in sorted(submission.notebooks, key=lambda notebook: notebook.name)
            for grade in notebook.grades
            if grade.name in self._tests(notebook.name)
        ]

    def _tests(self, name):
        for notebook in self.assignment.notebooks:
            if notebook.name == name:
                return [test.grade_id for test in notebook.tests]
        return []

    @contextlib.contextmanager
    def lock(self):
        """Keep other runs in this course from writing at the same time."""
        descriptor = os.open(self.coursedir.root, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def sweep(self, students):
        """Remove what runs that were killed left beside the autograded folders."""
        with self.lock():
            for student in students:
                for path in _beside(self.place(student)):
                    shutil.rmtree(path, ignore_errors=True)

    def record(self, student, receipt, notebooks):
        """Record a submission.

        Parameters
        ----------
        student : name of the student
        receipt : Receipt
        notebooks : dict from names to judged notebooks

        Raises
        ------
        ValueError
            If the gradebook does not know the student, and unknown students are not to be added.
        """
        notebooks = {
            name: self._preprocess(notebook, self._resources(student, name))
            for name, notebook in notebooks.items()
        }
        with self.lock(), self.gradebook() as gradebook:
            place = self.place(student)
            new, old = _beside(place)
            for path in (new, old):
                shutil.rmtree(path, ignore_errors=True)
            self.stage(new, receipt, notebooks)
            self.retire(place, old)
            try:
                with transaction(gradebook):
                    self.save(gradebook, student, receipt.time, notebooks)
            except BaseException:
                if old.exists():
                    old.rename(place)
                shutil.rmtree(new, ignore_errors=True)
                raise
            self.publish(new, place)
            shutil.rmtree(old, ignore_errors=True)

    def stage(self, new, receipt, notebooks):
        """Write the new folder.

        It always holds nbgrader's two files: `nbgrader release_feedback` stops for the whole
        class where one is missing.
        """
        new.mkdir(parents=True)
        self.assignment.copy_files(new)
        for name, notebook in notebooks.items():
            mark(notebook, self.edition)
            text = nbformat.writes(notebook, version=4) + "\n"
            (new / f"{name}.ipynb").write_bytes(text.encode("utf-8", "replace"))
        text = receipt.time.strftime("%Y-%m-%d %H:%M:%S.%f UTC") if receipt.time else ""
        (new / TIMESTAMP).write_text(text, encoding="ascii")
        (new / SECRET).write_text(receipt.secret, encoding="ascii")
        mode = int(str(self.converter.permissions), 8)
        for path in [new, *new.rglob("*")]:
            if not path.is_dir():
                path.chmod(mode)
            elif self.coursedir.groupshared:
                path.chmod(path.stat().st_mode | 0o2770)

    def retire(self, place, old):
        """Move the old folder away."""
        if place.exists():
            place.rename(old)

    def publish(self, new, place):
        """Give the new folder its name."""
        new.rename(place)

    def save(self, gradebook, student, timestamp, notebooks):
        """Put scores, comments and the late penalty into the gradebook."""
        if self.converter.create_student:
            gradebook.update_or_create_student(student)
        else:
            try:
                gradebook.find_student(student)
            except MissingEntry:
                raise ValueError(f"the gradebook has no student {student!r}") from None
        times = {"timestamp": timestamp} if timestamp else {}
        submission = gradebook.update_or_create_submission(self.name, student, **times)
        for name, notebook in notebooks.items():
            saver = SaveAutoGrades(parent=self.converter)
            saver.gradebook = gradebook
            saver.notebook_id, saver.assignment_id, saver.student_id = name, self.name, student
            for index, cell in enumerate(notebook.cells):
                data = cell.metadata.get("nbgrader", {})
                if utils.is_solution(cell) or utils.is_task(cell):
                    source = gradebook.find_source_cell(data["grade_id"], name, self.name)
                    data["checksum"] = source.checksum
                saver.preprocess_cell(cell, {}, index)
            self._save_penalty(gradebook, submission, student, name)

    def _save_penalty(self, gradebook, submission, student, name):
        notebook = gradebook.find_submission_notebook(name, self.name, student)
        notebook.late_submission_penalty = None
        if submission.total_seconds_late > 0:
            late = AssignLatePenalties(parent=self.converter)
            late.init_plugin()
            penalty = late.plugin_inst.late_submission_penalty(
                student, notebook.score, submission.total_seconds_late
            )
            if penalty is not None:
                notebook.late_submission_penalty = late._check_late_penalty(notebook, penalty)

    def _resources(self, student, name):
        ids = {"student": student, "assignment": self.name, "notebook": name}
        return {"nbgrader": {**ids, "db_url": self.coursedir.db_url}, "unique_key": name}

    def _preprocess(self, notebook, resources):
        """Run the preprocessors that the course added to nbgrader's own."""
        done = type(self.converter).autograde_preprocessors.default_args[0]
        for entry in self.converter.autograde_preprocessors:
            kind = import_item(entry) if isinstance(entry, str) else entry
            if kind not in done:
                preprocessor = kind(parent=self.converter) if isinstance(kind, type) else kind
                notebook, resources = preprocessor(notebook, resources)
        return notebook


@contextlib.contextmanager
def transaction(gradebook):
    """Make one transaction of what nbgrader's methods do, each of which commits."""
    session = gradebook.db
    commit = session.commit

    def hold():
        session.flush()
        session.expire_all()

    session.commit = hold
    try:
        with session.no_autoflush:
            yield
        commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.commit


def _beside(place):
    return [place.with_name(f".{place.name}.{name}") for name in (NEW, OLD)]


def _source_cells(source):
    cells = {}
    for cell in source.cells:
        data = cell.metadata.get("nbgrader", {})
        if utils.is_grade(cell) or utils.is_task(cell):
            cells[data["grade_id"]] = float(data["points"])
        elif utils.is_solution(cell):
            cells[data["grade_id"]] = None
    return cells


def _recorded_cells(notebook):
    cells = {cell.name: None for cell in notebook.solution_cells}
    graded = [*notebook.grade_cells, *notebook.task_cells]
    return cells | {cell.name: float(cell.max_score) for cell in graded}


def _difference(wanted, recorded):
    """Say in one line how two dicts of dicts of points differ."""
    for name in sorted({*wanted, *recorded}):
        if name not in recorded:
            return f"the gradebook lacks the notebook {name}"
        if name not in wanted:
            return f"the notebook {name} is in the gradebook only"
        new, old = wanted[name], recorded[name]
        for grade_id in sorted({*new, *old}):
            if grade_id not in old:
                return f"the gradebook lacks the cell {grade_id}"
            if grade_id not in new:
                return f"the cell {grade_id} is in the gradebook only"
            if new[grade_id] != old[grade_id]:
                points = [_points(cells[grade_id]) for cells in (new, old)]
                return f"{grade_id} gives {points[0]}, and {points[1]} in the gradebook"
    return ""


def _points(value):
    return "no points" if value is None else f"{value:g} points"
