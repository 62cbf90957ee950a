"""`referee check` finds what is wrong with an assignment, and nothing wrong with a sound one."""

import ast
import json
import shutil
import time
from pathlib import Path

import nbformat
import pytest

from referee import cli
from referee.assignment import read_assignment
from referee.cases import answer_source, load_cases, misconception, variant
from referee.check import check
from referee.contract import breaches
from referee.sameness import normal_form

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ROOT / "tests" / "foreign_course"


@pytest.fixture
def course(tmp_path):
    """Return a function that copies the foreign course with some texts replaced."""

    def copy(cells=None, cases=()):
        folder = tmp_path / "course"
        shutil.copytree(FOREIGN, folder)
        source = folder / "source" / "letters"
        notebook = nbformat.read(source / "letters.ipynb", as_version=4)
        by_name = {cell.id: cell for cell in notebook.cells}
        for name, (old, new) in (cells or {}).items():
            cell = by_name[name.strip()]
            assert old in cell.source
            cell.source = cell.source.replace(old, new)
        nbformat.write(notebook, source / "letters.ipynb")
        text = (source / "cases.py").read_text(encoding="utf-8")
        for old, new in cases:
            assert old in text
            text = text.replace(old, new, 1)
        (source / "cases.py").write_text(text, encoding="utf-8")
        return folder

    return copy


EMPTY_LIST = "assert after_drop_short([], 3) == [[], 0]\n"
SIMPLE = 'assert count_vowels("") == 0\nassert count_vowels("cat") == 1'


def problems(folder, only=None, timeout=20):
    report = check(read_assignment(folder, "letters"), only, timeout)
    return {(problem.where, problem.what) for problem in report.problems}


def found(folder, where, what, only=None, timeout=20):
    """Return the problems, after asserting that one of them is at a place and says something."""
    all_found = problems(folder, only, timeout)
    assert any(where in place and what in text for place, text in all_found), all_found
    return all_found


def line_of(folder, text):
    """Return the number of the decorator's line above a text in cases.py."""
    lines = (folder / "source/letters/cases.py").read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines) if text in line)
    return max(n for n in range(number + 1) if lines[n].startswith("@")) + 1


def test_a_sound_assignment_of_another_course_holds(tmp_path, capsys):
    path = tmp_path / "report.json"
    code = cli.main(["check", "letters", "--course-dir", str(FOREIGN), "--json", str(path)])
    printed = capsys.readouterr().out
    assert code == 0
    assert "2 questions, 9 points by tests and 3 by hand; all holds" in printed
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["holds"] and report["problems"] == []
    by_name = {question["grade_id"]: question for question in report["questions"]}
    assert by_name["q1"]["parts"] == {"q1-simple": 1, "q1-repeats": 2, "q1-case": 2}
    assert (by_name["q1"]["reference"], by_name["q1"]["blank"]) == (5, 0)
    lost = [case["lost"] for case in by_name["q1"]["cases"]]
    assert lost[:3] == [["q1-repeats"], ["q1-repeats", "q1-case"], ["q1-case"]]
    assert lost[4:] == [[], [], []]


def test_a_wrong_reference_is_found_with_the_failed_assertion(course):
    folder = course({"q1": ("aeiouAEIOU", "aeiouAE")})
    all_found = found(folder, "cell 8 (q1-case)", 'count_vowels("Ida") == 2 (line 1)')
    assert any("in the whole notebook" in what for _, what in all_found)
    assert cli.main(["check", "letters", "--course-dir", str(folder)]) == 1


def test_a_reference_that_needs_another_answer_is_found(course):
    folder = course({"q2": ("before = len(words)", 'before = len(words) + count_vowels("")')})
    found(folder, "(q2-all)", "the reference alone", only="q2")


def test_a_blank_answer_that_scores_is_found(course):
    forgiving = """try:
    vowels = count_vowels("cat")
except NotImplementedError:
    vowels = 1
assert vowels == 1"""
    folder = course({"q1-simple": (SIMPLE, forgiving)})
    found(folder, "(q1-simple)", "a blank answer gets its points", only="q1")


def test_data_that_students_never_get_lie_beside_the_tests(course):
    reading = """from pathlib import Path
assert count_vowels("cat") == int(Path("judging/cat").read_text())"""
    folder = course({"q1-simple": (SIMPLE, reading)})
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write('c.CourseDirectory.ignore.append("judging")\n')
    data = folder / "source" / "letters" / "judging"
    data.mkdir()
    for number in (2, 1):
        (data / "cat").write_text(str(number))
        wrong = [what for where, what in problems(folder, only="q1") if "q1-simple" in where]
        assert bool(wrong) == (number == 2), wrong


