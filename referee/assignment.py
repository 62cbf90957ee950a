"""Reads an assignment of an nbgrader course: its questions, their parts, what a student gets.

A question is an answer cell and the test cells that follow it up to the next answer cell. Its
parts are those test cells.
"""

import ast
import copy
import logging
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nbgrader import nbgraderformat, utils
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

ANSWER, TEST, WRITTEN, READ_ONLY, PLAIN = "answer", "test", "written", "read-only", "plain"
CASES = "cases.py"
CONFIG = "nbgrader_config.py"


@dataclass(frozen=True)
class Cell:
    """A code cell, or an answer that a person grades.

    `number` counts all cells of the notebook from 1; `blank` and `released` are the sources
    that a student gets: answers cleared, hidden tests removed.
    """

    number: int
    role: str
    source: str
    blank: str
    released: str
    grade_id: str
    points: float

    @cached_property
    def tree(self):
        """The syntax tree, or None where the cell is not plain Python."""
        try:
            return ast.parse(self.source)
        except SyntaxError:
            return None

    @cached_property
    def definitions(self):
        """Functions and classes of the cell's top level, by name."""
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        body = self.tree.body if self.tree else []
        return {node.name: node for node in body if isinstance(node, kinds)}

    @cached_property
    def names(self):
        """What the cell's top level defines or assigns."""
        names = set(self.definitions)
        for node in self.tree.body if self.tree else []:
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                walked = (n for target in targets for n in ast.walk(target))
                names |= {n.id for n in walked if isinstance(n, ast.Name)}
        return names


@dataclass
class Question:
    answer: Cell
    tests: list[Cell] = field(default_factory=list)

    @property
    def grade_id(self):
        return self.answer.grade_id

    @property
    def points(self):
        return sum(test.points for test in self.tests)


@dataclass
class Notebook:
    name: str
    cells: list[Cell]

    @cached_property
    def questions(self):
        questions = []
        for cell in self.cells:
            if cell.role == ANSWER:
                questions.append(Question(cell))
            elif cell.role == TEST and questions:
                questions[-1].tests.append(cell)
        return questions

    @property
    def tests(self):
        """All test cells, those of no question too: each gives points."""
        return [cell for cell in self.cells if cell.role == TEST]

    @property
    def written(self):
        return [cell for cell in self.cells if cell.role == WRITTEN]

    @property
    def orphans(self):
        """Test cells before the first answer cell, which belong to no question."""
        numbers = [question.answer.number for question in self.questions]
        first = min(numbers, default=float("inf"))
        return [cell for cell in self.tests if cell.number < first]


@dataclass
class Assignment:
    name: str
    folder: Path
    notebooks: list[Notebook]
    ignore: list[str]

    @property
    def cases(self):
        return self.folder / CASES

    @property
    def questions(self):
        return [question for notebook in self.notebooks for question in notebook.questions]

    @property
    def points(self):
        """The points that tests can give."""
        return sum(test.points for notebook in self.notebooks for test in notebook.tests)

    def copy_files(self, destination):
        """Copy what a student's notebook finds beside itself: no cases, no notebooks."""
        self._copy(destination, *self.ignore)

    def copy_files_of_tests(self, destination):
        """Copy what test cells find beside themselves: that, and data that students never get."""
        self._copy(destination)

    def _copy(self, destination, *ignored):
        ignore = shutil.ignore_patterns(*ignored, CASES, "*.ipynb")
        shutil.copytree(self.folder, destination, ignore=ignore, dirs_exist_ok=True)


def read_config(course):
    """Return the nbgrader configuration of a course folder.

    Raises
    ------
    ValueError
        If there is no such folder, or its configuration cannot be loaded.
    """
    course = Path(course)
    if not course.is_dir():
        raise ValueError(f"course folder {course} does not exist")
    if not (course / CONFIG).exists():
        return Config()
    try:
        return PyFileConfigLoader(CONFIG, path=str(course)).load_config()
    except Exception as error:
        raise ValueError(f"{CONFIG} cannot be loaded: {type(error).__name__}: {error}") from error


def read_assignment(course, name):
    """Read the source of an assignment.

    Parameters
    ----------
    course : path of the folder that holds `nbgrader_config.py`
    name : name of the assignment

    Raises
    ------
    ValueError
        If there is no such course or assignment, or a notebook is not a valid nbgrader one.
    """
    config = read_config(course)
    directory = CourseDirectory(config=config, root=str(Path(course).resolve()))
    folder = Path(directory.format_path(directory.source_directory, ".", name)).resolve()
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        known = sorted({path.parent.name for path in folder.parent.glob("*/*.ipynb")})
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise ValueError(f"no assignment {name!r}: {folder} holds no notebook; {there}")
    notebooks = [_read_notebook(path, config) for path in paths]
    return Assignment(name, folder, notebooks, list(directory.ignore))


def _read_notebook(path, config):
    try:
        notebook = nbgraderformat.read(str(path), as_version=4)
    except Exception as error:
        raise ValueError(f"{path} is not a valid nbgrader notebook: {error}") from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise ValueError(f"{path} is written in {language}; only Python can be checked")
    blank = _cleared(notebook, ClearSolutions(config=config), path)
    released = _cleared(notebook, ClearHiddenTests(config=config), path)
    cells = []
    for number, cell in enumerate(notebook.cells, start=1):
        role = _role(cell)
        if role is not None:
            data = cell.metadata.get("nbgrader", {})
            cells.append(
                Cell(
                    number=number,
                    role=role,
                    source=cell.source,
                    blank=blank.cells[number - 1].source,
                    released=released.cells[number - 1].source,
                    grade_id=data.get("grade_id", ""),
                    points=float(data.get("points", 0)),
                )
            )
    return Notebook(path.stem, cells)


def _cleared(notebook, preprocessor, path):
    preprocessor.log = logging.getLogger("referee")
    try:
        return preprocessor.preprocess(copy.deepcopy(notebook), {})[0]
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error


def _role(cell):
    """Return what a cell is for, or None for text."""
    solution, grade = utils.is_solution(cell), utils.is_grade(cell)
    if utils.is_task(cell) or (grade and (solution or cell.cell_type != "code")):
        return WRITTEN
    if cell.cell_type != "code":
        return None
    if solution:
        return ANSWER
    if grade:
        return TEST
    return READ_ONLY if utils.is_locked(cell) else PLAIN
