"""A class gets the scores it must, and the same from nbgrader's commands as from referee's."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from referee.assignment import read_assignment
from referee.cases import MISCONCEPTION, load_cases
from tools.demo_class import fill, reference_answers, with_misconception

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads((ROOT / "referee" / "outcome.schema.json").read_text(encoding="utf-8"))
NAME = "ps1"
SECONDS = 8

LOOP = "while True:\n    pass\n"
SEGFAULT = "import os\n\n\ndef lag_values(*arguments):\n    os.kill(os.getpid(), 11)\n"
CALL_LOOP = "def circular(signal, kernel, period):\n    while True:\n        pass\n"
HOSTILE = """**my answer**, $\\href{javascript:alert(2)}{x} < 1$ <script>alert("hello")</script>

<img src="x" onerror="alert(1)"> <svg onload="alert(3)"></svg> <iframe src="/"></iframe>

[one](javascript:alert(4)) [two](https://example.org) <a href="data:text/html,x">three</a>
"""
NOISY = "import sys\nimport warnings\n\nwarnings.warn('old')\nprint('noise', file=sys.stderr)\n\n\n"
ANSI = "def undo(recorded, kernel, missing):\n    raise KeyError('\\x1b[31m<b>red</b>')\n"


def parts(assignment, *questions):
    """Return the points of the tests by grade id, of some questions or of all."""
    return {
        test.grade_id: test.points
        for question in assignment.questions
        for test in question.tests
        if not questions or question.grade_id in questions
    }


@pytest.fixture(scope="module")
def assignment():
    return read_assignment(ROOT, NAME)


@pytest.fixture(scope="module")
def cases(assignment):
    """Two misconceptions of different questions, with their questions."""
    found = {}
    for case in load_cases(assignment.cases):
        for question in assignment.questions:
            if case.kind == MISCONCEPTION and case.grade_id in [t.grade_id for t in question.tests]:
                found.setdefault(question.grade_id, (case, question))
    return [found["q1-echo"], found["q5-gaps"]]


@pytest.fixture(scope="module")
def course(tmp_path_factory, assignment, cases):
    """This course with a class of submissions, before grading."""
    course = tmp_path_factory.mktemp("class") / "course"
    shutil.copytree(ROOT / "solutions", course / "solutions")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write(f"c.Referee.seconds = {SECONDS}\n")
    command(course, "nbgrader", "generate_assignment", NAME)
    answers = reference_answers(assignment)[NAME]

    def hand_in(student, **changes):
        path = course / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        shutil.copy(course / "exercises" / NAME / f"{NAME}.ipynb", path)
        fill(path, {**answers, **{k.replace("_", "-"): v for k, v in changes.items()}})
        return path

    def change(path, function):
        notebook = nbformat.read(path, as_version=4)
        function(notebook.cells)
        nbformat.write(notebook, path)

    hand_in("right")
    for student, (case, question) in zip(("echoes", "gaps"), cases, strict=True):
        wrong = with_misconception(assignment, {NAME: answers}, case, question)[NAME]
        fill(hand_in(student), wrong)
    shutil.copytree(course / "exercises" / NAME, course / "submitted" / "blank" / NAME)
    hand_in("crash", q3_lags=SEGFAULT)
    hand_in("loop", q1_echo=LOOP)
    hand_in("call-loop", q6_circular=CALL_LOOP)
    hand_in("syntax", q4_width="def equal_width(signal, kernel, center)\n    return")
    hand_in("noisy", q7_block=NOISY + answers["q7-block"])
    hand_in("hostile", q10_edges=HOSTILE, q8_undo=ANSI)
    change(hand_in("copied"), lambda cells: cells.insert(7, type(cells[6])(cells[6], id="copy")))
    change(hand_in("exit"), lambda cells: cells.insert(1, new_code_cell("import os\nos._exit(0)")))
    change(
        hand_in("helper", q9_match=answers["q9-match"].replace("np.", "numpy.")),
        lambda cells: cells.insert(6, new_code_cell("import numpy")),
    )
    hand_in("junk").write_text("this is no notebook", encoding="utf-8")
    path = hand_in("link")
    path.unlink()
    path.symlink_to(course / "solutions" / NAME / f"{NAME}.ipynb")
    (course / "submitted" / "nothing" / NAME).mkdir(parents=True)
    return course


def environment(**more):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "COURSE_GRADER": "referee", "PATH": path, **more}


def command(course, program, *arguments):
    """Give a command of nbgrader or referee in the course's folder."""
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=course,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_of(course, name):
    return Path(shutil.copytree(course, course.parent / name, symlinks=True))


@pytest.fixture(scope="module")
def by_referee(course):
    """The course after `referee autograde`."""
    graded = copy_of(course, "by-referee")
    command(graded, "referee", "autograde", NAME, "--json=outcomes.json")
    return graded


@pytest.fixture(scope="module")
def by_nbgrader(course):
    """The course after `nbgrader autograde`, feedback and export."""
    graded = copy_of(course, "by-nbgrader")
    command(graded, "nbgrader", "autograde", NAME)
    command(graded, "nbgrader", "generate_feedback", NAME)
    command(graded, "nbgrader", "export", "--to=grades.csv")
    return graded


@pytest.fixture(scope="module")
def outcomes(by_referee):
    outcomes = json.loads((by_referee / "outcomes.json").read_text(encoding="utf-8"))
    jsonschema.validate(outcomes, SCHEMA)
    return {outcome["student"]: outcome for outcome in outcomes}


def scores(course):
    """Return what the gradebook holds: (automatic score, to be graded by hand) by cell."""
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "cnn") as gradebook:
        return {
            (submission.student.id, grade.name): (grade.auto_score, grade.needs_manual_grade)
            for submission in gradebook.assignment_submissions(NAME)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


def lost(outcome):
    return {q["grade_id"] for q in outcome["questions"] if q["score"] < q["max"]}


def page(course, student):
    path = course / "feedback" / student / NAME / f"{NAME}.html"
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_every_submission_has_an_outcome(course, outcomes):
    handed_in = {path.name for path in (course / "submitted").iterdir()}
    assert set(outcomes) == handed_in and len(handed_in) >= 12
    kinds = {name: outcome["outcome"] for name, outcome in outcomes.items()}
    odd = {"junk": "unreadable", "link": "unreadable", "nothing": "missing"}
    assert kinds == {name: odd.get(name, "graded") for name in handed_in}


def test_each_submission_loses_what_it_must_and_no_more(outcomes, assignment):
    everything = set(parts(assignment))
    expected = {
        **{name: set() for name in ("right", "noisy", "copied", "helper", "exit")},
        **{name: everything for name in ("blank", "junk", "link", "nothing")},
        "crash": set(parts(assignment, "q3-lags")),
        "loop": set(parts(assignment, "q1-echo")),
        "call-loop": set(parts(assignment, "q6-circular")),
        "syntax": set(parts(assignment, "q4-width")),
        "hostile": set(parts(assignment, "q8-undo")),
    }
    assert {name: lost(outcomes[name]) for name in expected} == expected


def test_a_misconception_is_named_and_loses_its_part(outcomes, cases):
    for student, (case, question) in zip(("echoes", "gaps"), cases, strict=True):
        gone = lost(outcomes[student])
        assert case.grade_id in gone <= {test.grade_id for test in question.tests}
        told = [q["misconception"] for q in outcomes[student]["questions"] if q["misconception"]]
        assert case.explanation in told


def test_the_reason_says_what_happened(outcomes):
    said = {
        name: [q["reason"] for q in outcome["questions"] if q["reason"]]
        for name, outcome in outcomes.items()
    }
    assert any("crash" in reason for reason in said["crash"])
    assert any(f"no answer after {SECONDS} s" in reason for reason in said["loop"])
    assert any(f"no answer after {SECONDS} s" in reason for reason in said["call-loop"])
    assert any("q4-width" in reason for reason in said["syntax"])
    for name in ("junk", "link", "nothing"):
        assert outcomes[name]["reason"]
    assert not any("\x1b" in reason for reasons in said.values() for reason in reasons)


def test_nbgraders_command_gives_the_same_scores_cell_by_cell(by_referee, by_nbgrader, outcomes):
    same = scores(by_referee)
    assert scores(by_nbgrader) == same
    for student, outcome in outcomes.items():
        for question in outcome["questions"]:
            assert same[student, question["grade_id"]][0] == question["score"]
    assert same["right", "q10-edges"] == (None, True)
    assert same["blank", "q10-edges"] == (0, False)


def test_exported_grades_are_the_sums_of_the_scores(by_nbgrader, outcomes):
    with (by_nbgrader / "grades.csv").open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert exported == {name: outcome["score"] for name, outcome in outcomes.items()}


def test_feedback_shows_each_student_the_reasons(by_nbgrader, outcomes):
    for student, outcome in outcomes.items():
        text = " ".join(page(by_nbgrader, student).get_text().split())
        for question in outcome["questions"]:
            assert question["misconception"] in text
        if lost(outcome):
            assert "Failed check:" in text or "Not checked to the end:" in text
    assert "is a link to another file" in page(by_nbgrader, "link").get_text()
    assert "no file ps1.ipynb" in " ".join(page(by_nbgrader, "nothing").get_text().split())


def test_feedback_keeps_hidden_tests_hidden(by_nbgrader):
    autograded = by_nbgrader / "autograded" / "right" / NAME / f"{NAME}.ipynb"
    assert "BEGIN HIDDEN TESTS" in autograded.read_text(encoding="utf-8")
    text = page(by_nbgrader, "right").get_text()
    assert "HIDDEN TESTS" not in text
    assert "Hidden tests: a delay that occurs twice" in text


def assert_inert(soup):
    """Make sure that nothing of the hostile student's text acts in a page."""
    text = soup.get_text()
    assert soup.find("strong", string="my answer")
    assert "<b>red</b>" in text and "<script>alert" in text
    answer = soup.find("strong", string="my answer").find_parent("div")
    assert not answer.find_all(["script", "svg", "iframe"])
    assert {link.get("href") for link in answer.find_all("a")} == {None, "https://example.org"}
    assert not any(name.startswith("on") for tag in answer.find_all(True) for name in tag.attrs)
    assert "\\href" not in answer.get_text()


def test_html_of_a_student_does_not_act_in_feedback(by_nbgrader):
    assert_inert(page(by_nbgrader, "hostile"))


def test_html_of_a_student_does_not_act_in_formgrader(by_nbgrader):
    with Gradebook(f"sqlite:///{by_nbgrader / 'gradebook.db'}", "cnn") as gradebook:
        number = gradebook.find_submission_notebook(NAME, NAME, "hostile").id
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root"),
            *(f"--port={port}", "--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1"),
        ],
        cwd=by_nbgrader,
        env=environment(JUPYTER_RUNTIME_DIR=str(by_nbgrader.parent / "runtime")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/formgrader/submissions/{number}/"
        assert_inert(BeautifulSoup(fetch(url), "html.parser"))
    finally:
        server.terminate()
        server.wait()


def fetch(url):
    """Read a page of a server that is perhaps still starting."""
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.2)


