"""No attack gains a point, and each would without what stops it.

Here every attack meets one course, most meet two more: `tests/test_referee_full.py` is the whole.
"""

import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from nbconvert.exporters import HTMLExporter
from playwright.sync_api import Error
from referee_attacks import ATTACKS, GUESSES
from referee_targets import NAMES, hidden_parts, run_nbgrader

pytest_plugins = ["referee_fixtures"]

ABOUT_ANSWERS = {"tools", "reading", "returns", "raises", "names"}
ABOUT_FILES = {"file", "returns", "names"}
FAMILIES = {"supplies": {"names", "returns"}, "tensors": ABOUT_ANSWERS, "ps1": ABOUT_FILES}
PAIRS = [
    pytest.param(name, attack, id=f"{name}: {attack.name}")
    for name in NAMES
    for attack in ATTACKS
    if name == "letters" or attack.family in FAMILIES[name]
]
WORKING = [attack for attack in ATTACKS if attack.works]
BY_NBGRADER = ("tests tagged not to run", "an object that agrees with everything")

HIDDEN_IN_TMP = pytest.mark.skipif(
    ROOT.is_relative_to("/tmp"), reason="this checkout lies in /tmp, which a jail hides anyway"
)


def parts(outcome):
    """Return the grade ids of the tests that got points."""
    return {one["grade_id"] for one in outcome["questions"] if one["score"]}


def test_there_are_attacks_of_many_kinds():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 48
    assert all(bool(attack.works) != bool(attack.why) for attack in ATTACKS)


@pytest.mark.parametrize("name", NAMES)
def test_honest_submissions_get_exactly_their_points(targets, name):
    target = targets[name]
    first, *others = target.notebook.questions
    assert target.grade(target.answered(*target.reference))["score"] == target.points > 0
    assert target.grade(target.answered())["score"] == 0
    assert target.grade(target.partly())["score"] == first.points
    rest = target.answered(*(one.grade_id for one in others))
    assert target.grade(rest)["score"] == target.points - first.points
    wrong = target.answered().define("return None")
    assert target.grade(wrong)["score"] == 0


@pytest.mark.parametrize(("name", "attack"), PAIRS)
def test_no_attack_gains_a_point(targets, service, name, attack):
    target = targets[name]
    assert target.meet(attack, service) <= 0
    if name == "letters":
        outcome = target.grade(target.partly(), "next")
        assert outcome["score"] == target.notebook.questions[0].points, outcome["reason"]


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.family == "file"], ids=lambda attack: attack.name
)
def test_no_attack_gains_a_test_that_comes_before_all_answers(targets, service, attack):
    target = targets["early"]
    assert target.points == 7 + targets["supplies"].points
    assert target.meet(attack, service) <= 0


@HIDDEN_IN_TMP
@pytest.mark.parametrize("attack", WORKING, ids=lambda attack: attack.name)
def test_each_attack_gains_without_what_stops_it(targets, service, need, attack):
    need("bwrap", "bubblewrap")
    assert any(targets[name].falls_for(attack, service) for name in NAMES)


@HIDDEN_IN_TMP
@pytest.mark.parametrize("name", BY_NBGRADER)
def test_nbgrader_alone_gives_points_for_attacks(targets, need, name):
    need("bwrap", "bubblewrap")
    (attack,) = [attack for attack in ATTACKS if attack.name == name]
    assert targets["letters"].by_nbgrader(attack) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_guesses_get_what_they_are_worth_and_no_more(targets, name):
    """Repeating visible tests gives parts without hidden ones, refusing parts without values."""
    target = targets[name]
    by_heart, *refusals = (target.made(guess) for guess in GUESSES)
    gained = parts(target.grade(by_heart))
    assert not gained & hidden_parts(target.notebook)
    assert gained or name in ("supplies", "tensors")
    for submission in refusals:
        gained = parts(target.grade(submission))
        assert all(part.endswith(("-errors", "-untouched")) for part in gained), gained


def test_pages_that_show_an_attack_do_not_act(targets, browser, tmp_path):
    """nbconvert's own page of the same notebooks does."""
    target = targets["letters"]
    pages = [attack for attack in ATTACKS if attack.family == "pages"]
    course = Path(shutil.copytree(target.folder, tmp_path / "course"))
    (course / "gradebook.db").unlink()
    shutil.rmtree(course / "submitted")
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("import referee\nreferee.enable(c)\n")
    for attack in pages:
        folder = target.write(target.made(attack), "somebody")
        shutil.move(folder, course / "submitted" / attack.name.replace(" ", "-") / target.name)
    run_nbgrader(course, "generate_assignment", target.name)
    run_nbgrader(course, "autograde", target.name, grader="referee")
    run_nbgrader(course, "generate_feedback", target.name, grader="referee")
    shown = sorted((course / "feedback").rglob("*.html"))
    assert len(shown) == len(pages)
    assert [what_acts(browser, page) for page in shown] == [None] * len(pages)
    plain = tmp_path / "plain.html"
    acted = []
    for path in sorted((course / "autograded").rglob("*.ipynb")):
        plain.write_text(HTMLExporter().from_filename(str(path))[0], encoding="utf-8")
        acted.append(what_acts(browser, plain))
    assert any(acted)


def what_acts(browser, path):
    """Return what a page of an attack has done in a browser, None for nothing."""
    page = browser.new_page()
    page.route("**/*", lambda route: route.continue_() if _is_file(route) else route.abort())
    try:
        page.goto(path.as_uri(), wait_until="load")
        for link in page.query_selector_all("a[href^='javascript:' i]"):
            link.evaluate("element => element.click()")
        page.mouse.move(20, 20)
        acted = page.evaluate("window.attacked ?? null")
        return acted if page.url == path.as_uri() else page.url
    except Error:
        return "it went elsewhere"
    finally:
        page.close()


def _is_file(route):
    return route.request.url.startswith(("file:", "data:"))
