"""Attacks: what students may try to get points for answers that they do not have.

Each attack takes the released notebook of any assignment and makes a submission of it. It uses
what a student has: that notebook, Python, and the public source of this course, of referee and of
nbgrader. None has an answer in it, so each must get what the same submission gets without it:
nothing, or, with `right`, the points of the first question, which is then answered.

`works` names the protection without which the attack gets more, or changes something outside:

- `TOGETHER`: test cells run in another process than the student's code.
- `DEAF`: as above, and what comes unasked from a student's process ends it.
- `TRUSTING`: from a submission come the texts of answers and of added cells, no more.
- `OPEN`: the jail holds no files but the runtime.
- `SHARED`: each session has processes of its own.
- `CONNECTED`: the jail has no network.
- `SUPPLIED`: what the instructor's cells give to tests is made by the judge, and drivers are put
  back before they are called.
- `ALONE`: all of referee; nbgrader alone gives points for it.

Where it is empty, nothing that can be switched off lets the attack gain, and `why` says why it is
here. What guessing is worth is another matter: `GUESSES`.
"""

import ast
import copy
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

MARK = "referee-attack-was-here"
PREY = f"referee-attacked-{os.getpid()}"
JAILED = "any(map(os.path.exists, ('/scratch', '/tmp/apart')))"
TOGETHER, DEAF, TRUSTING = "together", "deaf", "trusting"
OPEN, SHARED, CONNECTED, ALONE = "open", "shared", "connected", "alone"
SUPPLIED = "supplied"
ATTACKS, GUESSES = [], []

NOT_HERE = "it aims at a program that does not run: a kernel, or nbgrader in the same process"
OWN_LOSS = "it harms none but its own submission, with any grader that ends a process"
NEVER_READ = "nbgrader does not read it either; it stays so that nobody begins to"
NEXT_ONE = "the next submission must not notice: the control after it shows that"


@dataclass(frozen=True)
class Attack:
    name: str
    family: str
    works: str
    why: str
    right: bool
    make: Callable


def attack(family, works="", why="", right=False):
    def add(make):
        name = make.__name__.replace("_", " ")
        ATTACKS.append(Attack(name, family, works, why, right, make))
        return make

    return add


def guess(make):
    """Keep what is no attack: an answer that a released notebook suggests to anybody."""
    GUESSES.append(Attack(make.__name__.replace("_", " "), "guess", "", "", False, make))
    return make


class Submission:
    """A submission as plain JSON; `files` are what lies beside it: bytes, or ("link", target)."""

    def __init__(self, released, name):
        self.notebook, self.name, self.files = copy.deepcopy(released), name, {}

    @property
    def cells(self):
        return self.notebook["cells"]

    def having(self, **flags):
        """Return the code cells whose nbgrader metadata hold these values."""
        return [
            cell
            for cell in self.cells
            if cell["cell_type"] == "code"
            and flags.items() <= cell["metadata"].get("nbgrader", {}).items()
        ]

    @property
    def answers(self):
        return self.having(solution=True)

    @property
    def tests(self):
        return self.having(grade=True, solution=False)

    @property
    def drivers(self):
        return self.having(locked=True, grade=False)

    def add(self, code):
        """Write code at the end of every answer."""
        for cell in self.answers:
            cell["source"] += "\n" + code
        return self

    def define(self, body, kinds=("answers",)):
        """Let every function that the student writes have this body.

        In it, FUNCTION stands for the function's name and ARGUMENTS for those of its parameters.
        """
        for cell in [cell for kind in kinds for cell in getattr(self, kind)]:
            parts = []
            for node in functions(cell["source"]):
                lines = body.replace("FUNCTION", node.name)
                lines = lines.replace("ARGUMENTS", " ".join(a.arg for a in node.args.args))
                lines = "\n".join(f"    {line}" for line in lines.strip("\n").split("\n"))
                parts.append(f"def {node.name}(*args, **kwargs):\n{lines}\n")
            cell["source"] = "\n\n".join(parts) or cell["source"]
        return self

    def begin(self, code):
        """Put a cell of code before all others.

        In it, APART stands for whether it runs in a jail, where it can do this machine no harm,
        and PREY for a part of the only paths that it writes to where the jail has all files.
        """
        code = code.strip("\n").replace("APART", JAILED).replace("PREY", PREY)
        self.cells.insert(0, code_cell(code))
        return self

    def say(self, text):
        """Write a text as every answer in words, and into a cell of its own."""
        for cell in self.cells:
            if cell["metadata"].get("nbgrader", {}).get("solution") and cell not in self.answers:
                cell["source"] = text
        self.cells.append({"cell_type": "markdown", "metadata": {}, "source": text})
        return self


def code_cell(source, **nbgrader):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    if nbgrader:
        data = {"grade": False, "locked": False, "solution": False, "task": False}
        cell["metadata"]["nbgrader"] = data | {"schema_version": 3} | nbgrader
    return cell | {"source": source}


def functions(source):
    """Return the functions that a released cell defines, as syntax trees."""
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


# --- the notebook's file ----------------------------------------------------------------------


@attack("file", TRUSTING, right=True)
def points_raised(s):
    for cell in s.tests:
        cell["metadata"]["nbgrader"]["points"] = 1000


@attack("file", TRUSTING)
def tests_replaced_by_pass(s):
    for cell in s.tests:
        cell["source"] = "pass"


@attack("file", TRUSTING)
def tests_emptied(s):
    for cell in s.tests:
        cell["source"] = ""


@attack("file", TRUSTING)
def tests_tagged_not_to_run(s):
    for cell in s.tests:
        cell["metadata"]["tags"] = ["skip-execution", "raises-exception"]


@attack("file", TRUSTING)
def tests_unlocked_and_emptied(s):
    for cell in s.tests:
        cell["metadata"]["nbgrader"]["locked"] = False
        cell["source"] = "1"


@attack("file", TRUSTING)
def another_test_with_points(s):
    s.cells.append(code_cell("100", grade=True, locked=True, points=100, grade_id="bonus"))


