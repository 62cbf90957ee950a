"""The process in which test cells run.

Test cells can be trusted; the data that a student's functions return to them cannot. A number
may be 10**9 and stand as a loop's bound, an array may fill the memory. So test cells run in a
process that is forked for one submission, with limits on time and memory, and that can be lost.

This process holds no student's code and no way to it. What a test cell wants of the student it
asks through its channel, and the process that forked it asks the student.
"""

import ast
import builtins
import gc
import hashlib
import importlib
import os
import random
import resource
import signal
import socket
import sys
import time

from referee.making import CannotMake, make
from referee.wire import Channel, Closed, Late, NotPlain, Raised, WireError

STEP = 10.0
OUT_OF_MEMORY = 12
LONGEST_MESSAGE = 2000
MOST_FRAMES = 50
FILE = "test cell "


class Refused(AssertionError):
    """A student's function gave what is not plain data."""


class StudentEnded(BaseException):
    """The student's process has ended: nothing that a test cell catches."""


class BrokenContract(BaseException):
    """The test cell asks for something that cannot be done: nothing that it catches."""


class Bench:
    """Runs the test cells of one submission, one after the other, in a process of its own.

    Forks the calling process, which must have one thread only: at the first test cell, and at the
    next one after the process was lost. What earlier cells have bound is lost with it.

    Parameters
    ----------
    folder : path, working folder of the test cells, or None for the root folder
    seconds : what one test cell may take, the student's answers included
    memory : bytes that the process may take beyond what it begins with
    """

    def __init__(self, folder, seconds, memory):
        self._folder, self._seconds, self._memory = folder or "/", seconds, memory
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.close()

    def run(self, test, answer):
        """Run a test cell and return what became of it.

        Parameters
        ----------
        test : dict of `grade_id` and `source` of the cell; `imports`, statements by the names that
            they bind; `stars` and `modules`, names of modules; `supplies`, statements of the
            instructor's cells, as `referee.making.make` takes them; `wanted`, names that the cell
            takes from outside; `student`, names that may be the student's; `answers`, those of
            them that may stand for data; `defined`, names that the notebook may define though
            they are builtins; `dropped`, names that cells have bound anew since the last test cell
        answer : function that answers a request of the test cell to the student

        Returns
        -------
        dict
            as `run_test` makes it, or `{"lost": why}` where the process did not live to tell
        """
        if self._process is None:
            self._start()
        try:
            self._channel.send(test, self._seconds)
            return self._attend(answer)
        except Late:
            self.close()
            return {"lost": f"the check was not done after {self._seconds:g} s"}
        except (Closed, WireError):
            return {"lost": _ending(self.close())}

    def _start(self):
        ours, theirs = socket.socketpair()
        self._process = os.fork()
        if self._process == 0:
            try:
                ours.close()
                _serve(Channel(theirs), self._folder, self._seconds, self._memory)
            finally:
                os._exit(0)
        theirs.close()
        self._channel = Channel(ours)

    def _attend(self, answer):
        deadline = time.monotonic() + self._seconds
        while True:
            message = self._channel.receive(deadline - time.monotonic())
            if "ask" not in message:
                return message
            reply = answer(message["ask"])
            if "ended" in reply:  # the cell must still come to its end
                deadline = time.monotonic() + STEP
            self._channel.send(reply, deadline - time.monotonic())

    def close(self):
        """End the process and all that it started; return its status, as `os.waitpid` does."""
        if self._process is None:
            return 0
        self._channel.close()
        try:
            os.killpg(self._process, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to lead a group
            os.kill(self._process, signal.SIGKILL)
        status = os.waitpid(self._process, 0)[1]
        self._process = None
        return status


def _serve(channel, folder, seconds, memory):
    detach(folder, channel)
    limit_memory(memory)
    gc.freeze()  # so that collecting garbage does not copy what is shared with the parent
    names = Names(channel)
    while True:
        test = channel.receive()
        # If the process that waits for this one is gone, nobody ends an endless loop here.
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds + STEP)
        channel.send(run_test(test, names))
        signal.setitimer(signal.ITIMER_REAL, 0)


def detach(folder, channel):
    """Put this process into a folder and a group of its own, with no open file but its channel."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, channel.fileno())
    os.closerange(channel.fileno() + 1, 2**20)
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
    os.chdir(folder)


def limit_memory(memory):
    """Let this process take so many bytes beyond what it has."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = used + memory if hard == resource.RLIM_INFINITY else min(used + memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _ending(status):
    if os.WIFSIGNALED(status):
        return f"the check crashed ({signal.Signals(os.WTERMSIG(status)).name})"
    if os.WEXITSTATUS(status) == OUT_OF_MEMORY:
        return "the answer takes more memory than the check may"
    return f"the check ended its process with code {os.WEXITSTATUS(status)}"


