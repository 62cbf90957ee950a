"""Initial weights have Glorot's and He's variance, as torch's do, and keep a signal's size."""

import ast
import inspect
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnnbook import initializers
from cnnbook.initializers import fans, glorot_normal, glorot_uniform, he_normal, he_uniform
from tools import notebooks

SIZES = st.integers(1, 9)
SHAPES = st.one_of(st.tuples(SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES, SIZES))
SEEDS = st.integers(0, 2**32 - 1)
THEIRS = {
    glorot_uniform: nn.init.xavier_uniform_,
    glorot_normal: nn.init.xavier_normal_,
    he_uniform: lambda w, generator: nn.init.kaiming_uniform_(
        w, nonlinearity="relu", generator=generator
    ),
    he_normal: lambda w, generator: nn.init.kaiming_normal_(
        w, nonlinearity="relu", generator=generator
    ),
}
each_rule = pytest.mark.parametrize("rule", THEIRS, ids=lambda rule: rule.__name__)


def generator(seed=0):
    return np.random.default_rng(seed)


def in_torch(shape):
    """Return torch's shape of the same weights: a dense layer's are stored as (outputs, inputs)."""
    return shape[::-1] if len(shape) == 2 else shape


@given(SHAPES)
def test_fans_are_torch_s(shape):
    theirs = nn.init._calculate_fan_in_and_fan_out(torch.empty(in_torch(shape)))
    assert fans(shape) == theirs and {type(fan) for fan in fans(shape)} == {int}


def test_the_fan_in_is_how_many_inputs_an_output_of_torch_s_layer_depends_on_and_fan_out_back():
    for module, size, shape in (
        (nn.Linear(7, 3), (7,), (7, 3)),
        (nn.Conv2d(2, 5, (3, 4)), (2, 9, 11), (5, 2, 3, 4)),
    ):
        outputs, inputs = np.prod(module(torch.zeros(size)).shape), np.prod(size)
        jacobian = torch.autograd.functional.jacobian(module, torch.zeros(size))
        depends = jacobian.reshape(outputs, inputs) != 0
        assert fans(shape) == (depends.sum(1).max().item(), depends.sum(0).max().item())


@each_rule
@given(SHAPES, SEEDS)
def test_a_scale_is_torch_s_whatever_the_shape(rule, shape, seed):
    """A draw, divided by the same draw with scale 1, is the scale; so it is in torch."""
    ours, theirs = generator(seed), torch.Generator().manual_seed(1)
    weights = THEIRS[rule](torch.empty(in_torch(shape)), generator=theirs)
    theirs.manual_seed(1)
    if rule in (glorot_uniform, he_uniform):
        unit, base = ours.uniform(-1, 1, shape), weights.clone().uniform_(-1, 1, generator=theirs)
    else:
        unit, base = ours.normal(0, 1, shape), weights.clone().normal_(0, 1, generator=theirs)
    scale = weights.abs().sum().item() / base.abs().sum().item()
    np.testing.assert_allclose(rule(shape, generator(seed)), scale * unit, rtol=1e-5)


@each_rule
@pytest.mark.parametrize("shape", [(300, 40), (50, 6, 5, 7)])
def test_weights_have_mean_0_the_variance_of_the_rule_and_its_distribution(rule, shape):
    fan_in, fan_out = fans(shape)
    variance = 2 / fan_in if rule in (he_normal, he_uniform) else 2 / (fan_in + fan_out)
    weights = rule(shape, generator())
    assert weights.dtype == np.float32 and weights.shape == shape and weights.size > 10_000
    scaled = weights.astype(np.float64).ravel() / np.sqrt(variance)
    uniform = rule in (glorot_uniform, he_uniform)
    fourth, eighth = (9 / 5, 81 / 9) if uniform else (3, 105)
    assert abs(scaled.mean()) < 4 / np.sqrt(scaled.size)
    assert abs((scaled**2).mean() - 1) < 4 * np.sqrt((fourth - 1) / scaled.size)
    assert abs((scaled**4).mean() - fourth) < 4 * np.sqrt((eighth - fourth**2) / scaled.size)
    assert not uniform or 0.999 * np.sqrt(3) < np.abs(scaled).max() < 1.000001 * np.sqrt(3)


