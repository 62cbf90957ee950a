"""A student's process and the judge's side of it: honest notebooks run, hostile replies end them.

REFEREE_FUZZ=10 in the environment makes the random test ten times as long.
"""

import os
import select
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from referee_sessions import ForkedSession

from referee import shell
from referee.student import LONGEST_OUTPUT, NOT_AN_ANSWER, CellResult, Ended, Error, Student
from referee.wire import NotPlain

FUZZ = float(os.environ.get("REFEREE_FUZZ", "1"))
SECONDS = 20


@pytest.fixture
def open_student():
    students = []

    def make(serve=shell.serve, seconds=SECONDS, replay_seconds=None):
        student = Student(lambda: ForkedSession(serve), seconds, replay_seconds)
        students.append(student)
        return student

    yield make
    for student in students:
        student.close()


@pytest.fixture
def student(open_student):
    return open_student()


def ran(student, source, label="q1"):
    """Run a cell that must have no error; return what it printed."""
    result = student.run(label, source)
    assert result.error is None, result.error
    return result.output


def test_cells_share_their_names_and_functions_answer_with_plain_data(student):
    ran(student, "import numpy as np\nscale = 3", "setup")
    ran(student, "def f(x, shift=0):\n    return scale * x + shift", "q1")
    assert student.call("f", [2], {"shift": 1}) == {"value": 7}
    values = student.call("f", [np.arange(3)], {})["value"]
    assert values.tolist() == [0, 3, 6] and type(values) is np.ndarray
    assert torch.equal(student.call("f", [torch.ones(2)], {})["value"], torch.full((2,), 3.0))
    assert student.call("f", [None], {})["raised"]["name"] == "TypeError"


def test_names_are_fetched_for_what_they_are(student):
    ran(student, "import numpy as np\ntable = {'a': [1, None]}\nf = len\nm = {'k': [f]}")
    assert student.fetch("table") == {"value": {"a": [1, None]}}
    assert student.fetch("f") == {"callable": True}
    assert student.fetch("np") == {"module": "numpy"}
    assert student.fetch("absent") == {"missing": True}
    what = "m['k'][0] is the function len, which is not plain data"
    assert student.fetch("m") == {"refused": what}


def test_a_call_that_gives_no_plain_data_is_told_why(student):
    ran(student, "f = lambda: (n for n in 'ab')\ng = 3\ndef h():\n    return bytes(2**27)")
    what = "f: the result is a generator, which is not plain data; list(…) would be"
    assert student.call("f", [], {}) == {"refused": what}
    assert student.call("g", [], {}) == {"not callable": "int"}
    assert student.call("absent", [], {}) == {"missing": True}
    what = "h: the result is too large: it takes more than 64 MiB"
    assert student.call("h", [], {}) == {"refused": what}
    assert student.fetch("g") == {"value": 3}


def test_arguments_cross_as_copies_and_must_be_plain_data(student):
    ran(student, "def f(x):\n    x[0] = 9\n    return x")
    given_list, given_array = [1, 2], np.arange(2)
    assert student.call("f", [given_list], {}) == {"value": [9, 2]}
    assert student.call("f", [given_array], {})["value"].tolist() == [9, 1]
    assert given_list == [1, 2] and given_array.tolist() == [0, 1]
    with pytest.raises(NotPlain, match="is the function print"):
        student.call("f", [print], {})
    assert student.call("f", [[0]], {}) == {"value": [9]}


DEEP = "def f(x):\n    return g(x)\n\n\ndef g(x):\n    y = 2\n    return y / x"


