"""A killed run loses nothing, a refusal says what to do, and every submission is told of."""

import contextlib
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import nbformat
import pytest
from nbformat.v4 import new_output
from nbgrader.apps import NbGrader, NbGraderAPI
from nbgrader.converters import Autograde, BaseConverter
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import SaveAutoGrades
from nbgrader.preprocessors.base import NbGraderPreprocessor
from traitlets.config import Config

import referee
from referee import cli, pool
from referee.assignment import read_assignment
from referee.grade import Task, read_sources
from referee.record import Recorder
from referee.settings import Settings, is_enabled, read_settings

ROOT = Path(__file__).resolve().parents[1]
FOREIGN = ROOT / "tests" / "foreign_course"
SCHEMA = json.loads((ROOT / "referee" / "outcome.schema.json").read_text(encoding="utf-8"))
NAME = "letters"
TESTS = {"q1-simple": 1, "q1-repeats": 2, "q1-case": 2, "q2-all": 4}
TOTAL = sum(TESTS.values())
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


def nbgrader(course, command, *options, code=0):
    """Give an nbgrader command; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", command, *options],
        cwd=course,
        env=environment(),
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
    monkeypatch.setenv("COURSE_GRADER", "stok")
    with pytest.raises(ValueError, match="COURSE_GRADER must be referee or stock, and is 'stok'"):
        referee.enable(config)


# --- recording ---------------------------------------------------------------------------------


def test_a_record_follows_nbgraders_rules(course):
    writer = recorder(course)
    folder = hand_in(course, "ada", timestamp="2026-03-04 05:06:07 UTC").parent
    (folder / "submission_secret.txt").write_text("secret")
    time_in = datetime.datetime(2026, 3, 4, 5, 6, 7)
    writer.record("ada", folder, judged(course, lost=["q1-case"]))
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
    writer.record("ada", "absent", answered)
    with writer.gradebook() as gradebook:
        written = grade_of(gradebook, "q3")
        assert written.auto_score is None and written.needs_manual_grade
        assert gradebook.find_comment("q3", NAME, NAME, "ada").auto_comment is None
        assert gradebook.find_submission(NAME, "ada").timestamp == time_in


def test_manual_grades_comments_and_extra_credit_stay(course):
    writer = recorder(course)
    writer.record("ada", "absent", judged(course, lost=["q1-case"]))
    with writer.gradebook() as gradebook:
        grade = grade_of(gradebook, "q1-case")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 1.5, 0.25, False
        gradebook.find_comment("q3", NAME, NAME, "ada").manual_comment = "Say more."
        gradebook.db.commit()
    writer.record("ada", "absent", judged(course))
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
            writer.record("ada", folder, judged(course))
            with writer.gradebook() as gradebook:
                notebook = gradebook.find_submission_notebook(NAME, NAME, "ada")
                assert notebook.late_submission_penalty == penalty
    finally:
        sys.path.remove(str(course))


def test_a_preprocessor_that_the_course_added_still_runs(course):
    kinds = [*Autograde.autograde_preprocessors.default_args[0], Sign]
    writer = recorder(course, autograde_preprocessors=kinds)
    writer.record("ada", "absent", judged(course))
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

    code, outcomes = autograde(course, "--force", "--student=ben", "--student=cleo")
    kinds = {name: (o["outcome"], o["score"]) for name, o in outcomes.items()}
    assert kinds == {"ben": ("graded", 9), "cleo": ("graded", 0)}


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
}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, ["--student=zoe"], "no student 'zoe' handed in 'letters'"),
        ("gradebook", [], "gradebook.db; run `nbgrader generate_assignment letters`"),
        ("points", [], "q1-simple gives 3 points, and 1 points in the gradebook; run"),
        ("cell", [], "the cell q2-all is in the gradebook only; run `nbgrader generate"),
        ("option", [], "c.Referee.second is no option"),
        ("package", [], "no_such_package"),
    ],
)
def test_what_cannot_be_graded_is_said_in_one_line(course, capsys, change, options, message):
    hand_in(course, "ada", ANSWERS)
    source = course / "source" / NAME / f"{NAME}.ipynb"
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
            writer.record("ada", "absent", notebooks)
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
    writer.record("ada", "absent", judged(course))
    assert scores(course) == TESTS
    assert files(writer.place("ada").parent) == [NAME]


COMMITTED = [("publish", "before"), ("publish", "after")]


@pytest.mark.parametrize("point", [*POINTS, ("cell", "q1-case")], ids="-".join)
def test_a_new_record_that_is_killed_never_leaves_scores_and_feedback_apart(course, point):
    folder = hand_in(course, "ada").parent
    writer = recorder(course)
    writer.record("ada", "absent", judged(course, lost=["q1-case", "q2-all"]))
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
    writer.record("ada", "absent", judged(course))
    assert scores(course) == TESTS
    assert files(writer.place("ada").parent) == [NAME]
    with writer.gradebook() as gradebook:
        assert grade_of(gradebook, "q1-simple").manual_score == 0.5
        assert gradebook.find_comment("q3", NAME, NAME, "ada").comment == "Say more."


def test_a_record_that_fails_leaves_the_old_one(course, monkeypatch):
    writer = recorder(course)
    writer.record("ada", "absent", judged(course, lost=["q1-case"]))

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(SaveAutoGrades, "_add_comment", fail)
    with pytest.raises(OSError, match="disk full"):
        writer.record("ada", "absent", judged(course))
    assert scores(course) == {**TESTS, "q1-case": 0}
    assert files(writer.place("ada").parent) == [NAME]


SLOW = {**ANSWERS, "q1": "import time\n\ntime.sleep(1)\n" + ANSWERS["q1"]}
STUDENTS = ["ada", "ben", "cleo", "dan"]


def descendants(process):
    """Return the processes that a process started, and those started, by number."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            number, rest = path.parent.name, path.read_text().rpartition(") ")[2]
            parents.setdefault(int(rest.split()[1]), []).append(int(number))
    found, todo = [], [process]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def wait_until(condition, seconds=60):
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