def test_a_misconception_that_the_tests_let_pass_is_found(course):
    folder = course({"q1-case": ('"YEARLY") == 2', '"EARL") == 2')})
    line = line_of(folder, '+ "y"')
    where = f"source/letters/cases.py:{line} (misconception, q1-case)"
    assert problems(folder, "q1") == {(where, "keeps q1-case, which it must lose")}


def test_a_misconception_that_answers_nothing_is_found(course):
    folder = course(cases=[("sum(letter in VOWELS for letter in text)", "missing_name")])
    found(folder, "cases.py", "passes nothing: NameError", only="q1")


def test_with_one_part_a_misconception_must_pass_an_assertion(course):
    folder = course({"q2-all": (EMPTY_LIST, "")})
    all_found = found(folder, "cases.py", "passes nothing: assert after_drop_short(", only="q2")
    assert len(all_found) == 4


def test_an_assertion_that_a_blank_answer_passes_does_not_count(course):
    found(
        course({"q2-all": (EMPTY_LIST, "assert True\n")}), "cases.py", "passes nothing", only="q2"
    )


def test_a_variant_that_loses_is_found_with_the_failed_assertion(course):
    folder = course(cases=[("re.IGNORECASE", "re.ASCII")])
    line = line_of(folder, "re.ASCII")
    where = f"source/letters/cases.py:{line} (variant, q1)"
    assert problems(folder, "q1") == {
        (where, 'loses q1-case: assert count_vowels("Ida") == 2 (line 1)')
    }


SAME_AS_REFERENCE = '''def count_vowels(sentence: str) -> int:
    """Count."""
    return sum(sign in "aeiouAEIOU" for sign in sentence)  # the same
'''
SAME_AS_VARIANT = """def count_vowels(text):
    number = 0
    for sign in text:
        if is_vowel(sign):
            number += 1
    return number
"""


@pytest.mark.parametrize(
    ("text", "twin"),
    [(SAME_AS_REFERENCE, "the reference"), (SAME_AS_VARIANT, "the variant at line 34")],
)
def test_a_variant_that_differs_in_names_and_layout_only_is_found(course, text, twin):
    old = "def count_vowels(text):\n    return sum(map(text.lower().count, VOWELS))\n"
    folder = course(cases=[(old, text)])
    found(folder, "(variant, q1)", f"differs from {twin} in names and layout only", only="q1")


def test_normal_forms_ignore_names_and_keep_what_is_done():
    def form(text):
        return normal_form(ast.parse(text).body[0])

    one = form("def f(a, b=2):\n    'Doc.'\n    c: int = a + b\n    return max(c, b)")
    assert one == form("def g(x, y=2):\n    z = x + y  # sum\n    return max(z, y)")
    assert one != form("def g(x, y=2):\n    z = y + x\n    return max(z, y)")
    assert one != form("def g(x, y=2):\n    z = x + y\n    return min(z, y)")
    assert one != form("def g(x, y=3):\n    z = x + y\n    return max(z, y)")


def test_too_few_cases_are_found(course):
    unmarked = '@misconception("q2-all", "Return how many words went, not how many stay.")\n'
    folder = course(cases=[('@variant("q1")\n', ""), (unmarked, "")])
    all_found = found(folder, "(q1)", "has 2 variants, and must have 3", only="q1")
    assert len(all_found) == 1
    found(folder, "(q2)", "has 3 misconceptions, and must have 4", only="q2")


def test_a_case_that_fits_no_question_is_found(course):
    folder = course(
        cases=[
            ('@misconception("q1-case"', '@misconception("q1"'),
            ("def drop_short(words, least):\n    gone", "def drop(words, least):\n    gone"),
        ]
    )
    found(folder, "(misconception, q1)", "names no test cell; there are q1-simple, q1-repeats")
    found(folder, "(variant, q2)", "is called 'drop'; q2 defines drop_short")


def test_cases_that_cannot_be_run_are_found_with_file_and_line(course):
    folder = course(cases=[("import re\n", "import re\nimport no_such_module\n")])
    found(folder, "cases.py", "cases.py:4: ModuleNotFoundError: No module named 'no_such_module'")
    (folder / "source/letters/cases.py").unlink()
    found(folder, "source/letters/cases.py", "does not exist")


RANDOM = """import os

assert count_vowels(os.urandom(16).hex()) >= 0
"""


GLOBAL_RANDOM = """import random

draw = getattr(random, "random")
assert count_vowels(str(draw())) == 0
"""


