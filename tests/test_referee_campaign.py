"""A killed run loses nothing, a refusal says what to do, and every submission is told of."""

import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output
from nbgrader.apps import NbGrader, NbGraderAPI
from nbgrader.converters import Autograde, BaseConverter
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from nbgrader.preprocessors.base import NbGraderPreprocessor
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigList, DeferredConfigString

import referee
from referee import cli, grade, pool
from referee.assignment import read_assignment
from referee.cases import MISCONCEPTION, answer_source, load_cases
from referee.edition import edition
from referee.explain import Explainer
from referee.grade import Task, read_sources
from referee.intake import read_timestamp
from referee.receipt import Receipt, read_receipt
from referee.record import Recorder
from referee.settings import Settings, is_enabled, read_settings

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ROOT / "tests" / "foreign_course"
SCHEMA = json.loads((ROOT / "referee" / "outcome.schema.json").read_text(encoding="utf-8"))
NAME = "letters"
TESTS = {"q1-simple": 1, "q1-repeats": 2, "q1-case": 2, "q2-all": 4}
TOTAL = sum(TESTS.values())
NO_RECEIPT = Receipt(None, "secret")
CONFIG = """
import referee

referee.enable(c)
c.Referee.packages = []
c.Referee.seconds = 10
"""
ANSWERS = {
    "q1": 'def count_vowels(text):\n    return sum(letter in "aeiouAEIOU" for letter in text)',
    "q2": "def drop_short(words, least):\n    before = len(words)\n"
    "    words[:] = [w for w in words if len(w) >= least]\n    return before - len(words)",
    "q3": "Because it sounds like one.",
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The foreign course with referee switched on, after generate_assignment."""
    course = tmp_path_factory.mktemp("letters") / "course"
    shutil.copytree(FOREIGN, course)
    with (course / "nbgrader_config.py").open("a", encoding="utf-8") as file:
        file.write(CONFIG)
    nbgrader(course, "generate_assignment", NAME)
    return course


@pytest.fixture
def course(generated, tmp_path):
    """A copy of the course for one test."""
    return Path(shutil.copytree(generated, tmp_path / "course"))


def environment(**more):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COURSE_GRADER": "referee", **more}


def nbgrader(course, command, *options, code=0, grader="referee"):
    """Give an nbgrader command; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", command, *options],
        cwd=course,
        env=environment(COURSE_GRADER=grader),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def autograde(course, *options):
    """Give the command `referee autograde` in this process; return code and outcomes."""
    file = course / "outcomes.json"
    before = Path.cwd()
    try:
        code = cli.main(["autograde", NAME, f"--course-dir={course}", f"--json={file}", *options])
    finally:
        os.chdir(before)
    outcomes = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return code, {outcome["student"]: outcome for outcome in outcomes or ()}


def hand_in(course, student, answers=None, timestamp=None):
    """Put a submission into the course; `answers` by grade id, blank where there is none."""
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = (answers or {}).get(grade_id, cell.source)
    nbformat.write(notebook, folder / f"{NAME}.ipynb")
    if timestamp:
        (folder / "timestamp.txt").write_text(timestamp)
    return folder / f"{NAME}.ipynb"


def recorder(course, **options):
    app = NbGrader()
    app.load_cwd_config = False
    app.initialize([], root=str(course))
    app.coursedir.assignment_id = NAME
    converter = Autograde(coursedir=app.coursedir, parent=app, **options)
    return Recorder(converter, read_assignment(course, NAME))


def judged(course, lost=()):
    """Return the source with the outputs of a grader that takes some tests' points."""
    notebook = read_sources(read_assignment(course, NAME))[NAME]
    blank = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    notebook.cells[-1].source = blank.cells[-1].source
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") in lost:
            cell.outputs = [new_output("error", ename="E", evalue="", traceback=["lost"])]
    return {NAME: notebook}


def scores(course, student="ada"):
    """Return a student's automatic scores by grade id, empty if there is no submission."""
    writer = recorder(course)
    with writer.gradebook() as gradebook:
        if student not in [s.student.id for s in gradebook.assignment_submissions(NAME)]:
            return {}
        return {name: score for name, score, _ in writer.recorded_scores(gradebook, student)}


def files(folder):
    return sorted(path.name for path in folder.iterdir())


class Sign(NbGraderPreprocessor):
    """A preprocessor that a course might add."""

    def preprocess(self, notebook, resources):
        notebook.metadata["signed"] = resources["nbgrader"]["student"]
        return notebook, resources


def grade_of(gradebook, grade_id, student="ada"):
    return gradebook.find_grade(grade_id, NAME, NAME, student)


# --- settings and switching on -----------------------------------------------------------------


def test_options_are_read_and_the_rest_have_defaults():
    config = Config()
    config.Referee.seconds = 2
    config.Referee.packages = ["torch"]
    assert read_settings(config) == Settings(packages=("torch",), seconds=2)
    assert read_settings(Config()) == Settings()
    assert Settings().changed(memory=100, unsafe=None) == Settings(memory=100)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("second", 3, "c.Referee.second is no option; there are packages, seconds"),
        ("seconds", 0, "c.Referee.seconds must be a number above 0, and is 0"),
        ("seconds", float("nan"), "c.Referee.seconds must be a number above 0"),
        ("memory", "1 GB", "c.Referee.memory must be a number above 0, and is '1 GB'"),
        ("memory", True, "c.Referee.memory must be a number above 0, and is True"),
        ("packages", "numpy", "c.Referee.packages must be a list of package names"),
        ("packages", [""], "c.Referee.packages must be a list of package names"),
        ("unsafe", 1, "c.Referee.unsafe must be True or False, and is 1"),
        ("forbidden", {"q1": "numpy.convolve"}, "c.Referee.forbidden must be a dict"),
    ],
)
def test_a_wrong_option_is_named(name, value, message):
    config = Config()
    config.Referee[name] = value
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        read_settings(config)


