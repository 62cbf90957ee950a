"""Every attack against every assignment, and against nbgrader alone: not in CI, it takes long.

`make test PART=referee-full` runs it. CI runs `tests/test_referee_attacks.py`.
"""

import pytest
from referee_attacks import ATTACKS
from referee_targets import NAMES

pytest_plugins = ["referee_fixtures"]

HARMLESS = [attack for attack in ATTACKS if not attack.works]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("name", NAMES)
def test_no_attack_gains_a_point_and_the_next_submission_gets_its_own(
    targets, service, name, attack
):
    target = targets[name]
    assert target.meet(attack, service) <= 0
    outcome = target.grade(target.partly(), "next")
    assert outcome["score"] == target.notebook.questions[0].points, outcome["reason"]


@pytest.mark.parametrize("attack", HARMLESS, ids=lambda attack: attack.name)
def test_attacks_that_are_said_to_gain_never_gain_from_a_grader_without_protection(targets, attack):
    for name in ("letters", "tensors"):
        target = targets[name]
        for options in ({}, {"trusting": True}, {"deaf": False}):
            before = target.together(target.before(attack), **options)
            assert target.together(target.made(attack), **options) <= before, (name, options)


def test_nbgrader_alone_gives_points_for_many_attacks(targets, need):
    need("bwrap", "bubblewrap")
    target = targets["letters"]
    gained = {}
    for attack in ATTACKS:
        score = target.by_nbgrader(attack)
        if score is not None and score > target.worth(attack):
            gained[attack.name] = score
    for name, score in gained.items():
        print(f"{score:g} of {target.points:g}: {name}")
    assert len(gained) >= 20
