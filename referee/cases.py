"""Cases: wrong answers that people give, and right answers written another way.

They stand in `cases.py` beside the source of a problem set, as functions with the name that the
student's function has:

    from referee.cases import misconception, variant

    @misconception("q1-edges", "The last window is complete too: count it.")
    def moving_sum(signal, width):
        ...

    @variant("q1")
    def moving_sum(signal, width):
        ...

A misconception names the test cell that it must lose, a variant the answer cell that it answers.
Where an answer cell holds several functions, a case replaces the one that has its name; the
others stay the reference's.
"""

import ast
import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MISCONCEPTION, VARIANT = "misconception", "variant"
REGISTRY = "__cases__"


@dataclass(frozen=True)
class Case:
    """One case: `line` is that of its decorator, `explanation` is empty for a variant."""

    kind: str
    grade_id: str
    name: str
    function: Callable
    explanation: str
    line: int


def misconception(grade_id, explanation):
    """Mark a wrong answer: the test cell that it must lose, and what to tell who gives it.

    Raises
    ------
    ValueError
        If either argument is not a text with something in it.
    """
    _require_text("grade_id", grade_id)
    _require_text("explanation", explanation)
    return _recorder(MISCONCEPTION, grade_id, explanation)


def variant(grade_id):
    """Mark a right answer written another way: the answer cell that it answers.

    Raises
    ------
    ValueError
        If `grade_id` is not a text with something in it.
    """
    _require_text("grade_id", grade_id)
    return _recorder(VARIANT, grade_id, "")


def _require_text(name, value):
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a text with something in it, and is {value!r}")


def _recorder(kind, grade_id, explanation):
    frame = sys._getframe(2)
    module, line = frame.f_globals, frame.f_lineno

    def record(function):
        case = Case(kind, grade_id, function.__name__, function, explanation, line)
        module.setdefault(REGISTRY, []).append(case)
        return function

    return record


def load_cases(path):
    """Run a file of cases and return its cases in order.

    Each call runs the file anew, so loading twice gives the same list twice.

    Raises
    ------
    ValueError
        If the file cannot be run: the message names file, line and error.
    """
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"cases_of_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist") from None
    except SyntaxError as error:
        raise ValueError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except Exception as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
        ]
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
    return list(getattr(module, REGISTRY, []))


def definition(path, case):
    """Return the syntax tree of a case's function, decorators included."""
    return _definition(ast.parse(Path(path).read_text(encoding="utf-8")), case)


def _definition(tree, case):
    for node in tree.body:
        if case.line in [d.lineno for d in getattr(node, "decorator_list", [])]:
            return node
    raise ValueError(f"no definition with a decorator stands at line {case.line}")


def answer_source(path, case):
    """Return a case as the text of an answer cell: its function and what that uses of the file."""
    text = Path(path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    chosen = _definition(tree, case)
    used = _names(chosen)
    kept = {id(chosen)}
    supports = [node for node in tree.body if not getattr(node, "decorator_list", None)]
    grew = True
    while grew:
        grew = False
        for node in supports:
            if id(node) not in kept and used & _bound(node):
                kept.add(id(node))
                used |= _names(node)
                grew = True
    return "\n\n".join(ast.get_source_segment(text, node) for node in tree.body if id(node) in kept)


def _names(node):
    decorators = [n for d in getattr(node, "decorator_list", []) for n in ast.walk(d)]
    apart = {id(n) for n in decorators}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in apart}


def _bound(node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    stores = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return {n.id for n in stores if isinstance(n.ctx, ast.Store)}