def test_a_course_is_graded_by_referee_only_if_it_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_GRADER", raising=False)
    config = Config()
    referee.enable(config)
    referee.enable(config)
    assert is_enabled(config) and not is_enabled(Config())
    started = []
    monkeypatch.setattr(BaseConverter, "start", started.append)
    other = Autograde(coursedir=CourseDirectory(root=str(tmp_path)))
    other.start()
    assert started == [other]


def test_the_environment_keeps_stock_nbgrader(monkeypatch):
    monkeypatch.setenv("COURSE_GRADER", "stock")
    config = Config()
    referee.enable(config)
    assert not is_enabled(config) and "HTMLExporter" not in dict(config)


def test_an_unknown_grader_in_the_environment_grades_nothing(course, monkeypatch, capsys):
    hand_in(course, "ada", ANSWERS)
    monkeypatch.setenv("COURSE_GRADER", "bogus")
    said = "COURSE_GRADER must be referee or stock, and is 'bogus'"
    assert autograde(course) == (2, {})
    assert capsys.readouterr().err == f"referee: {said}\n"
    assert said in nbgrader(course, "autograde", NAME, code=1, grader="bogus")
    assert scores(course) == {} and not (course / "autograded").exists()


def test_stock_holds_for_nbgraders_commands_only_and_that_is_said(course, monkeypatch, capsys):
    hand_in(course, "ada", ANSWERS)
    monkeypatch.setenv("COURSE_GRADER", "stock")
    code, outcomes = autograde(course)
    assert code == 0 and outcomes["ada"]["outcome"] == "graded"
    assert "COURSE_GRADER=stock holds for nbgrader's commands" in capsys.readouterr().err


def test_options_of_nbgraders_command_line_are_read_as_python(course):
    config = Config()
    config.Referee.seconds = DeferredConfigString("7")
    config.Referee.packages = DeferredConfigList(["numpy", "torch"])
    config.Referee.unsafe = DeferredConfigString("True")
    expected = Settings(packages=("numpy", "torch"), seconds=7, unsafe=True)
    assert read_settings(config) == expected
    config.Referee.seconds = DeferredConfigString("long")
    with pytest.raises(ValueError, match="must be a number above 0, and is 'long'"):
        read_settings(config)


# --- recording ---------------------------------------------------------------------------------


def test_a_record_follows_nbgraders_rules(course):
    writer = recorder(course)
    folder = hand_in(course, "ada", timestamp="2026-03-04 05:06:07 UTC").parent
    (folder / "submission_secret.txt").write_text("secret")
    time_in = datetime.datetime(2026, 3, 4, 5, 6, 7)
    writer.record("ada", read_receipt(folder), judged(course, lost=["q1-case"]))
    assert scores(course) == {**TESTS, "q1-case": 0}
    with writer.gradebook() as gradebook:
        submission = gradebook.find_submission(NAME, "ada")
        assert submission.timestamp == time_in
        assert submission.score == TOTAL - 2
        written = grade_of(gradebook, "q3")
        assert written.auto_score == 0 and not written.needs_manual_grade
        assert gradebook.find_comment("q3", NAME, NAME, "ada").auto_comment == "No response."
        for grade_id in ("q1", "q2"):
            assert gradebook.find_comment(grade_id, NAME, NAME, "ada").auto_comment is None
    place = writer.place("ada")
    assert files(place) == [f"{NAME}.ipynb", "submission_secret.txt", "timestamp.txt"]
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o444}
    assert (place / "submission_secret.txt").read_text() == "secret"
    assert (place / "timestamp.txt").read_text() == "2026-03-04 05:06:07.000000 UTC"
    answered = judged(course)
    answered[NAME].cells[-1].source = ANSWERS["q3"]
    writer.record("ada", NO_RECEIPT, answered)
    with writer.gradebook() as gradebook:
        written = grade_of(gradebook, "q3")
        assert written.auto_score is None and written.needs_manual_grade
        assert gradebook.find_comment("q3", NAME, NAME, "ada").auto_comment is None
        assert gradebook.find_submission(NAME, "ada").timestamp == time_in


