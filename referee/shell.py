"""Runs in the student's process: runs cells as a notebook does, and calls what they define.

`serve` answers requests over a channel, each a dict, with replies that `referee.student` reads:

    {"do": "run", "cell": label, "source": text}   {"error": None or {"name", "message",
                                                    "traceback"}, "output": text}
    {"do": "call", "name", "args", "kwargs"}       {"value"}, {"raised": {"name", "ancestors",
                                                    "message", "traceback"}}, {"refused": why},
                                                    {"missing": True} or {"not callable": type}
    {"do": "fetch", "name"}                        {"value"}, {"callable": True}, {"module": name},
                                                    {"refused": why} or {"missing": True}
    {"do": "forbid", "names": ["numpy.convolve"]}  {"forbidden": those that there are}

A reply carries the `id` of its request. Nothing here protects anything: the student's code can
change all of it, and changes only its own answers by that.
"""

import builtins
import contextlib
import functools
import importlib
import io
import os
import random
import subprocess
import sys
import traceback
from pathlib import Path
from types import ModuleType

from IPython.core.compilerop import CachingCompiler
from IPython.utils.text import SList

from referee import wire
from referee.cells import Cells

OUTPUT_LIMIT = 2**20
LONGEST_LINE, MOST_LINES = 200, 12


@functools.cache
def prepare():
    """Make what runs the cells, once: a process that forks for each session does so before."""
    shell = _Shell.instance()
    shell.run_cell("None", store_history=False)
    return shell


def serve(channel, output_limit=OUTPUT_LIMIT):
    """Answer requests until the channel closes.

    Parameters
    ----------
    channel : wire.Channel
    output_limit : characters that are kept of what one cell prints
    """
    shell = prepare()
    shell.user_ns["_dh"][:] = [Path.cwd()]
    _seed()
    builtins.input = _no_input
    server = _Server(shell, output_limit)
    process = os.getpid()
    while True:
        try:
            request = channel.receive()
        except wire.Closed:
            return
        reply = server.answer(request)
        if os.getpid() != process:  # a cell has forked and let the child run on
            os._exit(0)
        try:
            channel.send(reply | {"id": request.get("id")})
        except (wire.NotPlain, MemoryError):
            channel.send({"id": request.get("id"), "refused": _refusal(request, reply)})


