"""Feedback says why points were lost, scores as nbgrader reads it, and holds nothing that acts."""

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_notebook
from nbgrader.apps import NbGrader
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import determine_grade
from referee_assignments import exam

from referee import feedback
from referee.explain import Finding
from referee.judge import Verdict

FINDING = Finding("q-1", 3, "Each vowel counts.")


def cell(verdict, finding=None):
    made = exam("assert True", points=verdict.max)
    made.outputs = feedback.outputs(verdict, finding)
    return made


@pytest.mark.parametrize(
    ("verdict", "kinds"),
    [
        (Verdict("q-1", 2.0, 2.0), []),
        (Verdict("q-1", 0.0, 2.0, "no"), ["error"]),
        (Verdict("q-1", 0.0, 2.0, reason="no answer after 30 s"), ["error"]),
        (Verdict("q-1", 0.5, 2.0, "the check gives 0.5"), ["stream", "execute_result"]),
        (Verdict("q-1", 1 / 3, 2.0, "the check gives 0.3"), ["stream", "execute_result"]),
        (Verdict("q-1", 0.0, 0.0, "no"), ["error"]),
    ],
)
def test_nbgrader_reads_from_the_outputs_the_score_of_the_verdict(verdict, kinds):
    made = cell(verdict)
    assert [output.output_type for output in made.outputs] == kinds
    assert determine_grade(made) == (verdict.score, verdict.max)
    nbformat.validate(new_notebook(cells=[made]))


def test_a_lost_part_tells_check_traceback_reason_and_misconception():
    error = ["cell q, line 2: return x / 0", "ZeroDivisionError: division by zero"]
    verdict = Verdict("q-1", 0.0, 2.0, "double(1) raised it", error, "no answer after 30 s")
    assert feedback.text(verdict, FINDING) == [
        "0 of 2 points",
        "Not checked to the end: no answer after 30 s",
        "Failed check: double(1) raised it",
        "In your code:",
        "    cell q, line 2: return x / 0",
        "    ZeroDivisionError: division by zero",
        "What may be behind it: Each vowel counts.",
    ]
    (output,) = feedback.outputs(verdict, FINDING)
    assert output.traceback == feedback.text(verdict, FINDING)
    assert feedback.text(Verdict("q-1", 0.0, 2.0, "no")) == ["0 of 2 points", "Failed check: no"]


def test_long_texts_are_cut_and_the_explanation_stays():
    verdict = Verdict("q-1", 0.0, 2.0, "x" * 10**6, ["y" * 10**6] * 1000)
    lines = feedback.text(verdict, FINDING)
    assert len(lines) <= 30 and max(map(len, lines)) <= 500
    assert lines[1].endswith("…") and lines[-1] == "What may be behind it: Each vowel counts."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("a\x1b]8;;http://evil\x07link\x1b]8;;\x07", "alink"),
        ("a\x1b]0;title", "a"),
        ("a\rb\nc\td", "a b c d"),
        ("a\x08\x00\x9b31m", "a���31m"),
        ("a\u202egnp.exe", "a�gnp.exe"),
        ("a\ud800\u2028", "a��"),
        ("<b>$x$ ünïcode 数</b>", "<b>$x$ ünïcode 数</b>"),
    ],
)
def test_control_characters_and_escape_sequences_do_not_pass(text, shown):
    assert feedback.inert(text) == shown


HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "</pre></div><iframe src='javascript:window.hit=1'></iframe>",
    "\x1b[31m<svg onload=window.hit=1>\x1b[0m",
    "\x1b[38;2;1;1;1\"onmouseover='window.hit=1'm<a href='javascript:window.hit=1'>x</a>",
    "{{ 7 * 6 }}{% raw %}",
    "&lt;script&gt;window.hit=1&lt;/script&gt; ]]> -->",
    "$\\href{javascript:window.hit=1}{x}$",
]
TEMPLATES = ("feedback", "formgrade")
ACTIVE = ("script", "img", "iframe", "svg", "a", "object", "embed", "form", "link", "base", "meta")


def rendered(cells, template, tmp_path):
    """Return a page as nbgrader makes it, from the template of feedback or of formgrader."""
    coursedir = CourseDirectory(root=str(tmp_path))
    converter = GenerateFeedback(coursedir=coursedir, parent=NbGrader())
    config = converter.config.copy()
    config.HTMLExporter.template_name = template
    resources = {"score": 0, "max_score": 2, "late_penalty": 0, "notebook": "a", "index": 0}
    resources |= {"notebook_id": "a", "assignment_id": "a", "submission_id": "s", "student": "s"}
    resources |= {"base_url": "", "total": 1, "assignment": "a", "last_name": ""}
    resources |= {"first_name": "", "timestamp": "", "notebook_path": ""}
    notebook = new_notebook(cells=cells)
    for number, made in enumerate(cells):
        made.metadata.nbgrader |= {"score": 0.0, "comment": "", "grade_id": f"q-{number}"}
    exporter = HTMLExporter(config=config)
    html, _ = exporter.from_notebook_node(notebook, resources={"nbgrader": resources} | resources)
    return BeautifulSoup(html, "html.parser")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_hostile_text_is_text_in_the_pages_that_nbgrader_makes(template, score, tmp_path):
    calm = Verdict("q-1", score, 2.0, "calm", ["calm"] * len(HOSTILE), "calm")
    wild = Verdict("q-1", score, 2.0, " ".join(HOSTILE), HOSTILE, " ".join(HOSTILE))
    before = rendered([cell(calm)], template, tmp_path)
    after = rendered([cell(wild)], template, tmp_path)
    for name in ACTIVE:
        assert len(after.find_all(name)) == len(before.find_all(name)), name
    attributes = [name for tag in after.find_all(True) for name in tag.attrs]
    assert len([name for name in attributes if name.startswith("on")]) == len(
        [n for tag in before.find_all(True) for n in tag.attrs if n.startswith("on")]
    )
    shown = after.get_text()
    for text in HOSTILE:
        assert feedback.inert(text)[:60] in shown
