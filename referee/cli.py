"""The command `referee`."""

import argparse
import json
import sys
from pathlib import Path

from referee.assignment import read_assignment
from referee.check import check
from referee.report import format_report
from referee.run import TIMEOUT


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
    return parser


def _seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, and is {text!r}")
    return value


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


def main(arguments=None):
    options = build_parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"referee: {error}", file=sys.stderr)
        return 2
