"""Run the tests part by part and print the minutes of each: `python -m tools.test [PART ...]`.

A part is a file of `tests/`: `data` is `tests/test_data.py`. Some take too long to run each time:
they run only if they are named.
"""

import subprocess
import sys
import time
from pathlib import Path

from tools.determinism import environment

ROOT = Path(__file__).resolve().parents[1]
NO_TESTS = 5
ONLY_IF_NAMED = {"referee_full"}


def parts():
    return {path.stem.removeprefix("test_"): path for path in sorted(ROOT.glob("tests/test_*.py"))}


def run(path):
    """Run one file; return pytest's exit code and the minutes it took."""
    start = time.perf_counter()
    code = subprocess.call(
        [sys.executable, "-m", "pytest", "-q", str(path)], cwd=ROOT, env=environment()
    )
    return code, (time.perf_counter() - start) / 60


def main(names):
    known = parts()
    names = [name.replace("-", "_") for name in names]
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"make test: no part {unknown[0]!r}; the parts are {', '.join(known)}")
        return 2
    results = {}
    for name in names or [name for name in known if name not in ONLY_IF_NAMED]:
        print(f"== {name}", flush=True)
        results[name] = run(known[name])
    print("\npart             minutes  result")
    for name, (code, minutes) in results.items():
        verdict = {0: "passed", NO_TESTS: "no tests"}.get(code, "FAILED")
        print(f"{name:<16} {minutes:7.1f}  {verdict}")
    print(f"{'together':<16} {sum(minutes for _, minutes in results.values()):7.1f}")
    failed = sum(code != 0 for code, _ in results.values())
    print(f"{len(results) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
