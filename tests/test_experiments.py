"""Stored results are current: the code that gave them is the code that is here."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from experiments import record
from tools import notebooks
from tools.determinism import ENVIRONMENT, environment

RESULTS = sorted(ROOT.glob("experiments/results/*.json"))
SCRIPTS = sorted(
    path for path in ROOT.glob("experiments/*.py") if path.stem not in ("__init__", "record")
)
TOLERANCE = 5e-3  # of a quick run's losses; rounding moves them by a tenth of that

every_result = pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text("utf-8"))


def stale(root, result):
    """Return the sources whose code is not the one that gave the result."""
    return [
        path
        for path, stored in result["sources"].items()
        if record.source_hash((root / path).read_text("utf-8")) != stored
    ]


def numbers(value):
    """Return all numbers in plain data, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


def run_quick(root, name):
    """Return the quick runs of all recipes of an experiment, made now."""
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", "--quick"],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(entry, again):
    """Return the figures of a quick run that are not the stored ones."""
    return [
        name
        for name, value in again.items()
        if value != pytest.approx(entry[name], abs=0.005 if "accuracy" in name else TOLERANCE)
    ]


def test_every_experiment_has_a_result_and_every_result_an_experiment():
    assert [path.stem for path in SCRIPTS] == [path.stem for path in RESULTS]
    assert RESULTS


@every_result
def test_the_code_that_gave_a_result_has_not_changed_since(path):
    assert stale(ROOT, read(path)) == []


@every_result
def test_a_result_names_its_own_script_and_the_command_that_made_it(path):
    result = read(path)
    assert f"experiments/{path.stem}.py" in result["sources"]
    assert result["command"] == f"python -m experiments.{path.stem}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"])
    assert result["device"] and result["environment"] == ENVIRONMENT
    assert set(result["versions"]) == {"python", "torch", "numpy"}


@every_result
def test_a_result_holds_every_seed_of_every_recipe_once(path):
    result = read(path)
    module = importlib.import_module(f"experiments.{path.stem}")
    recipes = module.make_recipes() if hasattr(module, "make_recipes") else module.RECIPES
    assert result["seeds"] == list(module.SEEDS) and result["recipes"] == recipes
    expected = [(recipe, seed) for recipe in result["recipes"] for seed in result["seeds"]]
    assert [(run["recipe"], run["seed"]) for run in result["runs"]] == expected
    quick = [(run["recipe"], run["seed"]) for run in result["quick"]]
    assert quick == [(recipe, result["seeds"][0]) for recipe in result["recipes"]]


@every_result
def test_no_two_runs_of_a_result_are_the_same(path):
    """A seed or a setting that is not used would give the same figures twice."""
    ignored = ("recipe", "seed", "seconds")
    runs = [
        json.dumps({name: value for name, value in run.items() if name not in ignored})
        for run in read(path)["runs"]
    ]
    assert len(set(runs)) == len(runs)


@every_result
def test_all_figures_of_a_result_are_finite(path):
    assert np.isfinite(numbers(read(path)["runs"])).all()


@every_result
def test_the_quick_runs_give_the_stored_figures_again(path):
    for entry, again in zip(read(path)["quick"], run_quick(ROOT, path.stem), strict=True):
        assert set(again) == set(entry)
        assert differences(entry, again) == [], entry["recipe"]


# The checks above are able to fail