@pytest.mark.parametrize(
    ("source", "name", "message", "lines"),
    [
        ("x = 1\nx / 0", "ZeroDivisionError", "division by zero", ["cell q1, line 2: x / 0"]),
        (
            f"{DEEP}\n\nf(0)",
            "ZeroDivisionError",
            "division by zero",
            [
                "cell q1, line 9: f(0)",
                "cell q1, line 2: return g(x)",
                "cell q1, line 7: return y / x",
            ],
        ),
        ("x = 1\nif x\n    x", "SyntaxError", "expected ':'", ["cell q1, line 2: if x"]),
        ("x = 1\n  y = 2", "IndentationError", "unexpected indent", ["cell q1, line 2: y = 2"]),
        ("import numpy\nnumpy.zeros(-1)", "ValueError", None, ["cell q1, line 2: numpy.zeros(-1)"]),
        (
            "import json\njson.loads('')",
            "JSONDecodeError",
            None,
            ["cell q1, line 2: json.loads('')"],
        ),
        ("exit()", "SystemExit", "", ["cell q1, line 1: exit()"]),
        ("import sys\nsys.exit(3)", "SystemExit", "3", ["cell q1, line 2: sys.exit(3)"]),
        (
            "raise KeyboardInterrupt",
            "KeyboardInterrupt",
            "",
            ["cell q1, line 1: raise KeyboardInterrupt"],
        ),
        ("class E(BaseException): pass\nraise E('e')", "E", "e", ["cell q1, line 2: raise E('e')"]),
        ("%nothing", "UsageError", None, ["cell q1, line 1: %nothing"]),
        (
            "input('? ')",
            "EOFError",
            "input() has nobody to answer it while a notebook is graded",
            ["cell q1, line 1: input('? ')"],
        ),
        (
            "class E(Exception):\n    def __str__(self): raise E\nraise E",
            "E",
            "",
            ["cell q1, line 3: raise E"],
        ),
    ],
)
def test_an_error_is_told_with_the_lines_of_the_cells_alone(student, source, name, message, lines):
    error = student.run("q1", source).error
    assert error.name == name
    assert message is None or error.message == message
    last = f"{name}: {error.message}" if error.message else name
    assert list(error.traceback) == [*lines, last]
    assert ran(student, "x = 5\nx", "q2") == "Out[0]: 5\n"


def test_a_call_tells_the_cells_that_its_error_came_through(student):
    ran(student, "def g(x):\n    return 1 / x", "helpers")
    ran(student, "def f(x):\n    return [g(n) for n in x]", "q1")
    raised = student.call("f", [[1, 0]], {})["raised"]
    assert (
        raised["traceback"]
        == [
            "cell q1, line 2: return [g(n) for n in x]",
            "cell q1, line 2: return [g(n) for n in x]",
            "cell helpers, line 2: return 1 / x",
            "ZeroDivisionError: division by zero",
        ][-len(raised["traceback"]) :]
    )
    assert raised["ancestors"][:2] == ["ZeroDivisionError", "ArithmeticError"]


@pytest.mark.parametrize("code", ["raise SystemExit(2)", "raise KeyboardInterrupt", "exit()"])
def test_an_exit_in_a_call_is_an_exception(student, code):
    ran(student, f"def f():\n    {code}")
    assert student.call("f", [], {})["raised"]["name"] in ("SystemExit", "KeyboardInterrupt")
    assert student.fetch("absent") == {"missing": True}


def test_a_long_traceback_keeps_its_ends(student):
    error = student.run("q1", "def f(n):\n    return f(n + 1)\n\n\nf(0)").error
    assert error.name == "RecursionError" and len(error.traceback) < 20
    assert error.traceback[0] == "cell q1, line 5: f(0)"
    assert any("more lines" in line for line in error.traceback)
    error = student.run("q2", f"raise ValueError({'m' * 5000!r})").error
    assert error.message == "m" * 5000 and max(map(len, error.traceback)) <= 200


MAGICS = """%matplotlib inline
%config InlineBackend.figure_format = "svg"
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
!echo from the system
listing = !echo one; echo two
%cd .
%timeit -n1 -r1 sum([1])
%load_ext autoreload
await __import__("asyncio").sleep(0)
import IPython
assert IPython.get_ipython() is get_ipython()
display(listing)
"""


def test_cells_run_as_in_a_notebook(student):
    output = ran(student, MAGICS)
    assert "from the system" in output and "['one', 'two']" in output
    assert ran(student, "%%time\nlate = 3\nlate", "q2").endswith("Out[0]: 3\n")
    ran(student, "def f():\n    display(late)\n    return __name__, get_ipython() is not None")
    assert student.call("f", [], {}) == {"value": ("__main__", True)}
    assert student.fetch("late") == {"value": 3}


def test_a_value_is_shown_as_text_and_drawn_in_no_other_way(student):
    drawn = "drawn = []\nclass R:\n    def _repr_html_(self): drawn.append(1); return ''\nR"
    assert ran(student, f"{drawn}()").startswith("Out[0]: <__main__.R at ")
    assert student.fetch("drawn") == {"value": []}