def _seed():
    """Give every session the same random numbers, so that grading again gives the same."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _no_input(prompt=""):
    raise EOFError("input() has nobody to answer it while a notebook is graded")


def _refusal(request, reply):
    """Return why a value cannot be handed over, in the words of its author."""
    name = request["name"]
    what = name if request["do"] == "fetch" else "the result"
    try:
        wire.encode(reply["value"], what)
    except wire.NotPlain as error:
        return str(error) if request["do"] == "fetch" else f"{name}: {error}"
    except MemoryError:
        pass
    return f"{name}: {what} is too large to hand over, or changes meanwhile"


class _Output(io.TextIOBase):
    """Keeps the beginning of what is printed and drops the rest."""

    encoding = "utf-8"

    def __init__(self, limit):
        self._parts = []
        self._left = limit

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._left > 0:
            part = str.__str__(text)[: self._left]
            self._parts.append(part)
            self._left -= max(1, len(part))
        return len(text)

    def text(self):
        return "".join(self._parts)


class _Compiler(CachingCompiler):
    """Names the code of a cell after the cell, so that tracebacks can show its lines."""

    def __init__(self):
        super().__init__()
        self.label = ""
        self.lines = {}

    def get_code_name(self, raw_code, transformed_code, number):
        name = f"cell {self.label}"
        self.lines[name] = raw_code.splitlines()
        return name


class _Shell(Cells):
    """Runs cells also without files of its own or pictures."""

    compiler_class = _Compiler

    def __init__(self):
        super().__init__()
        self.display_formatter.active_types = ["text/plain"]

    def init_ipython_dir(self, ipython_dir):
        pass

    def init_profile_dir(self, profile_dir):
        self.kept = {}

    @property
    def db(self):
        """What magics such as `%cd` remember."""
        return self.kept

    def enable_matplotlib(self, gui=None):
        return "agg", "agg"

    def showindentationerror(self):
        pass

    def ask_exit(self):
        raise SystemExit

    def system(self, command):
        print("\n".join(self.getoutput(command, depth=1)))

    def getoutput(self, command, split=True, depth=0):
        """Run a command of the system, where there is one, and return what it prints."""
        command = self.var_expand(command, depth=depth + 1)
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            text, code = done.stdout.decode(errors="replace"), done.returncode
        except OSError:
            text, code = "system commands do not run while a notebook is graded", 127
        self.user_ns["_exit_code"] = code
        return SList(text.splitlines()) if split else text


class _Server:
    def __init__(self, shell, output_limit):
        self._shell = shell
        self._names = shell.user_ns
        self._output_limit = output_limit
        self._forbidden = []

    def answer(self, request):
        actions = {
            "run": lambda: self._run(request["cell"], request["source"]),
            "call": lambda: self._call(request["name"], request["args"], request["kwargs"]),
            "fetch": lambda: self._fetch(request["name"]),
            "forbid": lambda: self._forbid(request["names"]),
        }
        return actions[request["do"]]()

    def _run(self, label, source):
        self._shell.compile.label = label
        with self._printing() as output:
            result = self._shell.run_cell(source, store_history=False)
        errors = (result.error_before_exec, result.error_in_exec)
        told = [self._told(error) for error in errors if error is not None]
        return {"error": told[0] if told else None, "output": output.text()}

    def _call(self, name, args, kwargs):
        if name not in self._names:
            return {"missing": True}
        function = self._names[name]
        if not callable(function):
            return {"not callable": type(function).__name__}
        try:
            with self._printing():
                value = function(*args, **kwargs)
        except BaseException as error:
            return {"raised": self._told(error)}
        return {"value": value}

    def _fetch(self, name):
        if name not in self._names:
            return {"missing": True}
        value = self._names[name]
        if isinstance(value, ModuleType):
            return {"module": value.__name__}
        return {"callable": True} if callable(value) else {"value": value}

    def _forbid(self, names):
        """Make functions refuse calls from cells; what was forbidden before is allowed again."""
        for module, function, original in self._forbidden:
            setattr(module, function, original)
        self._forbidden, found = [], []
        for name in names:
            module, _, function = name.rpartition(".")
            with contextlib.suppress(ImportError, ValueError):
                module = importlib.import_module(module)
                original = getattr(module, function, None)
                if callable(original) and not isinstance(original, type):
                    self._forbidden.append((module, function, original))
                    setattr(module, function, self._refusing(original, name))
                    found.append(name)
        return {"forbidden": found}

    def _refusing(self, function, name):
        """Return a function that its callers may use, except for the student's own code."""

        @functools.wraps(function)
        def refuse(*args, **kwargs):
            if sys._getframe(1).f_globals is self._names:
                raise RuntimeError(f"{name} may not be used in this question")
            return function(*args, **kwargs)

        return refuse

    @contextlib.contextmanager
    def _printing(self):
        output = _Output(self._output_limit)
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            yield output

    def _told(self, error):
        """Return an exception as plain data, with its way through the student's cells."""
        raised = wire.Raised.of(error)
        message = raised.message
        places = list(self._places(error))
        if isinstance(error, SyntaxError) and isinstance(error.msg, str):
            message = error.msg
            places.append((error.filename, error.lineno))
        lines = [line for place in places if (line := self._line(*place))]
        if len(lines) > MOST_LINES:
            left_out = len(lines) - MOST_LINES
            half = MOST_LINES // 2
            lines[half:-half] = [f"… {left_out} more lines …"]
        lines.append(f"{raised.name}: {message}" if message else raised.name)
        return {
            "name": raised.name,
            "ancestors": raised.ancestors,
            "message": message,
            "traceback": [_shortened(line) for line in lines],
        }

    def _places(self, error):
        for frame, number in traceback.walk_tb(error.__traceback__):
            yield frame.f_code.co_filename, number

    def _line(self, filename, number):
        """Return a line of a cell with where it stands, and nothing for other files."""
        lines = self._shell.compile.lines.get(filename)
        if lines is None or number is None:
            return None
        text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        return f"{filename}, line {number}: {text}"


def _shortened(line):
    line = " ".join(line.split())
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