def test_manual_grades_comments_and_extra_credit_stay(course):
    writer = recorder(course)
    writer.record("ada", NO_RECEIPT, judged(course, lost=["q1-case"]))
    with writer.gradebook() as gradebook:
        grade = grade_of(gradebook, "q1-case")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 1.5, 0.25, False
        gradebook.find_comment("q3", NAME, NAME, "ada").manual_comment = "Say more."
        gradebook.db.commit()
    writer.record("ada", NO_RECEIPT, judged(course))
    with writer.gradebook() as gradebook:
        grade = grade_of(gradebook, "q1-case")
        assert (grade.auto_score, grade.manual_score, grade.extra_credit) == (2, 1.5, 0.25)
        assert grade.score == 1.75 and grade.needs_manual_grade
        assert gradebook.find_comment("q3", NAME, NAME, "ada").comment == "Say more."
        assert len(gradebook.find_submission(NAME, "ada").notebooks) == 1


def test_a_late_submission_pays_what_the_courses_plugin_says(course):
    (course / "late.py").write_text(
        "from nbgrader.plugins import LateSubmissionPlugin\n\n\n"
        "class Late(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student, score, seconds):\n"
        "        return 2 * seconds / 3600\n"
    )
    with (course / "nbgrader_config.py").open("a") as file:
        file.write('c.AssignLatePenalties.plugin_class = "late.Late"\n')
    sys.path.insert(0, str(course))
    try:
        writer = recorder(course)
        due = datetime.datetime(2026, 3, 1)
        with writer.gradebook() as gradebook:
            gradebook.update_or_create_assignment(NAME, duedate=due)
        for hours, penalty in [(-1, None), (1, 2.0), (100, TOTAL), (-1, None)]:
            time_in = due + datetime.timedelta(hours=hours)
            folder = hand_in(course, "ada", timestamp=f"{time_in} UTC").parent
            writer.record("ada", read_receipt(folder), judged(course))
            with writer.gradebook() as gradebook:
                notebook = gradebook.find_submission_notebook(NAME, NAME, "ada")
                assert notebook.late_submission_penalty == penalty
    finally:
        sys.path.remove(str(course))


def test_a_preprocessor_that_the_course_added_still_runs(course):
    kinds = [*Autograde.autograde_preprocessors.default_args[0], Sign]
    writer = recorder(course, autograde_preprocessors=kinds)
    writer.record("ada", NO_RECEIPT, judged(course))
    notebook = nbformat.read(writer.place("ada") / f"{NAME}.ipynb", as_version=4)
    assert notebook.metadata["signed"] == "ada"


# --- the command -------------------------------------------------------------------------------


def test_a_class_is_graded_once_and_again_when_there_is_a_reason(course, capsys):
    hand_in(course, "ada", ANSWERS, "2026-01-02 03:04:05 UTC")
    hand_in(course, "ben", {**ANSWERS, "q2": "def drop_short(words, least):\n    return 0"})
    hand_in(course, "cleo")
    code, outcomes = autograde(course, "--jobs=2")
    assert code == 0
    jsonschema.validate([*outcomes.values()], SCHEMA)
    assert {name: o["score"] for name, o in outcomes.items()} == {"ada": 9, "ben": 5, "cleo": 0}
    assert {o["outcome"] for o in outcomes.values()} == {"graded"}
    lost = {q["grade_id"]: q["reason"] for q in outcomes["ben"]["questions"] if q["reason"]}
    assert list(lost) == ["q2-all"]
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in table[1:4]] == [
        *(["ada", "9/9"], ["ben", "5/9"], ["cleo", "0/9"])
    ]
    assert table[-1] == "3 graded, 0 graded before"
    assert scores(course, "ben") == {**TESTS, "q2-all": 0}

    hand_in(course, "ada", timestamp="2026-01-02 03:04:06 UTC")
    hand_in(course, "ben", ANSWERS)
    code, outcomes = autograde(course)
    jsonschema.validate([*outcomes.values()], SCHEMA)
    kinds = {name: (o["outcome"], o["score"]) for name, o in outcomes.items()}
    assert kinds == {"ada": ("graded", 0), "ben": ("kept", 5), "cleo": ("kept", 0)}
    assert [q["score"] for q in outcomes["ben"]["questions"]] == [1, 2, 2, 0]

    with (course / "nbgrader_config.py").open("a") as file:
        file.write('c.Referee.forbidden = {"q2": ["builtins.sorted"]}\n')
    capsys.readouterr()
    code, outcomes = autograde(course, "--timeout=9")
    assert {o["outcome"] for o in outcomes.values()} == {"graded"}
    said = "letters changed since 3 of the submissions were graded; they are graded again: ada"
    assert said in capsys.readouterr().err
    code, outcomes = autograde(course, "--timeout=8")
    assert {o["outcome"] for o in outcomes.values()} == {"kept"}

    code, outcomes = autograde(course, "--force", "--student=ben", "--student=cleo")
    kinds = {name: (o["outcome"], o["score"]) for name, o in outcomes.items()}
    assert kinds == {"ben": ("graded", 9), "cleo": ("graded", 0)}