def test_a_shell_leaves_no_file_and_no_thread(open_student, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "scratch").mkdir()

    def serve(channel):
        os.environ.update(HOME=str(home), IPYTHONDIR=str(home / "ipython"))
        os.chdir(tmp_path / "scratch")
        shell.serve(channel)

    student = open_student(serve)
    ran(student, "print(1)\n%cd .\n1 + 1\n!true", "q1")
    count = "import os\nlen(os.listdir('/proc/self/task'))"
    assert ran(student, count, "q2") == "Out[0]: 1\n"
    student.close()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_flood_of_output_is_cut_and_costs_nothing(open_student):
    student = open_student(lambda channel: shell.serve(channel, 1050))
    assert (
        ran(student, "for n in range(10**4):\n    print('x' * 99)")
        == ("x" * 99 + "\n") * 10 + "x" * 50
    )
    ran(student, "import sys\ndef f():\n    print('y' * 10**7, file=sys.stderr)\n    return 1")
    assert student.call("f", [], {}) == {"value": 1}
    ran(student, "import warnings\nwarnings.warn('old')\nimport sys\nsys.stdout = None", "q2")
    assert ran(student, "print('again')", "q3") == "again\n"
    assert student.run("q4", "print('left')\n1 / 0").output == "left\n"


def test_a_cell_that_forks_and_goes_on_answers_once(student):
    ran(student, "import os\nif os.fork() == 0:\n    mine = 1\nelse:\n    os.wait()")
    assert student.fetch("mine") == {"missing": True}
    assert ran(student, "print(2)") == "2\n"


def test_every_process_of_a_student_draws_the_same_random_numbers(student):
    draw = "import random, numpy, torch\nx = [random.random(), numpy.random.rand(), torch.rand(1)]"
    ran(student, draw)
    first = student.fetch("x")
    student.restart()
    assert repr(student.fetch("x")) == repr(first)


CONVOLVE = "import numpy as np\ndef f():\n    return np.convolve([1, 2], [3])"
LIBRARY = """import types
library = types.ModuleType("library")
exec("import numpy\\ndef smooth(x): return numpy.convolve(x, [1])", library.__dict__)
def g():
    return library.smooth([1, 2])
"""


def test_a_forbidden_function_refuses_the_cells_and_nobody_else(student):
    ran(student, CONVOLVE)
    ran(student, LIBRARY, "q2")
    names = ["numpy.convolve", "numpy.absent", "absent.f", "torch.nn.Linear", "len"]
    assert student.forbid(names) == ["numpy.convolve"]
    raised = student.call("f", [], {})["raised"]
    assert raised["message"] == "numpy.convolve may not be used in this question"
    assert raised["traceback"][0] == "cell q1, line 3: return np.convolve([1, 2], [3])"
    assert student.call("g", [], {})["value"].tolist() == [1, 2]
    assert student.forbid([]) == []
    assert student.call("f", [], {})["value"].tolist() == [3, 6]


SEGFAULT = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
LOOP = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SEGFAULT, "crashed: SIGSEGV"),
        ("import os\nos._exit(3)", "ended itself with code 3"),
        (LOOP, "no answer in time"),
        ("import time\ntime.sleep(99)", "no answer in time"),
    ],
)
def test_a_process_that_ends_is_replaced_without_the_cell_that_ended_it(
    open_student, source, reason
):
    student = open_student(seconds=2)
    ran(student, "def f():\n    return 1", "q1")
    for attempt in (lambda: student.run("q2", source), lambda: student.call("f", [], {})):
        with pytest.raises(Ended, match=f"^{reason}$"):
            attempt()
    student.restart()
    assert student.call("f", [], {}) == {"value": 1}
    body = source.replace("\n", "\n    ")
    ran(student, f"def g():\n    {body}", "q3")
    with pytest.raises(Ended, match=reason):
        student.call("g", [], {})
    student.restart()
    assert student.fetch("g") == {"callable": True}


def test_a_cell_that_has_ended_the_process_is_not_tried_again():
    sessions = []

    def open_session():
        sessions.append(ForkedSession())
        return sessions[-1]

    student = Student(open_session, SECONDS)
    with pytest.raises(Ended):
        student.run("q1", "import os\nos._exit(3)")
    student.restart()
    ran(student, "x = 1", "q2")
    assert len(sessions) == 2
    student.close()


def test_a_cell_that_ends_the_process_only_when_run_again_is_left_out_too(open_student, tmp_path):
    student = open_student()
    ran(student, "x = 1", "q1")
    mark = str(tmp_path / "mark")
    ran(student, f"import os\nif os.path.exists({mark!r}): os._exit(1)\nopen({mark!r}, 'w')", "q2")
    ran(student, "y = 2", "q3")
    student.restart()
    assert student.fetch("y") == {"value": 2} and student.fetch("x") == {"value": 1}
    assert student.fetch("os") == {"missing": True}


