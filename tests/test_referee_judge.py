"""A verdict depends on the student's answers alone, and one fault costs one question."""

import os
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from referee_assignments import DOUBLE, Assignment, answer, exam, hidden, locked
from referee_sessions import ForkedSession

from referee.judge import HIDDEN, judge
from referee.student import Student


@pytest.fixture
def case(tmp_path):
    """Return a function that makes an assignment of cells."""
    return lambda *cells: Assignment(tmp_path, list(cells))


@pytest.fixture
def one(case):
    """Return a function that judges one test of `double`, against an answer."""

    def verdict(test, given=DOUBLE, **options):
        return case(answer(DOUBLE), exam(test)).judge({"q": given}, **options)["q-1"]

    return verdict


# --- what a failed check says -----------------------------------------------------------------

LIBRARY = "import numpy as np\nnp.testing.assert_allclose(double(3), 6.125)"


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        ("assert double(3) == 6, 'three and three'", "three and three"),
        ("assert (double(3)\n        == 6)", "assert (double(3) == 6)"),
        (hidden("assert double(3) == 6, 'three and three'"), "three and three"),
        (hidden("assert double(3) == 6.125"), HIDDEN),
        (hidden(LIBRARY), f"{HIDDEN} (AssertionError)"),
        (hidden("{}[double(3) + 1234]"), f"{HIDDEN} (KeyError)"),
        ("1 / (double(3) - 3)", "1 / (double(3) - 3): ZeroDivisionError: division by zero"),
        (
            "def check(x, y):\n    assert double(x) == y\n" + hidden("check(3, 6)"),
            HIDDEN,
        ),
        (
            "def check(x, y):\n    assert double(x) == y\ncheck(3, 6)",
            "assert double(x) == y",
        ),
        ("assert double(3) == 6\n" + hidden("assert double(3) == 6"), HIDDEN),
        ("raise SystemExit('over')", "raise SystemExit('over'): SystemExit: over"),
    ],
)
def test_a_failed_check_is_told_in_one_line_that_shows_no_hidden_text(one, test, shown):
    verdict = one(test, "def double(x):\n    return x")
    assert (verdict.score, verdict.check, verdict.reason) == (0, shown, "")
    assert verdict.lost and verdict.max == 2


def test_a_visible_check_by_a_library_shows_its_message(one):
    assert "6.125" in one(LIBRARY, "def double(x):\n    return x").check


def test_a_long_message_is_cut(one):
    verdict = one("assert double(3) == 6, 'long ' * 10**6", "def double(x):\n    return x")
    assert len(verdict.check) == 400 and verdict.check.endswith("…")


