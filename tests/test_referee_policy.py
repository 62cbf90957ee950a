"""Forbidden calls are found in an answer and in what it uses, and stopped while it is tested."""

import pytest
from nbformat.v4 import new_code_cell
from referee_assignments import Assignment, answer, exam

from referee import policy

REFERENCE = answer("def smooth(x):\n    return [sum(x)]")
SETUP = new_code_cell("import numpy as np")
FORBIDDEN = {"q": ["np.convolve", "scipy.signal.convolve", "sorted"], "elsewhere": ["eval"]}


@pytest.fixture
def assignment(tmp_path):
    return Assignment(tmp_path, [SETUP, REFERENCE, exam("assert smooth([1, 2]) == [3]")])


def breaches(assignment, given, added=()):
    notebook = assignment.hand_in({"q": given}, [("q", text) for text in added])
    return policy.breaches(notebook, assignment.notebook, FORBIDDEN)


@pytest.mark.parametrize(
    "given",
    [
        "def smooth(x):\n    return np.convolve(x, [1])",
        "import numpy\ndef smooth(x):\n    return numpy.convolve(x, [1])",
        "import numpy as n\ndef smooth(x):\n    return n.convolve(x, [1])",
        "def smooth(x):\n    from numpy import convolve as c\n    return c(x, [1])",
        "from numpy import *\ndef smooth(x):\n    return convolve(x, [1])",
        "def smooth(x):\n    return getattr(np, 'convolve')(x, [1])",
        "def smooth(x):\n    return vars(np)['convolve'](x, [1])",
        "def smooth(x):\n    return np.__dict__['convolve'](x, [1])",
        "def smooth(x):\n    return __import__('numpy').convolve(x, [1])",
        "import importlib\ndef smooth(x):\n    return importlib.import_module('numpy').convolve(x)",
        "c = np.convolve\ndef smooth(x):\n    return c(x, [1])",
        "n = np\ndef smooth(x):\n    return n.convolve(x, [1])",
        "def smooth(x):\n    return list(map(np.convolve, x, x))",
        "from scipy import signal\ndef smooth(x):\n    return signal.convolve(x, [1])",
        "import scipy.signal as s\ndef smooth(x):\n    return s.convolve(x, [1])",
        "def smooth(x):\n    return sorted(x)",
        "%matplotlib inline\ndef smooth(x):\n    return np.convolve(x, [1])",
    ],
)
def test_a_forbidden_call_is_found_under_its_aliases(assignment, given):
    found = breaches(assignment, given)
    assert list(found) == ["q"] and "may not be used here (line " in found["q"]


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ('def smooth(x):\n    "As np.convolve does."\n    return x  # np.convolve', ()),
        ("def smooth(convolve):\n    return convolve", ()),
        ("def smooth(x):\n    return x.convolve()", ()),
        ("def smooth(x):\n    return np.correlate(x, x)", ()),
        ("def smooth(x):\n    return {'convolve': 1}['convolve']", ()),
        ("def smooth(x):\n    return x", ["assert smooth([1]) == np.convolve([1], [1])"]),
        ("def smooth(x):\n    return x", ["def mine(x):\n    return np.convolve(x, x)"]),
        ("def smooth(x) return", ()),
        ("x = 1" + ".real" * 500, ()),
        ("%time 1\n" * 600, ()),
    ],
)
def test_what_is_not_forbidden_is_not_found(assignment, given, added):
    assert breaches(assignment, given, added) == {}


@pytest.mark.parametrize(
    "added",
    [
        ["def helper(x):\n    return np.convolve(x, [1])"],
        ["def inner(x):\n    return np.convolve(x, [1])", "def helper(x):\n    return inner(x)"],
        ["helper = np.convolve"],
    ],
)
def test_added_functions_that_the_answer_uses_count_with_it(assignment, added):
    found = breaches(assignment, "def smooth(x):\n    return helper(x)", added)
    assert list(found) == ["q"]
    assert found["q"].endswith(("(line 2 of a cell that you added)", "(line 2)"))


def test_an_answer_with_a_forbidden_call_gets_nothing_and_is_told_the_line(assignment):
    given = "def smooth(x):\n    return [np.convolve(x, [1, 1])[1]]"
    forbidden = {"q": ["np.convolve"]}
    assert assignment.judge({"q": given})["q-1"].score == 2
    verdict = assignment.judge({"q": given}, forbidden=forbidden)["q-1"]
    assert (verdict.score, verdict.reason) == (0, "np.convolve may not be used here (line 2)")
    assert assignment.judge(forbidden=forbidden)["q-1"].score == 2


HIDDEN_FROM_TEXT = "def smooth(x):\n    return [getattr(np, 'con' + 'volve')(x, [1, 1])[1]]"


def test_a_forbidden_call_that_its_text_hides_is_stopped_while_it_is_tested(assignment):
    forbidden = {"q": ["numpy.convolve"]}
    assert assignment.judge({"q": HIDDEN_FROM_TEXT})["q-1"].score == 2
    verdict = assignment.judge({"q": HIDDEN_FROM_TEXT}, forbidden=forbidden)["q-1"]
    assert verdict.score == 0 and "numpy.convolve may not be used" in verdict.check


@pytest.mark.parametrize("place", ["q-1", "q-2"])
def test_cells_outside_the_tests_may_use_what_the_question_forbids(tmp_path, place):
    tests = [exam("assert smooth([1])", "q-1"), exam("assert smooth([1, 2]) == [3]", "q-2")]
    assignment = Assignment(tmp_path, [SETUP, REFERENCE, *tests])
    given = "done = [0]\ndef smooth(x):\n    return [sum(x) * done[0]]"
    added = [(place, "np.convolve([1, 2], [1, 1])\ndone[0] = 1")]
    assert assignment.judge({"q": given})["q-2"].score == 0
    verdict = assignment.judge({"q": given}, added, forbidden={"q": ["numpy.convolve"]})["q-2"]
    assert verdict.score == 2
