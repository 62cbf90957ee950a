"""Long-lived grading processes: each takes tasks, one after another, until there are no more.

`python -m referee.pool` reads a task as a line of JSON from standard input and writes a line of
JSON to standard output. It has one thread and loads the course's packages once, so that the
judge can fork from it. When the process that started it dies, in whatever way, it is killed, and
with it all that it forked and its jail.
"""

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import deque
from pathlib import Path

from referee import cgroups

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
PR_SET_PDEATHSIG = 1
TRIES = 2
SECONDS_TO_END = 5


class CannotStart(ValueError):
    """No submission can be graded: no jail, a package that is not there, a broken assignment."""


def run(tasks, jobs, patience):
    """Grade tasks in several processes; yield (task, outcome or None, why there is none).

    A task whose process dies is tried once more in a fresh one, one that takes too long is not.

    Parameters
    ----------
    tasks : list of Task
    jobs : number of processes
    patience : seconds that one submission may take

    Raises
    ------
    CannotStart
        If the first grading process that says something cannot begin; the message says why. One
        that cannot later on counts as dead.
    """
    waiting = deque((task, 1) for task in tasks)
    idle, busy, begun = [], {}, False
    try:
        with selectors.DefaultSelector() as selector:
            while waiting or busy:
                while waiting and len(busy) < jobs:
                    process = idle.pop() if idle else _Process()
                    busy[process.output] = process
                    selector.register(process.output, selectors.EVENT_READ)
                    process.begin(*waiting.popleft(), patience)
                deadline = min(process.deadline for process in busy.values())
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                done = [busy[key.fileobj] for key, _ in ready if busy[key.fileobj].read()]
                late = [p for p in busy.values() if p not in done and p.is_late()]
                for process in [*done, *late]:
                    selector.unregister(process.output)
                    del busy[process.output]
                    task, attempt, answer = process.task, process.attempt, process.answer
                    fatal = (answer or {}).get("fatal")
                    if answer is not None and fatal is None:
                        begun = True
                        idle.append(process)
                        yield task, answer.get("outcome"), answer.get("error", "")
                        continue
                    why = process.kill(patience if process in late else None)
                    if fatal is not None and not begun:
                        raise CannotStart(fatal)
                    if process in done and attempt < TRIES:
                        waiting.append((task, attempt + 1))
                    else:
                        yield task, None, f"the grading process {fatal or why}"
    finally:
        for process in [*idle, *busy.values()]:
            process.end()
        cgroups.sweep()


class _Process:
    """A grading process, seen from the one that started it."""

    def __init__(self):
        self.task, self.attempt, self.deadline, self.answer = None, 0, 0.0, None
        self._data, self._errors = b"", tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "referee.pool", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, **ONE_THREAD, "MPLBACKEND": "agg"},
            bufsize=0,
        )
        self.output = self._process.stdout

    def begin(self, task, attempt, patience):
        self.task, self.attempt, self.answer, self._data = task, attempt, None, b""
        self.deadline = time.monotonic() + patience
        # A process that is gone is seen when its answer is read.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(task.to_dict()).encode() + b"\n")

    def read(self):
        """Read what there is; return whether the answer is whole, or none will come."""
        chunk = os.read(self.output.fileno(), 2**20)
        self._data += chunk
        if self._data.endswith(b"\n"):
            self.answer = json.loads(self._data)
        return self.answer is not None or not chunk

    def is_late(self):
        return time.monotonic() > self.deadline

    def kill(self, patience=None):
        """Kill the process; say why it is gone, or that it took longer than so many seconds."""
        self._process.kill()
        code = self._process.wait()
        self._process.stdin.close()
        self.output.close()
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace").splitlines()
        self._errors.close()
        if patience is not None:
            return f"took longer than {patience:g} s and was stopped"
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        last = next((line for line in reversed(errors) if line.strip()), "")
        return f"{how} {last}".rstrip()

    def end(self):
        """Let an idle process end; kill one that is at work."""
        if self.answer is None:
            self._process.kill()
        self._process.stdin.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.output.close()
        self._errors.close()


def die_with_parent():
    """Have the kernel kill this process when the thread that made it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _load(packages):
    for name in packages:
        importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _answer(grade, line):
    """Do one task; return what is sent back."""
    try:
        task = grade.Task.from_dict(json.loads(line))
        _load(task.settings.packages)
        grader = grade.prepare(task)
    except Exception as error:
        traceback.print_exc()
        return {"fatal": str(error) or type(error).__name__}
    try:
        return {"outcome": grader.grade(task)}
    except Exception as error:
        traceback.print_exc()
        return {"outcome": None, "error": f"{type(error).__name__}: {error}"}


def main(parent):
    die_with_parent()
    if os.getppid() != parent:
        return
    os.register_at_fork(after_in_child=die_with_parent)
    results, tasks = os.dup(1), os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    from referee import grade

    try:
        for line in tasks:
            data = json.dumps(_answer(grade, line)).encode() + b"\n"
            while data:
                data = data[os.write(results, data) :]
    finally:
        grade.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
