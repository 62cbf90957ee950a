"""A lost question is explained by a misconception only if the answers agree with it."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from referee_assignments import Assignment, answer, exam, locked

from referee.explain import Explainer, Finding, same
from referee.judge import Verdict
from referee.student import Call

CASES = """from referee.cases import misconception, variant

@misconception("q-1", "added")
def double(x):
    return x + 2

@misconception("q-2", "squared")
def double(x):
    return x * x

@misconception("q-2", "refused")
def double(x):
    raise ValueError(x)

@misconception("q-2", "right but for 1000")
def double(x):
    return 2 * x if x != 1000 else 0

@misconception("q-1", "endless for 7")
def double(x):
    while x == 7:
        pass
    return x + 2

@variant("q")
def double(x):
    return x + x
"""
TESTS = ("assert double(3) == 6, double(2)", "assert double(1) == 2")
DRIVER = "def run(x):\n    return [double(x)]"


@pytest.fixture
def explained(tmp_path):
    """Return a function that gives the findings on an answer, as {part: explanation}."""
    opened = []

    def explain(given, tests=TESTS, cases=CASES, seconds=5):
        if not opened:
            cells = [exam(test, f"q-{number}") for number, test in enumerate(tests, start=1)]
            reference = answer("def double(x):\n    return 2 * x")
            assignment = Assignment(tmp_path, [locked(DRIVER), reference, *cells])
            path = assignment.folder / "cases.py"
            if cases is not None:
                path.write_text(cases)
            explainer = Explainer(assignment.notebook, path, assignment.folder, seconds)
            opened.extend([assignment, explainer])
        assignment, explainer = opened
        verdicts = assignment.judge({"q": f"def double(x):\n    {given}"})
        findings = explainer.explain(verdicts.values())
        explain.explainer = explainer
        return {grade_id: finding.explanation for grade_id, finding in findings.items()}

    yield explain
    for explainer in opened[1:]:
        explainer.close()


@pytest.mark.parametrize(
    ("given", "findings"),
    [
        ("return 2 + x", {"q-1": "added"}),
        ("return x ** 2", {"q-2": "squared"}),
        ("raise ValueError('no')", {"q-2": "refused"}),
        ("raise TypeError('no')", {}),
        ("return 2.0 + x", {}),
        ("return x + 2 if x == 3 else x", {}),
        ("return x + x", {}),
        ("return 0", {}),
        ("import os; os._exit(1)", {}),
    ],
)
def test_a_finding_needs_equal_results_on_every_call(explained, given, findings):
    assert explained(given) == findings


def test_a_misconception_that_is_the_reference_on_all_calls_explains_nothing(explained):
    tests = ("assert double(3) == 6", "assert double(1) == 2\nassert False")
    assert explained("return 2 * x", tests) == {}


def test_drivers_are_called_with_the_misconception_in_place(explained):
    tests = ("assert run(3) == [6]", "assert run(5) == [10]")
    assert explained("return x + 2", tests) == {"q-1": "added"}
    assert explained("return x * x", tests) == {"q-2": "squared"}


def test_results_of_cases_are_kept_for_the_next_submission(explained, monkeypatch):
    assert explained("return 2 + x") == {"q-1": "added"}
    asked = []
    monkeypatch.setattr(Explainer, "_ask", lambda *arguments: asked.append(arguments))
    assert explained("return x + 2") == {"q-1": "added"}
    assert explained("return x ** 2") == {"q-2": "squared"}
    assert asked == []


def test_a_small_cache_is_emptied_and_explains_all_the_same(explained, monkeypatch):
    monkeypatch.setattr("referee.explain.MOST_CACHED", 1)
    for given, findings in (("2 + x", {"q-1": "added"}), ("x ** 2", {"q-2": "squared"})) * 2:
        assert explained(f"return {given}") == findings


def test_a_cache_that_is_emptied_keeps_what_this_question_needs(explained, monkeypatch):
    monkeypatch.setattr("referee.explain.MOST_CACHED", 1)
    assert explained("return 6 if x == 3 else 0") == {}
    assert explained("return 2 + x") == {"q-1": "added"}


def test_an_answer_that_comes_late_is_not_taken_for_the_next(explained, monkeypatch):
    def late(child, seconds):
        os.waitpid(child, 0)
        return False

    monkeypatch.setattr("referee.explain._ended_well", late)
    assert explained("return 6 if x == 3 else 0") == {}
    assert explained("return 2 + x") == {"q-1": "added"}
    assert explained("return x ** 2") == {"q-2": "squared"}


def test_a_misconception_that_does_not_end_explains_nothing_and_the_next_call_does(explained):
    tests = ("assert double(int(double(0))) == 6", "assert double(1) == 2")
    assert explained("return 7 if x == 0 else 2 + x", tests, seconds=1) == {}
    assert explained("return 2 + x") == {"q-1": "added"}


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        (None, ""),
        ("import no_such_module", "No module named"),
        ("import os; os._exit(1)", "cases.py or the instructor's notebook does not run to its end"),
    ],
)
def test_without_cases_that_can_be_run_nothing_is_explained(explained, cases, problem):
    assert explained("return 2 + x", cases=cases) == {}
    assert problem in explained.explainer.problem
    assert bool(problem) == bool(explained.explainer.problem)


def test_a_finding_beside_a_part_that_was_not_lost_is_left_out(explained):
    assert explained("return 2 + x") == {"q-1": "added"}
    explainer = explained.explainer
    calls = [Call("double", [3], {}, 5)]
    lost = Verdict("q-2", 0, 2, "no", calls=calls)
    kept = Verdict("q-1", 2, 2)
    assert explainer.explain([kept, lost]) == {}
    found = explainer.explain([replace(kept, score=0, check="no"), lost])
    assert {g: f.explanation for g, f in found.items()} == {"q-1": "added"}
    assert all(isinstance(finding, Finding) and finding.line == 3 for finding in found.values())


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        (1.0, 1.001),
        (INF, -INF),
        (INF, 1e300),
        (NAN, 0.0),
        (0.0, 1e-8),
        ([1], (1,)),
        ([1], [1, 2]),
        ({"a": 1.0}, {"a": 2.0}),
        ({"a": 1}, {"b": 1}),
        ("a", "b"),
        (np.float64(1), 1.0),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.array([1, NAN]), np.array([1, 0.0])),
        (np.array(["a"]), np.array(["b"])),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (torch.zeros(2), torch.ones(2)),
        (np.float32(1), np.float32(1.00001)),
        (torch.ones(2), torch.ones(2) + 1e-5),
        (1j, 2j),
    ],
)
def test_results_that_differ_are_not_equal(one, other):
    assert not same(one, other) and not same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 1.0 + 1e-10),
        (1e12, 1e12 + 1),
        (NAN, NAN),
        (-INF, -INF),
        (0.0, -1e-10),
        ([1, (NAN, "a")], [1, (NAN, "a")]),
        ({"a": 1.0, "b": 2}, {"b": 2, "a": 1.0 + 1e-12}),
        ({1, 2}, {2, 1}),
        (np.array([1, NAN, INF]), np.array([1 + 1e-12, NAN, INF])),
        (np.float32(NAN), np.float32(NAN)),
        (np.float32(1), np.float32(1.000001)),
        (torch.ones(2), torch.ones(2) + 1e-6),
        (np.ones(2, np.complex64), np.ones(2, np.complex64) + 1e-6j),
        (np.zeros(0), np.zeros(0)),
        (torch.tensor([1.0, NAN]).bfloat16(), torch.tensor([1.0, NAN]).bfloat16()),
        (complex(NAN, 1), complex(NAN, 1)),
        (range(3), range(3)),
    ],
)
def test_results_that_agree_to_within_rounding_are_equal(one, other):
    assert same(one, other) and same(other, one)