class Names(dict):
    """The global names of the test cells.

    A name that no test cell has bound is looked for where it can come from: imports and other
    statements of the instructor's notebook, which are run again here, or else the student. What
    the student gives is kept for one test cell only, since a later cell may change it.
    """

    def __init__(self, channel):
        super().__init__(__name__="__main__", __builtins__=builtins)
        self._channel = channel
        self._found = {}
        self._test = {}
        self.raised = None

    def begin(self, test):
        self._test = test
        self.raised = None
        for name in test["dropped"]:
            self.pop(name, None)
        self._make(test["wanted"])

    def end(self):
        for name, value in self._found.items():
            if self.get(name) is value:
                del self[name]
        self._found = {}

    def is_student(self, name):
        """Whether the name stands for something of the student's in this test cell."""
        return name in self._found and self.get(name) is self._found[name]

    def __missing__(self, name):
        shadowed = hasattr(builtins, name) and name not in self._test["defined"]
        if shadowed or name.startswith("__"):
            raise KeyError(name)
        if name in self._test["imports"]:
            scope = {}
            exec(self._test["imports"][name], scope)
            self[name] = scope[name]
        elif any(name in binds for _, binds, _ in self._test["supplies"]):
            self._make([name])
            if name not in self:
                raise KeyError(name)
        elif module := self._star(name):
            self[name] = getattr(module, name)
        else:
            self[name] = self._found[name] = self._fetch(name)
        return self[name]

    def _make(self, names):
        """Bind names that statements of the instructor's cells bind, and no test cell has bound."""
        try:
            made = make(self._test["supplies"], [name for name in names if name not in self])
        except CannotMake as error:
            raise BrokenContract(f"needs {error}") from None
        self.update(made)

    def _star(self, name):
        """Return the module that `from module import *` takes a name from, or None."""
        for module in map(importlib.import_module, reversed(self._test["stars"])):
            public = getattr(module, "__all__", vars(module))
            if name in public and not (name.startswith("_") and public is vars(module)):
                return module
        return None

    def _fetch(self, name):
        reply = self._ask({"do": "fetch", "name": name})
        if not reply.keys().isdisjoint(("value", "refused")) and name not in self._test["answers"]:
            raise BrokenContract(f"uses {name!r}, data that no answer cell defines")
        if "value" in reply:
            return reply["value"]
        if "callable" in reply and name in self._test["student"]:
            return self._proxy(name)
        if "callable" in reply:
            raise BrokenContract(f"uses {name!r}, a function that no cell defines")
        if "refused" in reply:
            raise Refused(reply["refused"])
        module = reply.get("module")
        if module in self._test["modules"]:
            return importlib.import_module(module)
        raise KeyError(name)

    def _proxy(self, name):
        def call(*args, **kwargs):
            return self._call(name, list(args), kwargs)

        call.__name__ = call.__qualname__ = name
        return call

    def _call(self, name, args, kwargs):
        reply = self._ask({"do": "call", "name": name, "args": args, "kwargs": kwargs})
        if "value" in reply:
            return reply["value"]
        if "refused" in reply:
            raise Refused(reply["refused"])
        if "missing" in reply:
            raise NameError(f"name {name!r} is not defined", name=name)
        if "not callable" in reply:
            raise TypeError(f"{name} is of type {reply['not callable']}, not a function")
        raised = reply["raised"]
        error = Raised(raised["name"], tuple(raised["ancestors"]), raised["message"]).exception()
        self.raised = error
        raise error

    def _ask(self, request):
        try:
            self._channel.send({"ask": request})
        except NotPlain as error:
            text = f"calls {request['name']} with what cannot cross: {error}"
            raise BrokenContract(text) from None
        try:
            reply = self._channel.receive()
        except MemoryError:  # half a message is left on the channel
            os._exit(OUT_OF_MEMORY)
        if "ended" in reply:
            raise StudentEnded
        return reply


def run_test(test, names):
    """Run a test cell as nbgrader scores one, except that what it writes costs nothing.

    Returns
    -------
    dict
        `{"value": number or None}` if no exception ended the cell, the number being that of its
        last expression; otherwise `{"failure": ...}`, as `describe` makes it
    """
    try:
        _seed(test["source"])
        names.begin(test)
        _seed(test["source"])
        outcome = {"value": _run(test, names)}
    except BaseException as error:
        outcome = {"failure": describe(error, names.raised)}
    names.end()
    return outcome


def _run(test, names):
    filename = f"{FILE}{test['grade_id']}"
    try:
        tree = ast.parse(test["source"], filename)
    except SyntaxError as error:
        raise BrokenContract(f"is not plain Python: {error.msg}") from None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec"), names)
    if last is None:
        return None
    value = _number(eval(compile(ast.Expression(last.value), filename, "eval"), names))
    shown = last.value.func if isinstance(last.value, ast.Call) else last.value
    own = isinstance(shown, ast.Name) and names.is_student(shown.id)
    return None if own or test["source"].rstrip().endswith(";") else value


def describe(error, raised):
    """Return what ended a test cell as plain data.

    Parameters
    ----------
    error : the exception
    raised : the last exception that a student's function raised, or None

    Returns
    -------
    dict
        `kind`: "ended" or "contract" where the cell could not be run, "student" for what the
        student's function raised, "refused" for a result that is not plain data, "missing" for
        an unknown name, "assertion" for an `assert` of the cell, else "error"; `name` and
        `message` of the exception; `frames`, grade ids and lines of test cells, outermost first;
        `missing`, the unknown name
    """
    frames, direct = [], False
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        direct = filename.startswith(FILE)
        if direct:
            frames.append((filename.removeprefix(FILE), trace.tb_lineno))
        trace = trace.tb_next
    return {
        "kind": _kind(error, error is raised, direct),
        "name": type(error).__name__,
        "message": str(error)[:LONGEST_MESSAGE],
        "frames": frames[-MOST_FRAMES:],
        "missing": error.name if isinstance(error, NameError) else None,
    }


def _kind(error, of_student, direct):
    if isinstance(error, StudentEnded):
        return "ended"
    if isinstance(error, BrokenContract):
        return "contract"
    if of_student:
        return "student"
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, NameError) and error.name is not None:
        return "missing"
    return "assertion" if isinstance(error, AssertionError) and direct else "error"


def _number(value):
    """Return a score as nbgrader reads one from a last expression, or None."""
    numpy = sys.modules.get("numpy")
    real = (int, float) if numpy is None else (int, float, numpy.integer, numpy.floating)
    if isinstance(value, bool) or not isinstance(value, real):
        return None
    return float(value)


def _seed(text):
    """Start random numbers from the text of the test, so that each run draws the same."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