BROKEN = "def double(x):\n    y = half(x)\n    return y\n\ndef half(x):\n    return x / 0"


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        ("assert double(3) == 6", "double(3) raised ZeroDivisionError: division by zero"),
        (hidden("assert double(3) == 6"), "double raised ZeroDivisionError: division by zero"),
        (
            "try:\n    double(3)\nexcept Exception as e:\n    raise AssertionError('no') from e",
            "no",
        ),
    ],
)
def test_an_error_of_the_student_comes_with_the_traceback_of_their_cells(one, test, shown):
    verdict = one(test, BROKEN)
    assert verdict.check == shown
    assert verdict.error == [
        "cell q, line 2: y = half(x)",
        "cell q, line 6: return x / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_no_traceback_is_told_where_the_last_call_went_well(one):
    test = "try:\n    double('a')\nexcept TypeError:\n    pass\nassert double(1) == 3"
    verdict = one(test, "def double(x):\n    return 0 + 2 * x")
    assert verdict.check == "assert double(1) == 3" and verdict.error == []


@pytest.mark.parametrize(
    ("given", "shown", "lines"),
    [
        (
            "doubel = npp.array\ndef double(x): ...",
            "double is not defined: the cell q ended with NameError: name 'npp' is not defined",
            ["cell q, line 1: doubel = npp.array", "NameError: name 'npp' is not defined"],
        ),
        ("def doubel(x): ...", "double is not defined: the cell q ran and does not define it", []),
        (
            "import os\nos._exit(3)",
            "double is not defined: the cell q did not run to its end: ended itself with code 3",
            [],
        ),
    ],
)
def test_a_missing_name_is_explained_by_the_cell_that_should_define_it(one, given, shown, lines):
    verdict = one("assert double(3) == 6", given)
    assert (verdict.check, verdict.error) == (shown, lines)


def test_a_syntax_error_is_told_with_its_line(one):
    verdict = one("assert double(3) == 6", "def double(x)\n    return 2 * x")
    assert verdict.check.startswith("double is not defined: the cell q ended with SyntaxError")
    assert any("line 1" in line for line in verdict.error)


@pytest.mark.parametrize("result", ["object()", "[lambda: 1]", "(n for n in [1])", "float"])
def test_a_result_that_is_not_plain_data_is_refused_with_a_message(one, result):
    verdict = one("assert double(3) == 6", f"def double(x):\n    return {result}")
    assert verdict.score == 0 and verdict.check.startswith("double: ")
    assert "not plain data" in verdict.check


def test_the_traceback_of_a_driver_leads_through_its_cell(case):
    driver = "def run(x):\n    return [double(x)]"
    made = case(locked(driver), answer(DOUBLE), exam("assert run(3) == [6]"))
    verdict = made.judge({"q": "def double(x):\n    return x.no"})["q-1"]
    assert verdict.check == "run(3) raised AttributeError: 'int' object has no attribute 'no'"
    assert verdict.error[:2] == [
        "cell driver, line 2: return [double(x)]",
        "cell q, line 2: return x.no",
    ]


# --- points -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "score"),
    [
        ("1.5", 1.5),
        ("0", 0),
        ("7", 2),
        ("2.0", 2),
        ("-1", 0),
        ("float('nan')", 0),
        ("True", 2),
        ("None", 2),
        ("'1'", 2),
        ("1;", 2),
        ("import numpy as np\nnp.float32(0.5)", 0.5),
        ("double(0.25) * 2", 1),
        ("double(0.25)", 2),
        ("x = 1", 2),
    ],
)
def test_a_number_that_ends_a_test_cell_is_its_score_within_bounds(one, last, score):
    verdict = one(f"assert double(1) == 2\n{last}")
    assert verdict.score == score
    assert verdict.lost == (score < 2)


NOISY = "import sys, warnings\nwarnings.warn('old')\nprint('x' * 10**6)\nsys.stderr.write('oh')\n"


def test_warnings_and_prints_cost_nothing(one):
    assert one(NOISY + "assert double(1) == 2", NOISY + DOUBLE).score == 2


# --- whose names ------------------------------------------------------------------------------


def test_a_test_cell_imports_for_itself_what_the_notebook_imports(case):
    made = case(
        new_code_cell(
            "import numpy as np\nfrom math import *\ntry:\n    import json as j\nfinally: ..."
        ),
        answer(DOUBLE),
        exam("assert np.allclose(double(1), 2) and sqrt(double(2)) == 2 and j.loads('2') == 2"),
    )
    fake = "class np:\n    allclose = lambda *_: True\nj = sqrt = None\ndef double(x): return 3"
    assert made.judge()["q-1"].score == 2
    assert made.judge({"q": fake})["q-1"].score == 0
    assert made.judge({"q": fake.replace("3", "2 * x")})["q-1"].score == 2


def test_a_student_cannot_replace_what_a_test_cell_has_of_its_own(case):
    test = "def close(a, b):\n    return abs(a - b) < 1e-9\nassert close(double(1), 2)"
    made = case(answer(DOUBLE), exam(test), answer("y = 1", "p"), exam("assert close(y, 1)", "p-1"))
    cheat = "close = all = sum = abs = len = lambda *_: True\n"
    verdicts = made.judge({"q": cheat + "double = float", "p": cheat + "y = 2"})
    assert [v.score for v in verdicts.values()] == [0, 0]
    assert all(v.score == 2 for v in made.judge({"q": cheat + DOUBLE}).values())


def test_an_answer_may_have_the_name_of_a_builtin(case):
    made = case(answer("def sum(x):\n    return 7"), exam("assert sum([1]) == 7"))
    assert made.judge()["q-1"].score == 2
    assert made.judge({"q": "def total(x):\n    return 7"})["q-1"].score == 0