def change_nothing(course):
    pass


def change_a_hidden_test(course):
    path = course / "source" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in notebook.cells}
    cells["q2-all"].source += "\n### BEGIN HIDDEN TESTS\nassert False\n### END HIDDEN TESTS"
    nbformat.write(notebook, path)


def run_the_source(course):
    path = course / "source" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = 3, [new_output("stream", text="x")]
    nbformat.write(notebook, path)


def change_the_cases(course):
    with (course / "source" / NAME / "cases.py").open("a") as file:
        file.write("\n# another\n")


def add_data(course):
    (course / "source" / NAME / "data.txt").write_text("1")


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        *((change_nothing, False), (run_the_source, False)),
        *((change_a_hidden_test, True), (change_the_cases, True), (add_data, True)),
    ],
)
def test_an_assignment_that_changed_makes_another_edition(course, change, counts):
    before = edition(read_assignment(course, NAME), Settings())
    change(course)
    after = edition(read_assignment(course, NAME), Settings(seconds=1, memory=1))
    assert (before != after) == counts


def test_a_record_knows_its_edition(course):
    writer = recorder(course)
    writer.edition = "first"
    writer.record("ada", NO_RECEIPT, judged(course))
    assert writer.is_up_to_date("ada")
    writer.edition = "second"
    assert not writer.is_up_to_date("ada")


def test_a_submission_that_is_replaced_while_it_is_graded_is_graded_by_the_next_run(
    course, monkeypatch
):
    folder = hand_in(course, "ada", ANSWERS, "2026-01-02 03:04:05 UTC").parent
    (folder / "submission_secret.txt").write_text("old")
    settings = Settings(packages=(), seconds=20)
    task = Task(str(course), NAME, "ada", str(folder), settings)
    read = grade.intake.read

    def replace(path):
        notebook = read(path)
        hand_in(course, "ada", ANSWERS, "2026-01-02 03:04:06 UTC")
        (folder / "submission_secret.txt").write_text("new")
        return notebook

    monkeypatch.setattr(grade.intake, "read", replace)
    try:
        outcome = grade.grade_one(task)
    finally:
        grade.close()
    receipt = Receipt.from_dict(outcome["receipt"])
    assert (receipt.time.second, receipt.secret) == (5, "old")
    writer = recorder(course)
    writer.record("ada", receipt, judged(course))
    assert read_timestamp(writer.place("ada"))[0] == receipt.time
    with writer.gradebook() as gradebook:
        assert not writer.is_graded(gradebook, "ada", folder)


def add_test_before_all_answers(course):
    """Put a test cell that nobody can lose before the first answer, and generate anew."""
    path = course / "source" / NAME / f"{NAME}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    data = {"grade": True, "solution": False, "locked": True, "task": False, "points": 7}
    data |= {"schema_version": 3, "grade_id": "early"}
    notebook.cells.insert(0, new_code_cell("assert 1 + 1 == 2", metadata={"nbgrader": data}))
    nbformat.write(notebook, path)
    nbgrader(course, "generate_assignment", NAME, "--force")


def test_a_test_before_all_answers_gives_points_to_what_was_graded_only(course):
    add_test_before_all_answers(course)
    hand_in(course, "ada", ANSWERS)
    hand_in(course, "empty").write_text("")
    hand_in(course, "absent").unlink()
    expected = {"ada": TOTAL + 7, "empty": 0, "absent": 0}
    for options in ([], ["--force"], []):
        code, outcomes = autograde(course, *options)
        assert code == 0
        assert {name: o["score"] for name, o in outcomes.items()} == expected
        assert {o["max"] for o in outcomes.values()} == {TOTAL + 7}
        assert {len(o["questions"]) for o in outcomes.values()} == {len(TESTS) + 1}
    for student, score in expected.items():
        with recorder(course).gradebook() as gradebook:
            assert gradebook.find_submission(NAME, student).score == score


def test_a_course_in_a_folder_with_brackets_is_graded(course):
    hand_in(course, "ada", ANSWERS)
    course = course.rename(course.with_name("course [2026]"))
    code, outcomes = autograde(course)
    assert code == 0 and outcomes["ada"]["score"] == TOTAL


def test_cases_that_cannot_be_loaded_are_told_of_once(course, capsys):
    (course / "source" / NAME / "cases.py").write_text("this is no Python")
    for student in ("ada", "ben"):
        hand_in(course, student)
    code, outcomes = autograde(course, "--jobs=1")
    assert code == 0 and len(outcomes) == 2
    assert capsys.readouterr().err.count("misconceptions are not explained: ") == 1


def test_grading_without_a_jail_is_warned_of(course, capsys):
    hand_in(course, "ada", ANSWERS)
    assert autograde(course, "--unsafe")[0] == 0
    assert capsys.readouterr().err.count("students' code runs without a jail") == 1