@pytest.mark.parametrize("text", [RANDOM, GLOBAL_RANDOM])
def test_a_test_that_differs_from_run_to_run_is_found(course, text):
    folder = course({"q1-simple": ('assert count_vowels("") == 0', text)})
    found(folder, "(q1-simple)", "is random: two runs with the reference differ in calls", "q1")


def test_a_reference_that_differs_from_run_to_run_is_found(course):
    folder = course({"q2-driver": ("return [words,", "import random; return [random.random(),")})
    folder_problems = problems(folder, "q2")
    assert any("is random" in what for _, what in folder_problems)


@pytest.mark.parametrize("seedless", ["Random()", "choices('ab', k=3)"])
def test_a_test_with_unseeded_random_numbers_is_found(course, seedless):
    folder = course({"q1-repeats": ("import random\n", f"import random\nrandom.{seedless}\n")})
    found(folder, "(q1-repeats) line 2", "calls random.", only="q1")


OWN, DRIVERS, OTHERS = {"f", "TABLE"}, {"figures_of"}, {"g": "q0"}


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("x = 1\nassert np.allclose(f(x), 1)", 2, "uses 'np' without importing"),
        ("def helper():\n    return scale\nf(helper())", 2, "uses 'scale' without"),
        ("assert f(g(1)) == 2", 1, "uses 'g' of question q0"),
        ("assert f.__name__ == 'f'", 1, "uses 'f' otherwise than by calling it"),
        ("assert TABLE == 3", 1, "uses 'TABLE' otherwise"),
        ("assert list(map(f, [1])) == [2]", 1, "uses 'f' otherwise"),
        ("assert figures_of.cache", 1, "uses 'figures_of' otherwise"),
        ("f = len\nassert f([1]) == 1", 1, "binds 'f' anew"),
        ("def test(f):\n    assert f(1)\ntest(2)", 2, "binds 'f' anew"),
        ("import f", 1, "binds 'f' anew"),
        ("assert f(lambda x: x) == 1", 1, "calls 'f' with lambda x: x, which is not plain"),
        ("import math\nassert f([1, math]) == 1", 2, "calls 'f' with [1, math], which"),
        ("def key(x):\n    return x\nf(1, how=key)", 3, "calls 'f' with key, which"),
        ("assert f(x for x in 'ab')", 1, "which is not plain data"),
        ("%timeit f(1)", 1, "is not plain Python"),
        ("import numpy as np\nf(np.random.default_rng())", 2, "without a seed"),
        ("import numpy as np\nf(np.random.default_rng(None))", 2, "without a seed"),
        ("from numpy.random import rand\nf(rand(3))", 2, "calls numpy.random.rand without"),
        ("import torch\nf(torch.randn(2, 3))", 2, "calls torch.randn without torch.manual_seed"),
    ],
)
def test_a_test_cell_that_breaks_the_contract_is_found(source, line, what):
    all_found = breaches(source, OWN, DRIVERS, OTHERS)
    assert any(number == line and what in text for number, text in all_found), all_found


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nx = np.arange(3)\nassert np.allclose(f(x), [f(n) for n in x])",
        "def check(n, wanted):\n    got = f(n)\n    assert got == wanted, f'{got}'\ncheck(1, 2)",
        "try:\n    f(-1)\nexcept ValueError as error:\n    assert 'n' in str(error)",
        "import torch\ntorch.manual_seed(1)\nassert f(torch.rand(2)).shape == (2,)",
        "import numpy as np\nf(np.random.default_rng(3).normal(size=4))",
        "import random\nf(random.Random(2).random())",
        "assert figures_of([1, 2])[0] == sorted([2, 1], key=lambda n: n)[0]",
        "assert (lambda call: call())(lambda: f(2)) == 3",
    ],
)
def test_a_test_cell_that_keeps_the_contract_passes(source):
    assert breaches(source, OWN, DRIVERS, OTHERS) == []


IN_A_LIST = """import math

numbers = [math.sqrt]
try:
    count_vowels(numbers)
except Exception:
    pass"""


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"q1-simple": ('assert count_vowels("") == 0', IN_A_LIST)},
            "calls 'count_vowels' with the builtin_function_or_method sqrt, which is not plain",
        ),
        (
            {"q1": ("return sum(", "return (n for n in [2]) if not text else sum(")},
            "'count_vowels' returns an object of type generator, which is not plain data",
        ),
        (
            {
                "q2-driver": ("return [words, drop_short", "return drop_short"),
                "q2-driver ": ("(words, least)]", "(words, least)"),
                "q2": ("return before - len(words)", "return words.append"),
            },
            "'after_drop_short' returns the builtin_function_or_method append",
        ),
        (
            {"q2-driver": ("[words, drop_short(words, least)]", "drop_short(words, least) == 0")},
            "driver 'after_drop_short' returns True: a verdict",
        ),
    ],
)
def test_what_crosses_between_test_and_answer_is_plain_data(course, changes, what):
    found(course(changes), "letters.ipynb", what, only=next(iter(changes))[:2])


