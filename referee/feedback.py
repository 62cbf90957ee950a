"""The text beside a lost part: outputs of its test cell, as nbgrader reads and shows them.

A lost part gets one `error` output, for which nbgrader gives no points, a part with some of its
points an `execute_result` with their number. What is in them comes in part from the student, so
it is plain text in which nothing can act: no escape sequences, no control characters, no marks
that turn the direction of writing, no line that does not end. HTML in it is text; the pages that
show it escape it.
"""

import re
import unicodedata

from nbformat.v4 import new_output

NAME = "Lost"
LONGEST_LINE, MOST_LINES = 500, 24
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
NO_TEXT = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}


def outputs(verdict, finding=None):
    """Return the outputs of a test cell: none where it kept all points.

    Parameters
    ----------
    verdict : referee.judge.Verdict
    finding : referee.explain.Finding, or None where no misconception is known
    """
    if not verdict.lost:
        return []
    lines = text(verdict, finding)
    if not verdict.score:
        return [new_output("error", ename=NAME, evalue=lines[0], traceback=lines)]
    shown = "\n".join(lines) + "\n"
    return [
        new_output("stream", name="stdout", text=shown),
        new_output("execute_result", data={"text/plain": repr(verdict.score)}),
    ]


def text(verdict, finding=None):
    """Return what a student reads about a lost part, as lines of plain text."""
    lines = [f"{verdict.score:g} of {verdict.max:g} points"]
    if verdict.reason:
        lines += ["Not checked to the end: " + verdict.reason]
    if verdict.check:
        lines += ["Failed check: " + verdict.check]
    if verdict.error:
        lines += ["In your code:", *("    " + line for line in _middle_cut(verdict.error))]
    if finding is not None:
        lines += ["What may be behind it: " + finding.explanation]
    return [inert(line) for line in lines]


def _middle_cut(lines):
    """Return the lines of a traceback, of a long one its two ends."""
    half = MOST_LINES // 2
    return lines if len(lines) <= MOST_LINES else [*lines[:half], "…", *lines[-half:]]


def inert(line):
    """Return a text as one line in which nothing acts, cut to a length.

    Escape sequences are dropped; of other characters that are no text, each becomes a space or
    the replacement character.
    """
    line = ESCAPE.sub("", line[: 4 * LONGEST_LINE])
    line = "".join(
        " " if c in "\t\n\r\v\f" else "\N{REPLACEMENT CHARACTER}" if _acts(c) else c for c in line
    )
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _acts(character):
    return unicodedata.category(character) in NO_TEXT