def test_values_of_the_student_are_read_as_they_are_at_each_test_cell(case):
    made = case(
        answer("x = [1]"),
        exam("assert x == [1]\nx.append(2)\nassert x == [1, 2]"),
        answer("y = 1\nx = [3]", "p"),
        exam("assert x == [3]", "p-1"),
    )
    assert [v.score for v in made.judge().values()] == [2, 2]
    assert [v.score for v in made.judge({"p": "y = 1"}).values()] == [2, 0]


def test_an_answer_takes_back_a_name_that_a_test_cell_has_bound(case):
    made = case(
        answer(DOUBLE),
        exam("result = double(1)\nassert result == 2"),
        answer("result = 5", "p"),
        exam("assert result == 5", "p-1"),
    )
    assert [v.score for v in made.judge().values()] == [2, 2]
    assert made.judge({"p": "pass"})["p-1"].check.startswith("result is not defined")


def test_a_module_of_the_student_is_imported_if_the_instructor_imports_it(case):
    made = case(
        answer("import statistics as tool\nimport os"),
        exam("assert tool.mean([1, 2, 3]) == 2"),
        exam("assert os.sep", "q-2"),
    )
    assert [v.score for v in made.judge().values()] == [2, 2]
    verdicts = made.judge({"q": "import numpy as tool\nimport posixpath as os"})
    assert [v.score for v in verdicts.values()] == [0, 0]


def test_a_test_cell_that_hands_over_code_is_told_to_the_instructor(one):
    verdict = one("try:\n    double(lambda: 1)\nexcept Exception:\n    pass")
    assert verdict.score == 0 and "cannot be run apart from your code" in verdict.reason
    assert "plain Python" in one("%matplotlib inline").reason


def test_test_cells_work_in_the_folder_of_the_assignment(case):
    made = case(answer(DOUBLE), exam("assert double(1) == int(open('judging').read())"))
    (made.folder / "judging").write_text("2")
    assert made.judge()["q-1"].score == 2
    assert made.judge({"q": "def double(x):\n    return int(open('judging').read())"})["q-1"].lost


# --- faults -----------------------------------------------------------------------------------


def test_two_submissions_meet_the_same_random_numbers(one):
    drawn = "(random.random(), np.random.rand())"
    test = f"import random\nimport numpy as np\nassert double(1) == 0, {drawn}"
    assert one(test).check == one(test).check
    assert one(test).check != one(test + " ").check


LEAVES = """import subprocess, random, numpy as np
np.convolve = None
random.seed(1)
subprocess.Popen(["sleep", "77.{}"])
double(1)
"""


def test_what_a_test_cell_changes_or_starts_is_gone_after_the_submission(case):
    import random

    import numpy as np

    state = random.getstate()
    made = case(answer(DOUBLE), exam(LEAVES.format(os.getpid())))
    assert made.judge()["q-1"].score == 2
    assert np.convolve([1], [1]) == 1 and random.getstate() == state
    assert f"77.{os.getpid()}" not in sleeping()
    assert made.judge()["q-1"].score == 2


def sleeping():
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name, *rest = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        found += rest if name == "sleep" else []
    return found


def test_a_test_cell_holds_no_file_of_the_process_that_judges(one):
    opened = "import os\nheld = [f for f in range(3, 99) if os.path.exists(f'/proc/self/fd/{f}')]"
    assert one(f"{opened}\nassert len(held) == 1, held\nassert double(1) == 2").score == 2


GREEDY = {
    "a bound of a loop": ("for _ in range(double(1)):\n    pass", "10**12", "not done after"),
    "an exit": ("import os\nos._exit(double(1))", "3", "ended its process with code 3"),
    "a crash": ("import os\nos.kill(os.getpid(), double(1))", "11", "crashed (SIGSEGV)"),
    "a size": ("[0] * double(1)", "10**10", "more memory"),
}


