"""The instructor's cells, each a place in which a submitted cell may stand."""

import copy
import logging
import re
from dataclasses import dataclass

from nbformat.notebooknode import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions

DEFINITION = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)


@dataclass
class Place:
    """A cell of the instructor's notebook, and the number of the submitted cell in it.

    `released` is the text that the student was given, `names` are those that an answer defines.
    An answer is the student's to write, a test gives points, and both are `marked`, as are other
    cells with a grade id.
    """

    cell: NotebookNode
    number: int
    released: str
    names: set[str]
    answer: bool
    marked: bool
    test: bool
    taken: int | None = None

    @property
    def grade_id(self):
        return self.cell.metadata.nbgrader.grade_id if self.marked else None

    @property
    def title(self):
        kind = "answer" if self.answer else "test" if self.test else "read-only"
        return f"{kind} cell `{self.grade_id}`"

    def holds(self, text):
        """Tell whether a text is the one that the student was given here."""
        return even(text) in (even(self.released), even(self.cell.source))

    def is_blank(self, text):
        return not text.strip() or even(text) == even(self.released)


def places_of(source, config):
    """Return the instructor's cells in order, with what a student gets of each.

    Raises
    ------
    ValueError
        If the marks of solutions or hidden tests in `source` do not match.
    """
    released = copy.deepcopy(source)
    for kind in (ClearSolutions, ClearHiddenTests, ClearMarkScheme):
        clear = kind(config=config)
        clear.log = logging.getLogger("referee")
        try:
            released, _ = clear.preprocess(released, {})
        except RuntimeError as error:
            raise ValueError(f"source must be a valid nbgrader notebook: {error}") from error
    return [
        _place(number, *cells)
        for number, cells in enumerate(zip(source.cells, released.cells, strict=True))
    ]


def _place(number, cell, released):
    locked = utils.is_locked(cell)
    answer = utils.is_solution(cell) or (utils.is_task(cell) and not locked)
    marked = bool(answer or locked or utils.is_grade(cell) or utils.is_task(cell))
    names = {*defined(released.source)} or {*defined(cell.source)}
    return Place(
        cell=cell,
        number=number,
        released=released.source,
        names=names if answer and cell.cell_type == "code" else set(),
        answer=answer,
        marked=marked,
        test=bool(utils.is_grade(cell) and not answer),
    )


def defined(text):
    """Return an iterator over the names of the functions and classes that a text defines."""
    return (match[1] for match in DEFINITION.finditer(text))


def even(text):
    """Return a text without what editors change unasked: blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
