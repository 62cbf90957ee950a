"""Judges a rebuilt notebook: the student's cells on the student's side, test cells on this one.

The notebook is walked once, in order. Answers, plain cells and added cells go to the student's
process; test cells run in a `Bench`, and what they ask of the student goes through here. So what
the student's code does can change its own answers, and what those do to a test cell can change
that cell's verdict, and nothing else.
"""

import ast
import functools
import time
from dataclasses import dataclass, field

from referee import policy
from referee.assignment import ANSWER, TEST, WRITTEN
from referee.bench import Bench
from referee.student import Call, Ended
from referee.supplies import free_names, supplies_for
from referee.wire import NotPlain, Raised, encode

SECONDS, MEMORY = 30.0, 4 * 2**30
MOST_ENDINGS = 2
MOST_KEPT = 64 * 2**20
LONGEST_CHECK = 400
HIDDEN = "a hidden check failed"


@dataclass
class Verdict:
    """What one part of a question got, and why.

    `score` is None where a person grades. `check` is the failed check in one line, empty where
    the part got all its points or could not be checked; `reason` says why it could not, or why
    it does not count. `error` is the traceback of the student's own code, one line each. `calls`
    are the calls of the student's functions, in order; empty if they are too large to keep.
    """

    grade_id: str
    score: float | None
    max: float
    check: str = ""
    error: list[str] = field(default_factory=list)
    reason: str = ""
    calls: list[Call] = field(default_factory=list)

    @property
    def lost(self):
        """Whether a test cell took points."""
        return self.score is not None and bool(self.check or self.reason)


def judge(
    notebook, source, student, seconds=SECONDS, *, folder=None, memory=MEMORY, forbidden=None
):
    """Return the verdicts on the graded cells of a notebook, in order.

    Forks the calling process for the test cells: it must have one thread only, and the packages
    that tests import should be loaded. The student is left running.

    Parameters
    ----------
    notebook : NotebookNode, as `referee.intake.rebuild` makes it
    source : referee.assignment.Notebook, the instructor's
    student : referee.student.Student
    seconds : what one test cell may take, the student's answers included
    folder : path, working folder of the test cells
    memory : bytes that test cells may take
    forbidden : dict from grade ids of answer cells to lists of dotted names
    """
    walk = _Walk(notebook, source, student, seconds, forbidden or {})
    with Bench(folder, seconds, memory) as bench:
        return walk.verdicts(bench)


@dataclass
class _Ran:
    """What became of a student's cell."""

    label: str
    error: str = ""
    lines: list[str] = field(default_factory=list)
    ended: str = ""


