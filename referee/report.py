"""What a check found, as data and as the table that is printed."""

from dataclasses import asdict, dataclass, field

from referee.cases import MISCONCEPTION, VARIANT


@dataclass(frozen=True)
class Problem:
    """Something that is not so: `question` is its grade id, or empty."""

    question: str
    where: str
    what: str


@dataclass
class CaseRow:
    """What one case did: the parts it kept and lost, and whether that is as it must be."""

    kind: str
    grade_id: str
    name: str
    line: int
    kept: list[str]
    lost: list[str]
    holds: bool


@dataclass
class QuestionRow:
    """One line of the report. `reference` and `blank` are the points that they got."""

    grade_id: str
    points: float
    parts: dict[str, float]
    reference: float = 0.0
    blank: float = 0.0
    cases: list[CaseRow] = field(default_factory=list)
    seconds: float = 0.0

    def tally(self, kind):
        """Return how many cases of a kind there are, and how many do as they must."""
        rows = [row for row in self.cases if row.kind == kind]
        return len(rows), sum(row.holds for row in rows)


@dataclass
class Report:
    assignment: str
    questions: list[QuestionRow]
    written: float
    problems: list[Problem]
    seconds: float

    @property
    def holds(self):
        return not self.problems

    def to_dict(self):
        """Return the report as plain data, for JSON."""
        return {"holds": self.holds, **asdict(self)}


def format_report(report):
    """Return a report as the table that is printed."""
    head = ("question", "points", "parts", "reference", "blank", "misconceptions", "variants", "s")
    rows = [head, *(_row(question) for question in report.questions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    if report.problems:
        lines += ["", *(f"{p.where}\n    {p.what}" for p in report.problems)]
    points = sum(question.points for question in report.questions)
    count = len(report.problems)
    questions = len(report.questions)
    verdict = "all holds" if report.holds else f"{count} problem{'s' * (count > 1)}"
    lines += [
        "",
        f"{report.assignment}: {questions} question{'s' * (questions != 1)},"
        f" {points:g} points by tests and {report.written:g} by hand;"
        f" {verdict} ({report.seconds:.1f} s)",
    ]
    return "\n".join(lines)


def _row(question):
    tallies = [question.tally(kind) for kind in (MISCONCEPTION, VARIANT)]
    return (
        question.grade_id,
        f"{question.points:g}",
        str(len(question.parts)),
        f"{question.reference:g}",
        f"{question.blank:g}",
        *(f"{good} of {count}" for count, good in tallies),
        f"{question.seconds:.1f}",
    )