def test_the_reason_begins_with_what_ended_and_says_like_things_once(course):
    path = hand_in(course, "ada", {**ANSWERS, "q2": "import os\n\n\nos._exit(3)"})
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") in TESTS:
            cell.source = "pass"
    nbformat.write(notebook, path)
    reason = autograde(course)[1]["ada"]["reason"]
    assert reason.count("was changed") == 1 and "(and 3 more)" in reason
    settings = Settings(packages=(), seconds=10)
    hand_in(course, "ben", {**ANSWERS, "q2": "import os\n\n\ndef drop_short(*a):\n    os._exit(3)"})
    folder = course / "submitted" / "ben" / NAME
    (folder / f"{NAME}.ipynb").rename(folder / f"{NAME} (1).ipynb")
    reason = grade.grade_one(Task(str(course), NAME, "ben", str(folder), settings))["reason"]
    grade.close()
    assert reason.startswith("ended itself with code 3; There was no file letters.ipynb")


def test_the_cases_of_an_assignment_are_loaded_once_for_all_submissions(course, monkeypatch):
    started, start = [], Explainer._start
    monkeypatch.setattr(Explainer, "_start", lambda self: started.append(self) or start(self))
    path = course / "source" / NAME / "cases.py"
    wrong = next(c for c in load_cases(path) if c.kind == MISCONCEPTION and c.grade_id == "q1-case")
    try:
        for student in ("ada", "ben"):
            folder = hand_in(course, student, {**ANSWERS, "q1": answer_source(path, wrong)}).parent
            settings = Settings(packages=(), seconds=10)
            outcome = grade.grade_one(Task(str(course), NAME, student, str(folder), settings))
            told = {one["grade_id"]: one["misconception"] for one in outcome["questions"]}
            assert told["q1-case"] == wrong.explanation
    finally:
        grade.close()
    assert len(started) == 1


def test_a_gradebook_that_was_lost_is_filled_again(course):
    hand_in(course, "ada", ANSWERS)
    autograde(course)
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", NAME, "--force")
    code, outcomes = autograde(course)
    assert code == 0 and outcomes["ada"]["outcome"] == "graded"
    assert scores(course) == TESTS


LOOK = "\n\n\nimport os\n\nfound = {name: open(name).read() for name in os.listdir()}\n"
ONLY = """assert found == {"words.txt": "instructor's"}, found"""


def test_extra_files_of_a_submission_have_no_power(course):
    (course / "source" / NAME / "words.txt").write_text("instructor's")
    path = hand_in(course, "ada", {**ANSWERS, "q1": ANSWERS["q1"] + LOOK + ONLY})
    folder = path.parent
    (folder / "words.txt").write_text("student's")
    (folder / "letters.py").write_text("raise SystemExit")
    (folder / "submission_secret.txt").symlink_to(course / "nbgrader_config.py")
    (folder / "gradebook").symlink_to(course / "gradebook.db")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "timestamp.txt")
    hand_in(
        course, "ben", {**ANSWERS, "q1": LOOK + ONLY.replace("==", "!=") + "\n" + ANSWERS["q1"]}
    )
    code, outcomes = autograde(course)
    assert code == 0 and outcomes["ada"]["score"] == TOTAL
    assert "timestamp.txt" in outcomes["ada"]["reason"]
    assert outcomes["ben"]["score"] == TESTS["q2-all"]
    place = course / "autograded" / "ada" / NAME
    own = ["submission_secret.txt", "timestamp.txt"]
    assert files(place) == [f"{NAME}.ipynb", *own, "words.txt"]
    assert len((place / "submission_secret.txt").read_text()) == 128
    assert (place / "words.txt").read_text() == "instructor's"


CONFIG_LINES = {
    "option": "c.Referee.second = 3\n",
    "package": 'c.Referee.packages = ["no_such_package"]\n',
    "name": "c.Referee.seconds = secnods\n",
    "syntax": "c.Referee.seconds = = 3\n",
    "files": "pass\n",
}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, ["--student=zoe"], "no student 'zoe' handed in 'letters': there is no "),
        (None, ["--student=zoe"], f"/submitted/zoe/{NAME}"),
        ("gradebook", [], "gradebook.db; run `nbgrader generate_assignment letters`"),
        ("points", [], "q1-simple gives 3 points, and 1 points in the gradebook; run"),
        ("cell", [], "the cell q2-all is in the gradebook only; run `nbgrader generate"),
        ("option", [], "c.Referee.second is no option"),
        ("package", [], "no_such_package"),
        ("name", [], "nbgrader_config.py cannot be loaded: NameError: name 'secnods'"),
        ("syntax", [], "nbgrader_config.py cannot be loaded: SyntaxError: "),
        ("files", [], "files must be 10000 of 128 MiB together at most, and are 1"),
    ],
)
def test_what_cannot_be_graded_is_said_in_one_line(course, capsys, change, options, message):
    hand_in(course, "ada", ANSWERS)
    source = course / "source" / NAME / f"{NAME}.ipynb"
    if change == "files":
        with (source.parent / "large.bin").open("wb") as file:
            file.truncate(2**27 + 1)
    if change == "gradebook":
        (course / "gradebook.db").unlink()
    elif change in CONFIG_LINES:
        with (course / "nbgrader_config.py").open("a") as file:
            file.write(CONFIG_LINES[change])
    elif change:
        notebook = nbformat.read(source, as_version=4)
        cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in notebook.cells}
        if change == "points":
            cells["q1-simple"].metadata.nbgrader.points = 3
        else:
            notebook.cells.remove(cells["q2-all"])
        nbformat.write(notebook, source)
    code, outcomes = autograde(course, *options)
    error = capsys.readouterr().err
    assert code == 2 and outcomes == {}
    assert message in error and error.startswith("referee: ") and error.count("\n") == 1
    assert not (course / "autograded").exists()