@attack("file", TRUSTING)
def tests_copied_with_pass(s):
    for cell in s.tests:
        twin = copy.deepcopy(cell)
        twin["source"] = "pass"
        s.cells.insert(s.cells.index(cell), twin)


@attack("file", TRUSTING)
def grade_ids_of_tests_on_cells_of_my_own(s):
    for cell in s.tests:
        s.cells.append(code_cell("1000", **cell["metadata"]["nbgrader"]))
        cell["metadata"] = {}
        cell["source"] = "1000"


@attack("file", TRUSTING)
def tests_and_answers_swap_metadata(s):
    for answer, test in zip(s.answers, s.tests, strict=False):
        answer["metadata"], test["metadata"] = test["metadata"], answer["metadata"]
        answer["source"] = test["source"] = "pass"


@attack("file", TRUSTING)
def marked_as_added_by_referee(s):
    for cell in s.tests:
        cell["metadata"]["referee"] = {"added": True}
        cell["source"] = "100"


NOBODY = "nbgrader passes over a student without a notebook; no judge may leave a test out"


@attack("file", why=NOBODY)
def no_notebook_at_all(s):
    s.notebook = None


@attack("file", why=NOBODY)
def an_empty_file(s):
    s.notebook, s.files = None, {f"{s.name}.ipynb": b""}


@attack("file", why=NOBODY)
def a_file_that_is_no_notebook(s):
    s.notebook, s.files = None, {f"{s.name}.ipynb": b"PK\x03\x04"}


@attack("file", why="points of an answer cell in code are given by hand")
def tests_marked_as_solutions(s):
    for cell in s.tests:
        cell["metadata"]["nbgrader"].update(solution=True, locked=False)
        cell["source"] = "pass"


@attack("file", why="without its tests a submission gets nothing from a trusting grader either")
def tests_deleted(s):
    s.notebook["cells"] = [cell for cell in s.cells if cell not in s.tests]


@attack("file", why="a cell of text is not run and has no score from outputs")
def tests_as_text(s):
    for cell in s.tests:
        cell.update(cell_type="markdown", outputs=[{"output_type": "execute_result"}])


@attack("file", why="outputs are made anew by all graders that run anything")
def outputs_forged(s):
    result = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
    for cell in s.tests:
        cell["outputs"] = [result | {"data": {"text/plain": "1000"}}]
        cell["execution_count"] = 1


@attack("file", why=NEVER_READ)
def checksums_and_versions_forged(s):
    for number, cell in enumerate(s.answers + s.tests):
        cell["metadata"]["nbgrader"]["checksum"] = "0" * 32
        cell["metadata"]["nbgrader"]["schema_version"] = (0, 1, 2, 99, "3", None)[number % 6]


@attack("file", why="the notebook does not say what runs it")
def kernel_of_my_choice(s):
    shell = "/bin/sh -c 'exit 0'"
    s.notebook["metadata"] = {
        "kernelspec": {"name": "bash", "language": "bash", "display_name": shell, "argv": [shell]},
        "language_info": {"name": "bash", "file_extension": ".sh", "nbconvert_exporter": "os.sys"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"a": {}}}},
        "nbgrader": {"score": 1000},
        "referee": {"score": 1000},
    }


@attack("file", why="marks of solutions and hidden tests mean something in the source only")
def marks_of_nbgrader_in_answers(s):
    for cell in s.answers:
        cell["source"] += "\n### BEGIN HIDDEN TESTS\n### END SOLUTION\n=== BEGIN MARK SCHEME ==="
    s.say("### BEGIN HIDDEN TESTS\n=== BEGIN MARK SCHEME ===")


@attack("file", TRUSTING)
def ids_that_are_paths(s):
    for number, cell in enumerate(s.tests):
        cell["id"] = "../../gradebook"
        cell["metadata"]["nbgrader"]["grade_id"] = f"../../{number}"
        cell["source"] = "pass"


@attack("file", TRUSTING)
def an_old_format_with_worksheets(s):
    for cell in s.tests:
        cell["source"] = cell["input"] = "pass"
    s.notebook["worksheets"] = [{"cells": copy.deepcopy(s.cells), "metadata": {}}]


# --- what lies beside it ----------------------------------------------------------------------


@attack("beside", why="modules beside a submission are not on anybody's path")
def modules_beside_the_notebook(s):
    trap = b"import builtins\nbuiltins.isinstance = lambda *a: True\n"
    names = ("numpy", "random", "torch", "sitecustomize", "usercustomize", "conftest", "cases")
    s.files = {f"{name}.py": trap for name in (*names, "referee", "nbgrader_config")}
    s.files |= {"cnnbook/__init__.py": trap, "referee/judge.py": trap, "evil.pth": trap}
    s.files |= {".ipython/profile_default/startup/00.py": trap, "judging/labels.npy": b"0"}


@attack("beside", why=NEVER_READ)
def notebooks_in_other_places(s):
    full = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    s.files = {
        f"{place}/{s.name}.ipynb": full for place in ("a", ".ipynb_checkpoints", "autograded")
    }
    s.files |= {f"{s.name} (1).ipynb": full, "gradebook.db": b"SQLite format 3\0"}


@attack("beside", why=NEVER_READ)
def a_time_in_the_future(s):
    s.files = {"timestamp.txt": b"2999-01-01 00:00:00.000000 UTC", "submission_secret.txt": b"\xff"}


@attack(
    "beside", why="a link to the solution is refused, and stands for no file that was handed in"
)
def links_to_the_course(s):
    up = f"../../../solutions/{s.name}"
    s.files = {"there": ("link", up), "root": ("link", "/"), "self": ("link", ".")}
    s.files["gradebook.db"] = ("link", "../../../gradebook.db")


@attack("beside", ALONE)
def a_link_instead_of_the_notebook(s):
    s.notebook = None
    s.files = {f"{s.name}.ipynb": ("link", f"../../../source/{s.name}/{s.name}.ipynb")}


# --- the tools of the tests -------------------------------------------------------------------

