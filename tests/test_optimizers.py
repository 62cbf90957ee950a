"""Each optimizer takes torch's steps, changes the arrays it was given, and names what is wrong."""

import inspect
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnbook import optimizers
from cnnbook.layers import Dense, Network, ReLU, cross_entropy_backward
from cnnbook.optimizers import SGD, AdaGrad, Adam, AdamW, RMSProp

TORCH = {
    SGD: torch.optim.SGD,
    AdaGrad: torch.optim.Adagrad,
    RMSProp: torch.optim.RMSprop,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}
NAMES = {"learning_rate": "lr", "epsilon": "eps", "decay": "alpha"}
SHAPES = [(3, 2), (4,), (), (2, 1, 3, 5)]

rates = st.sampled_from([0.0, 1e-3, 0.03, 0.7])
shares = st.sampled_from([0.0, 0.3, 0.9, 0.999])
epsilons = st.sampled_from([1e-10, 1e-8, 1e-3, 1.0])
decays = st.sampled_from([0.0, 0.01, 0.5])
OPTIONS = {
    SGD: st.fixed_dictionaries({"momentum": shares, "weight_decay": decays}).flatmap(
        lambda given: st.fixed_dictionaries(
            {
                **{name: st.just(value) for name, value in given.items()},
                "nesterov": st.booleans() if given["momentum"] else st.just(False),
            }
        )
    ),
    AdaGrad: st.fixed_dictionaries({"epsilon": epsilons, "weight_decay": decays}),
    RMSProp: st.fixed_dictionaries({"decay": shares, "epsilon": epsilons, "weight_decay": decays}),
    Adam: st.fixed_dictionaries(
        {"betas": st.tuples(shares, shares), "epsilon": epsilons, "weight_decay": decays}
    ),
    AdamW: st.fixed_dictionaries(
        {"betas": st.tuples(shares, shares), "epsilon": epsilons, "weight_decay": decays}
    ),
}

each_optimizer = pytest.mark.parametrize("kind", TORCH, ids=lambda kind: kind.__name__)


def in_torch_words(options):
    return {NAMES.get(name, name): value for name, value in options.items()}


def made(kind, dtype="float64", seed=0, **options):
    """Return an optimizer and torch's with the same parameters."""
    random = np.random.default_rng(seed)
    arrays = [np.array(random.normal(size=shape), dtype) for shape in SHAPES]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    options = {"learning_rate": 0.02, **options}
    return kind(arrays, **options), TORCH[kind](theirs, **in_torch_words(options)), theirs


def follow(kind, gradients, rates=(), dtype="float64", tolerance=1e-12, **options):
    """Take a step for each list of gradients in both, and compare the parameters after each."""
    ours, other, theirs = made(kind, dtype, **options)
    for step, row in enumerate(gradients):
        if rates:
            ours.learning_rate = other.param_groups[0]["lr"] = rates[step % len(rates)]
        ours.step(row)
        for tensor, gradient in zip(theirs, row, strict=True):
            tensor.grad = torch.tensor(gradient)
        other.step()
        for array, tensor in zip(ours.parameters, theirs, strict=True):
            expected = tensor.detach().numpy()
            np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
    return ours


def drawn(steps, seed, dtype="float64", zeros=False):
    """Return random gradients of widely different sizes, some numbers 0 until the tenth step."""
    random = np.random.default_rng(seed)
    sizes = 10.0 ** random.integers(-4, 3, len(SHAPES))
    rows = []
    for step in range(steps):
        row = [
            np.array(size * random.normal(size=shape))
            for size, shape in zip(sizes, SHAPES, strict=True)
        ]
        if zeros and step < 10:
            row = [gradient * (random.random(gradient.shape) < 0.5) for gradient in row]
        rows.append([np.array(gradient, dtype) for gradient in row])
    return rows


@each_optimizer
def test_sixty_steps_with_the_defaults_are_torch_s_to_twelve_digits(kind):
    follow(kind, drawn(60, 1, zeros=True))


