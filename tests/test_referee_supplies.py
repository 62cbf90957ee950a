"""What the instructor's cells give to tests is made by the judge, and drivers are put back."""

import pytest
from nbformat.v4 import new_code_cell
from referee_assignments import DOUBLE, Assignment, answer, exam, locked

from referee.assignment import ANSWER, PLAIN, READ_ONLY, Cell
from referee.contract import breaches
from referee.making import CannotMake, make
from referee.supplies import Supplies, supplies_for

WRONG = "def double(x):\n    return 0"


@pytest.fixture
def judged(tmp_path):
    """Return a function that judges an answer to `double` in a notebook of the given cells."""

    def judge(cells, test, given=DOUBLE, before=(), **options):
        cells = [*cells[:1], *before, answer(DOUBLE), *cells[1:], exam(test)]
        return Assignment(tmp_path, cells).judge({"q": given}, **options)["q-1"]

    return judge


def supplies(*cells):
    """Return what cells give to a test cell; an answer is marked by a leading "answer:"."""
    made = []
    for number, text in enumerate(cells, start=1):
        role = ANSWER if text.startswith("answer:") else (PLAIN, READ_ONLY)[number % 2]
        text = text.removeprefix("answer:")
        made.append(Cell(number, role, text, "", text, f"c{number}", 0.0))
    return Supplies(made)


ANSWERED = f"answer:{DOUBLE}"


@pytest.mark.parametrize(
    ("cells", "made", "student"),
    [
        (["x = [1, 2]", ANSWERED], {"x"}, set()),
        ([ANSWERED, "x = double(1)\ny = x + 1\nz = 3"], {"z"}, {"x", "y"}),
        (["def run(n):\n    return helper(n)", ANSWERED, "helper = double"],
         set(), {"run", "helper"}),
        (["def look(name):\n    return globals()[name](1)", ANSWERED], set(), {"look"}),
        (["rows = []\nrows.append(1)", ANSWERED, "table = {}\ntable['a'] = double(1)"],
         {"rows"}, {"table"}),
        ([ANSWERED, "rows = []\nrows.append(double(1))\nrows.sort()"], set(), {"rows"}),
        ([ANSWERED, "import numpy as np\nx = np.ones(3)\nnp.testing.assert_equal(double(1), 2)"],
         {"np", "x"}, set()),
        ([f"answer:import numpy as np\n{DOUBLE}", "import numpy as np\nx = np.ones(3)"],
         {"np", "x"}, set()),
        (["%matplotlib inline\nx = 1\ny = !ls", ANSWERED], {"x"}, {"y"}),
        (["total = 1", ANSWERED, "total += double(1)"], set(), {"total"}),
        ([ANSWERED, "def double(x):\n    return x + x\ny = double(2)"], {"double", "y"}, set()),
        ([ANSWERED, "from functools import cache\ndouble = cache(double)"], {"cache"}, set()),
        (["try:\n    import math\nexcept ImportError:\n    raise\nx = math.pi", ANSWERED],
         {"math", "x"}, set()),
        (["for n in range(3):\n    m = n", ANSWERED, "for k in [double(1)]:\n    pass"],
         {"n", "m"}, {"k"}),
    ],
)  # fmt: skip
def test_names_that_use_nothing_of_the_students_are_made(cells, made, student):
    found = supplies(*cells)
    assert (found.made, found.student) == (made, student)


def test_what_a_name_needs_is_run_in_the_order_of_the_notebook():
    found = supplies("x = 1\ny = [x]\nx = 2\nz = 1 / 0", "y.append(x)\nprint(1 / 0)")
    assert make(found.statements, ["x", "y", "unknown"]) == {"x": 2, "y": [1, 2]}
    with pytest.raises(CannotMake, match="z: `z = 1 / 0` ends with ZeroDivisionError"):
        make(found.statements, ["z"])


def test_random_data_are_made_with_their_seed():
    text = "import random\nrandom.seed(3)\nnumber = random.random()"
    statements = supplies(text).statements
    assert make(statements, ["number"]) == make(statements, ["number"])


def test_names_of_a_star_import_can_be_needed():
    statements = supplies("from math import *\ncircle = 2 * pi").statements
    assert 6.28 < make(statements, ["circle"])["circle"] < 6.29


@pytest.mark.parametrize(
    "given",
    ["inputs = []", "del inputs", "inputs = object()", "inputs = [3, 4]", "inputs.clear()"],
)
@pytest.mark.parametrize("cell", [locked, lambda text: new_code_cell(text)])
def test_data_of_the_instructor_are_not_asked_of_the_student(judged, cell, given):
    test = "assert len(inputs) == 2\nfor x in inputs:\n    assert double(x) == 2 * x"
    assert judged([cell("inputs = [1, 2]")], test, f"{given}\n{DOUBLE}").score == 2
    assert judged([cell("inputs = [1, 2]")], test, f"{given}\n{WRONG}").score == 0


