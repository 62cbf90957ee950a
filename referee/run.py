"""Runs plans in a warm process (`referee.worker`) and reads what became of each trial."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
TIMEOUT = 30.0


class RunError(Exception):
    """The warm process ended before its plan did."""


@dataclass(frozen=True)
class PartResult:
    """What became of one test cell; `faults` and `calls` are known where it ran apart."""

    part: str
    passed: bool
    message: str
    checks: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()
    calls: str = ""


@dataclass(frozen=True)
class TrialResult:
    parts: dict[str, PartResult]
    errors: dict[int, str]
    end: str
    seconds: float

    @property
    def lost(self):
        return [name for name, part in self.parts.items() if not part.passed]

    @property
    def kept(self):
        return [name for name, part in self.parts.items() if part.passed]


@dataclass
class Plan:
    """The steps of one warm process. Trials are numbered in the order in which they are added."""

    cases: Path | None
    timeout: float = TIMEOUT
    steps: list = field(default_factory=list)
    trials: list = field(default_factory=list)
    preload: list = field(default_factory=list)

    def run_cell(self, number, source):
        """Let the warm process run a cell, for all trials that are added after it."""
        self.steps.append({"run": source, "cell": number})

    def add_trial(self, cells, own=(), drivers=(), apart=False):
        """Add a trial and return its number.

        `cells` are dicts: `cell` and `source`, with the grade id of a test cell as `part` or
        None; or the number of a case as `case`; or a kind of guess as `guess`, with `functions`,
        the parameters of each function that it stands for. With `apart`, test cells see stand-ins
        of the names in `own` and `drivers`, what the instructor's cells give, and nothing else.
        """
        number = len(self.trials)
        self.trials.append([cell["part"] for cell in cells if cell.get("part")])
        trial = {"id": number, "cells": cells, "own": [*own], "drivers": [*drivers]}
        self.steps.append({"trials": [trial | {"apart": apart}]})
        return number


def run_plan(plan, copy_files):
    """Run a plan in a scratch folder that `copy_files` fills; return a list of TrialResult.

    Raises
    ------
    RunError
        If the warm process itself ends early or hangs: a cell of the notebook, or an import.
    """
    with tempfile.TemporaryDirectory(prefix="referee-") as folder:
        copy_files(folder)
        task = {
            "folder": folder,
            "cases": str(plan.cases.resolve()) if plan.cases else None,
            "timeout": plan.timeout,
            "preload": plan.preload,
            "steps": plan.steps,
        }
        lines = _talk(json.dumps(task))
    results = {line["trial"]: line for line in lines if "trial" in line}
    return [_result(results[number], parts) for number, parts in enumerate(plan.trials)]


def _talk(task):
    """Give the task to a warm process and return its lines."""
    process = subprocess.run(
        [sys.executable, "-m", "referee.worker"],
        input=task,
        capture_output=True,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **ONE_THREAD, "MPLBACKEND": "agg"},
        text=True,
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    if process.returncode != 0:
        running = [line["running"] for line in lines if "running" in line]
        where = f"cell {running[-1]}" if running else "the imports"
        if process.returncode == -signal.SIGALRM:
            how = "did not end in time"
        elif process.returncode < 0:
            how = f"crashed: {signal.Signals(-process.returncode).name}"
        else:
            last = [line for line in process.stderr.splitlines() if line.strip()][-1:]
            how = f"ended the process with code {process.returncode} {' '.join(last)}".rstrip()
        raise RunError(f"{where} {how}")
    return lines


def _result(line, names):
    reports = line["reports"]
    parts = {
        report["part"]: PartResult(
            part=report["part"],
            passed=report["passed"],
            message=report["message"],
            checks=tuple(report["checks"]),
            faults=tuple(report.get("faults", ())),
            calls=report.get("calls", ""),
        )
        for report in reports
        if "part" in report
    }
    for name in names:
        parts.setdefault(name, PartResult(name, False, line["end"]))
    errors = {report["cell"]: report["message"] for report in reports if "cell" in report}
    return TrialResult(parts, errors, line["end"], line["seconds"])
