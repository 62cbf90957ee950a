"""Checks, before release, that the tests of an assignment can be trusted.

What must hold, question by question:

- The reference gets full marks, in the whole notebook and with all other answers blank, with
  hidden tests and without, in the student's process and apart from it.
- A blank answer gets nothing.
- Each misconception loses the part that it names, and gets another part of the question; where
  the question has one part only, it passes an assertion that the blank answer does not pass.
- Each variant keeps every part, and differs from the reference and from the other variants in
  more than names and layout.
- Answers that know nothing (`referee.guesses`) get nothing.
- Test cells keep their contract, and nothing is random.
"""

import ast
import time
from collections import defaultdict
from dataclasses import dataclass

from referee.assignment import READ_ONLY, TEST, WRITTEN
from referee.cases import MISCONCEPTION, VARIANT, definition, load_cases
from referee.contract import breaches
from referee.guesses import GUESSES
from referee.report import CaseRow, Problem, QuestionRow, Report
from referee.run import TIMEOUT, Plan, RunError, run_plan
from referee.sameness import normal_form
from referee.supplies import free_names, supplies_for

MISCONCEPTIONS, VARIANTS = 4, 3


def check(assignment, only=None, timeout=TIMEOUT):
    """Check an assignment, or one question of it.

    Parameters
    ----------
    assignment : Assignment
    only : grade id of an answer cell, or None for all questions
    timeout : seconds that one cell may take

    Raises
    ------
    ValueError
        If `only` names no question.
    """
    known = [question.grade_id for question in assignment.questions]
    if only is not None and only not in known:
        raise ValueError(f"no question {only!r}; the questions are {', '.join(known)}")
    start = time.perf_counter()
    checker = _Checker(assignment, only, timeout)
    checker.read_cases()
    if not known:
        checker.problem("", assignment.name, "holds no question: no answer cell to be tested")
    for notebook in assignment.notebooks:
        checker.check_notebook(notebook)
    order = ["", *known]
    checker.problems.sort(key=lambda problem: order.index(problem.question))
    written = sum(cell.points for notebook in assignment.notebooks for cell in notebook.written)
    seconds = round(time.perf_counter() - start, 2)
    return Report(assignment.name, checker.rows, written, checker.problems, seconds)


@dataclass(frozen=True)
class _Trials:
    """The numbers of one question's trials in the plan.

    `cases` by number of the case, `guesses` by what they do.
    """

    apart: tuple[int, int]
    blank: int
    cases: dict[int, int]
    guesses: dict[str, int]