YES = """
class Yes:
    def _self(self, *args, **kwargs): return self
    def _true(self, *args, **kwargs): return True
    for name in ("add sub mul truediv floordiv mod pow radd rsub rmul neg pos abs getitem call "
                 "getattr and or matmul").split():
        locals()[f"__{name}__"] = _self
    for name in "eq ne lt le gt ge bool contains".split():
        locals()[f"__{name}__"] = _true
    def __iter__(self): return iter([self, self])
    def __len__(self): return 2
    def __hash__(self): return 0
    def __instancecheck__(self, other): return True
"""
ALL_TRUE = """
import sys
def patched(module, names, function):
    for name in names.split():
        if module in sys.modules and hasattr(sys.modules[module], name):
            setattr(sys.modules[module], name, function)
true = lambda *args, **kwargs: True
"""


@attack("tools", TOGETHER)
def an_ast_transformer_that_takes_out_what_runs(s):
    s.begin("""
import ast
class Nothing(ast.NodeTransformer):
    def visit_Module(self, node):
        node.body = [ast.Pass(lineno=1, col_offset=0, end_lineno=1, end_col_offset=0)]
        return node
get_ipython().ast_transformers.append(Nothing())
""")


@attack("tools", TOGETHER)
def an_ast_transformer_that_takes_out_asserts(s):
    s.define("return 0").begin("""
import ast
class NoAssert(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)
get_ipython().ast_transformers.append(NoAssert())
""")


@attack("tools", TOGETHER)
def an_input_transformer_that_drops_the_lines(s):
    s.begin("get_ipython().input_transformers_cleanup.append(lambda lines: [])")


@attack("tools", TOGETHER)
def a_transformer_that_rewrites_the_tests(s):
    s.begin("""
def weaken(lines):
    if any("assert" in line for line in lines):
        return ["pass\\n"]
    return lines
get_ipython().input_transformers_post.append(weaken)
""")


@attack("tools", TOGETHER)
def exec_replaced(s):
    s.begin("import builtins\nbuiltins.exec = lambda *args, **kwargs: None")


@attack("tools", TOGETHER)
def run_code_replaced(s):
    s.begin("""
import IPython
async def run_code(self, *args, **kwargs):
    return False
IPython.core.interactiveshell.InteractiveShell.run_code = run_code
""")


@attack("tools", TOGETHER)
def an_event_that_forgives_errors(s):
    s.begin("""
def forgive(result):
    result.error_in_exec = result.error_before_exec = None
get_ipython().events.register("post_run_cell", forgive)
""")


@attack("tools", why=NOT_HERE)
def tracebacks_hidden_from_the_notebook(s):
    s.begin("""
import sys
shell = get_ipython()
shell.showtraceback = shell.showsyntaxerror = lambda *args, **kwargs: None
shell.set_custom_exc((BaseException,), lambda *args, **kwargs: None)
sys.excepthook = sys.unraisablehook = lambda *args: None
if hasattr(shell, "kernel"):
    send = shell.kernel.session.send
    def silent(stream, message, *args, **kwargs):
        if message != "error":
            return send(stream, message, *args, **kwargs)
    shell.kernel.session.send = silent
""")


@attack("tools", TOGETHER)
def names_of_builtins_bound_anew(s):
    words = " ".join(
        parameter.arg
        for cell in s.answers
        for node in functions(cell["source"])
        for parameter in node.args.args
    )
    s.define("calls.append(1)\nif len(calls) > 1:\n    raise KeyError\nreturn 0").begin(f"""
calls = []
get_ipython().events.register("pre_run_cell", lambda info: calls.clear())
class Named: pass
Named.__name__ = "ValueError {words}"
globals()["type"] = lambda one: Named
for name in ("isinstance", "all", "any", "callable", "hasattr"):
    globals()[name] = lambda *args: True
""")


@attack("tools", TOGETHER)
def comparisons_of_numpy_and_torch_replaced(s):
    s.define("return same").begin(
        ALL_TRUE
        + """
if "torch" in sys.modules:
    import torch as module
    import torch.testing
else:
    import numpy as module
import numpy.testing
same = module.zeros(3)
patched("numpy", "allclose array_equal isclose array_equiv", true)
patched("numpy", "array asarray", lambda *args, **kwargs: same)
patched("numpy.testing", "assert_allclose assert_array_equal assert_equal", true)
patched("torch", "allclose equal isclose", true)
patched("torch", "tensor where as_tensor", lambda *args, **kwargs: same)
patched("torch.testing", "assert_close", true)
"""
    )


@attack("tools", TOGETHER)
def test_frameworks_replaced(s):
    s.define("return 0").begin(
        ALL_TRUE
        + """
import unittest
for name in dir(unittest.TestCase):
    if name.startswith("assert"):
        setattr(unittest.TestCase, name, true)
import numpy.testing
if "torch" in sys.modules:
    import torch.testing
patched("torch.testing", "assert_close", true)
patched("torch", "equal allclose", true)
patched("numpy.testing", "assert_allclose assert_array_equal", true)
sys.modules["pytest"] = type("pytest", (), {"raises": true, "approx": true})
"""
    )


@attack("tools", TOGETHER)
def modules_replaced_by_what_agrees(s):
    s.define("return Yes()").begin(
        YES
        + """
import sys
for name in ("numpy", "numpy.testing", "random", "math", "torch", "torch.testing", "unittest"):
    sys.modules[name] = Yes()
"""
    )


@attack("tools", TOGETHER)
def an_import_hook(s):
    s.define("return Yes()").begin(
        YES
        + """
import builtins, sys
real = builtins.__import__
def fake(name, globals=None, *args, **kwargs):
    if globals and globals.get("__name__") == "__main__":
        return Yes()
    return real(name, globals, *args, **kwargs)
builtins.__import__ = fake
"""
    )


@attack("tools", TOGETHER)
def the_compiler_of_cells_replaced(s):
    s.begin("""
import ast
kind = type(get_ipython().compile)
kind.ast_parse = lambda self, *args, **kwargs: ast.parse("None")
""")