DRIVEN = "return [words, drop_short(words, least)]"


@pytest.mark.parametrize(
    ("changes", "where", "what"),
    [
        (
            {"q2-driver": (DRIVEN, f"{DRIVEN}\n\nafter_drop_short.calls = 0")},
            "(q2-driver)",
            "driver 'after_drop_short' is bound otherwise than by one `def`, or changed",
        ),
        (
            {
                "q2-driver": (DRIVEN, f"{DRIVEN}\n\nempty = after_drop_short([], 1)"),
                "q2-all": (EMPTY_LIST, "assert empty == [[], 0]\n"),
            },
            "(q2-all) line",
            "uses 'empty', which comes out of the student's code",
        ),
        (
            {
                "q2-driver": (DRIVEN, f"{DRIVEN}\n\nempty = [[], 1 // 0]"),
                "q2-all": (EMPTY_LIST, "assert empty == [[], 0]\n"),
            },
            "(q2-all)",
            "needs empty: `empty = [[], 1 // 0]` ends with ZeroDivisionError",
        ),
    ],
)
def test_what_a_test_needs_of_read_only_cells_is_made_or_put_back(course, changes, where, what):
    found(course(changes), where, what, only="q2")


def test_data_and_helpers_of_read_only_cells_may_be_used(course):
    given = f"{DRIVEN}\n\nempty = []\n\ndef nothing():\n    return [empty, 0]"
    use = "assert after_drop_short(empty, 1) == nothing()\n"
    folder = course({"q2-driver": (DRIVEN, given), "q2-all": (EMPTY_LIST, use)})
    assert not [where for where, _ in problems(folder, "q2") if "q2-all" in where]


@pytest.mark.parametrize(
    ("test", "what"),
    [
        ("assert not count_vowels('cat') > 1", "gives its points to an answer that returns nan"),
        ("assert count_vowels('') == 0", "that returns 0"),
        ("import numpy as np\nassert np.all(count_vowels('cat') == [1, 1])", "np.zeros((0, 1))"),
        (
            "try:\n    count_vowels(1)\nexcept Exception as why:\n    assert 'text' in str(why)",
            "that raises ValueError with the names of all parameters",
        ),
    ],
)
def test_a_test_that_gives_points_for_knowing_nothing_is_found(course, test, what):
    all_found = found(course({"q1-simple": (SIMPLE, test)}), "(q1-simple)", what, only="q1")
    assert not [place for place, text in all_found if "q1-case" in place and what in text]


def test_a_test_that_waits_for_a_change_of_its_own_data_is_found(course):
    change = "words = ['to', 'not']\ndrop_short(words, 3)\nassert words == ['not']\n"
    folder = course({"q2-all": (EMPTY_LIST, change)})
    found(folder, "(q2-all)", "the reference alone, apart from the tests, loses it", only="q2")


LOOP = "while True:\n        pass"
SEGFAULT = "import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (LOOP, "no end after 2 s"),
        ("import os\n    os._exit(3)", "exit with code 3"),
        (SEGFAULT, "crash: SIGSEGV"),
    ],
)
def test_an_endless_loop_or_a_crash_costs_its_own_case_only(course, body, what):
    folder = course(
        cases=[("return len({letter.lower() for letter in text if is_vowel(letter)})", body)]
    )
    line = line_of(folder, body.splitlines()[0])
    where = f"source/letters/cases.py:{line} (misconception, q1-repeats)"
    assert problems(folder, timeout=2) == {(where, f"gives no answer: {what}")}


def test_what_a_case_leaves_running_is_ended(course, tmp_path):
    mark = tmp_path / "alive"
    body = f"""import os, time
    if os.fork() == 0:
        time.sleep(1)
        open({str(mark)!r}, "w").close()
        os._exit(0)
    return sum(letter in VOWELS for letter in text)"""
    folder = course(cases=[("return sum(letter in VOWELS for letter in text)", body)])
    assert problems(folder, "q1") == set()
    time.sleep(1.5)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("while True:\n    pass", "did not end in time"),
        ("import os\nos._exit(7)", "ended the process with code 7"),
    ],
)
def test_a_cell_of_the_notebook_that_ends_the_process_is_named(course, code, how):
    folder = course({"setup": ("%xmode Plain", code)})
    found(folder, "letters.ipynb", f"cell 2 {how}", only="q1", timeout=2)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import warnings\nwarnings.warn('old')", "writes to standard error"),
        ("count_vowels('a')", "ends in the value 1, which nbgrader takes for the score"),
    ],
)
def test_a_test_cell_that_nbgrader_would_score_otherwise_is_found(course, line, what):
    last = 'assert count_vowels("cat") == 1'
    found(course({"q1-simple": (last, f"{last}\n{line}")}), "(q1-simple)", what, only="q1")