class _Checker:
    def __init__(self, assignment, only, timeout):
        self.assignment, self.only, self.timeout = assignment, only, timeout
        self.cases, self.problems, self.rows = None, [], []

    def problem(self, question, where, what):
        self.problems.append(Problem(question, where, what))

    def _case_place(self, case):
        return f"{self._cases_path()}:{case.line} ({case.kind}, {case.grade_id})"

    def _cases_path(self):
        return f"{self.assignment.folder.parent.name}/{self.assignment.name}/cases.py"

    def read_cases(self):
        """Load the cases and report those that fit no question."""
        if not self.assignment.cases.exists():
            self.problem("", self._cases_path(), "does not exist")
            return
        try:
            self.cases = load_cases(self.assignment.cases)
        except ValueError as error:
            self.problem("", self._cases_path(), f"cannot be run: {error}")
            return
        answers = {q.grade_id: q for q in self.assignment.questions}
        parts = {test.grade_id: q for q in self.assignment.questions for test in q.tests}
        for case in self.cases:
            kind, ids = ("answer", answers) if case.kind == VARIANT else ("test", parts)
            question = ids.get(case.grade_id)
            if question is None:
                text = f"names no {kind} cell; there are {', '.join(ids)}"
            elif case.name not in question.answer.names:
                names = ", ".join(sorted(question.answer.names))
                text = f"is called {case.name!r}; {question.grade_id} defines {names}"
            else:
                continue
            self.problem(question.grade_id if question else "", self._case_place(case), text)

    def _cases_of(self, question):
        """Return the question's cases by their number in the file."""
        ids = {VARIANT: {question.grade_id}, MISCONCEPTION: {t.grade_id for t in question.tests}}
        return {
            number: case
            for number, case in enumerate(self.cases or [])
            if case.grade_id in ids[case.kind] and case.name in question.answer.names
        }

    def check_notebook(self, notebook):
        self._check_structure(notebook)
        questions = [q for q in notebook.questions if self.only in (None, q.grade_id)]
        questions = [q for q in questions if q.tests]
        for question in questions:
            self._check_contract(notebook, question)
        plan = Plan(self.assignment.cases if self.cases else None, self.timeout)
        plan.preload = [cell.source for cell in notebook.cells if cell.role != WRITTEN]
        wholes = {}
        if self.only is None and notebook.questions:
            wholes[""] = plan.add_trial([_step(cell) for cell in _code(notebook)])
            released = [_step(cell, cell.released) for cell in _code(notebook)]
            wholes["without hidden tests"] = plan.add_trial(released)
        numbers = self._plan_questions(plan, notebook, questions)
        if not plan.trials:
            return
        try:
            results = run_plan(plan, self.assignment.copy_files_of_tests)
        except RunError as error:
            self.problem("", f"{notebook.name}.ipynb", str(error))
            return
        for kind, number in wholes.items():
            self._judge_whole(notebook, kind, results[number])
        for question in questions:
            self._judge(notebook, question, numbers[question.grade_id], results)

    def _check_structure(self, notebook):
        for cell in notebook.orphans:
            self.problem("", _place(notebook, cell), "stands before the first answer cell")
        for question in notebook.questions:
            if self.only not in (None, question.grade_id):
                continue
            where = _place(notebook, question.answer)
            if not question.tests:
                self.problem(question.grade_id, where, "no test cell follows this answer cell")
                continue
            if self.cases is None:
                continue
            cases = self._cases_of(question).values()
            for kind, least in ((MISCONCEPTION, MISCONCEPTIONS), (VARIANT, VARIANTS)):
                count = sum(case.kind == kind for case in cases)
                if count < least:
                    text = f"has {count} {kind}s, and must have {least}"
                    self.problem(question.grade_id, where, text)
            self._check_sameness(question, cases)

    def _check_sameness(self, question, cases):
        seen = defaultdict(dict)
        for name, node in question.answer.definitions.items():
            seen[name][normal_form(node)] = "the reference"
        for case in cases:
            if case.kind == VARIANT:
                form = normal_form(definition(self.assignment.cases, case))
                twin = seen[case.name].setdefault(form, f"the variant at line {case.line}")
                if twin != f"the variant at line {case.line}":
                    text = f"differs from {twin} in names and layout only"
                    self.problem(question.grade_id, self._case_place(case), text)

    def _check_contract(self, notebook, question):
        others = {
            name: other.grade_id
            for other in notebook.questions
            for name in other.answer.names
            if other is not question
        }
        for test in question.tests:
            supplies = supplies_for(notebook, test)
            drivers = _drivers(supplies)
            known = supplies.made - supplies.imports, supplies.student
            found = breaches(test.source, question.answer.names, drivers, others, *known)
            for line, text in found:
                self.problem(question.grade_id, f"{_place(notebook, test)} line {line}", text)
            for name in sorted(free_names(test.source) & (set(drivers) - supplies.lasting)):
                text = f"driver {name!r} is bound otherwise than by one `def`, or changed"
                text += ": it cannot be put back where a student binds the name anew"
                self.problem(question.grade_id, _place(notebook, drivers[name]), text)

    def _plan_questions(self, plan, notebook, questions):
        """Walk the notebook with blank answers; at each question add its trials."""
        numbers = {}
        at = {question.answer.number: question for question in questions}
        for cell in _code(notebook):
            question = at.get(cell.number)
            if question is not None:
                numbers[question.grade_id] = self._plan_trials(plan, notebook, question)
            if len(numbers) == len(questions):
                break
            if cell.role != TEST:
                plan.run_cell(cell.number, cell.blank)
        return numbers

    def _plan_trials(self, plan, notebook, question):
        last = question.tests[-1].number
        tail = [c for c in _code(notebook) if question.answer.number < c.number <= last]
        tail = [_step(cell) | _supplied(notebook, cell) for cell in tail]
        answer = _step(question.answer)
        drivers = _drivers(supplies_for(notebook, question.tests[-1]))
        names = {"own": sorted(question.answer.names), "drivers": sorted(drivers)}
        return _Trials(
            apart=tuple(plan.add_trial([answer, *tail], **names, apart=True) for _ in range(2)),
            blank=plan.add_trial([_step(question.answer, question.answer.blank), *tail]),
            cases={
                number: plan.add_trial([answer, {"case": number}, *tail])
                for number in self._cases_of(question)
            },
            guesses={
                kind: plan.add_trial([answer, _guess(question, kind), *tail]) for kind in GUESSES
            },
        )

    def _judge_whole(self, notebook, kind, result):
        """Judge a run of the whole notebook with all reference answers."""
        suffix = f" {kind}" if kind else ""
        if result.end:
            text = f"the reference answers{suffix} do not run to the end: {result.end}"
            self.problem("", f"{notebook.name}.ipynb", text)
        cells = {cell.number: cell for cell in _code(notebook)}
        for number, message in result.errors.items():
            where = _place(notebook, cells[number])
            self.problem("", where, f"fails with the reference answers{suffix}: {message}")
        places = {t.grade_id: (q, t) for q in notebook.questions for t in q.tests}
        for name in result.lost:
            if name in places:
                question, test = places[name]
                text = f"the reference loses it in the whole notebook{suffix}: "
                message = result.parts[name].message
                self.problem(question.grade_id, _place(notebook, test), text + message)

    def _judge(self, notebook, question, trials, results):
        parts = {test.grade_id: test.points for test in question.tests}
        row = QuestionRow(question.grade_id, question.points, parts)
        self.rows.append(row)
        places = {test.grade_id: _place(notebook, test) for test in question.tests}
        self._judge_reference(question, row, places, [results[n] for n in trials.apart])
        blank = results[trials.blank]
        row.blank = sum(parts[name] for name in blank.kept)
        for name in blank.kept:
            self.problem(question.grade_id, places[name], "a blank answer gets its points")
        cases = self._cases_of(question)
        for number, trial in trials.cases.items():
            self._judge_case(question, row, cases[number], results[trial], blank)
        for kind, trial in trials.guesses.items():
            for name in results[trial].kept:
                text = f"gives its points to an answer that {kind}"
                self.problem(question.grade_id, places[name], text)
        used = [*trials.apart, trials.blank, *trials.cases.values(), *trials.guesses.values()]
        row.seconds = round(sum(results[number].seconds for number in used), 2)

    def _judge_reference(self, question, row, places, runs):
        first, second = runs
        row.reference = sum(row.parts[name] for name in first.kept)
        for name, where in places.items():
            one, two = first.parts[name], second.parts[name]
            lost = [part.message for part in (one, two) if not part.passed]
            known = [problem.what for problem in self.problems if problem.where == where]
            if lost and not any(what.endswith(lost[0]) for what in known):
                text = f"the reference alone, apart from the tests, loses it: {lost[0]}"
                self.problem(question.grade_id, where, text)
            for fault in one.faults:
                self.problem(question.grade_id, where, fault)
            if (one.passed, one.message, one.calls) != (two.passed, two.message, two.calls):
                text = "is random: two runs with the reference differ in"
                outcome = one.passed != two.passed or one.message != two.message
                what = "their outcome" if outcome else "calls or results"
                self.problem(question.grade_id, where, f"{text} {what}")

    def _judge_case(self, question, row, case, result, blank):
        where, before = self._case_place(case), len(self.problems)
        if case.kind == VARIANT:
            for name in result.lost:
                text = f"loses {name}: {result.parts[name].message}"
                self.problem(question.grade_id, where, text)
        elif result.end:
            self.problem(question.grade_id, where, f"gives no answer: {result.end}")
        elif case.grade_id not in result.lost:
            self.problem(question.grade_id, where, f"keeps {case.grade_id}, which it must lose")
        elif not _is_sensible(question, case, result, blank):
            text = "passes nothing: " + result.parts[case.grade_id].message
            self.problem(question.grade_id, where, text)
        holds = len(self.problems) == before
        row.cases.append(
            CaseRow(
                *(case.kind, case.grade_id, case.name, case.line),
                kept=result.kept,
                lost=result.lost,
                holds=holds,
            )
        )