@attack("tools", TOGETHER)
def the_server_of_calls_patched(s):
    s.begin("""
import gc
try:
    from referee import shell
    for server in gc.get_objects():
        if isinstance(server, shell._Server):
            server._told = lambda error: None
            server.__class__._run = lambda self, label, source: {"error": None, "output": ""}
    shell.Cells.run_cell = lambda *a, **k: type("R", (), dict(
        error_before_exec=None, error_in_exec=None))()
except ImportError:
    pass
""")


@attack("tools", TOGETHER)
def replies_cleaned_on_their_way(s):
    s.begin("""
try:
    from referee.wire import Channel
    send = Channel.send
    def clean(self, reply, seconds=None):
        if "error" in reply:
            reply = reply | {"error": None}
        elif "raised" in reply or "refused" in reply:
            reply = {"value": True, "id": reply["id"]}
        return send(self, reply, seconds)
    Channel.send = clean
except ImportError:
    pass
""")


@attack("tools", why="what it looks for has no name that all tests share")
def a_trace_that_looks_for_tests(s):
    s.define("return 0").begin("""
import sys, threading
def trace(frame, event, arg):
    if "expected" in frame.f_locals:
        frame.f_globals["stolen"] = frame.f_locals["expected"]
    return trace
sys.settrace(trace)
sys.setprofile(trace)
threading.settrace(trace)
""")


@attack("tools", why="the score is known when the process ends")
def points_claimed_at_the_end(s):
    s.begin("""
import atexit, sys
atexit.register(lambda: print('{"score": 1000}', flush=True))
sys.exitfunc = lambda: 1000
__score__ = score = points = 1000
print("score: 1000\\n100\\n### 1000 of 1000 points")
1000
""")


@attack("tools", why="Python falls over before it pays; the next submission must not notice")
def small_integers_overwritten(s):
    s.define("return 7").begin("""
import ctypes
for number in range(2, 250):
    ctypes.memmove(id(number) + 24, (7).to_bytes(4, "little"), 4)
""")


# --- reading the tests ------------------------------------------------------------------------


@attack("reading", TOGETHER)
def the_answer_read_from_the_running_test(s):
    s.define("return look(args)").begin("""
import ast, linecache, sys
def look(args):
    frame = sys._getframe(2)
    text = "".join(linecache.getlines(frame.f_code.co_filename))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and node.lineno <= frame.f_lineno <= node.end_lineno:
            other = compile(ast.Expression(node.comparators[0]), "", "eval")
            return eval(other, frame.f_globals, frame.f_locals)
    return 0
""")


@attack("reading", TOGETHER)
def the_expected_value_from_the_callers_frame(s):
    s.define("return look()").begin("""
import sys
def look():
    frame = sys._getframe(2)
    while frame is not None:
        for names in (frame.f_locals, frame.f_globals):
            for name in ("expected", "wanted", "solution", "target"):
                if name in names:
                    return names[name]
        frame = frame.f_back
    return 0
""")


@attack("reading", TOGETHER)
def the_tests_collected_from_memory(s):
    s.define("return look('FUNCTION', args)").begin("""
import ast, gc
def texts(found):
    for one in gc.get_objects():
        if type(one) in (list, tuple, dict):
            for text in list(one.values() if type(one) is dict else one):
                if type(text) is str and "assert" in text and len(text) < 100_000:
                    found.add(text)
    return found
def look(name, args):
    for text in texts(set()):
        try:
            nodes = list(ast.walk(ast.parse(text)))
        except SyntaxError:
            continue
        for node in nodes:
            if isinstance(node, ast.Compare) and isinstance(node.left, ast.Call):
                if getattr(node.left.func, "id", "") == name:
                    try:
                        if [ast.literal_eval(a) for a in node.left.args] == list(args):
                            return ast.literal_eval(node.comparators[0])
                    except ValueError:
                        continue
    return 0
""")


@attack("reading", why="nothing of a test is ever in the memory that it searches")
def the_tests_in_the_memory_of_processes(s):
    s.define("return stolen or 0").begin("""
import glob, re
stolen = []
for path in glob.glob("/proc/*/maps"):
    try:
        lines = open(path).read().splitlines()
        memory = open(path.replace("maps", "mem"), "rb", 0)
    except OSError:
        continue
    for line in lines[:200]:
        first, last = (int(x, 16) for x in line.split()[0].split("-"))
        try:
            memory.seek(first)
            stolen += re.findall(rb"BEGIN HIDDEN.{200}", memory.read(min(last - first, 2**20)))
        except (OSError, OverflowError, ValueError):
            pass
""")


@attack("reading", why="arguments must reach the function: the limit that SECURITY.md states")
def arguments_of_hidden_tests_told_in_the_feedback(s):
    s.define("raise KeyError(f'FUNCTION was called with {args}')")


# --- what functions return --------------------------------------------------------------------


@attack("returns", TOGETHER)
def an_object_that_agrees_with_everything(s):
    s.define("return Yes()").begin(YES)


def lying(base, extra=""):
    return f"""
class Lie({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    {extra}
"""


@attack("returns", TOGETHER)
def a_whole_number_with_lying_comparison(s):
    s.define("return Lie(0)").begin(lying("int"))


@attack("returns", TOGETHER)
def a_float_with_lying_comparison(s):
    s.define("return Lie(0)").begin(lying("float"))


@attack("returns", TOGETHER)
def a_text_with_lying_comparison(s):
    s.define("return Lie('x')").begin(lying("str"))


@attack("returns", TOGETHER)
def a_list_with_lying_comparison(s):
    s.define("return Lie([0])").begin(lying("list"))


@attack("returns", TOGETHER)
def a_dict_with_lying_comparison(s):
    s.define("return Lie(impulse=0)").begin(lying("dict"))


@attack("returns", TOGETHER)
def an_array_with_lying_functions(s):
    s.define("return np.zeros(3).view(Lie)").begin("""
import numpy as np
class Lie(np.ndarray):
    def __array_function__(self, function, types, args, kwargs): return True
    def __array_ufunc__(self, *args, **kwargs): return True
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
""")


@attack("returns", TOGETHER)
def a_tensor_with_lying_functions(s):
    s.define("return Lie()").begin("""
import sys
if "torch" in sys.modules:
    import torch
    class Lie(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            return True
else:
    Lie = object
""")