def test_a_reference_function_is_not_asked_of_the_student(judged):
    cells = [locked("factor = 2\n\ndef expected(x):\n    return factor * x")]
    test = "assert double(4) == expected(4)"
    assert judged(cells, test).score == 2
    for more in ("def expected(x):\n    return 0", "factor = 0", "del expected"):
        assert judged(cells, test, f"{WRONG}\n\n{more}").score == 0
        assert judged(cells, test, f"{DOUBLE}\n\n{more}").score == 2


def test_a_supplied_version_takes_the_place_of_the_answer(tmp_path):
    half = "def half(x):\n    return x / 2"
    test = "assert half(double(5)) == 5"
    supplied = locked("def double(x):\n    return x + x", "supplied")
    cells = [answer(DOUBLE), supplied, answer(half, "h"), exam(test, "h-1")]
    for given in (WRONG, "raise ValueError"):
        made = Assignment(tmp_path, cells)
        assert made.judge({"q": given})["h-1"].score == 2
        rebound = f"{WRONG}\n\ndef half(x):\n    return 5"
        assert made.judge({"h": f"{rebound} if x == 0 else 0"})["h-1"].score == 0


def test_data_that_no_answer_defines_are_not_taken_from_the_student(judged):
    outcome = "uses 'result', data that no answer cell defines"
    for cells in ([], [locked("other = 1"), locked("result = double(2)", "later")]):
        verdict = judged(cells, "assert result == 4", f"result = 4\n{DOUBLE}")
        assert verdict.score == 0 and outcome in verdict.reason
    verdict = judged([], "assert helper(1)", f"{DOUBLE}\n\ndef helper(x):\n    return 1")
    assert "uses 'helper', a function that no cell defines" in verdict.reason


def test_data_that_an_answer_defines_are_the_students(judged):
    verdict = judged([answer("size = 3", "s")], "assert size == 3", f"size = 3\n{DOUBLE}")
    assert verdict.score == 2


def test_what_an_instructors_cell_cannot_make_is_told(judged):
    verdict = judged([locked("table = open('absent').read()")], "assert table")
    assert verdict.score == 0
    assert "needs table: `table = open('absent').read()` ends with FileNotFound" in verdict.reason


DRIVER = """def helper(f, x):
    return [f(x), "through the helper"]


def run(x):
    return helper(double, x)"""
RUN = "value, way = run(3)\nassert value == 6 and way == 'through the helper'"


@pytest.mark.parametrize(
    "more",
    [
        "run = lambda x: [6, 'through the helper']",
        "def helper(f, x):\n    return [6, 'through the helper']",
        "run = None",
        "del run, helper",
    ],
)
def test_a_driver_that_was_bound_anew_is_put_back(judged, more):
    assert judged([locked(DRIVER)], RUN, f"{WRONG}\n\n{more}").score == 0
    assert judged([locked(DRIVER)], RUN, f"{DOUBLE}\n\n{more}").score == 2


def test_a_driver_that_is_put_back_keeps_its_lines_in_tracebacks(judged):
    verdict = judged([locked(f"size = 3\n\n{DRIVER}")], RUN, "def double(x):\n    return x.no")
    assert verdict.error[:3] == [
        "cell driver, line 8: return helper(double, x)",
        'cell driver, line 4: return [f(x), "through the helper"]',
        "cell q, line 2: return x.no",
    ]


def test_an_end_while_drivers_are_put_back_costs_the_question_only(tmp_path):
    trap = (
        "import os\nget_ipython().input_transformers_cleanup.append("
        "lambda lines: os._exit(3) if 'def run' in ''.join(lines) else lines)"
    )
    cells = [locked(DRIVER), answer(DOUBLE), exam(RUN), answer("one = 1", "r")]
    cells.append(exam("assert one == 1", "r-1"))
    verdicts = Assignment(tmp_path, cells).judge({"q": f"{DOUBLE}\n{trap}"})
    assert verdicts["q-1"].score == 0 and "code 3" in verdicts["q-1"].reason
    assert verdicts["r-1"].score == 2


@pytest.mark.parametrize(
    ("cells", "lasting"),
    [
        ([DRIVER, ANSWERED], {"helper", "run"}),
        (["run = lambda x: double(x)", ANSWERED], set()),
        (["def run(x):\n    return double(x)\n\nrun.calls = 0", ANSWERED], set()),
        (["%precision 3\ndef run(x):\n    return double(x)", ANSWERED], set()),
    ],
)
def test_drivers_that_can_be_put_back_are_bound_by_def_alone(cells, lasting):
    assert supplies(*cells).lasting == lasting


def test_the_contract_knows_what_the_instructor_gives(tmp_path):
    cells = [locked("table = [1]"), answer(DOUBLE), locked("out = double(2)", "late")]
    notebook = Assignment(tmp_path, [*cells, exam("assert double(table[0]) == out")]).notebook
    (test,) = notebook.questions[0].tests
    found = supplies_for(notebook, test)
    names = {"double"}, found.drivers, {}, found.made, found.student
    ((line, text),) = breaches(test.source, *names)
    assert line == 1 and text.startswith("uses 'out', which comes out of the student's code")
