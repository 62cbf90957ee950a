"""The command `referee`."""

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from tqdm import tqdm

from referee.assignment import read_assignment, read_config
from referee.check import check
from referee.report import format_report
from referee.run import TIMEOUT
from referee.settings import read_settings

INTERRUPTED = 130


def build_parser():
    parser = argparse.ArgumentParser(prog="referee", description="Grades notebooks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "check that the tests of an assignment can be trusted"
    command = commands.add_parser("check", help=about, description=about)
    command.add_argument("assignment", metavar="ASSIGNMENT")
    command.add_argument("--course-dir", type=Path, default=Path("."), metavar="DIR")
    command.add_argument("--question", metavar="ID", help="grade id of one answer cell")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    command.add_argument(
        "--timeout", type=_seconds, default=TIMEOUT, metavar="S", help="seconds for one cell"
    )
    command.set_defaults(run=run_check)
    _add_autograde(commands)
    about = "say what this machine can jail students' code with, and what is missing"
    command = commands.add_parser("doctor", help=about, description=about)
    command.set_defaults(run=run_doctor)
    return parser


def _add_autograde(commands):
    about = "grade what was handed in, and put the scores into nbgrader's gradebook"
    command = commands.add_parser("autograde", help=about, description=about)
    add = command.add_argument
    add("assignment", metavar="ASSIGNMENT")
    add("--course-dir", type=Path, default=Path("."), metavar="DIR")
    add("--student", action="append", metavar="ID", help="only this one; may be repeated")
    add("--jobs", type=_count, metavar="N", help="processes at once (one a core)")
    add("--force", action="store_true", help="grade again what was graded")
    add("--unsafe", action="store_true", default=None, help="grade even without a jail")
    add("--timeout", type=_seconds, metavar="S", help="seconds for one cell or call")
    add("--memory", type=_count, metavar="MB", help="megabytes for one student's process")
    add("--json", type=Path, metavar="FILE", help="write the outcomes there too")
    command.set_defaults(run=run_autograde)


def _seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, and is {text!r}")
    return value


def _count(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, and is {text!r}")
    return int(text)


def run_check(options):
    report = check(
        read_assignment(options.course_dir, options.assignment),
        only=options.question,
        timeout=options.timeout,
    )
    print(format_report(report))
    if options.json is not None:
        text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n"
        options.json.write_text(text, encoding="utf-8")
    return 0 if report.holds else 1


def run_autograde(options):
    # nbgrader is slow to import, and the other commands need none of this.
    from referee import campaign, plugin

    plugin.check_grader()
    file = options.json and options.json.absolute()
    if file and not file.parent.is_dir():
        raise ValueError(f"--json: there is no folder {file.parent}")
    converter = _converter(options.course_dir, options.assignment)
    converter.force = options.force
    settings = read_settings(converter.config).changed(
        seconds=options.timeout, memory=options.memory, unsafe=options.unsafe
    )
    if os.environ.get(plugin.GRADER) == plugin.STOCK:
        _warn(f"{plugin.GRADER}={plugin.STOCK} holds for nbgrader's commands; referee grades now")
    folders = {}
    for student in options.student or ["*"]:
        converter.coursedir.student_id = student
        folders |= campaign.find_submissions(converter)
    outcomes = []
    try:
        with tqdm(total=len(folders), disable=None, file=sys.stderr, unit="submission") as bar:

            def add(outcome):
                outcomes.append(outcome)
                bar.update()

            campaign.grade(converter, folders, settings, options.jobs, notify=add, warn=_warn)
    finally:
        outcomes.sort(key=lambda outcome: outcome["student"])
        if outcomes:
            print(campaign.format_table(outcomes))
        if outcomes and file:
            campaign.write_json(outcomes, file)
    return int(any(outcome["outcome"] == campaign.FAILED for outcome in outcomes))


def _warn(line):
    tqdm.write(f"referee: {line}", file=sys.stderr)


def _converter(course, assignment):
    """Return nbgrader's Autograde object for an assignment, as nbgrader itself would make it."""
    from nbgrader.apps import NbGrader
    from nbgrader.converters import Autograde

    read_config(course)
    # nbgrader looks for its configuration in the working folder.
    os.chdir(course)
    app = NbGrader()
    app.raise_config_file_errors = True
    try:
        app.initialize([], root=str(Path.cwd()))
    except Exception as error:
        raise ValueError(f"nbgrader cannot be configured: {error}") from error
    app.log_level = logging.ERROR
    app.coursedir.assignment_id = assignment
    return Autograde(coursedir=app.coursedir, parent=app)


def run_doctor(options):
    from referee.doctor import examine, report

    found = examine()
    print(report(found))
    return int(bool(found.problems))


def main(arguments=None):
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("referee: interrupted; what was recorded stays", file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        print(f"referee: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
