"""Makes nbgrader grade with referee.

nbgrader's converter reads each submission with nbconvert before any preprocessor sees it, copies
the extra files of a submission (through links too, and it waits for a FIFO for ever), passes over
a student without a readable notebook, and takes a notebook that was only sanitized before a crash
for graded. No list of preprocessors mends that. So referee gives nbgrader's class `Autograde`,
which has none, a `start` of its own. `nbgrader autograde` and formgrader's button both go through
it, it looks at the course's configuration each time, and where a course did not call `enable` it
does what nbgrader does. What a course added to `autograde_preprocessors` still runs
(`referee.record`); `exclude_overwriting` and the pre- and post-convert hooks do not: extra files
of a submission have no power.
"""

import os
from functools import partial

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader.converters import Autograde, BaseConverter, NbGraderException
from nbgrader.preprocessors import GetGrades

from referee.pages import HideTests, SafeMarkdown
from referee.settings import SECTION, is_enabled, read_settings

GRADER = "COURSE_GRADER"
REFEREE, STOCK = "referee", "stock"


def enable(config):
    """See `referee.enable`."""
    if os.environ.get(GRADER) == STOCK:
        return
    config[SECTION].enabled = True
    config.HTMLExporter.sanitize_html = True
    config.HTMLExporter.filters = {"markdown2html": SafeMarkdown}
    if "preprocessors" not in config.GenerateFeedback:
        config.GenerateFeedback.preprocessors = [HideTests, GetGrades, CSSHTMLHeaderPreprocessor]
    Autograde.start = start


def check_grader():
    """Raise ValueError if the environment names a grader that there is not.

    nbgrader would only log an error of its configuration, and grade in its own way.
    """
    grader = os.environ.get(GRADER, REFEREE)
    if grader not in (REFEREE, STOCK):
        raise ValueError(f"{GRADER} must be {REFEREE} or {STOCK}, and is {grader!r}")


def start(converter):
    """Grade the submissions that nbgrader would, with referee if the course enabled it."""
    if not is_enabled(converter.config):
        return BaseConverter.start(converter)
    from referee import campaign

    if not converter.config.Execute.get("enabled", True):
        raise NbGraderException("--no-execute: referee runs what it grades")
    try:
        check_grader()
        settings = read_settings(converter.config)
        students = campaign.find_submissions(converter)
        told = {"notify": _logger(converter), "warn": partial(converter.log.warning, "referee: %s")}
        outcomes = campaign.grade(converter, students, settings, **told)
    except ValueError as error:
        converter.log.error("referee: %s", error)
        raise NbGraderException(str(error)) from error
    failed = [outcome["student"] for outcome in outcomes if outcome["outcome"] == campaign.FAILED]
    if failed:
        message = f"referee: no outcome for {', '.join(failed)}"
        converter.log.error(message)
        raise NbGraderException(message)


def _logger(converter):
    def log(outcome):
        converter.log.info(
            "%s: %s, %g of %g points by tests%s",
            *(outcome["student"], outcome["outcome"], outcome["score"] or 0, outcome["max"]),
            f" ({outcome['reason']})" if outcome["reason"] else "",
        )

    return log