def test_he_keeps_the_mean_square_through_relu_layers_whose_widths_change():
    random = generator()
    layers = [*((300, 70), (70, 500), (500, 300)) * 6, (300, 70)]
    squares = []
    for _ in range(60):
        values = random.normal(size=(1, 300))
        for shape in layers:
            values = np.maximum(values, 0) @ he_normal(shape, random)
        squares.append((values**2).mean())
    error = np.std(squares) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - 1) < 3 * error < 0.6  # the other fan would give 300 / 70


@each_rule
def test_one_seed_gives_one_draw_and_another_seed_another(rule):
    first, same, other = (rule((3, 4, 2, 5), generator(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert not (first == other).any()
    random = generator(5)
    assert not (rule((3, 4), random) == rule((3, 4), random)).any()


@each_rule
def test_a_list_and_numpy_s_whole_numbers_are_a_shape_too(rule):
    expected = rule((3, 4), generator())
    np.testing.assert_array_equal(rule([3, np.int64(4)], generator()), expected, strict=True)


MISTAKES = [
    (5, "shape was 5; it must be (inputs, outputs) or (out_channels, in_channels, height, width)"),
    ((5,), "shape was (5,); it must be (inputs, outputs) or "),
    ((5, 4, 3), "shape was (5, 4, 3); it must be "),
    ((0, 4), "shape[0] was 0; it must be a whole number of at least 1"),
    ((4, 2.5), "shape[1] was 2.5; it must be a whole number of at least 1"),
    ((4, 3, 2, -1), "shape[3] was -1; it must be "),
    ((4, True), "shape[1] was True; it must be "),
]


@pytest.mark.parametrize("shape, message", MISTAKES)
def test_what_is_no_shape_of_weights_is_named(shape, message):
    for function in (fans, *(lambda s, rule=rule: rule(s, generator()) for rule in THEIRS)):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            function(shape)


@each_rule
@pytest.mark.parametrize("random", [0, None, np.random, np.random.RandomState(0)])
def test_what_is_no_generator_is_named(rule, random):
    message = f"random was a {type(random).__name__}; it must be a NumPy Generator, such as "
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        rule((3, 4), random)


@pytest.mark.parametrize("name", ["fans", *(rule.__name__ for rule in THEIRS)])
def test_every_function_is_documented(name):
    text = inspect.getdoc(getattr(initializers, name))
    assert all(part in text for part in ("Parameters", "Returns", "Raises", "Source: "))


def test_the_chapter_shows_each_stored_recipe_at_its_best_rate_with_every_seed():
    result = json.loads((ROOT / "experiments/results/initialization.json").read_text("utf-8"))
    stored, curves = {}, {}
    for recipe in result["recipes"]:
        runs = [run for run in result["runs"] if run["recipe"] == recipe]
        finished = set.intersection(*({key for key in run if key[0] in "01"} for run in runs))
        losses = {
            rate: np.mean([run[rate]["validation_loss"] for run in runs]) for rate in finished
        }
        rate = min(losses, key=lambda rate: (losses[rate], float(rate)))
        best = [run[rate] for run in runs]
        accuracies = [round(100 * figures["validation_accuracy"], 2) for figures in best]
        stored[recipe] = float(rate), accuracies
        curves[recipe] = [[round(loss, 2) for loss in figures["curve"]] for figures in best]
    shown = {}
    for cell in notebooks.read(ROOT / "chapters/51-initialization.ipynb").cells:
        if cell.source.startswith(("STORED =", "CURVES =")):
            shown[cell.source[:6]] = ast.literal_eval(ast.parse(cell.source).body[0].value)
    assert shown["STORED"] == stored
    assert shown["CURVES"] == {recipe: curves[recipe] for recipe in shown["CURVES"]}
