"""Grades the submissions of an assignment: finds them, has them graded, records them.

Submissions are graded by several processes at once (`referee.pool`) and recorded by this one, each
as soon as it is done (`referee.record`). A run that is killed is taken up by the next: what was
recorded is kept, all else is graded. What was graded by another edition of the assignment
(`referee.edition`) is graded again.
"""

import glob
import json
import os
import re
import time
from pathlib import Path

import nbformat

from referee import explain, pool
from referee.assignment import read_assignment
from referee.edition import edition
from referee.grade import GRADED, Task, read_sources
from referee.receipt import Receipt
from referee.record import Recorder

KEPT, FAILED = "kept", "failed"
SECONDS_TO_SPARE = 120


def find_submissions(converter):
    """Return the folders that students handed in, by student.

    `converter` is nbgrader's Autograde object: its course directory names the assignment and, by a
    pattern, the students.

    Raises
    ------
    ValueError
        If there is none, or single notebooks were asked for.
    """
    coursedir = converter.coursedir
    name, student = coursedir.assignment_id, coursedir.student_id
    if coursedir.notebook_id != "*":
        raise ValueError(
            f"--notebook={coursedir.notebook_id}: referee grades whole submissions only"
        )
    read_assignment(coursedir.root, name)
    place = (coursedir.submitted_directory, "(?P<student>.*)", re.escape(name))
    pattern = re.compile(coursedir.format_path(*place, escape=True))
    excluded = coursedir.student_id_exclude.split(",")
    folders = {}
    wanted = coursedir.format_path(coursedir.submitted_directory, student, name)
    root = coursedir.root
    if wanted.startswith(root):
        wanted = glob.escape(root) + wanted.removeprefix(root)
    for path in glob.glob(wanted):
        match = pattern.fullmatch(path)
        if match and match["student"] not in excluded:
            folders[match["student"]] = Path(path)
    if not folders:
        whose = "nobody" if student == "*" else f"no student {student!r}"
        there = coursedir.format_path(coursedir.submitted_directory, student, name)
        raise ValueError(f"{whose} handed in {name!r}: there is no {there}")
    return dict(sorted(folders.items()))


def grade(converter, folders, settings, jobs=None, *, notify, warn):
    """Grade submissions and record them.

    Parameters
    ----------
    converter : nbgrader's Autograde object; its `force` has graded submissions graded again
    folders : dict from students to the folders that they handed in
    settings : Settings
    jobs : number of processes, or None for one a core
    notify : called with each outcome as it comes
    warn : called with each line that is about the run as a whole

    Returns
    -------
    list of outcomes, one a submission, ordered by student (`outcome.schema.json`)

    Raises
    ------
    ValueError
        If nothing can be graded: no such assignment, a gradebook without it or with another
        state of it, a machine that cannot jail.
    """
    coursedir = converter.coursedir
    assignment = read_assignment(coursedir.root, coursedir.assignment_id)
    _check_folder(coursedir, assignment)
    recorder = Recorder(converter, assignment, edition(assignment, settings))
    recorder.check_gradebook(read_sources(assignment))
    recorder.sweep(folders)
    if settings.unsafe:
        warn("students' code runs without a jail: it can read and change all that you can")
    outcomes, stale, problems = {}, [], set()

    def add(outcome):
        outcomes[outcome["student"]] = outcome
        notify(outcome)

    with recorder.gradebook() as gradebook:
        for student, folder in folders.items():
            if converter.force or not recorder.is_graded(gradebook, student, folder):
                continue
            if not recorder.is_up_to_date(student):
                stale.append(student)
            else:
                add(_kept(assignment, student, recorder.recorded_scores(gradebook, student)))
    if stale:
        warn(
            f"{assignment.name} changed since {len(stale)} of the submissions were graded; they "
            f"are graded again: {', '.join(stale)}"
        )
    tasks = [
        Task(coursedir.root, assignment.name, student, str(Path(folder).absolute()), settings)
        for student, folder in folders.items()
        if student not in outcomes
    ]
    jobs = min(jobs or len(os.sched_getaffinity(0)), max(1, len(tasks)))
    cells = sum(len(notebook.cells) for notebook in assignment.notebooks)
    patience = SECONDS_TO_SPARE + 2 * cells * settings.seconds
    patience += len(assignment.notebooks) * explain.SECONDS_TO_START
    patience += len(assignment.questions) * (explain.SECONDS + explain.STEP)
    for task, outcome, error in pool.run(tasks, jobs, patience):
        problem = outcome.pop("problem") if outcome else ""
        if problem and problem not in problems:
            problems.add(problem)
            warn(f"misconceptions are not explained: {problem}")
        add(_record(recorder, assignment, task, outcome, error))
    return [outcomes[student] for student in sorted(outcomes)]