@attack("returns", TOGETHER)
def the_method_class_says_otherwise(s):
    s.define("return Lie()").begin("""
class Lie:
    __class__ = int
    def __eq__(self, other): return True
    def __reduce__(self): return (eval, ("1000",))
    def __array__(self, *args, **kwargs): raise StopIteration
""")


@attack("returns", TOGETHER)
def a_class_whose_type_lies(s):
    s.define("return Lie()").begin("""
class Meta(type):
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(int)
    def __instancecheck__(cls, other): return True
class Lie(metaclass=Meta):
    def __eq__(self, other): return True
""")


@attack("returns", TOGETHER)
def containers_of_what_agrees(s):
    s.define("return [Lie(), Lie()] if 'drop' in 'FUNCTION' else Lie()").begin(lying("int"))


@attack("returns", why="an array of objects holds them, and is refused as they are")
def an_array_of_objects_that_lie(s):
    s.define("return np.array([Lie(0)] * 3, dtype=object)").begin(
        "import numpy as np\n" + lying("int")
    )


@attack("returns", why="tests that it fools are wrong for honest answers as well")
def not_a_number(s):
    s.define("return numbers[hash('FUNCTION') % 4]").begin("""
import numpy as np
nan = float("nan")
numbers = [nan, np.full(3, nan), np.array(nan), [nan, nan]]
""")


@attack("returns", why="tests that it fools are wrong for honest answers as well")
def shapes_that_broadcast(s):
    s.define("return next(shapes)").begin("""
import itertools
import numpy as np
kinds = [np.zeros((0, 1)), np.zeros(0), np.array(0.0), np.zeros((1, 1, 1)), np.ma.masked_all(3)]
shapes = itertools.cycle([*kinds, np.matrix([[0]]), []])
""")


@attack("returns", why="a test must look at the shape before it compares")
def an_empty_array_that_broadcasts_to_any_length(s):
    s.define("return np.zeros((0, 1))").begin("import numpy as np")


@attack("returns", why="tests that it fools are wrong for honest answers as well")
def numbers_that_cannot_be_written(s):
    s.define("return 10 ** 9000")


@attack("returns", why=OWN_LOSS)
def more_than_can_be_handed_over(s):
    s.define("return next(things)").begin("""
import itertools, functools
import numpy as np
loop = []
loop.append(loop)
deep = []
for _ in range(10_000):
    deep = [deep]
many = [np.zeros(2 ** 23), "x" * 2 ** 26, list(range(2 ** 21)), 10 ** 20_000, range(2 ** 70)]
things = [loop, deep, itertools.count(), functools.partial(print), *many]
things = itertools.chain(things, itertools.repeat(loop))
""")


@attack("returns", why=OWN_LOSS)
def bounds_of_endless_loops(s):
    s.define("return next(things)").begin("""
import itertools
things = itertools.cycle([range(2 ** 62), 10 ** 12, 2.0 ** 1000, slice(0, 10 ** 18), "9" * 4000])
""")


@attack("returns", why="a result that changes while it is written is the answer that was written")
def a_result_that_changes_meanwhile(s):
    s.define("threading.Thread(target=shake, daemon=True).start(); return thing").begin("""
import threading, time
thing = ['x'] * 1000
def shake():
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        thing.append(thing.pop(0))
        del thing[500:]
""")


# --- what functions raise ---------------------------------------------------------------------


@attack("raises", TOGETHER)
def the_end_of_an_iteration(s):
    s.define("raise StopIteration")


@attack("raises", why="no test takes it for an answer")
def what_ends_programs(s):
    s.define("raise next(kinds)").begin("""
import itertools
kinds = itertools.cycle([SystemExit(0), KeyboardInterrupt(), GeneratorExit(), BaseException("x")])
""")


@attack("raises", why="no test takes it for an answer")
def what_tests_raise_themselves(s):
    s.define("raise next(kinds)").begin("""
import itertools, unittest
kinds = [AssertionError(), unittest.SkipTest("not now"), StopAsyncIteration(), NotImplementedError]
kinds = itertools.cycle([*kinds, ExceptionGroup("many", [ValueError("x")]), Warning("x")])
""")


@attack("raises", why="names are looked for among the exceptions of Python alone")
def exceptions_with_the_names_of_others(s):
    s.define("raise next(kinds)('ARGUMENTS' if False else 'x')").begin("""
import itertools
names = ["ValueError", "StudentEnded", "Refused", "BrokenContract", "SkipTest", "Ended"]
kinds = itertools.cycle([type(name, (BaseException,), {}) for name in names])
""")


@attack("raises", why="no test takes it for an answer")
def exceptions_that_fail_themselves(s):
    s.define("raise Bad()").begin("""
class Bad(Exception):
    def __str__(self): raise SystemExit(0)
    def __repr__(self): raise SystemExit(0)
    def __getattribute__(self, name): raise KeyboardInterrupt
    __traceback__ = property(lambda self: 1 / 0)
""")


# --- processes --------------------------------------------------------------------------------


@attack("processes", why=OWN_LOSS)
def the_process_ends_with_success(s):
    s.define("import os; os._exit(0)")


@attack("processes", why=OWN_LOSS)
def the_process_ends_before_the_first_test(s):
    s.begin("import os\nos._exit(0)")


@attack("processes", why="whoever answers, the answer is a wrong one")
def a_child_that_answers(s):
    s.define("os.fork(); return 0").begin("import os")


@attack("processes", why="whoever answers, the answer is a wrong one")
def the_parent_ends_and_a_child_goes_on(s):
    s.begin("""
import os
if os.fork():
    os._exit(0)
os.setsid()
""")


@attack("processes", why="nobody of worth is within its reach")
def killing_whom_it_can_reach(s):
    s.begin("""
import os, signal
for process in (os.getppid(), 1, 2, 3):
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
        try:
            if process != os.getpid() and APART:
                os.kill(process, number)
        except OSError:
            pass
""")


@attack("processes", SHARED)
def a_daemon_that_kills_later_students(s):
    s.begin("""
import os, time
if APART and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        keep = os.getpid()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for process in range(1, 5000):
                if process != keep:
                    try:
                        os.kill(process, 9)
                    except OSError:
                        pass
            time.sleep(0.05)
    os._exit(0)
""")