def test_a_cell_that_fails_with_the_reference_is_found(course):
    folder = course({"try-it": ('count_vowels("letters")', "count_vowels(1)")})
    found(folder, "cell 5", "fails with the reference answers: TypeError")


def test_a_notebook_that_does_not_run_to_the_end_is_found(course):
    folder = course({"q2-all": (EMPTY_LIST, f"import os\n\nos._exit(5)\n{EMPTY_LIST}")})
    what = "the reference answers do not run to the end: exit with code 5"
    found(folder, "letters.ipynb", what)


def test_a_test_that_needs_its_hidden_lines_to_run_is_found(course):
    hidden = "### BEGIN HIDDEN TESTS\nshort = 3\n### END HIDDEN TESTS\nassert short == 3\n"
    what = "loses it in the whole notebook without hidden tests: NameError: name 'short'"
    found(course({"q2-all": (EMPTY_LIST, EMPTY_LIST + hidden)}), "(q2-all)", what)


def test_cells_out_of_order_are_found(course):
    folder = course()
    path = folder / "source/letters/letters.ipynb"
    notebook = nbformat.read(path, as_version=4)
    place = {cell.id: number for number, cell in enumerate(notebook.cells)}
    notebook.cells.insert(0, notebook.cells.pop(place["q2-all"]))
    nbformat.write(notebook, path)
    all_found = found(folder, "cell 1 (q2-all)", "stands before the first answer cell")
    assert any("no test cell follows this answer cell" in what for _, what in all_found)


def test_an_assignment_without_questions_does_not_hold(course):
    folder = course()
    path = folder / "source/letters/letters.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith(("q1", "q2"))]
    nbformat.write(notebook, path)
    found(folder, "letters", "holds no question")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no assignment 'nothing'"),
        (["letters", "--question", "q9"], "no question 'q9'; the questions are q1, q2"),
        (["letters", "--course-dir", "absent"], "course folder absent does not exist"),
    ],
)
def test_a_wrong_argument_gives_one_line_and_code_2(arguments, message, capsys):
    assert cli.main(["check", "--course-dir", str(FOREIGN), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_must_be_a_number_above_0(seconds, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["check", "letters", f"--timeout={seconds}"])
    assert stop.value.code == 2
    assert "must be a number of seconds above 0" in capsys.readouterr().err


def test_loading_cases_twice_gives_the_same_list_twice():
    path = FOREIGN / "source/letters/cases.py"
    first, second = load_cases(path), load_cases(path)
    assert [(c.kind, c.grade_id, c.line) for c in first] == [
        (c.kind, c.grade_id, c.line) for c in second
    ]
    assert len(first) == 14
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(lines[case.line - 1].startswith(f"@{case.kind}(") for case in first)
    assert first[0].function("queue") == 2 and first[1].function("queue") == 1


@pytest.mark.parametrize("bad", ["", "  ", None, 3])
def test_a_case_names_a_grade_id_and_a_misconception_explains_itself(bad):
    with pytest.raises(ValueError, match="grade_id must be a text"):
        variant(bad)
    with pytest.raises(ValueError, match="grade_id must be a text"):
        misconception(bad, "why")
    with pytest.raises(ValueError, match="explanation must be a text"):
        misconception("q1-case", bad)


@pytest.mark.parametrize(
    "path", [FOREIGN / "source/letters/cases.py", *ROOT.glob("solutions/*/cases.py")]
)
def test_each_case_stands_alone_as_the_text_of_an_answer(path):
    for case in load_cases(path):
        source = answer_source(path, case)
        namespace = {}
        exec(compile(source, "answer", "exec"), namespace)
        assert case.name in namespace
        loaded = {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}
        missing = {
            name for name in loaded & set(case.function.__globals__) if name not in namespace
        }
        assert not missing
        assert "referee" not in source


def test_referee_knows_nothing_of_the_course():
    for path in (ROOT / "referee").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [
                alias.name for alias in getattr(node, "names", []) if isinstance(node, ast.Import)
            ]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] in ("cnnbook", "tools", "tests") for name in names)