def test_running_cells_again_has_an_end(open_student):
    student = open_student(replay_seconds=2.9)
    ran(student, "import time\ntime.sleep(1.5)", "q1")
    student.restart()
    for ask in (student.restart, lambda: student.run("q2", "x = 1"), student.restart):
        with pytest.raises(Ended, match="^running its cells again took too long$"):
            ask()


def silent(channel):
    time.sleep(60)


def closing(channel):
    channel.receive()


def deaf(channel):
    channel.receive()
    time.sleep(60)


def raw(*parts):
    """A process that answers its first request with these bytes, one part after the other."""

    def serve(channel):
        channel.receive()
        for part in parts:
            os.write(channel.fileno(), part)
            time.sleep(0.02)
        time.sleep(60)

    return serve


def replying(change):
    """A process that answers each request with what `change` makes of the number of it."""

    def serve(channel):
        while True:
            channel.send(change(channel.receive()["id"]))

    return serve


def flooding(channel):
    channel.receive()
    os.write(channel.fileno(), struct.pack("<Q", 2**26))
    os.set_blocking(channel.fileno(), True)
    while True:
        os.write(channel.fileno(), b"\1" * 65536)


DRIP = [bytes([byte]) for byte in struct.pack("<Q", 500)] + [b"\1"] * 500
ERROR = {"name": "E", "ancestors": [], "message": "m", "traceback": []}
LATE = "no answer in time"