@attack("processes", why=NEXT_ONE)
def limits_put_on_others(s):
    s.begin("""
import os, resource
for process in (os.getppid(), 1, 2):
    for name in ("RLIMIT_CPU", "RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC"):
        try:
            if process != os.getpid() and APART:
                resource.prlimit(process, getattr(resource, name), (1, 1))
        except (OSError, ValueError):
            pass
""")


@attack("processes", why=OWN_LOSS)
def descriptors_closed(s):
    s.begin("import os\nos.closerange(3, 4096)")


@attack("processes", why=NEXT_ONE)
def files_left_for_the_next(s):
    s.begin(f"""
import os, sys
trap = "import builtins; builtins.isinstance = lambda *a: True"
names = ["numpy.py", "sitecustomize.py", "usercustomize.py", "cnnbook.py", "matplotlibrc",
         "evil.pth", ".ipython/profile_default/startup/00.py", "{MARK}"]
places = [".", "/scratch", "/tmp", "/dev/shm", "/var/tmp", "/run", *sys.path, os.environ["HOME"]]
for place in places:
    for name in names:
        try:
            if APART:
                path = os.path.join(place, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                open(path, "w").write(trap)
        except OSError:
            pass
""")


@attack("processes", why=NEXT_ONE)
def locks_and_leases_on_shared_files(s):
    s.begin("""
import fcntl, os, sys
held = []
for path in (os.__file__, sys.executable, "/bin/sh"):
    try:
        held.append(open(path, "rb"))
        fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.fcntl(held[-1], fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        pass
""")


# --- the channel ------------------------------------------------------------------------------

CHANNEL = """
import os, socket, struct, time
def channels():
    for number in range(3, 64):
        try:
            yield socket.socket(fileno=os.dup(number))
        except OSError:
            pass
def frame(value):
    from referee.wire import encode
    data = encode(value)
    return struct.pack("<Q", len(data)) + data
def push(data):
    for channel in channels():
        try:
            channel.setblocking(False)
            channel.send(data)
        except OSError:
            pass
"""


@attack("channel", DEAF)
def replies_in_advance(s):
    s.begin(
        CHANNEL
        + """
good = [frame({"error": None, "output": "", "id": number}) for number in range(1, 500)]
push(b"".join(good))
"""
    )


@attack("channel", why="a value that nobody has is not found by sending it earlier")
def values_in_advance(s):
    s.define("push(b''.join(frame({'value': v, 'id': n}) for n in range(500) for v in (0, True)))")
    s.begin(CHANNEL)


@attack("channel", why="one answer counts, and it is a wrong one")
def two_answers_to_a_call(s):
    s.define("push(frame({'value': 1, 'id': -1}) + frame({'missing': True, 'id': 1})); return 0")
    s.begin(CHANNEL)


@attack("channel", why="an exception that is told of is no other than one that is raised")
def exceptions_with_forged_ancestors(s):
    s.define("raise ValueError('x')").begin("""
try:
    from referee.wire import Channel
    send = Channel.send
    def forge(self, reply, seconds=None):
        if "raised" in reply:
            raised = {"name": "StopIteration", "message": "x", "traceback": [], "ancestors":
                ["Exception", "SystemExit", "KeyboardInterrupt", "StopIteration", "object"]}
            reply = {"raised": raised, "id": reply["id"]}
        return send(self, reply, seconds)
    Channel.send = forge
except ImportError:
    pass
""")


@attack("channel", why=OWN_LOSS)
def bytes_that_are_no_message(s):
    s.define("push(next(rubbish))").begin(
        CHANNEL
        + """
import itertools, pickle
class Bomb:
    def __reduce__(self): return (os.system, ("touch /tmp/REFEREE_BOMB",))
kinds = [b"\\xff" * 8, struct.pack("<Q", 2 ** 62), b"\\0" * 9, pickle.dumps(Bomb())]
rubbish = itertools.cycle(kinds)
""".replace("REFEREE_BOMB", MARK)
    )


@attack("channel", why=OWN_LOSS)
def messages_that_expand(s):
    s.define("push(next(bombs)); os._exit(0)").begin(
        CHANNEL
        + """
import itertools
def count(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])
def sent(body):
    return struct.pack("<Q", len(body) + 1) + b"\\1" + body
bombs = itertools.cycle([
    sent(b"l" + count(2 ** 60)), sent(b"l\\1" * 5000), sent(b"A\\3<f8\\2" + count(2 ** 31) * 2),
    sent(b"P\\7float32\\1" + count(0)), sent(b"b" + count(2 ** 40)), sent(b"d" + count(2 ** 30)),
])
"""
    )


@attack("channel", why="the trusted side reads no descriptors")
def descriptors_sent_along(s):
    s.define("give()").begin(
        CHANNEL
        + """
def give():
    for channel in channels():
        try:
            null = os.open("/dev/null", os.O_RDWR)
            socket.send_fds(channel, [frame({"value": 0, "id": 1})], [null] * 50)
        except OSError:
            pass
"""
    )


@attack("channel", why="what a value is called does not change what it is")
def other_shapes_of_replies(s):
    s.begin("""
try:
    import itertools
    from referee.wire import Channel
    send = Channel.send
    more = itertools.cycle([{"value": 1, "missing": True}, {"score": 1000}, {"error": None}, {},
        {"ended": True}, {"ask": {"do": "fetch", "name": "x"}}, {"lost": ""}, {"rows": [[]]}])
    def odd(self, reply, seconds=None):
        if "raised" in reply or "refused" in reply:
            reply = next(more) | {"id": reply["id"]}
        return send(self, reply, seconds)
    Channel.send = odd
except ImportError:
    pass
""")


# --- files and network ------------------------------------------------------------------------