class _Walk:
    def __init__(self, notebook, source, student, seconds, forbidden):
        self.notebook, self.student, self.seconds = notebook, student, seconds
        self.source = _Source(source)
        self.breaches = policy.breaches(notebook, source, forbidden)
        self.forbidden = forbidden
        self.ran = {}
        self.past = []
        self.room = MOST_KEPT
        self.question = None
        self.endings = {}
        self.gone = ""
        self.patience = seconds * sum(cell.role != WRITTEN for cell in source.cells)
        self.start = time.monotonic()

    def verdicts(self, bench):
        found = []
        for number, cell in enumerate(self.notebook.cells, start=1):
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            known = self.source.cells.get(grade_id)
            role = known.role if known else None
            if role == ANSWER:
                self.question = grade_id
            if role == TEST:
                found.append(self._test(known, bench))
                continue
            if cell.cell_type == "code":
                label = grade_id if known else f"{number}"
                self._run(label, cell.source)
            if role == WRITTEN:
                found.append(Verdict(grade_id, None, known.points))
        return found

    def _is_over(self):
        if not self.gone and time.monotonic() - self.start > self.patience:
            self.gone = f"the notebook as a whole ran for more than {self.patience:g} s"
        return self.gone

    # --- the student's side

    def _run(self, label, text):
        if self._is_over():
            self.ran[label] = _Ran(label, ended=self.gone)
            return
        try:
            result = self.student.run(label, text)
        except Ended as ending:
            self.ran[label] = _Ran(label, ended=str(ending))
            self._restart()
            return
        if result.error is None:
            self.ran[label] = _Ran(label)
        else:
            name, message = result.error.name, result.error.message
            text = f"{name}: {message}" if message else name
            self.ran[label] = _Ran(label, text, list(result.error.traceback))

    def _count_ending(self):
        self.endings[self.question] = self.endings.get(self.question, 0) + 1

    def _restart(self):
        self._count_ending()
        try:
            self.student.restart()
        except Ended as ending:
            self.gone = f"the cells of the notebook could not be run again: {ending}"

    # --- the test cells

    def _test(self, test, bench):
        reason = self.breaches.get(self.question, "") or self._is_over()
        if not reason and self.endings.get(self.question, 0) >= MOST_ENDINGS:
            reason = f"your code or the check was ended {MOST_ENDINGS} times in this question"
        if reason:
            return Verdict(test.grade_id, 0.0, test.points, reason=reason)
        reason = self._put_back(test)
        if reason:
            return Verdict(test.grade_id, 0.0, test.points, reason=reason)
        banned = self.forbidden.get(self.question)
        request = self.source.request(test)
        with _Hearing(self.student, banned, self.room) as hearing:
            outcome = bench.run(request, hearing.answer)
        verdict = self._verdict(test, outcome, hearing)
        verdict.calls = hearing.calls
        self.room = max(0, hearing.room)
        if hearing.ended:
            self._restart()
        elif "lost" in outcome:
            self._count_ending()
        if "lost" in outcome:
            self._repeat(bench)
        else:
            self.past.append((request, hearing.replies))
        return verdict

    def _put_back(self, test):
        """Define the drivers of a test cell again; return why that ended the process, or ""."""
        for cell, text in supplies_for(self.source.notebook, test).put_back(test.source):
            try:
                self.student.run(cell.grade_id or f"{cell.number}", text, keep=False)
            except Ended as ending:
                self._restart()
                return str(ending)
        return ""

    def _repeat(self, bench):
        """Run earlier test cells again, with the answers that they got, for the names they bind."""
        for request, replies in self.past:
            left = iter(replies)
            bench.run(request, lambda _: next(left, {"ended": True}))  # noqa: B023

    def _verdict(self, test, outcome, hearing):
        if hearing.ended:
            return Verdict(test.grade_id, 0.0, test.points, reason=hearing.ended)
        if "lost" in outcome:
            return Verdict(test.grade_id, 0.0, test.points, reason=outcome["lost"])
        if "failure" in outcome:
            verdict = Verdict(test.grade_id, 0.0, test.points)
            self._explain(verdict, outcome["failure"], hearing)
            return verdict
        value = outcome["value"]
        if value is None:
            return Verdict(test.grade_id, test.points, test.points)
        if not value >= 0:
            return Verdict(
                test.grade_id, 0.0, test.points, reason=f"the check gives {value:g} points"
            )
        score = min(value, test.points)
        check = "" if score == test.points else f"the check gives {score:g} of {test.points:g}"
        return Verdict(test.grade_id, score, test.points, check)

    def _explain(self, verdict, failure, hearing):
        """Say in a verdict what failed; of hidden lines no more than their author's message."""
        shown = self.source.shown(failure["frames"])
        message = _one_line(failure["message"])
        error = f"{failure['name']}: {message}" if message else failure["name"]
        if hearing.raised is not None:
            verdict.error = hearing.raised[1]
        match failure["kind"]:
            case "contract":
                verdict.reason = f"this test cell cannot be run apart from your code: it {message}"
            case "student":
                name = hearing.raised[0]
                call = self.source.shown(failure["frames"], name) or name
                verdict.check = f"{call} raised {error}"
            case "refused":
                verdict.check = message
            case "missing" if failure["missing"] in self.source.homes:
                self._explain_missing(verdict, failure["missing"])
            case "assertion":
                verdict.check = message or shown or HIDDEN
            case _ if failure["name"] == "MemoryError":
                verdict.reason = "the check of this answer took more memory than it may"
            case _:
                verdict.check = f"{shown}: {error}" if shown else f"{HIDDEN} ({failure['name']})"
        verdict.check = _shortened(verdict.check)

    def _explain_missing(self, verdict, name):
        label = self.source.homes[name]
        ran = self.ran.get(label)
        where = f"the cell {label}"
        verdict.check = f"{name} is not defined: {where} "
        if ran is None:
            verdict.check += "is missing"
        elif ran.ended:
            verdict.check += f"did not run to its end: {ran.ended}"
        elif ran.error:
            verdict.check += f"ended with {_one_line(ran.error)}"
            verdict.error = ran.lines
        else:
            verdict.check += "ran and does not define it"


class _Hearing:
    """Answers what one test cell asks of the student.

    `calls` and `replies` are kept, or dropped together where there is no room for their bytes;
    `raised` is the name of the function that was called last and the traceback that it gave, or
    None if it raised nothing; `ended` is why the student's process is gone.
    """

    def __init__(self, student, banned, room):
        self.student, self.banned, self.room = student, banned, room
        self.calls, self.replies = [], []
        self.raised, self.ended = None, ""

    def __enter__(self):
        self._forbid(self.banned)
        return self

    def __exit__(self, *details):
        if not self.ended:
            self._forbid([])

    def _forbid(self, names):
        if self.banned:
            try:
                self.student.forbid(names)
            except Ended as ending:
                self.ended = str(ending)

    def answer(self, request):
        reply = {"ended": True} if self.ended else self._ask(request)
        self._keep(request, reply)
        return reply

    def _ask(self, request):
        try:
            if request["do"] == "fetch":
                return self.student.fetch(request["name"])
            reply = self.student.call(request["name"], request["args"], request["kwargs"])
        except Ended as ending:
            self.ended = str(ending)
            return {"ended": True}
        raised = reply.get("raised")
        self.raised = None if raised is None else (request["name"], raised["traceback"])
        return reply

    def _keep(self, request, reply):
        if self.room < 0:
            return
        try:
            self.room -= len(encode([request, reply]))
        except NotPlain:
            self.room = -1
        if self.room < 0:
            self.calls, self.replies = [], []
            return
        self.replies.append(reply)
        if request["do"] == "call" and not reply.keys().isdisjoint(("value", "raised")):
            raised = reply.get("raised")
            if raised is not None:
                raised = Raised(raised["name"], tuple(raised["ancestors"]), raised["message"])
            call = (request["name"], request["args"], request["kwargs"])
            self.calls.append(Call(*call, reply.get("value"), raised))