def _is_sensible(question, case, result, blank):
    """Whether a misconception answers at all: it gets another part, or an assertion of the one."""
    if len(question.tests) > 1:
        return bool(result.kept)
    checks = result.parts[case.grade_id].checks
    return bool(set(checks) - set(blank.parts[case.grade_id].checks))


def _code(notebook):
    return [cell for cell in notebook.cells if cell.role != WRITTEN]


def _step(cell, source=None):
    part = cell.grade_id if cell.role == TEST else None
    return {"cell": cell.number, "source": cell.source if source is None else source, "part": part}


def _guess(question, kind):
    """Return the step that puts a guess in place of the functions of an answer."""
    functions = {
        name: [one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)]
        for name, node in question.answer.definitions.items()
        if not isinstance(node, ast.ClassDef)
    }
    return {"guess": kind, "functions": functions}


def _drivers(supplies):
    """Return the drivers that read-only cells define: the cell by the name."""
    found = supplies.drivers
    return {name: cell for name, cell in found.items() if cell.role == READ_ONLY}


def _supplied(notebook, cell):
    """Return what the instructor's cells give to a test cell that runs apart."""
    if cell.role != TEST:
        return {}
    supplies = supplies_for(notebook, cell)
    wanted = sorted(free_names(cell.source) & supplies.made - supplies.imports)
    return {"supplies": supplies.statements, "wanted": wanted}


def _place(notebook, cell):
    name = f" ({cell.grade_id})" if cell.grade_id else ""
    return f"{notebook.name}.ipynb cell {cell.number}{name}"
