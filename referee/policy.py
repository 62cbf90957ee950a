"""Calls that a question forbids, found in the text of the student's answer.

`{"q1-echo": ["numpy.convolve"]}` says that the answer q1-echo may not use `numpy.convolve`. The
text is read as a syntax tree: the answer itself and, of the cells that the student added, the
functions and assignments that the answer uses. An added cell may compare an answer with what is
forbidden. While test cells run, the forbidden functions are also replaced in the student's
process (`referee.shell`).

This is a deterrent and no boundary: Python has more ways to reach a function than a reader of its
text can list, and a forbidden function can be copied out by hand.
"""

import ast
from collections import defaultdict

from IPython.core.inputtransformer2 import TransformerManager

ASSIGNMENTS = ast.Assign | ast.AnnAssign | ast.AugAssign
UNREADABLE = (SyntaxError, ValueError, RuntimeError, MemoryError)
LONGEST_WITH_MAGICS = 10_000
DEEPEST = 20
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parse(source):
    """Return the syntax tree of a cell, magics included, or None if it has none."""
    try:
        return ast.parse(source)
    except UNREADABLE:
        pass
    try:  # slow for long texts
        if len(source) <= LONGEST_WITH_MAGICS:
            return ast.parse(TransformerManager().transform_cell(source))
    except UNREADABLE:
        pass
    return None


def breaches(notebook, source, forbidden):
    """Return why answers do not count, by their grade id.

    Parameters
    ----------
    notebook : NotebookNode, rebuilt
    source : referee.assignment.Notebook, the instructor's
    forbidden : dict from grade ids of answer cells to lists of dotted names; a first part that
        the instructor's notebook imports under that name, like `np`, stands for what it imports
    """
    if not forbidden:
        return {}
    official = Aliases(parse(cell.source) for cell in source.cells)
    trees = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and (tree := parse(cell.source)) is not None:
            trees[cell.metadata.get("nbgrader", {}).get("grade_id", number)] = tree
    added = [
        statement
        for number, cell in enumerate(notebook.cells)
        if number in trees and cell.metadata.get("referee", {}).get("added")
        for statement in trees[number].body
    ]
    aliases = Aliases(trees.values())
    found = {}
    for grade_id, names in forbidden.items():
        if grade_id in trees:
            wanted = {official.full(name): name for name in names}
            body = trees[grade_id].body
            for statements, where in (
                (body, ""),
                (_used(body, added), " of a cell that you added"),
            ):
                for name, line in uses(statements, set(wanted), aliases):
                    text = f"{wanted[name]} may not be used here (line {line}{where})"
                    found.setdefault(grade_id, text)
    return found


def _used(body, added):
    """Return the added statements that an answer uses, directly or through one another."""
    binding = defaultdict(list)
    for statement in added:
        for name in _bound(statement):
            binding[name].append(statement)
    chosen, names = [], _loaded(body)
    todo = list(names)
    while todo:
        for statement in binding.pop(todo.pop(), ()):
            chosen.append(statement)
            new = _loaded([statement]) - names
            names |= new
            todo += new
    return chosen


def _loaded(statements):
    return {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}


def _bound(statement):
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if not isinstance(statement, ASSIGNMENTS):
        return set()
    targets = getattr(statement, "targets", None) or [statement.target]
    return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}


class Aliases:
    """What names stand for: modules and their members, as imports and assignments give them."""

    def __init__(self, trees):
        self.names, self.stars = {}, set()
        for tree in trees:
            for node in ast.walk(tree) if tree is not None else ():
                self._read(node)

    def _read(self, node):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                self.names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                if alias.name == "*":
                    self.stars.add(node.module)
                self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Assign) and (value := self.dotted(node.value)):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id != value:
                    self.names.setdefault(target.id, value)

    def full(self, name):
        """Return a dotted name with what its first part stands for."""
        first, dot, rest = name.partition(".")
        return self.names.get(first, first) + dot + rest

    def dotted(self, node, depth=DEEPEST):
        """Return what an expression names, as `numpy.convolve`, or None."""
        owner = member = None
        depth -= 1
        if isinstance(node, ast.Name):
            return self.full(node.id)
        if depth == 0:
            return None
        if isinstance(node, ast.Attribute):
            owner, member = self.dotted(node.value, depth), node.attr
        elif isinstance(node, ast.Subscript):
            owner, member = self._table(node.value, depth), _text(node.slice)
        elif isinstance(node, ast.Call) and node.args:
            function = self.dotted(node.func, depth)
            if function in ("__import__", "importlib.import_module"):
                return _text(node.args[0])
            if function == "getattr" and len(node.args) > 1:
                owner, member = self.dotted(node.args[0], depth), _text(node.args[1])
        return f"{owner}.{member}" if owner and member else None

    def _table(self, node, depth):
        """Return what `vars(module)` or `module.__dict__` is the table of."""
        if isinstance(node, ast.Call) and len(node.args) == 1:
            is_vars = self.dotted(node.func, depth) == "vars"
            return self.dotted(node.args[0], depth) if is_vars else None
        if isinstance(node, ast.Attribute) and node.attr == "__dict__":
            return self.dotted(node.value, depth)
        return None


def _text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def uses(statements, wanted, aliases):
    """Return the wanted names that statements use, each with its line."""
    found = []
    for node in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = {f"{module}.{a.name}" if module else a.name for a in node.names}
            found += [(name, node.lineno) for name in names & wanted]
        elif isinstance(node, ast.expr):
            name = aliases.dotted(node)
            starred = {f"{module}.{name}" for module in aliases.stars}
            for one in ({name} | starred) & wanted:
                if not isinstance(getattr(node, "ctx", None), ast.Store):
                    found.append((one, node.lineno))
    return found