@pytest.fixture
def copy(tmp_path):
    for folder in ("cnnbook", "experiments", "tools"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def change(copy, path, old, new):
    source = copy / path
    text = source.read_text("utf-8")
    assert old in text
    source.write_text(text.replace(old, new), encoding="utf-8")


def quick_after_change(copy, path, old, new):
    """Return a stored quick run and the same run with changed code."""
    change(copy, path, old, new)
    entry = read(ROOT / "experiments/results/first_cnn.json")["quick"][0]
    return entry, run_quick(copy, "first_cnn")[0]


@pytest.mark.parametrize(
    "path, old, new",
    [
        ("experiments/first_cnn.py", "batch_size=64", "batch_size=63"),
        ("cnnbook/models/small.py", "F.relu(self.conv2(x))", "F.gelu(self.conv2(x))"),
        ("cnnbook/training.py", "optimizer.zero_grad()", "pass"),
    ],
)
def test_a_changed_source_makes_the_result_stale(copy, path, old, new):
    change(copy, path, old, new)
    assert stale(copy, read(ROOT / "experiments/results/first_cnn.json")) == [path]


@pytest.mark.parametrize(
    "path, old, new",
    [
        ("experiments/first_cnn.py", '"learning_rate": 0.006', '"learning_rate": 0.0063'),
        ("cnnbook/data/mnist.py", "rest[:subset]", "rest[-subset:]"),
        ("cnnbook/training.py", "manual_seed(seed)", "manual_seed(seed + 1)"),
    ],
)
def test_a_small_change_of_what_is_run_moves_the_quick_figures_beyond_the_tolerance(
    copy, path, old, new
):
    assert "train_loss" in differences(*quick_after_change(copy, path, old, new))


def test_rounding_alone_leaves_the_quick_figures_within_the_tolerance(copy):
    """Normalizing undoes another scale of the pixels, all but the rounding.

    Which scales move the last stored digit depends on the processor; some do on any.
    """
    path, scale = "cnnbook/data/mnist.py", 255
    for other in (235, 215, 245, 205, 225):
        old, new = (f"divide(part_images, {number}" for number in (scale, other))
        entry, again = quick_after_change(copy, path, old, new)
        assert differences(entry, again) == []
        if again["train_loss"] != entry["train_loss"]:
            return
        scale = other
    pytest.fail("no scale changed the rounding of the quick training loss")


SOURCE = '''
"""What it is."""

def f(a, b=None):
    """Add."""
    return [a + 1, b, "x", f"{a}:{b}"]
'''


def test_the_hash_ignores_comments_layout_and_docstrings():
    other = (
        '"""Something else."""\n# why\ndef f(a,\n    b=None):\n'
        "    '''More.'''\n    return [a+1,b,\n      'x', f'{a}:{b}']  # end\n"
    )
    bare = 'def f(a, b=None):\n    return [a + 1, b, "x", f"{a}:{b}"]\n'
    assert record.source_hash(SOURCE) == record.source_hash(other) == record.source_hash(bare)


@pytest.mark.parametrize(
    "old, new",
    [
        ("a + 1", "a - 1"),
        ("+ 1", "+ 1.0"),
        ("+ 1", "+ True"),
        ("b=None", "b=0"),
        ("b=None", "b"),
        ('"x"', 'b"x"'),
        ("[a", "[[], a"),
        ("a + 1, b", "b, a + 1"),
        ("{a}:", "{a!r}:"),
        ("def f", "async def f"),
        ("return", "yield"),
    ],
)
def test_the_hash_sees_every_change_of_the_code(old, new):
    assert old in SOURCE
    assert record.source_hash(SOURCE) != record.source_hash(SOURCE.replace(old, new))


# The chapter


@pytest.mark.parametrize(
    "name, chapter, left_out",
    [
        ("first_cnn", "12-a-first-cnn", 0),
        ("first_cnn", "13-how-to-measure", 1),
        ("numpy_lenet", "44-a-cnn-in-numpy", 0),
    ],
)
def test_a_chapter_shows_the_stored_figures_of_its_recipes_all_of_them(name, chapter, left_out):
    result = read(ROOT / f"experiments/results/{name}.json")
    expected = {recipe: {"validation": [], "test": []} for recipe in result["recipes"]}
    for run in result["runs"]:
        for part, figures in expected[run["recipe"]].items():
            accuracies = run[f"{part}_accuracy"]
            last = accuracies[-1] if isinstance(accuracies, list) else accuracies
            figures.append(round(100 * last, 2))

    cells = notebooks.read(ROOT / f"chapters/{chapter}.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("STORED ="))
    shown = ast.literal_eval(ast.parse(source).body[0].value)
    assert shown == {recipe: expected[recipe] for recipe in shown}
    assert len(shown) == len(expected) - left_out