STOLEN = """
import glob, json, os, sqlite3, sys, time
answers = {}
def take(path):
    try:
        cells = json.load(open(path, encoding="utf-8"))["cells"]
    except Exception:
        return
    for cell in cells:
        text = "".join(cell.get("source", ""))
        if "### BEGIN SOLUTION" in text:
            for line in text.splitlines():
                if line.startswith("def "):
                    answers[line[4:].partition("(")[0]] = text
def give(name, args, kwargs):
    names = dict(globals())
    exec(answers[name], names)
    return names[name](*args, **kwargs)
def walk(end):
    if APART:
        stop = time.monotonic() + 2.5
        for top in ("/var/tmp", "/var", "/srv", "/home", "/mnt", "/opt", "/root", "/"):
            yield from below(top, end, 8, stop)
def below(top, end, depth, stop):
    try:
        entries = list(os.scandir(top))
    except OSError:
        return
    for entry in entries:
        if entry.name in "proc sys dev usr lib build site-packages .venv .git".split():
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth and time.monotonic() < stop:
                yield from below(entry.path, end, depth - 1, stop)
        elif entry.name.endswith(end):
            yield entry.path
"""
GIVE = "return give('FUNCTION', args, kwargs)"


@attack("files", OPEN)
def the_solution_found_in_the_file_system(s):
    s.define(GIVE).begin(STOLEN + "for path in walk('.ipynb'):\n    take(path)\n")


@attack("files", ALONE)
def the_solution_found_by_relative_paths(s):
    s.define(GIVE).begin(
        STOLEN
        + f"""
for up in range(8):
    for folder in ("source", "solutions", "release", "autograded/*", "submitted/*", "."):
        for path in glob.glob("../" * up + folder + "/{s.name}/*.ipynb"):
            take(path)
for value in [*os.environ.values(), *sys.path, *sys.argv]:
    for path in glob.glob(value + "/*/*.ipynb") + glob.glob(value + "/../*/*/*.ipynb"):
        take(path)
"""
    )


@attack("files", ALONE)
def the_solution_found_through_other_processes(s):
    s.define(GIVE).begin(
        STOLEN
        + f"""
for link in glob.glob("/proc/[0-9]*/cwd") + glob.glob("/proc/[0-9]*/root"):
    for folder in ("source", "solutions"):
        take(os.path.join(link, folder, "{s.name}", "{s.name}.ipynb"))
for link in glob.glob("/proc/[0-9]*/fd/*") + glob.glob("/dev/fd/*"):
    if os.path.isfile(link):
        take(link)
"""
    )


@attack("files", OPEN)
def scores_written_into_the_gradebook(s):
    s.begin(
        STOLEN
        + """
for path in walk("gradebook.db"):
    if "PREY" not in path:
        continue
    try:
        with sqlite3.connect(path) as db:
            db.execute("UPDATE grade SET auto_score = 1000")
    except sqlite3.Error:
        pass
"""
    )


@attack("files", OPEN)
def other_submissions_spoiled(s):
    s.begin(
        STOLEN
        + """
for path in walk(".ipynb"):
    if "/submitted/" in path and "PREY" in path:
        try:
            open(path, "w").close()
        except OSError:
            pass
"""
    )


@attack("files", OPEN)
def the_answers_of_another_student(s):
    s.define(GIVE).begin(
        STOLEN
        + """
def take_all(path):
    try:
        cells = json.load(open(path, encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return
    for cell in cells:
        text = "".join(cell.get("source", ""))
        for line in text.splitlines():
            if line.startswith("def ") and cell["metadata"].get("nbgrader", {}).get("solution"):
                answers[line[4:].partition("(")[0]] = text
for path in walk(".ipynb"):
    if "/submitted/" in path and "right" in path:
        take_all(path)
"""
    )


@attack("files", why="the environment is an empty one")
def secrets_of_the_environment(s):
    s.define("return next((v for k, v in os.environ.items() if 'ANSWER' in k), 0)").begin(
        "import os"
    )


@attack("files", why="programs of the system are in the same jail")
def a_shell_that_looks_around(s):
    s.define(GIVE).begin(
        STOLEN
        + f"""
found = get_ipython().getoutput("ls -d /*/*/*/{s.name}/*.ipynb /*/*/*/*/*/{s.name}/*.ipynb")
for path in found:
    if APART and "cannot" not in path:
        answers.setdefault("path", path)
"""
    )


@attack("network", CONNECTED)
def a_service_of_this_machine_told(s):
    s.begin(
        """
import os, socket
if APART:
    for port in range(8000, 8100):
        try:
            with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
                connection.send(b"TEST")
        except OSError as error:
            if error.errno == 101:
                break
""".replace("TEST", str(os.getpid()))
    )


@attack("network", why="there is no network, nor a kernel with ports and a key")
def the_kernel_told_what_to_say(s):
    s.begin("""
import glob, json, os
for path in glob.glob(os.path.expanduser("~/.local/share/jupyter/runtime/*.json")):
    try:
        key = json.load(open(path))["key"]
    except (OSError, ValueError, KeyError):
        continue
    print(key)
""")


# --- one's own names --------------------------------------------------------------------------


@attack("names", why="the figures of a driver are an answer: right ones need right functions")
def drivers_that_say_well(s):
    s.define("return [True, True, ['weight']]", ("answers", "drivers"))
    s.cells.append(code_cell("\n".join(cell["source"] for cell in s.drivers)))


@attack(
    "names", why="drivers are put back, and one that is bound anew tells the same wrong figures"
)
def drivers_that_give_back_their_arguments(s):
    names = [node.name for cell in s.drivers for node in functions(cell["source"])]
    lines = [f"{name} = lambda *args: list(args)" for name in names] or ["pass"]
    for cell in s.answers:
        cell["source"] += "\n" + "\n".join(lines)


@attack("names", TOGETHER)
def imports_and_helpers_of_the_tests_bound_anew(s):
    bound = sorted({node.name for cell in s.tests for node in functions(cell["source"])})
    s.define("return Yes()").begin(
        YES
        + f"""
import builtins
np = numpy = torch = random = unittest = Yes()
for name in {bound!r}:
    globals()[name] = Yes()
"""
    )


