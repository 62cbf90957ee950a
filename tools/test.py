"""Run the tests part by part and print the minutes of each: `python -m tools.test [PART ...]`.

A part is a file of `tests/`: `data` is `tests/test_data.py`. Some take too long to run each time:
they run only if they are named. Two parts run at a time, except that those which grade start
processes and control groups by the dozen: of them, one at a time. Long parts come first, so that
the lanes end together. All parts look at one build of the book, which the first to need it makes.
A part's report appears whole, when it ends.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tools.determinism import environment

ROOT = Path(__file__).resolve().parents[1]
NO_TESTS = 5
ONLY_IF_NAMED = {"referee_full"}
LONG = ["chapters", "class", "referee_attacks", "problem_sets", "accessibility"]
LONG += ["referee_campaign", "experiments"]
LANES = min(2, os.cpu_count() or 1)


def parts():
    return {path.stem.removeprefix("test_"): path for path in sorted(ROOT.glob("tests/test_*.py"))}


def grades(name):
    return name == "class" or name.startswith("referee")


class Queue:
    """Hands out parts to lanes, those that grade first and one at a time, the long ones first."""

    def __init__(self, names):
        self.waiting = sorted(names, key=lambda name: (not grades(name), name not in LONG))
        self.grading = False
        self.results = {}
        self.lock = threading.Lock()

    def take(self):
        """Return the next part that may start now, or None if there is none."""
        with self.lock:
            for name in self.waiting:
                if not (grades(name) and self.grading):
                    self.waiting.remove(name)
                    self.grading = self.grading or grades(name)
                    return name
        return None

    def put(self, name, code, minutes, report):
        """Note how a part ended and print its report."""
        with self.lock:
            self.results[name] = code, minutes
            self.grading = self.grading and not grades(name)
            print(f"== {name}\n{report}", flush=True)


def work(queue, known, folder):
    """Run parts until none is left that may start; in the folder they share a build of the book."""
    while name := queue.take():
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", str(known[name])],
            cwd=ROOT,
            env={**environment(), "COURSE_BOOK": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        queue.put(name, done.returncode, (time.perf_counter() - start) / 60, done.stdout)


def main(names):
    known = parts()
    names = [name.replace("-", "_") for name in names]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"make test: no part {unknown[0]!r}; the parts are {', '.join(known)}")
        return 2
    start = time.perf_counter()
    chosen = names or [name for name in known if name not in ONLY_IF_NAMED]
    queue = Queue(chosen)
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        task = {"target": work, "args": (queue, known, folder), "daemon": True}
        lanes = [threading.Thread(**task) for _ in range(LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    print("\npart                 minutes  result")
    for name, (code, minutes) in sorted(queue.results.items()):
        verdict = {0: "passed", NO_TESTS: "no tests"}.get(code, "FAILED")
        print(f"{name:<20} {minutes:7.1f}  {verdict}")
    print(f"{'by the clock':<20} {(time.perf_counter() - start) / 60:7.1f}")
    for name in sorted({*chosen} - {*queue.results}):
        print(f"{name:<20}          NOT RUN")
    passed = sum(code == 0 for code, _ in queue.results.values())
    failed = len({*chosen}) - passed
    print(f"{passed} passed, {failed} failed or not run")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