@each_optimizer
@settings(max_examples=12, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_the_steps_are_torch_s_for_every_setting_and_learning_rate(kind, data, seed):
    options = data.draw(OPTIONS[kind])
    sequence = data.draw(st.lists(rates, min_size=1, max_size=4))
    follow(kind, drawn(8, seed), sequence, tolerance=1e-11, **options)


@each_optimizer
def test_in_float32_the_steps_are_torch_s_up_to_rounding(kind):
    ours = follow(kind, drawn(60, 2, "float32"), dtype="float32", tolerance=2e-5)
    kept = [value for value in vars(ours).values() if isinstance(value, list)]
    assert len(kept) >= 2 and {a.dtype for arrays in kept for a in arrays} == {np.dtype("float32")}


@each_optimizer
def test_the_defaults_are_those_of_torch(kind):
    def defaults(function):
        found = inspect.signature(function).parameters.values()
        return {entry.name: entry.default for entry in found if entry.default is not entry.empty}

    ours = in_torch_words(defaults(kind.__init__))
    theirs = defaults(TORCH[kind].__init__)
    assert len(ours) >= 3
    assert ours == {name: theirs[name] for name in ours}


@each_optimizer
def test_a_step_changes_the_arrays_themselves_and_leaves_the_gradients_alone(kind):
    optimizer = made(kind, weight_decay=0.1)[0]
    arrays, row = list(optimizer.parameters), drawn(1, 3)[0]
    before, kept = [array.copy() for array in arrays], [gradient.copy() for gradient in row]
    optimizer.step(row)
    assert all(one is two for one, two in zip(arrays, optimizer.parameters, strict=True))
    assert all((one != two).all() for one, two in zip(arrays, before, strict=True))
    assert all(map(np.array_equal, row, kept))
    assert optimizer.steps == 1


@each_optimizer
def test_gradients_of_another_type_are_taken_in_that_of_their_parameter(kind):
    ours, other = made(kind, "float32")[0], made(kind, "float32")[0]
    row = drawn(1, 4, "float32")[0]
    ours.step([gradient.astype("float64") for gradient in row])
    other.step([gradient.tolist() for gradient in row])
    for one, two in zip(ours.parameters, other.parameters, strict=True):
        np.testing.assert_array_equal(one, two, strict=True)


@each_optimizer
def test_nan_in_a_gradient_stays_in_its_own_number(kind):
    optimizer = made(kind)[0]
    for step, row in enumerate(drawn(3, 5)):
        if step == 0:
            row[0][2, 1] = np.nan
        optimizer.step(row)
    broken = [np.argwhere(np.isnan(array)).tolist() for array in optimizer.parameters]
    assert broken == [[[2, 1]], [], [], []]


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient():
    weights = np.zeros(4)
    Adam([weights], learning_rate=0.1).step([np.array([1e-3, -1e5, 7.0, 0.0])])
    np.testing.assert_allclose(weights, [-0.1, 0.1, -0.1, 0], atol=1e-5)


def test_decay_in_adam_is_divided_by_the_root_and_in_adamw_it_is_not():
    for kind, ratio in ((Adam, 1.0), (AdamW, 0.9)):
        weights = np.array([1.0, 10.0])
        kind([weights], learning_rate=0.5, weight_decay=0.2).step([np.zeros(2)])
        expected = [0.5, 9.5] if kind is Adam else [ratio, 10 * ratio]
        np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_an_optimizer_trains_a_network_of_layers():
    random = np.random.default_rng(0)
    network = Network(Dense(3, 7, random=random), ReLU(), Dense(7, 2, random=random))
    inputs = random.normal(size=(40, 3)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    optimizer = Adam(network.parameters, learning_rate=0.05)
    for _ in range(60):
        network.backward(cross_entropy_backward(network.forward(inputs), labels))
        optimizer.step(network.gradients)
    assert (network.forward(inputs).argmax(1) == labels).mean() > 0.95


ONE = np.ones(3)
FROZEN = np.ones(3)
FROZEN.flags.writeable = False
NUMBER = "it must be a finite number of at least 0"
SHARE = "it must be a number from 0 to below 1"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SGD(ONE, 0.1), "parameters was a ndarray; it must be a list of arrays"),
        (lambda: SGD([], 0.1), "parameters was empty; it must hold at least one array"),
        (lambda: SGD([ONE, [1.0]], 0.1), "parameters[1] was a list; it must be a NumPy array"),
        (lambda: SGD([np.arange(3)], 0.1), "parameters[0] was of dtype int64; it must be float32"),
        (lambda: SGD([FROZEN], 0.1), "parameters[0] was read-only; it must be an array that can"),
        (lambda: SGD([ONE, np.ones(3), ONE], 0.1), "parameters[2] was an array that is in the"),
        (lambda: SGD([ONE], -0.1), f"learning_rate was -0.1; {NUMBER}"),
        (lambda: Adam([ONE], "fast"), f"learning_rate was 'fast'; {NUMBER}"),
        (lambda: Adam([ONE], True), f"learning_rate was True; {NUMBER}"),
        (lambda: SGD([ONE], np.inf), f"learning_rate was inf; {NUMBER}"),
        (lambda: SGD([ONE], np.nan), f"learning_rate was nan; {NUMBER}"),
        (lambda: AdamW([ONE], weight_decay=-1), f"weight_decay was -1; {NUMBER}"),
        (lambda: SGD([ONE], 0.1, 1), f"momentum was 1; {SHARE}"),
        (lambda: SGD([ONE], 0.1, -0.9), f"momentum was -0.9; {SHARE}"),
        (lambda: SGD([ONE], 0.1, 0.9, 1), "nesterov was 1; it must be True or False"),
        (lambda: SGD([ONE], 0.1, nesterov=True), "momentum was 0; with nesterov it must be above"),
        (lambda: RMSProp([ONE], decay=1.0), f"decay was 1.0; {SHARE}"),
        (lambda: Adam([ONE], betas=0.9), "betas was 0.9; it must be a pair of numbers from 0 to"),
        (lambda: Adam([ONE], betas=(0.9, 1.0)), f"betas[1] was 1.0; {SHARE}"),
        (lambda: AdamW([ONE], betas=(0.9,)), "betas was (0.9,); it must be a pair of numbers"),
        (lambda: AdaGrad([ONE], epsilon=0), "epsilon was 0; it must be a finite number above 0"),
        (lambda: RMSProp([ONE], epsilon=-1), "epsilon was -1; it must be a finite number above 0"),
        (lambda: Adam([ONE], epsilon=None), "epsilon was None; it must be a finite number above"),
    ],
)
def test_an_optimizer_that_cannot_be_made_says_what_was_wrong(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make()


@pytest.mark.parametrize(
    "gradients, message",
    [
        ([], "gradients was of length 0; it must be of length 2, one for each parameter (none is"),
        ([np.ones(3)] * 3, "gradients was of length 3; it must be of length 2"),
        (np.ones((2, 3)), "gradients was a ndarray; it must be a list of arrays"),
        ([np.ones(3), np.ones(3)], "gradients[1] was of shape (3,); it must be (4, 2), as its"),
        ([np.ones(3), np.ones((1, 2))], "gradients[1] was of shape (1, 2); it must be (4, 2)"),
        ([np.ones(3), None], "gradients[1] was of dtype object; it must hold bool, integers or"),
        ([np.ones(3) * 1j, np.ones((4, 2))], "gradients[0] was of dtype complex128; it must hold"),
    ],
)
@each_optimizer
def test_gradients_that_do_not_fit_are_refused_before_anything_changes(kind, gradients, message):
    optimizer = kind([np.ones(3), np.ones((4, 2))], learning_rate=0.1)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        optimizer.step(gradients)
    assert optimizer.steps == 0 and all((array == 1).all() for array in optimizer.parameters)


@each_optimizer
def test_a_learning_rate_that_was_set_wrongly_is_refused_at_the_next_step(kind):
    optimizer = kind([np.ones(3)], learning_rate=0.1)
    optimizer.learning_rate = -0.1
    with pytest.raises(ValueError, match=r"^learning_rate was -0\.1; it must be a finite number"):
        optimizer.step([np.ones(3)])


@pytest.mark.parametrize("kind", [optimizers.Optimizer, *TORCH], ids=lambda kind: kind.__name__)
def test_every_optimizer_is_documented(kind):
    text = inspect.getdoc(kind)
    assert "Raises" in text and "NaN" in text
    assert kind is optimizers.Optimizer or "Source: " in text