@pytest.mark.parametrize(
    ("serve", "reason"),
    [
        (silent, LATE),
        (deaf, LATE),
        (closing, "ended itself with code 0"),
        (flooding, NOT_AN_ANSWER),
        (raw(*DRIP), LATE),
        (raw(b"\7\0\0\0\0\0\0\0\1N"), LATE),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n"), NOT_AN_ANSWER),
        (raw(b"\xff" * 99), NOT_AN_ANSWER),
        (raw(struct.pack("<Q", 2), b"\2N"), NOT_AN_ANSWER),
        (raw(struct.pack("<Q", 2), b"\1N"), NOT_AN_ANSWER),
        (replying(lambda number: {"error": None, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda number: {"id": number + 1, "error": None, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda number: {"id": True, "error": None, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": np.arange(3), "error": None, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda number: {"id": number}), NOT_AN_ANSWER),
        (replying(lambda number: {"id": number, "error": None}), NOT_AN_ANSWER),
        (replying(lambda number: {"id": number, "value": 1}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": n, "error": None, "output": "", "x": 1}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": n, "error": None, "output": b""}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": n, "error": "no", "output": ""}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": n, "error": {"name": "E"}, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda n: {"id": n, np.dtype("f4"): 1, "output": ""}), NOT_AN_ANSWER),
        (replying(lambda number: [number]), NOT_AN_ANSWER),
        (
            replying(lambda n: {"id": n, "error": ERROR | {"message": 3}, "output": ""}),
            NOT_AN_ANSWER,
        ),
        (
            replying(lambda n: {"id": n, "error": ERROR | {"traceback": "abc"}, "output": ""}),
            NOT_AN_ANSWER,
        ),
        (
            replying(lambda n: {"id": n, "error": ERROR | {"ancestors": [1]}, "output": ""}),
            NOT_AN_ANSWER,
        ),
    ],
)
def test_a_process_that_does_not_answer_as_asked_has_ended(open_student, serve, reason):
    student = open_student(serve, seconds=0.4 if reason == LATE else SECONDS)
    for _ in range(2):
        with pytest.raises(Ended, match=f"^{reason}$"):
            student.run("q1", "x = 1")


def test_a_process_that_does_not_even_read_has_ended(open_student):
    with pytest.raises(Ended, match=LATE):
        open_student(silent, seconds=0.4).run("q1", "#" * 10**7)


@pytest.mark.parametrize(
    "reply",
    [
        *({}, {"value": 1, "raised": None}, {"values": 1}, {"missing": 1}, {"callable": "yes"}),
        *(
            {"missing": np.array([True, False])},
            {"refused": None},
            {"raised": "E"},
            {"value": 1, "x": 2},
        ),
        *(
            {"raised": ERROR | {"more": 1}},
            {"module": 3},
            {"not callable": []},
            {np.str_("value"): 1},
        ),
        *({"raised": {np.float64(1): 2}}, {1: 2}, {"forbidden": "abc"}, {"forbidden": [1]}),
    ],
)
def test_no_other_reply_to_a_call_a_fetch_or_a_ban_is_taken(open_student, reply):
    asks = [lambda s: s.call("f", [1], {}), lambda s: s.fetch("f"), lambda s: s.forbid(["a.b"])]
    for ask in asks:
        with pytest.raises(Ended, match=NOT_AN_ANSWER):
            ask(open_student(replying(lambda number: {"id": number} | reply)))


def test_an_answer_that_was_not_asked_for_ends_the_process():
    sessions = []

    def serve(channel):
        number = channel.receive()["id"]
        for following in (number, number + 1):
            channel.send({"id": following, "value": following})
        time.sleep(60)

    def open_session():
        sessions.append(ForkedSession(serve))
        return sessions[-1]

    student = Student(open_session, SECONDS)
    assert student.fetch("x") == {"value": 1}
    select.select([sessions[0].channel], [], [], SECONDS)
    with pytest.raises(Ended, match="^it sent an answer before it was asked$"):
        student.fetch("x")
    with pytest.raises(Ended):
        student.fetch("x")
    student.close()


FIND_CHANNEL = """import gc
from referee.wire import Channel
channel = [thing for thing in gc.get_objects() if type(thing) is Channel][-1]
"""


def test_code_that_takes_the_channel_changes_its_own_answers_only(student):
    ran(student, FIND_CHANNEL)
    ran(student, "def f():\n    channel.send({'id': 3, 'value': 42})\n    return 1", "q2")
    assert student.call("f", [], {}) == {"value": 42}
    with pytest.raises(Ended):
        for _ in range(5):
            student.fetch("f")
            time.sleep(0.1)
    student.restart()
    ran(student, "def f():\n    import os\n    os.write(channel.fileno(), b'x' * 99)", "q3")
    with pytest.raises(Ended, match=NOT_AN_ANSWER):
        student.call("f", [], {})
    student.restart()
    ran(student, "def f():\n    channel.close()", "q4")
    with pytest.raises(Ended, match="ended itself"):
        student.call("f", [], {})


def test_texts_are_cut_and_cleared_of_what_does_not_stand_for_itself(open_student):
    odd = "a\x1b[31m\0\r\x7f\u202e\u2066\ud800\u2028b\n\tc<i>ø漢\u3000😀"
    lines = [odd] * 99
    error = {"name": "<b>", "ancestors": [odd] * 99, "message": odd * 9999, "traceback": lines}
    replies = {"id": 1, "error": error, "output": odd * 10**5}
    student = open_student(replying(lambda number: replies))
    result = student.run("q1", "x = 1")
    clean = "a�[31m�������b\n\tc<i>ø漢\u3000😀"
    assert result.error.name == "Exception"
    assert result.error.traceback == (clean,) * 40
    assert result.error.message == (clean * 9999)[:10_000]
    assert result.output == (clean * 10**5)[:LONGEST_OUTPUT]


class StoredSession:
    """A process that has its answer ready, as far as a `Student` can see."""

    def __init__(self, reply):
        self.channel = self
        self.reply = reply

    def waiting(self):
        return False

    def send(self, value, seconds):
        self.sent = value

    def receive(self, seconds):
        return self.reply

    def close(self):
        pass


junk = st.one_of(
    *(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3), st.just(np.arange(2))),
    *(st.floats(), st.just(torch.ones(2)), st.just(np.str_("value")), st.binary(max_size=2)),
)
words = "id error output value raised name ancestors message traceback missing refused module"
names = st.sampled_from([*words.split(), "callable", "not callable", "forbidden", 1, (), None])
replies = st.recursive(
    junk,
    lambda inner: st.one_of(
        st.dictionaries(names, inner, max_size=5),
        st.lists(inner, max_size=3),
        st.fixed_dictionaries({"id": st.just(1)}, optional={"error": inner, "output": inner}),
        st.fixed_dictionaries({"id": st.just(1), "raised": inner}),
        st.fixed_dictionaries(dict.fromkeys(ERROR, inner | st.just("E"))),
    ),
    max_leaves=8,
)


@settings(max_examples=int(400 * FUZZ))
@given(replies, st.integers(0, 3))
def test_any_reply_is_an_answer_or_the_end(reply, kind):
    student = Student(lambda: StoredSession(reply), SECONDS)
    asks = [
        lambda: student.run("q1", ""),
        lambda: student.call("f", [], {}),
        lambda: student.fetch("f"),
        lambda: student.forbid([]),
    ]
    try:
        answer = asks[kind]()
    except Ended as ending:
        assert str(ending) == NOT_AN_ANSWER
        return
    if kind == 0:
        assert type(answer) is CellResult and type(answer.output) is str
        assert answer.error is None or type(answer.error) is Error
    elif kind == 3:
        assert all(type(name) is str for name in answer)
    else:
        assert len(answer) == 1