def _check_folder(coursedir, assignment):
    path = coursedir.format_path(coursedir.source_directory, ".", assignment.name)
    if Path(path).resolve() != assignment.folder:
        raise ValueError(
            f"nbgrader's source folder is {path}, but {assignment.folder} by the options in the "
            "course's own nbgrader_config.py; put them all there"
        )


def _record(recorder, assignment, task, outcome, error):
    """Record what a grading process sent, and return the outcome."""
    if outcome is None:
        return _failed(assignment, task.student, error)
    start = time.perf_counter()
    texts = outcome.pop("notebooks")
    notebooks = {name: nbformat.reads(text, as_version=4) for name, text in texts.items()}
    receipt = Receipt.from_dict(outcome.pop("receipt"))
    reasons = [outcome["reason"], *receipt.notes]
    outcome["reason"] = "; ".join(reason.rstrip(".") for reason in reasons if reason)
    try:
        recorder.record(task.student, receipt, notebooks)
    except Exception as problem:
        message = f"the scores could not be recorded: {type(problem).__name__}: {problem}"
        return _failed(assignment, task.student, message)
    outcome["phases"]["record"] = round(time.perf_counter() - start, 4)
    return outcome


def _outcome(assignment, student, kind, reason, score, questions):
    return {
        "student": student,
        "assignment": assignment.name,
        "outcome": kind,
        "reason": reason,
        "score": score,
        "max": assignment.points,
        "questions": questions,
        "phases": {},
    }


def _failed(assignment, student, reason):
    reason = " ".join(reason.split())
    return _outcome(assignment, student, FAILED, reason, None, [])


def _kept(assignment, student, scores):
    questions = [
        {"grade_id": grade_id, "score": score, "max": points, "reason": "", "misconception": ""}
        for grade_id, score, points in scores
    ]
    total = sum(score for _, score, _ in scores)
    return _outcome(assignment, student, KEPT, "", total, questions)


def format_table(outcomes):
    """Return the outcomes as the table that is printed."""
    rows = [("student", "score", "what went wrong")]
    for outcome in outcomes:
        score = "-" if outcome["score"] is None else f"{outcome['score']:g}"
        rows.append((outcome["student"], f"{score}/{outcome['max']:g}", _trouble(outcome)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [
        f"{name.ljust(widths[0])}  {score.rjust(widths[1])}  {text}".rstrip()
        for name, score, text in rows
    ]
    count = sum(outcome["outcome"] == FAILED for outcome in outcomes)
    kept = sum(outcome["outcome"] == KEPT for outcome in outcomes)
    without = f"; {count} without an outcome" if count else ""
    graded = len(outcomes) - kept - count
    return "\n".join([*lines, "", f"{graded} graded, {kept} graded before{without}"])


def _trouble(outcome):
    if outcome["outcome"] == KEPT:
        return "graded before"
    lost = [q["grade_id"] for q in outcome["questions"] if q["score"] < q["max"]]
    words = outcome["reason"]
    if outcome["outcome"] == GRADED and lost:
        words = f"lost {len(lost)} of {len(outcome['questions'])} tests; {words}".rstrip("; ")
    return words if outcome["outcome"] != FAILED else f"NOT GRADED: {words}"


def write_json(outcomes, path):
    """Write the outcomes to a file: a list, as `outcome.schema.json` describes."""
    text = json.dumps(outcomes, indent=1, ensure_ascii=False) + "\n"
    Path(path).write_bytes(text.encode("utf-8", "backslashreplace"))