def is_grading_process(number):
    try:
        return b"referee.pool" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False


def kill_grading_processes(run, before):
    """Wait for grading processes that were not there before, kill them and return them."""

    def fresh():
        return set(filter(is_grading_process, descendants(run.pid))) - before

    wait_until(fresh)
    victims = fresh()
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    return victims


def assert_complete(course, students):
    assert graded(course) == sorted(students)
    for student in students:
        assert scores(course, student) == TESTS
        assert files(course / "autograded" / student) == [NAME]


def test_a_run_that_is_killed_is_taken_up_and_leaves_nothing(course):
    for student in STUDENTS:
        hand_in(course, student, SLOW)
    mounts = Path("/proc/self/mounts").read_text()
    run = begin(course, "--jobs=2")
    wait_until(lambda: graded(course))
    started = descendants(run.pid)
    assert len(started) > 2 >= len(list(filter(is_grading_process, started))) > 0
    run.kill()
    run.wait()
    wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in started), 10)
    kept = graded(course)
    assert kept and len(kept) < len(STUDENTS)
    assert Path("/proc/self/mounts").read_text() == mounts
    assert begin(course).wait() == 0
    outcomes = json.loads((course / "outcomes.json").read_text())
    before = [outcome["student"] for outcome in outcomes if outcome["outcome"] == "kept"]
    assert before == kept
    assert_complete(course, STUDENTS)
    assert list((course.parent / "tmp").iterdir()) == []


def test_a_submission_whose_grading_process_is_killed_is_graded_by_another(course):
    for student in STUDENTS:
        hand_in(course, student, SLOW)
    run = begin(course, "--jobs=2")
    wait_until(lambda: graded(course))
    victim = next(filter(is_grading_process, descendants(run.pid)))
    os.kill(victim, signal.SIGKILL)
    assert run.wait() == 0
    outcomes = json.loads((course / "outcomes.json").read_text())
    assert [outcome["outcome"] for outcome in outcomes] == ["graded"] * len(STUDENTS)
    assert_complete(course, STUDENTS)


def test_a_submission_that_cannot_be_graded_is_told_of_and_tried_again_next_time(course):
    hand_in(course, "ada", SLOW)
    run = begin(course)
    first = kill_grading_processes(run, set())
    kill_grading_processes(run, first)
    assert run.wait() == 1
    (outcome,) = json.loads((course / "outcomes.json").read_text())
    jsonschema.validate([outcome], SCHEMA)
    assert outcome["outcome"] == "failed" and outcome["score"] is None
    assert outcome["reason"].startswith("the grading process was killed by SIGKILL")
    assert scores(course) == {} and graded(course) == []
    assert begin(course).wait() == 0
    assert_complete(course, ["ada"])


def test_a_submission_that_takes_too_long_is_stopped(course):
    path = hand_in(course, "ada", SLOW)
    settings = Settings(packages=(), seconds=10)
    task = Task(str(course), NAME, "ada", str(path.parent), settings)
    before = set(descendants(os.getpid()))
    ((_, outcome, why),) = pool.run([task], 1, 0.5)
    assert outcome is None
    assert why == "the grading process took longer than 0.5 s and was stopped"
    wait_until(lambda: set(descendants(os.getpid())) <= before, 10)
