"""The warm process: runs a notebook's own cells once and forks for each trial of a question.

`python -m referee.worker` reads a plan as JSON from standard input and writes one line of JSON
for each trial to standard output. `referee.run` writes plans and reads the lines.

The plan's steps come in the order of the notebook. A step either runs a cell in this process,
for all trials after it, or holds trials. A trial is a child process that runs answer and tests
and reports after each cell, so that a crash or an endless loop takes no other trial with it.
A cell of the notebook that does not end in time ends this process: SIGALRM is left to kill it.
"""

import ast
import builtins
import importlib
import json
import os
import random
import select
import signal
import sys
import tempfile
import time

from referee.cases import load_cases
from referee.cells import Cells
from referee.guesses import GUESSES
from referee.making import CannotMake, make
from referee.plain import Recorder, StandIn

PASSED = "__check_passed__"
LONGEST = 240
SECONDS_TO_IMPORT = 120
END = {"end": True}
LAST = json.dumps(END).encode() + b"\n"


class CountChecks(ast.NodeTransformer):
    """Make each assertion say that it passed: `assert`, and calls whose name begins with it."""

    def visit_Assert(self, node):
        return [node, self._note(node)]

    def visit_Expr(self, node):
        function = node.value.func if isinstance(node.value, ast.Call) else None
        name = getattr(function, "attr", getattr(function, "id", ""))
        return [node, self._note(node)] if name.startswith("assert") else node

    def _note(self, node):
        note = ast.parse(f"{PASSED}({node.lineno})").body[0]
        return ast.fix_missing_locations(ast.copy_location(note, node))


def explain(error, source, filename):
    """Return an exception as one line, with the line of the cell that it came from."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, AssertionError):
        code = source.splitlines()[line - 1].strip() if line else ""
        text = text or " ".join(code.split()) or "assertion failed"
    else:
        text = f"{kind}: {text}" if text else kind
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return f"{text} (line {line})" if line else text


def run_test(source, part, namespace):
    """Run a test cell as nbgrader scores one: error, stderr or a last value cost the points."""
    filename = f"<{part}>"
    checks = set()
    setattr(builtins, PASSED, checks.add)
    sys.stderr.flush()
    written = os.lseek(2, 0, os.SEEK_END)
    message = None
    try:
        tree = CountChecks().visit(ast.parse(source, filename))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, filename, "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
            if value is not None and not source.rstrip().endswith(";"):
                message = f"ends in the value {value!r:.60}, which nbgrader takes for the score"
    except BaseException as error:
        message = explain(error, source, filename)
    sys.stderr.flush()
    if message is None and os.lseek(2, 0, os.SEEK_END) > written:
        text = " ".join(os.pread(2, 2000, written).decode(errors="replace").split())[:LONGEST]
        message = f"writes to standard error, for which nbgrader gives no points: {text}"
    return {
        "part": part,
        "passed": message is None,
        "message": message or "",
        "checks": sorted(checks),
    }


def reseed():
    """Give a child its own random numbers: forked children would all draw the same."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()


def stand_ins(trial, shell, recorder):
    """Return the namespace of a test cell that is kept apart from the student's code."""
    namespace = {"__name__": "__main__", "__builtins__": builtins}
    for name in [*trial["own"], *trial["drivers"]]:
        if name in shell.user_ns:
            function, driver = shell.user_ns[name], name in trial["drivers"]
            namespace[name] = StandIn(name, function, recorder, driver)
    return namespace


def run_apart(cell, namespace):
    """Run a test cell with what the instructor's cells give to it, made anew."""
    try:
        namespace |= make(cell["supplies"], cell["wanted"])
    except CannotMake as error:
        message = f"needs {error}"
        return {"part": cell["part"], "passed": False, "message": message, "checks": []}
    return run_test(cell["source"], cell["part"], namespace)


def run_trial(trial, shell, cases, report):
    """Run the cells of a trial in this process, a forked child."""
    reseed()
    for cell in trial["cells"]:
        if "case" in cell:
            case = cases[cell["case"]]
            shell.user_ns[case.name] = case.function
        elif "guess" in cell:
            for name, parameters in cell["functions"].items():
                shell.user_ns[name] = GUESSES[cell["guess"]](parameters)
        elif cell["part"] is None:
            error = shell.run(cell["source"])
            if error is not None:
                report({"cell": cell["cell"], "message": explain(error, cell["source"], "")})
        elif trial["apart"]:
            recorder = Recorder()
            namespace = stand_ins(trial, shell, recorder)
            result = run_apart(cell, namespace)
            report(result | {"faults": recorder.faults, "calls": recorder.digest.hexdigest()})
        else:
            report(run_test(cell["source"], cell["part"], shell.user_ns))


def fork(trial, shell, cases, timeout, channel):
    """Run a trial in a child process, without this process's channel; return what came of it."""
    start = time.perf_counter()
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reader)
        os.close(channel)
        with tempfile.TemporaryFile() as errors:
            os.dup2(errors.fileno(), 2)
        code = 1
        try:
            run_trial(trial, shell, cases, lambda line: _write(writer, line))
            _write(writer, END)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    text, late = _read(reader, timeout)
    _kill(child)
    _, status = os.waitpid(child, 0)
    lines = [json.loads(line) for line in text.splitlines()]
    complete = bool(lines) and lines[-1] == END
    if complete:
        lines.pop()
    return {
        "trial": trial["id"],
        "reports": lines,
        "end": "" if complete else _ending(late, status, timeout),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _ending(late, status, timeout):
    if late:
        return f"no end after {timeout:g} s"
    if os.WIFSIGNALED(status):
        return f"crash: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit with code {os.WEXITSTATUS(status)}"


def _write(descriptor, line):
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def _read(descriptor, timeout):
    """Read whole lines until the end, or until nothing comes for so many seconds."""
    data, late = b"", False
    while True:
        ready, _, _ = select.select([descriptor], [], [], timeout)
        chunk = os.read(descriptor, 65536) if ready else b""
        if not chunk:
            late = not ready
            break
        data += chunk
        if data.endswith(LAST):
            break
    os.close(descriptor)
    return data[: data.rfind(b"\n") + 1], late


def _kill(child):
    """End a child and all that it started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)


def preload(sources):
    """Import what the cells import, once for all children."""
    for source in sources:
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except SyntaxError:
            continue
        names = [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
        names += [n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:
                continue


def main():
    plan = json.load(sys.stdin)
    channel = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.chdir(plan["folder"])
    sys.path[0] = ""
    shell = Cells()
    signal.alarm(SECONDS_TO_IMPORT)
    preload(plan["preload"])
    cases = load_cases(plan["cases"]) if plan["cases"] else []
    for step in plan["steps"]:
        if "run" in step:
            _write(channel, {"running": step["cell"]})
            signal.alarm(max(1, round(plan["timeout"])))
            shell.run(step["run"])
        signal.alarm(0)
        for trial in step.get("trials", []):
            _write(channel, fork(trial, shell, cases, plan["timeout"], channel))


if __name__ == "__main__":
    main()
