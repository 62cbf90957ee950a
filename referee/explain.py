"""Finds the misconception behind a lost question.

A submission agrees with a misconception when the two give equal results on every recorded call of
the question, on at least one of which the misconception differs from the reference. To know what
a misconception gives, the recorded calls are made again in a process of their own that holds the
instructor's notebook, with its answers, and the cases. There the misconception stands in place of
the reference, so that calls of driver functions come out as they would have for a student.

That code can be trusted, and the arguments mostly: a test may feed back what a student's function
gave it. So there are limits, and what exceeds them goes unexplained.
"""

import cmath
import contextlib
import copy
import math
import os
import select
import signal
import socket
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from referee.assignment import TEST, WRITTEN
from referee.bench import STEP, detach, limit_memory
from referee.cases import MISCONCEPTION, load_cases
from referee.cells import Cells
from referee.wire import Channel, Closed, Late, NotPlain, WireError, encode

SECONDS, MEMORY = 60.0, 4 * 2**30
SECONDS_TO_START = 300.0
MOST_CACHED = 256 * 2**20
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Finding:
    """A misconception: the test cell that it aims at, its line in `cases.py`, what it explains."""

    grade_id: str
    line: int
    explanation: str


class Explainer:
    """Explains lost questions of one assignment, for as many submissions as there are.

    The process is forked at the first lost question: from then on, and at that moment, the
    calling process must have one thread only. What misconceptions give is kept, so that most
    submissions need no further call.

    Parameters
    ----------
    source : referee.assignment.Notebook, the instructor's
    cases : path of `cases.py`; if there is no such file, nothing is explained
    folder : path, working folder of the instructor's notebook
    seconds : what the calls of one question may take
    """

    def __init__(self, source, cases, folder=None, seconds=SECONDS):
        self._source, self._cases = source, Path(cases)
        self._folder, self._seconds = folder, seconds
        self._worker = None
        self._known = {}
        self._size = 0
        self._asked = 0
        self.problem = ""

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.close()

    def explain(self, verdicts):
        """Return the findings of one submission, by the grade id of the lost part.

        `verdicts` are those of `referee.judge.judge`. Why nothing can be explained, such as an
        error in `cases.py`, stands in `problem`.
        """
        by_id = {verdict.grade_id: verdict for verdict in verdicts}
        findings = {}
        for question in self._source.questions:
            parts = [by_id[test.grade_id] for test in question.tests if test.grade_id in by_id]
            calls = [call for verdict in parts for call in verdict.calls]
            lost = {verdict.grade_id for verdict in parts if verdict.lost}
            if lost and calls and not self.problem and self._cases.exists():
                for finding in self._agreeing(question, calls):
                    if finding.grade_id in lost:
                        findings.setdefault(finding.grade_id, finding)
        return findings

    def _agreeing(self, question, calls):
        """Return the misconceptions that give what the student's functions gave, in order."""
        cases = self._cases_of(question)
        outcomes = self._outcomes(question.grade_id, calls, [number for number, _ in cases])
        if outcomes is None:
            return []
        given = [
            {"value": call.value} if call.raised is None else {"raised": call.raised.name}
            for call in calls
        ]
        reference = [one[0] for one in outcomes]
        found = []
        for place, (_, finding) in enumerate(cases, start=1):
            theirs = [one[place] for one in outcomes]
            if _alike(theirs, given) and not _alike(theirs, reference):
                found.append(finding)
        return found

    def _cases_of(self, question):
        if self._worker is None:
            self._start()
        tests = [test.grade_id for test in question.tests]
        return [
            (number, finding)
            for number, name, finding in self._listed
            if finding.grade_id in tests and name in question.answer.names
        ]

    def _outcomes(self, grade_id, calls, numbers):
        """Return for each call what the reference and then each case gives, or None."""
        keys = [(grade_id, encode([call.name, call.args, call.kwargs])) for call in calls]
        known = {key: self._known[key] for key in keys if key in self._known}
        fresh = {key: call for key, call in zip(keys, calls, strict=True) if key not in known}
        if fresh and numbers:
            request = {
                "calls": [[call.name, call.args, call.kwargs] for call in fresh.values()],
                "cases": numbers,
            }
            try:
                rows = self._ask(request, self._seconds)
            except (Closed, Late, WireError, NotPlain):
                self.close()
                return None
            if rows is None:
                return None
            new = dict(zip(fresh, rows, strict=True))
            self._keep(new)
            known |= new
        return [known[key] for key in keys] if numbers else None

    def _keep(self, rows):
        size = sum(len(key[1]) + len(encode(row)) for key, row in rows.items())
        if self._size + size > MOST_CACHED:
            self._known, self._size = {}, 0
        self._known |= rows
        self._size += size

    def _ask(self, request, seconds):
        """Return what the process answers to this request; what it owes to an earlier one goes."""
        self._asked += 1
        self._channel.send(request | {"number": self._asked}, seconds)
        while (reply := self._channel.receive(seconds + STEP))["number"] != self._asked:
            pass
        return reply["rows"]

    def _start(self):
        ours, theirs = socket.socketpair()
        self._worker = os.fork()
        if self._worker == 0:
            try:
                ours.close()
                _serve(Channel(theirs), self._source, self._cases, self._folder, self._seconds)
            finally:
                os._exit(0)
        theirs.close()
        self._channel = Channel(ours)
        try:
            ready = self._channel.receive(SECONDS_TO_START)
        except (Closed, Late):
            what = f"{self._cases.name} or the instructor's notebook does not run to its end"
            ready = {"problem": what, "cases": []}
        self.problem = ready["problem"]
        self._listed = [
            (number, name, Finding(grade_id, line, explanation))
            for number, (kind, grade_id, name, line, explanation) in enumerate(ready["cases"])
            if kind == MISCONCEPTION
        ]

    def close(self):
        """End the process."""
        if self._worker is not None:
            self._channel.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._worker, signal.SIGKILL)
            os.waitpid(self._worker, 0)
            self._worker = None