class _Source:
    """What judging needs of the instructor's notebook."""

    def __init__(self, notebook):
        self.notebook = notebook
        self.cells = {cell.grade_id: cell for cell in notebook.cells if cell.grade_id}

    @functools.cached_property
    def homes(self):
        """The grade id of the cell that defines a name, for the names that a student defines."""
        owned = [cell for cell in self.notebook.cells if cell.grade_id and cell.role != TEST]
        return {name: cell.grade_id for cell in owned for name in cell.names}

    @functools.cached_property
    def defined(self):
        return sorted({n for cell in self.notebook.cells if cell.role != TEST for n in cell.names})

    @functools.cached_property
    def modules(self):
        """The modules that the notebook imports anywhere, and their parents."""
        found = set()
        for cell in self.notebook.cells:
            for node in _imports(cell.source):
                names = [a.name for a in node.names]
                if isinstance(node, ast.ImportFrom):
                    names = [node.module, *(f"{node.module}.{name}" for name in names)]
                for name in names:
                    parts = name.split(".")
                    found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return sorted(found)

    def request(self, test):
        """Return what the bench must know to run a test cell."""
        before = [cell for cell in self.notebook.cells if cell.number < test.number]
        imports, stars = {}, []
        for cell in before:
            for node in _imports(cell.source) if cell.role != ANSWER else ():
                for alias in node.names:
                    if alias.name == "*":
                        stars.append(node.module)
                        continue
                    name = alias.asname or alias.name.split(".")[0]
                    imports[name] = ast.unparse(_only(node, alias))
        supplies = supplies_for(self.notebook, test)
        last = max((cell.number for cell in before if cell.role == TEST), default=0)
        between = (cell for cell in before if cell.number > last)
        dropped = supplies.changed(last).union(*(c.names for c in between))
        return {
            "grade_id": test.grade_id,
            "source": test.source,
            "imports": imports,
            "stars": stars,
            "modules": self.modules,
            "supplies": supplies.statements,
            "wanted": sorted(free_names(test.source) & supplies.made),
            "student": sorted(supplies.answers | supplies.student),
            "answers": sorted(supplies.answers),
            "defined": self.defined,
            "dropped": sorted(dropped),
        }

    def shown(self, frames, called=None):
        """Return the statement that failed in one line, or "" where the student may not see it.

        `frames` are the grade ids and lines that led to it, outermost first. A statement is
        shown if the student has the text of it and of all that led to it. With `called`, the
        name of a function, only the call of it is shown.
        """
        if not frames:
            return ""
        texts = [self._statement(*frame) for frame in frames]
        calls = self._calls(*frames[-1], called)
        return _one_line((calls or texts)[-1]) if all(texts) else ""

    def _statement(self, grade_id, line):
        """Return the text of a statement, or "" if some of it is hidden."""
        test = self.cells[grade_id]
        found = _at(test, line, ast.stmt)
        smallest = max(found, key=lambda node: (node.lineno, -node.end_lineno))
        text = ast.get_source_segment(test.source, smallest)
        if hasattr(smallest, "body"):
            text = test.source.splitlines()[line - 1]
        return text if test.released.count(text) == test.source.count(text) else ""

    def _calls(self, grade_id, line, name):
        test = self.cells[grade_id]
        return [
            ast.get_source_segment(test.source, node)
            for node in _at(test, line, ast.Call)
            if isinstance(node.func, ast.Name) and node.func.id == name
        ]


def _at(test, line, kind):
    """Return the parts of a test cell, of a kind of syntax, that stand at a line."""
    nodes = (node for node in ast.walk(test.tree) if isinstance(node, kind))
    return [node for node in nodes if node.lineno <= line <= node.end_lineno]


@functools.lru_cache(maxsize=4096)
def _imports(source):
    """Return the import statements of a cell's top level, also those under `if` and `try`."""
    tree = policy.parse(source)
    scopes = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found, todo = [], list(tree.body if tree else [])
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            found.append(node)
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            if not isinstance(node, scopes):
                todo += ast.iter_child_nodes(node)
    return tuple(found)


def _only(node, alias):
    """Return an import statement cut down to one of its names."""
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(node.module, [alias], 0)
    return ast.Import([alias])


def _one_line(text):
    return " ".join(text.split())


def _shortened(text):
    return text if len(text) <= LONGEST_CHECK else text[: LONGEST_CHECK - 1] + "…"
