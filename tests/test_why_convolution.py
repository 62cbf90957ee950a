"""The chapter on why convolution plots the stored figures and shows the code that gave them."""

import ast
import json
import re

from conftest import ROOT
from test_shown_code import definitions, without_docstrings

from tools import notebooks

CHAPTER = ROOT / "chapters/11-why-convolution.ipynb"


def chapter_code():
    return [cell.source for cell in notebooks.read(CHAPTER).cells if cell.cell_type == "code"]


def test_the_chapter_plots_the_stored_test_accuracies_all_of_them():
    result = json.loads((ROOT / "experiments/results/features.json").read_text("utf-8"))
    expected = {recipe: {} for recipe in result["recipes"]}
    for run in result["runs"]:
        for size, accuracy in run["test_accuracy"].items():
            expected[run["recipe"]].setdefault(size, []).append(round(100 * accuracy, 2))
    source = next(source for source in chapter_code() if source.startswith("STORED ="))
    assert ast.literal_eval(ast.parse(source).body[0].value) == expected


def test_the_chapter_shows_the_features_and_the_models_of_the_experiment():
    experiment = definitions((ROOT / "experiments/features.py").read_text("utf-8"))
    shown = {}
    for source in chapter_code():
        shown |= definitions(re.sub(r"^%.*$", "", source, flags=re.M))
    for name in ("gradient_histograms", "linear", "small_cnn"):
        assert without_docstrings(shown[name]) == without_docstrings(experiment[name]), name
