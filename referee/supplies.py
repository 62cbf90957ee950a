"""What the instructor's own cells give to test cells, read from the text of the notebook.

Read-only and plain cells bind data, reference functions and helpers. Those that use nothing of
the student's, however far one follows the names, are *made*: the judge runs their statements
itself, as it does imports, and no student's code can bind them anew. A function that does use
something of the student's is a *driver* and runs in the student's process; before each test cell
that uses it, it is *put back*: its definition is run there again. Data that come out of the
student's code are neither, and a test cell cannot use them.

Names are followed through the text, not through what it does: a function that looks names up
(`globals`, `eval`) counts as a driver, and a change of data is seen where it is written as an
assignment, or as the call of a method that stands alone, like `rows.append(1)`.
"""

import ast
import functools
import symtable
from dataclasses import dataclass, replace

from referee.assignment import ANSWER, TEST, WRITTEN
from referee.contract import bound, free
from referee.making import STAR, reached
from referee.policy import parse

OF_A_NOTEBOOK = {"display", "get_ipython"}
LOOKING_UP = {"eval", "exec", "globals", "locals", "vars"}
SEEDING = {"manual_seed", "seed"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = FUNCTIONS | ast.ClassDef


@dataclass(frozen=True)
class Statement:
    """A statement of a cell's top level.

    `binds` holds the names that it binds, `imports` those of them that it imports, `uses` those
    that it takes from elsewhere, `changes` those whose things it changes, `seeds` those of modules
    whose random numbers it seeds.
    """

    node: ast.stmt
    binds: frozenset[str]
    imports: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()
    seeds: frozenset[str] = frozenset()

    @property
    def is_function(self):
        return isinstance(self.node, FUNCTIONS)


class Supplies:
    """What the cells of a notebook give to a test cell.

    `imports` are the names that cells of the instructor's import, `answers` those that answer
    cells bind, without those that a later cell of the instructor's supplies.

    Parameters
    ----------
    cells : list of referee.assignment.Cell, those before the test cell, in order
    """

    def __init__(self, cells):
        own = [cell for cell in cells if cell.role not in (ANSWER, TEST, WRITTEN)]
        found = [(cell, one) for cell in own for one in statements(cell.source)]
        self.imports = {name for _, one in found for name in one.imports}
        self._statements = [(cell, _settled(one, self.imports)) for cell, one in found]
        self.answers = set()
        for cell in cells:
            if cell.role == ANSWER:
                for one in (*statements(cell.source), *statements(cell.blank)):
                    self.answers |= one.binds - (one.imports & self.imports)
            elif cell in own:
                for one in statements(cell.source):
                    self.answers -= one.binds if one.is_function else one.binds - one.uses

    @functools.cached_property
    def dependent(self):
        """The names whose value takes something of the student's, those of answers included."""
        found = self.answers | OF_A_NOTEBOOK | LOOKING_UP
        size = 0
        while size < len(found):
            size = len(found)
            for _, one in self._statements:
                if one.uses & found:
                    found |= one.binds
        return found

    @functools.cached_property
    def student(self):
        """The names of the instructor's cells that only the student's process has."""
        every = {name for _, one in self._statements for name in one.binds}
        return (every & self.dependent) - self.answers - OF_A_NOTEBOOK - LOOKING_UP

    @functools.cached_property
    def made(self):
        """The names that the judge makes itself."""
        every = {name for _, one in self._statements for name in one.binds}
        return every - self.dependent - {STAR}

    @functools.cached_property
    def drivers(self):
        """The functions and classes that use something of the student's: the cell by the name."""
        return {
            one.node.name: cell
            for cell, one in self._statements
            if isinstance(one.node, DEFINITIONS) and one.node.name in self.student
        }

    @functools.cached_property
    def lasting(self):
        """The functions that `put_back` knows: bound by `def`, in plain Python, and not changed."""
        found, others = set(), set(self.answers)
        for cell, one in self._statements:
            (found if one.is_function and cell.tree else others).update(one.binds)
        return found - others

    @functools.cached_property
    def statements(self):
        """What makes the names of `made`, as `referee.making.make` takes it."""
        return [
            [ast.unparse(one.node), sorted(one.binds), sorted(one.uses)]
            for _, one in self._statements
            if not (one.binds | one.uses) & self.dependent
        ]

    def changed(self, number):
        """Return the names that cells after a number bind or change."""
        return {n for cell, one in self._statements if cell.number > number for n in one.binds}

    def put_back(self, source):
        """Return the definitions of the drivers that a text uses: (cell, text) pairs, in order.

        A text has the lines of its cell where the definitions have theirs.
        """
        functions = [
            (cell, one)
            for cell, one in self._statements
            if one.is_function and one.binds <= self.lasting
        ]
        names = reached([(one.binds, one.uses) for _, one in functions], free_names(source))
        if names.isdisjoint(self.drivers):
            return []
        found = {}
        for cell, one in functions:
            if one.binds & names:
                found.setdefault(cell.number, (cell, []))[1].append(one.node)
        return [(cell, _only(cell, nodes)) for cell, nodes in found.values()]


def supplies_for(notebook, test):
    """Return what the cells of a notebook give to one of its test cells."""
    return _supplies(tuple(cell for cell in notebook.cells if cell.number < test.number))


_supplies = functools.lru_cache(maxsize=1024)(Supplies)


def free_names(source):
    """Return the names that a text takes from outside, none if it is not plain Python."""
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:
        return set()
    return free(table) - bound(table)


@functools.lru_cache(maxsize=4096)
def statements(source):
    """Return the statements of a cell's top level."""
    tree = parse(source)
    return tuple(map(_read, tree.body if tree else ()))


def _read(node):
    if isinstance(node, ast.ImportFrom) and node.names[0].name == STAR:
        return Statement(node, frozenset({STAR}))
    try:
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
    except SyntaxError:
        return Statement(node, frozenset())
    parts = [] if isinstance(node, DEFINITIONS) else list(ast.walk(node))
    grown = {one.target.id for one in parts if _grows(one)}
    changes = {name for one in parts for name in _changed(one)}
    seeds = {name for one in parts if _seeds(one) for name in _root(one.func)}
    imports = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_imported()}
    sets = bound(table), imports, free(table) | grown, changes, seeds
    return Statement(node, *map(frozenset, sets))


def _settled(one, modules):
    """Return a statement with what it changes among what it binds."""
    return replace(one, binds=one.binds | (one.changes - modules) | one.seeds)


def _grows(node):
    return isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)


def _changed(node):
    """Find whose things are changed: `rows` in `rows[0] = 1` and in a line `rows.sort()`."""
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        yield from _root(node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        if isinstance(node.value.func, ast.Attribute):
            yield from _root(node.value.func)


def _seeds(node):
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr in SEEDING


def _root(node):
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _only(cell, nodes):
    """Return a cell's text with all lines empty but those of some definitions."""
    kept = set()
    for node in nodes:
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        kept |= set(range(first, node.end_lineno + 1))
    lines = cell.source.split("\n")
    return "\n".join(line if n in kept else "#" for n, line in enumerate(lines, start=1))