def test_an_unknown_assignment_or_course_gives_code_2(course, capsys):
    assert cli.main(["autograde", "sounds", f"--course-dir={course}"]) == 2
    assert "no assignment 'sounds'" in capsys.readouterr().err
    assert cli.main(["autograde", NAME, f"--course-dir={course}/absent"]) == 2
    assert "absent does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--jobs=0", "must be a whole number above 0, and is '0'"),
        ("--memory=many", "must be a whole number above 0, and is 'many'"),
        ("--timeout=-1", "must be a number of seconds above 0"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_named(option, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["autograde", NAME, option])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named_before_anything_is_graded(course, capsys):
    hand_in(course, "ada", ANSWERS)
    code, _ = autograde(course, f"--json={course}/absent/outcomes.json")
    assert code == 2 and "absent" in capsys.readouterr().err
    assert not (course / "autograded").exists()


def test_a_machine_that_cannot_jail_is_told_what_to_install(course):
    hand_in(course, "ada", ANSWERS)
    command = [sys.executable, "-m", "referee", "autograde", NAME]
    # A machine that has everything but bubblewrap.
    programs = course.parent / "programs"
    programs.mkdir()
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for path in Path(folder).glob("*"):
            if path.name != "bwrap":
                (programs / path.name).unlink(missing_ok=True)
                (programs / path.name).symlink_to(path)
    bare = environment(PATH=str(programs))
    done = subprocess.run(command, cwd=course, env=bare, capture_output=True, text=True)
    assert done.returncode == 2 and "apt install bubblewrap" in done.stderr
    assert not (course / "autograded").exists()
    command.append("--unsafe")
    done = subprocess.run(command, cwd=course, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert scores(course) == TESTS


# --- nbgrader's own commands -------------------------------------------------------------------


def test_a_wrong_option_stops_nbgraders_own_command(course):
    hand_in(course, "ada", ANSWERS)
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(CONFIG_LINES["option"])
    assert "c.Referee.second is no option" in nbgrader(course, "autograde", NAME, code=1)


def test_the_button_of_formgrader_grades_with_referee(course):
    hand_in(course, "ada", {**ANSWERS, "q1": "import warnings\n\n\n" + ANSWERS["q1"]})
    hand_in(course, "junk").write_text("no notebook")
    app = NbGrader()
    app.load_cwd_config = False
    app.initialize([], root=str(course))
    api = NbGraderAPI(app.coursedir, parent=app)
    for student, total in (("ada", TOTAL), ("junk", 0)):
        result = api.autograde(NAME, student)
        assert result["success"], result
        assert sum(scores(course, student).values()) == total
    assert api.get_autograded_students(NAME) == {"ada", "junk"}


# --- being killed ------------------------------------------------------------------------------

STEPS = ("stage", "retire", "save", "publish")
POINTS = [(step, when) for step in STEPS for when in ("before", "after")]


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def killed_record(writer, notebooks, point):
    """Record in a child process that is killed at a point of the way."""
    child = os.fork()
    if child == 0:
        step, when = point
        if step == "cell":
            saved = SaveAutoGrades.preprocess_cell

            def stop(saver, cell, resources, index):
                saved(saver, cell, resources, index)
                if cell.metadata.get("nbgrader", {}).get("grade_id") == when:
                    die()

            SaveAutoGrades.preprocess_cell = stop
        else:
            real = getattr(writer, step)
            setattr(writer, step, die if when == "before" else lambda *a: die(real(*a)))
        try:
            writer.record("ada", NO_RECEIPT, notebooks)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("point", [*POINTS, ("cell", "q1-case")], ids="-".join)
def test_a_first_record_that_is_killed_is_done_again(course, point):
    folder = hand_in(course, "ada").parent
    writer = recorder(course)
    killed_record(writer, judged(course, lost=["q1-case"]), point)
    new = {**TESTS, "q1-case": 0}
    assert scores(course) == (new if point in COMMITTED else {})
    with writer.gradebook() as gradebook:
        assert writer.is_graded(gradebook, "ada", folder) == (point == ("publish", "after"))
    writer.sweep(["ada"])
    writer.record("ada", NO_RECEIPT, judged(course))
    assert scores(course) == TESTS
    assert files(writer.place("ada").parent) == [NAME]


COMMITTED = [("publish", "before"), ("publish", "after")]


@pytest.mark.parametrize("point", [*POINTS, ("cell", "q1-case")], ids="-".join)
def test_a_new_record_that_is_killed_never_leaves_scores_and_feedback_apart(course, point):
    folder = hand_in(course, "ada").parent
    writer = recorder(course)
    writer.record("ada", NO_RECEIPT, judged(course, lost=["q1-case", "q2-all"]))
    with writer.gradebook() as gradebook:
        grade_of(gradebook, "q1-simple").manual_score = 0.5
        gradebook.find_comment("q3", NAME, NAME, "ada").manual_comment = "Say more."
        gradebook.db.commit()
    killed_record(writer, judged(course), point)
    old = {**TESTS, "q1-case": 0, "q2-all": 0}
    assert scores(course) == (TESTS if point in COMMITTED else old)
    with writer.gradebook() as gradebook:
        graded = writer.is_graded(gradebook, "ada", folder)
    assert graded == (
        point in [("stage", "before"), ("stage", "after"), *COMMITTED[1:]]
        or point == ("retire", "before")
    )
    if graded:
        text = (writer.place("ada") / f"{NAME}.ipynb").read_text()
        assert text.count('"traceback"') == sum(not score for score in scores(course).values())
    writer.sweep(["ada"])
    writer.record("ada", NO_RECEIPT, judged(course))
    assert scores(course) == TESTS
    assert files(writer.place("ada").parent) == [NAME]
    with writer.gradebook() as gradebook:
        assert grade_of(gradebook, "q1-simple").manual_score == 0.5
        assert gradebook.find_comment("q3", NAME, NAME, "ada").comment == "Say more."


def test_a_record_that_fails_leaves_the_old_one(course, monkeypatch):
    writer = recorder(course)
    writer.record("ada", NO_RECEIPT, judged(course, lost=["q1-case"]))

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(SaveAutoGrades, "_add_comment", fail)
    with pytest.raises(OSError, match="disk full"):
        writer.record("ada", NO_RECEIPT, judged(course))
    assert scores(course) == {**TESTS, "q1-case": 0}
    assert files(writer.place("ada").parent) == [NAME]


HOLD = "    while os.path.exists('hold.txt'):\n        time.sleep(0.05)\n    before"
HELD = "import os\nimport time\n\n\n" + ANSWERS["q2"].replace("    before", HOLD, 1)
STUDENTS = ["ada", "ben", "cleo", "dan"]
LONG = "--timeout=600"


def hold(course, *students):
    """Hand in for students what calls of a test cannot finish while a file is there.

    A grading process reads the file at its beginning.
    """
    for student in students:
        hand_in(course, student, {**ANSWERS, "q2": HELD})
    file = course / "source" / NAME / "hold.txt"
    file.touch()
    return file


def children_of():
    """Return the numbers of the running processes by the number of their parent."""
    children = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, rest = path.parent.name, path.read_text().rpartition(") ")[2]
            children.setdefault(int(rest.split()[1]), []).append(int(number))
    return children


def descendants(process):
    """Return the processes that a process started, and those started, by number."""
    children, found, todo = children_of(), [], [process]
    while todo:
        started = children.get(todo.pop(), [])
        found += started
        todo += started
    return found


def wait_until(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def begin(course, *options):
    """Begin a run in a process of its own, with its own folder for temporary files."""
    scratch = course.parent / "tmp"
    scratch.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "referee", "autograde", NAME, "--json=outcomes.json", *options],
        cwd=course,
        env=environment(TMPDIR=str(scratch)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def graded(course):
    return sorted(path.parent.name for path in course.glob(f"autograded/*/{NAME}"))


def of_pool(numbers):
    """Return the processes that have the command line of a grading process."""
    found = set()
    for number in numbers:
        with contextlib.suppress(OSError):
            if b"referee.pool" in Path(f"/proc/{number}/cmdline").read_bytes():
                found.add(number)
    return found


def grading_processes(run):
    """Return the grading processes of a run, without those that they fork for test cells."""
    return of_pool(children_of().get(run.pid, []))


def kill_grading_processes(run, before, count):
    """Wait for so many grading processes that were not there before, kill and return them."""
    wait_until(lambda: len(grading_processes(run) - before) == count)
    victims = grading_processes(run) - before
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    return victims


def assert_complete(course, students):
    assert graded(course) == sorted(students)
    for student in students:
        assert scores(course, student) == TESTS
        assert files(course / "autograded" / student) == [NAME]


def test_a_run_that_is_killed_is_taken_up_and_leaves_nothing(course):
    hand_in(course, "ada", ANSWERS)
    hold(course, "ben", "cleo", "dan")
    mounts = Path("/proc/self/mounts").read_text()
    run = begin(course, "--jobs=2", LONG)
    wait_until(lambda: graded(course))
    workers = grading_processes(run)
    assert len(workers) == 2
    wait_until(lambda: all(of_pool(descendants(worker)) for worker in workers))
    started = descendants(run.pid)
    run.kill()
    run.wait()
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in started))
    assert graded(course) == ["ada"]
    assert Path("/proc/self/mounts").read_text() == mounts
    for student in STUDENTS[1:]:
        hand_in(course, student, ANSWERS)
    assert begin(course).wait() == 0
    outcomes = json.loads((course / "outcomes.json").read_text())
    kinds = {outcome["student"]: outcome["outcome"] for outcome in outcomes}
    assert kinds == {name: "kept" if name == "ada" else "graded" for name in STUDENTS}
    assert_complete(course, STUDENTS)
    assert list((course.parent / "tmp").iterdir()) == []


def test_submissions_whose_grading_processes_are_killed_are_graded_by_others(course):
    hand_in(course, "ada", ANSWERS)
    file = hold(course, "ben", "cleo", "dan")
    run = begin(course, "--jobs=2", LONG)
    wait_until(lambda: graded(course))
    file.unlink()
    kill_grading_processes(run, set(), 2)
    assert run.wait() == 0
    outcomes = json.loads((course / "outcomes.json").read_text())
    assert [outcome["outcome"] for outcome in outcomes] == ["graded"] * len(STUDENTS)
    assert_complete(course, STUDENTS)


def test_a_submission_that_cannot_be_graded_is_told_of_and_tried_again_next_time(course):
    file = hold(course, "ada")
    run = begin(course, LONG)
    first = kill_grading_processes(run, set(), 1)
    kill_grading_processes(run, first, 1)
    assert run.wait() == 1
    (outcome,) = json.loads((course / "outcomes.json").read_text())
    jsonschema.validate([outcome], SCHEMA)
    assert outcome["outcome"] == "failed" and outcome["score"] is None
    assert outcome["reason"].startswith("the grading process was killed by SIGKILL")
    assert scores(course) == {} and graded(course) == []
    file.unlink()
    assert begin(course).wait() == 0
    assert_complete(course, ["ada"])


class Scripted:
    """A grading process that answers as a list says: None is death."""

    answers = ()

    def __init__(self):
        ready, self.bell = os.pipe()
        self.output = os.fdopen(ready, "rb", buffering=0)

    def begin(self, task, attempt, patience):
        self.task, self.attempt, self.deadline = task, attempt, time.monotonic() + 60
        os.write(self.bell, b"!")

    def read(self):
        self.output.read(1)
        self.answer = self.answers.pop(0)
        return True

    def is_late(self):
        return False

    def kill(self, patience=None):
        self.end()
        return "was killed"

    def end(self):
        self.output.close()
        os.close(self.bell)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("FFFFF", "cannot start: busy"),
        ("-FFFF", "cannot start: busy"),
        ("GGG", "agraded bgraded cgraded"),
        ("GFGG", "agraded cgraded bgraded"),
        ("GFGF", "agraded cgraded bthe grading process busy"),
        ("GF-G-", "agraded bgraded cthe grading process was killed"),
    ],
)
def test_a_grading_process_that_cannot_begin_ends_a_run_only_at_its_beginning(
    monkeypatch, answers, told
):
    kinds = {"F": {"fatal": "busy"}, "G": {"outcome": "graded"}, "-": None}
    monkeypatch.setattr(Scripted, "answers", [kinds[letter] for letter in answers])
    monkeypatch.setattr(pool, "_Process", Scripted)
    found = []
    try:
        for task, outcome, error in pool.run(["a", "b", "c"], 1, 9):
            found.append(task + (outcome or error))
    except pool.CannotStart as error:
        found.append(f"cannot start: {error}")
    assert " ".join(found) == told