@pytest.mark.parametrize("fault", GREEDY)
def test_hostile_data_cost_their_own_check_only(case, fault):
    test, value, reason = GREEDY[fault]
    made = case(
        answer("def double(x):\n    return 2"),
        exam("def helper(x):\n    return double(x) == 2\nassert helper(1) or double(1)", "q-0"),
        exam(test),
        exam("assert helper(2) or double(1)", "q-2"),
        answer("def other():\n    return 1", "p"),
        exam("assert other() == 1", "p-1"),
    )
    verdicts = made.judge({"q": f"def double(x):\n    return {value}"}, seconds=3, memory=2**30)
    assert [v.score for v in verdicts.values()] == [2, 0, 2, 2]
    assert reason in verdicts["q-1"].reason


ENDLESS = "def double(x):\n    while x == 1:\n        pass\n    return 2 * x"
DEADLY = ENDLESS.replace(
    "while x == 1:\n        pass", "if x == 1:\n        import os; os._exit(4)"
)


@pytest.mark.parametrize(
    ("given", "reason"), [(ENDLESS, "no answer"), (DEADLY, "ended itself with code 4")]
)
def test_a_process_that_ends_costs_one_part_and_twice_the_question(case, given, reason):
    made = case(
        answer(DOUBLE),
        exam("def is_4(x):\n    return x == 4\nassert double(1) == 2"),
        exam("assert is_4(double(2))", "q-2"),
        exam("try:\n    double(1)\nexcept BaseException:\n    pass", "q-3"),
        exam("assert double(2) == 4", "q-4"),
        answer("def other():\n    return double(2)", "p"),
        exam("assert other() == 4", "p-1"),
    )
    verdicts = made.judge({"q": given}, seconds=3)
    assert [v.score for v in verdicts.values()] == [0, 2, 0, 0, 2]
    assert reason in verdicts["q-1"].reason and reason in verdicts["q-3"].reason
    assert "2 times in this question" in verdicts["q-4"].reason


@pytest.mark.parametrize("deadly", ["while True: pass", "import os; os.kill(os.getpid(), 9)"])
def test_an_added_cell_that_ends_the_process_costs_nothing_else(case, deadly):
    made = case(
        answer(DOUBLE),
        exam("assert double(1) == 2"),
        answer("y = double(3)", "p"),
        exam("assert y == 6", "p-1"),
    )
    verdicts = made.judge(added=[("q-1", deadly), ("p", "z = 1")], seconds=3)
    assert [v.score for v in verdicts.values()] == [2, 2]


def test_a_notebook_that_runs_for_too_long_as_a_whole_is_stopped(case):
    made = case(answer(DOUBLE), exam("assert double(1) == 2"))
    added = [("q-1", "import time\ntime.sleep(1.5)")] * 20
    verdict = made.judge(added=added, seconds=3)["q-1"]
    assert verdict.score == 0 and "as a whole ran for more than 6 s" in verdict.reason


def test_a_session_that_cannot_be_opened_again_ends_the_judging_of_the_notebook(case):
    made = case(answer(DOUBLE), exam("assert double(1) == 2"), exam("assert double(2) == 4", "q-2"))
    first = [ForkedSession()]
    student = Student(lambda: first.pop() if first else DeadSession(), 5)
    notebook = made.hand_in({"q": DEADLY})
    verdicts = judge(notebook, made.notebook, student, 5)
    student.close()
    assert [v.score for v in verdicts] == [0, 0]


class DeadSession(ForkedSession):
    def __init__(self):
        super().__init__(serve=lambda channel: os._exit(9))


def test_calls_that_are_too_large_to_keep_are_not_kept(case, monkeypatch):
    made = case(
        answer("def big():\n    return bytes(10**6)"), exam("for _ in range(5):\n    big()")
    )
    assert len(made.judge()["q-1"].calls) == 5
    monkeypatch.setattr("referee.judge.MOST_KEPT", 3 * 10**6)
    verdict = made.judge()["q-1"]
    assert verdict.score == 2 and verdict.calls == []


def test_the_graded_calls_are_recorded_with_what_they_gave(one):
    test = "double(1)\ndouble(x='a')\ntry:\n    double(None)\nexcept TypeError:\n    pass"
    calls = one(test).calls
    assert [(c.name, c.args, c.kwargs, c.value) for c in calls] == [
        ("double", [1], {}, 2),
        ("double", [], {"x": "a"}, "aa"),
        ("double", [None], {}, None),
    ]
    assert [c.raised and c.raised.name for c in calls] == [None, None, "TypeError"]