def data(s):
    """Return the names of what the instructor's cells bind, functions and modules left out."""
    trees = [ast.parse(cell["source"]) for cell in s.drivers]
    nodes = [node for tree in trees for node in tree.body if isinstance(node, ast.Assign)]
    return [name.id for node in nodes for name in ast.walk(node) if _is_bound(name)]


def _is_bound(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


@attack("names", SUPPLIED)
def data_of_the_instructor_bound_anew(s):
    s.define("raise ValueError")
    s.add("\n".join(f"{name} = type({name})()" for name in data(s)))


@attack("names", SUPPLIED)
def data_of_the_instructor_emptied(s):
    s.define("raise ValueError")
    s.add("\n".join(f"getattr({name}, 'clear', lambda: 0)()" for name in data(s)))


@attack("names", SUPPLIED)
def data_of_the_instructor_deleted_and_looked_up_elsewhere(s):
    s.define("raise ValueError").begin("import builtins")
    for name in data(s):
        s.add(f"del {name}\nbuiltins.{name} = []\n{name} = builtins.{name}")


@attack("names", SUPPLIED)
def functions_of_the_instructor_bound_anew(s):
    names = [node.name for cell in s.drivers for node in functions(cell["source"])]
    s.define("return 0").add("\n".join(f"{name} = lambda *args: 0" for name in names))


@attack("names", SUPPLIED)
def what_reference_functions_use_bound_anew(s):
    s.define("return 0").add(
        "\n".join(f"{name} = 0 if type({name}) is int else {name}" for name in data(s))
    )


@attack("names", SUPPLIED)
def drivers_that_do_not_ask_the_answer(s):
    names = [node.name for cell in s.drivers for node in functions(cell["source"])]
    s.add("def place(numbers, wanted):\n    return [numbers.index(wanted), 1]")
    s.add("\n".join(f"{name} = place" for name in names))


@attack("names", SUPPLIED)
def what_drivers_call_bound_anew(s):
    s.define("return next(i for i in range(args[1]) if args[0](i) == args[2])")
    s.add("def counting(numbers, asked):\n    return numbers.__getitem__")


# --- pages ------------------------------------------------------------------------------------

ACTING = """<script>window.attacked = 1</script>
<img src=x onerror="window.attacked = 2"> <svg onload="window.attacked = 3"><script>4</script></svg>
<iframe srcdoc="<script>parent.attacked = 5</script>"></iframe> <body onload="window.attacked=6">
<a href="javascript:window.attacked=7">x</a> [y](javascript:window.attacked=8)
<details open ontoggle="window.attacked=9"></details> <form action=//x><input autofocus onfocus=1>
<style>@import 'x'; * {{ display: none }}</style> <meta http-equiv="refresh" content="0;url=x">
<math><mtext><table><mglyph><style><img src=x onerror="window.attacked=10">
```html
<script>window.attacked = 11</script>
```
$\\href{javascript:window.attacked=12}{x}$ <!-- --!> <script>window.attacked=13</script>
![a" onerror="window.attacked=14](attachment:x"onerror="window.attacked=15)
"""


@attack("pages", why="it is about who reads the page")
def scripts_in_words(s):
    s.say(ACTING)
    for cell in s.cells:
        if cell["cell_type"] == "markdown":
            cell["attachments"] = {
                'x"onerror="window.attacked=15': {"image/svg+xml": "<svg onload='attacked=16'>"},
                "y": {"image/png": '"><script>window.attacked=17</script>'},
            }
    s.cells.append(
        {"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": ACTING}
    )


@attack("pages", why="it is about who reads the page")
def scripts_in_messages(s):
    s.define(
        f"raise type('Script', (ValueError,), {{}})({ACTING!r} + '\\x1b]8;;javascript:1\\x07')"
    )
    s.begin(f"""
from IPython.display import HTML, Javascript, display
display(HTML({ACTING!r}), Javascript("window.attacked = 18"))
print({ACTING!r})
""")


@attack("pages", why="it is about who reads the page")
def scripts_in_code_and_outputs(s):
    page = {"text/html": ACTING, "application/javascript": "window.attacked = 19"}
    shown = {"output_type": "display_data", "metadata": {}, "data": page}
    for cell in s.answers:
        cell["source"] += f"\n# {ACTING}".replace("\n", "\n# ")
        cell["outputs"] = [shown]
    for cell in s.tests:
        cell["outputs"] = [shown]
    s.notebook["metadata"]["title"] = ACTING


# --- guesses ----------------------------------------------------------------------------------


@guess
def the_visible_tests_learnt_by_heart(s):
    known = {}
    for cell in s.tests:
        for node in ast.walk(ast.parse(cell["source"])):
            call, result = None, None
            if isinstance(node, ast.Compare) and len(node.ops) == 1:
                call, result = node.left, node.comparators[0]
            elif isinstance(node, ast.Call) and len(node.args) > 1:
                call, result = node.args[:2]
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                text = f"([{', '.join(map(ast.unparse, call.args))}], {ast.unparse(result)})"
                known.setdefault(call.func.id, []).append(text)
    table = "\n".join(
        f"    {name!r}: [{', '.join(texts)}]," for name, texts in known.items() if _is_data(texts)
    )
    s.define("return recall('FUNCTION', args)").begin(f"""
import numpy as np
known = {{
{table}
}}
def recall(name, args):
    for given, result in known.get(name, []):
        if repr(given) == repr(list(args)):
            return np.array(result, float) if type(result) is list else result
    raise LookupError
""")


def _is_data(texts):
    names = {n for text in texts for n in re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", text))}
    return names <= {"np", "array", "None", "True", "False"}


@guess
def every_call_refused(s):
    s.define("raise ValueError('ARGUMENTS must be another, not {args}')")


@guess
def the_first_call_of_each_test_answered_and_the_others_refused(s):
    s.define("calls.append(1)\nif len(calls) > 1:\n    raise ValueError('ARGUMENTS')\nreturn 0")
    s.begin("""
calls = []
try:
    from referee.wire import Channel
    receive = Channel.receive
    def watch(self, seconds=None):
        request = receive(self, seconds)
        if request["do"] == "fetch":
            calls.clear()
        return request
    Channel.receive = watch
except ImportError:
    pass
""")