@pytest.mark.parametrize(
    ("stop", "code"), [(pool.CannotStart("no jail"), 2), (KeyboardInterrupt, 130)]
)
def test_a_run_that_stops_tells_what_it_has_graded(course, monkeypatch, capsys, stop, code):
    for student in ("ada", "ben"):
        hand_in(course, student, ANSWERS)
    run = pool.run

    def stopping(*arguments):
        yield next(run(*arguments))
        raise stop

    monkeypatch.setattr(pool, "run", stopping)
    assert autograde(course, "--jobs=1")[0] == code
    (outcome,) = json.loads((course / "outcomes.json").read_text())
    assert (outcome["student"], outcome["score"]) == ("ada", TOTAL)
    assert re.search(r"^ada +9/9$", capsys.readouterr().out, flags=re.M)


def test_a_submission_that_takes_too_long_is_stopped(course):
    hold(course, "ada")
    settings = Settings(packages=(), seconds=600)
    task = Task(str(course), NAME, "ada", str(course / "submitted" / "ada" / NAME), settings)
    before = set(descendants(os.getpid()))
    ((_, outcome, why),) = pool.run([task], 1, 0.5)
    assert outcome is None
    assert why == "the grading process took longer than 0.5 s and was stopped"
    wait_until(lambda: set(descendants(os.getpid())) <= before)