def _serve(channel, source, path, folder, seconds):
    """Run the instructor's notebook, then answer what the reference and the cases give."""
    detach(folder or "/", channel)
    limit_memory(MEMORY)
    os.environ["MPLBACKEND"] = "agg"
    try:
        cases = load_cases(path)
    except ValueError as error:
        channel.send({"problem": str(error), "cases": []})
        return
    shell = Cells()
    for cell in source.cells:
        if cell.role not in (TEST, WRITTEN):
            shell.run(cell.source)
    listed = [[c.kind, c.grade_id, c.name, c.line, c.explanation] for c in cases]
    channel.send({"problem": "", "cases": listed})
    while True:
        try:
            request = channel.receive()
        except Closed:
            return
        child = os.fork()
        if child == 0:
            try:
                _answer(channel, request, shell.user_ns, cases)
            finally:
                os._exit(1)
        if not _ended_well(child, seconds):
            channel.send({"number": request["number"], "rows": None})


def _answer(channel, request, names, cases):
    """Send what each call gives with the reference and with each case, and exit."""
    functions = [None, *(cases[number] for number in request["cases"])]
    columns = []
    for case in functions:
        before = dict(names)
        if case is not None:
            names[case.name] = case.function
        columns.append([_outcome(names, *call) for call in request["calls"]])
        names.clear()
        names.update(before)
    rows = [list(row) for row in zip(*columns, strict=True)]
    channel.send({"number": request["number"], "rows": rows})
    os._exit(0)


def _outcome(names, name, args, kwargs):
    try:
        value = names[name](*copy.deepcopy(args), **copy.deepcopy(kwargs))
    except BaseException as error:
        return {"raised": type(error).__name__}
    try:
        encode(value)
    except NotPlain:
        return {"refused": True}
    return {"value": value}


def _ended_well(child, seconds):
    """Wait for a child, and kill it when its time is over; whether it exited with code 0."""
    descriptor = os.pidfd_open(child)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(math.ceil(1000 * seconds)):
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    return os.waitpid(child, 0)[1] == 0


def _alike(ones, others):
    return all(_same(one, other) for one, other in zip(ones, others, strict=True))


def _same(one, other):
    """Whether two outcomes are equal: values to within rounding, exceptions by their type."""
    if one.keys() != other.keys() or "refused" in one:
        return False
    return (
        one["raised"] == other["raised"] if "raised" in one else same(one["value"], other["value"])
    )


def same(one, other):
    """Whether plain data are equal: in type, dtype and shape exactly, floats to within rounding.

    The tolerance, relative and absolute, is 1e-9, or 16 times the machine epsilon of the dtype if
    that is more. NaN equals NaN.
    """
    if type(one) is not type(other):
        return False
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if isinstance(one, float | complex) and not (numpy and isinstance(one, numpy.generic)):
        return _close(one, other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if numpy and isinstance(one, numpy.ndarray | numpy.generic):
        inexact = one.dtype.kind in "fc"
        return _same_arrays(one, other, numpy.finfo(one.dtype).eps if inexact else 0, numpy)
    if torch and isinstance(one, torch.Tensor):
        inexact = one.dtype.is_floating_point or one.dtype.is_complex
        return _same_arrays(one, other, torch.finfo(one.dtype).eps if inexact else 0, torch)
    return one == other


def _close(one, other):
    if one != one or other != other:
        return one != one and other != other
    return cmath.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _same_arrays(one, other, epsilon, library):
    """Compare arrays or tensors; `epsilon` is that of their numbers, 0 if they are exact."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if not epsilon:
        return bool((one == other).all())
    tolerance = max(TOLERANCE, 16 * float(epsilon))
    with warnings.catch_warnings(action="ignore"):
        close = library.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
    return bool(close.all())
