"""The chapter on equal budgets builds the networks of the experiment and shows all its figures."""

import ast
import json
from itertools import product

import numpy as np
import pytest
import torch
from conftest import ROOT

from cnnbook.inspection import parameter_count
from experiments import families, same_budget
from tools import notebooks


def read(name):
    return json.loads((ROOT / f"experiments/results/{name}.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def cells():
    return [
        cell.source for cell in notebooks.read(ROOT / "chapters/67-the-same-budget.ipynb").cells
    ]


def literal(cells, name):
    """Return the value that the chapter gives to a name."""
    for source in cells:
        if f"{name} = " in source:
            for node in ast.parse(source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    return ast.literal_eval(node.value)
    raise AssertionError(f"the chapter has no {name}")


def rows(size):
    """Return task, rule, family and run of each run of the large or the small networks."""
    for run in read("same_budget")["runs"]:
        task, rule, family, found = run["recipe"].split(", ")
        if found == size:
            yield task, rule, family, run


def percent(share):
    return round(100 * share, 2)


def test_the_chapter_shows_all_accuracies_of_the_large_networks(cells):
    expected = {}
    for task, rule, family, run in rows("large"):
        row = expected.setdefault(family, {}).setdefault(f"{task}, same {rule}", [])
        row.append(percent(run["test_accuracy"]))
    for task, rule in product(("digits", "textures"), ("steps", "seconds")):
        shown = literal(cells, f"{task}_{rule}".upper())
        assert shown == {name: row[f"{task}, same {rule}"] for name, row in expected.items()}
    assert all(len(row) == 5 for one in expected.values() for row in one.values())


def test_the_chapter_shows_sizes_seconds_and_accuracies_of_the_small_networks(cells):
    expected = {}
    for _, _, family, run in rows("small"):
        row = expected.setdefault(family, [run["parameters"], run["multiply_adds"], [], []])
        row[2].append(run["seconds"])
        row[3].append(percent(run["test_accuracy"]))
    for row in expected.values():
        row[2] = round(float(np.median(row[2])), 2)
    assert literal(cells, "SMALL") == expected


def test_the_chapter_shows_the_seconds_the_steps_and_the_leaks(cells):
    recipes, seconds, steps, leaks = read("same_budget")["recipes"], {}, {}, {}
    for task, rule, family, run in rows("large"):
        if (task, rule) == ("digits", "steps"):
            seconds.setdefault(family, []).append(run["seconds"])
        if rule == "seconds":
            count = recipes[run["recipe"]]["steps"]
            row = steps.setdefault(family, [count, [], []])
            row[1 + (task == "textures")].append(run["seconds"])
        if "same_columns_accuracy" in run:
            gap = 100 * run["same_columns_accuracy"] - 100 * run["test_accuracy"]
            leaks.setdefault(family, []).append(round(gap, 2))
    medians = {family: round(float(np.median(row)), 2) for family, row in seconds.items()}
    assert literal(cells, "SECONDS") == medians
    assert literal(cells, "STEPS") == {
        family: [count, *(round(float(np.median(row)), 2) for row in (digits, textures))]
        for family, (count, digits, textures) in steps.items()
    }
    assert literal(cells, "LEAKS") == leaks


def test_the_chapter_shows_all_validation_losses_of_the_search_for_rates(cells):
    expected = {task: {} for task in families.TASKS}
    for run in read("families")["runs"]:
        task, family, _ = run["recipe"].split(", ")
        expected[task].setdefault(family, []).append(round(run["validation_loss"], 3))
    for task in families.TASKS:
        assert literal(cells, f"{task}_losses".upper()) == expected[task]


def test_each_family_takes_the_rate_of_its_lowest_validation_loss(cells):
    losses = {run["recipe"]: run["validation_loss"] for run in read("families")["runs"]}
    for settings in same_budget.make_recipes().values():
        task, family = settings["task"], settings["name"]
        found = {rate: losses[f"{task}, {family}, rate {rate}"] for rate in families.RATES}
        assert settings["rate"] == min(found, key=found.get)
    for family, rate in literal(cells, "RATES").items():
        assert rate == same_budget.make_recipes()[f"textures, steps, {family}, large"]["rate"]


def test_the_chapter_builds_the_networks_of_the_experiment(cells):
    source = next(source for source in cells if source.startswith("def dense_layers"))
    scope = {}
    exec(next(source for source in cells if source.startswith("import matplotlib")), scope)
    exec(source, scope)
    assert list(scope["FAMILIES"]) == list(families.LARGE)
    for name, maker in scope["FAMILIES"].items():
        torch.manual_seed(0)
        ours = maker()
        torch.manual_seed(0)
        theirs = families.LARGE[name]()
        assert repr(ours) == repr(theirs)
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_all_networks_have_the_sizes_that_the_experiment_promises():
    for name, maker in families.LARGE.items():
        assert abs(parameter_count(maker()) / 61_706 - 1) < 0.1, name
    for name, maker in families.SMALL.items():
        assert 14_700 < parameter_count(maker()) < 21_000, name


def test_the_textures_to_learn_from_and_those_of_the_test_come_from_other_columns(monkeypatch):
    asked = []
    monkeypatch.setattr(
        families,
        "texture_patches",
        lambda count, columns, seed: (
            asked.append((columns, seed))
            or (np.zeros((count, 1, 32, 32), "float32"), np.zeros(count, int))
        ),
    )
    families.textures.cache_clear()
    families.textures(3)
    families.textures.cache_clear()
    (learned, validated, tested, same) = (columns for columns, _ in asked)
    assert learned[1] <= validated[0] < validated[1] <= tested[0] and same == learned
    assert len({seed for _, seed in asked}) == 4