def test_grading_again_keeps_manual_grades_and_comments(by_nbgrader):
    before = scores(by_nbgrader)
    url = f"sqlite:///{by_nbgrader / 'gradebook.db'}"
    with Gradebook(url, "cnn") as gradebook:
        grade = gradebook.find_grade("q10-edges", NAME, NAME, "right")
        grade.manual_score, grade.needs_manual_grade = 5, False
        gradebook.find_comment("q10-edges", NAME, NAME, "right").manual_comment = "Well put."
        gradebook.db.commit()
    command(by_nbgrader, "referee", "autograde", NAME, "--force", "--student=right")
    with Gradebook(url, "cnn") as gradebook:
        grade = gradebook.find_grade("q10-edges", NAME, NAME, "right")
        assert (grade.manual_score, grade.auto_score, grade.score) == (5, None, 5)
        comment = gradebook.find_comment("q10-edges", NAME, NAME, "right")
        assert comment.comment == "Well put."
    assert scores(by_nbgrader) == {**before, ("right", "q10-edges"): (None, True)}


def test_a_run_leaves_nothing_beside_the_graded_folders(by_referee, outcomes):
    folders = {path for path in (by_referee / "autograded").glob("*/*")}
    assert folders == {by_referee / "autograded" / student / NAME for student in outcomes}
    for folder in folders:
        own = {"submission_secret.txt", "timestamp.txt"}
        assert {path.name for path in folder.iterdir()} == {f"{NAME}.ipynb", *own}
