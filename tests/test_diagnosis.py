"""Checks of a training see what they are for, leave no trace, and refuse bad input."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.diagnosis import (
    batch_dependence,
    dead_units,
    overfit_batch,
    shared_pictures,
    shuffled_labels_accuracy,
    silent_parameters,
    untouched,
)


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def network(dropout=0.5):
    """A network with everything that a trial could change: 7×5 pictures to 3 classes."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, (3, 2)), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(80, 6), nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 3)),
    )


def pictures(count=11):
    return torch.randn(count, 1, 7, 5), torch.arange(count) % 3


def step(model, optimizer, images, labels):
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def answer(model, images):
    model.eval()
    return model(images)


OPTIMIZERS = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "SGD, momentum": lambda weights: torch.optim.SGD(
        weights, lr=0.1, momentum=0.9, weight_decay=0.1
    ),
    "Adagrad": torch.optim.Adagrad,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}
with_each_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=list(OPTIMIZERS))


def state(model, optimizer):
    """Return copies of all that a trial could change."""
    tensors = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(
        {
            "tensors": tensors,
            "gradients": [tensor.grad for tensor in tensors],
            "modes": [module.training for module in model.modules()],
            "memory": optimizer.state_dict(),
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
        }
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return len(one) == len(other) and all(same(*pair) for pair in pairs)
    return one == other


# No trace


@with_each_optimizer
@pytest.mark.parametrize("trained", [0, 3])
def test_a_trial_leaves_no_trace(make, trained):
    model, (images, labels) = network(), pictures()
    optimizer = make(model.parameters())
    for _ in range(trained):
        step(model, optimizer, images, labels)
    model[1].eval()
    before = state(model, optimizer)

    def pipeline(images, labels):
        return random.random() * np.random.rand() * torch.rand(()).item()

    trials = [
        lambda: overfit_batch(model, optimizer, step, images, labels, 5),
        lambda: silent_parameters(model, optimizer, step, images, labels),
        lambda: dead_units(model, images),
        lambda: batch_dependence(model, lambda model, images: model(images), images),
        lambda: shuffled_labels_accuracy(pipeline, images, labels),
    ]
    for trial in trials:
        first = trial()
        assert same(state(model, optimizer), before)
        assert trial() == first


def test_what_a_body_changes_is_put_back_also_after_an_error():
    model, (images, labels) = network(), pictures()
    optimizer = torch.optim.Adam(model.parameters())
    before = state(model, optimizer)
    with pytest.raises(KeyError), untouched(model, optimizer):
        step(model, optimizer, images, labels)
        model.eval()
        optimizer.param_groups[0]["lr"] = 7
        random.random(), np.random.rand()
        assert not same(state(model, optimizer)["tensors"], before["tensors"])
        raise KeyError
    assert same(state(model, optimizer), before)


def test_weights_that_only_the_optimizer_has_are_put_back_too():
    model, stray = network(), nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([stray], lr=0.1)
    stray.grad = torch.ones(2)
    with untouched(model, optimizer):
        optimizer.step()
        stray.grad.zero_()
        assert stray[0] < 1
    assert stray.tolist() == stray.grad.tolist() == [1, 1]


def test_a_training_goes_on_as_if_nothing_had_been_tried():
    results = []
    for trial in (False, True):
        torch.manual_seed(0)
        model, (images, labels) = network(), pictures()
        optimizer = torch.optim.Adam(model.parameters())
        losses = []
        for _ in range(4):
            losses.append(step(model, optimizer, images, labels))
            if trial:
                overfit_batch(model, optimizer, step, images, labels, 3)
        results.append(losses)
    assert results[0] == results[1]


# One mini-batch


def test_a_mini_batch_is_learned_by_heart_from_the_logarithm_of_the_classes():
    model, (images, labels) = network(dropout=0), pictures()
    for weights in model[-1].parameters():
        nn.init.zeros_(weights)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    losses = overfit_batch(model, optimizer, step, images, labels, steps=60)
    assert len(losses) == 60
    assert losses[0] == pytest.approx(np.log(3))
    assert losses[-1] < 0.1


def test_losses_are_those_of_the_steps_that_were_given_and_in_training_mode():
    model, (images, labels) = network(), pictures()
    seen = []

    def odd(model, optimizer, images, labels):
        seen.append(all(module.training for module in model.modules()))
        model.eval()
        return torch.tensor(
            [float("inf") if len(seen) == 2 else float(len(seen))], requires_grad=True
        )

    optimizer = torch.optim.SGD(model.parameters())
    model.eval()
    assert overfit_batch(model, optimizer, odd, images, labels, 3) == [1, float("inf"), 3]
    assert seen == [True] * 3


# Silent parameters


def names(model):
    return [name for name, _ in model.named_parameters()]


@with_each_optimizer
def test_no_parameter_is_silent_in_a_sound_step(make):
    model, (images, labels) = network(dropout=0), pictures()
    del model[1]  # behind a batch normalization a bias would have no gradient
    optimizer = make(model.parameters())
    assert silent_parameters(model, optimizer, step, images, labels) == []


@with_each_optimizer
def test_a_head_that_the_optimizer_does_not_have_is_silent(make):
    model, (images, labels) = network(dropout=0), pictures()
    optimizer = make(model.parameters())
    model[-1] = nn.Linear(6, 3)
    silent = silent_parameters(model, optimizer, step, images, labels)
    assert silent == ["7.weight", "7.bias"]


@with_each_optimizer
def test_units_that_are_dead_silence_what_lies_before_them_whatever_the_optimizer_remembers(make):
    model, (images, labels) = network(dropout=0), pictures()
    del model[1]
    optimizer = make(model.parameters())
    for _ in range(3):
        step(model, optimizer, images, labels)
    nn.init.constant_(model[3].bias, -1e4)
    silent = silent_parameters(model, optimizer, step, images, labels)
    assert silent == ["0.weight", "0.bias", "3.weight", "3.bias", "6.weight"]


def test_frozen_parameters_are_not_named_and_a_step_without_a_step_silences_all():
    model, (images, labels) = network(dropout=0), pictures()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    silent = silent_parameters(model, optimizer, lambda *_: 0.0, images, labels)
    assert silent == [name for name in names(model) if not name.startswith("0.")]


def test_a_step_that_clears_its_gradients_at_the_end_is_sound_too():
    model, (images, labels) = network(dropout=0), pictures()
    del model[1]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def clears(*arguments):
        loss = step(*arguments)
        optimizer.zero_grad()
        return loss

    assert silent_parameters(model, optimizer, clears, images, labels) == []
    clears(model, optimizer, images, labels)
    assert all(weights.grad is None for weights in model.parameters())


def test_gradients_that_were_left_behind_do_not_count():
    model, (images, labels) = network(dropout=0), pictures()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(model, optimizer, images, labels)

    def only_steps(model, optimizer, images, labels):
        optimizer.step()
        return 0

    silent = silent_parameters(model, optimizer, only_steps, images, labels)
    assert silent == names(model)


def test_the_optimizer_is_not_watched_afterwards():
    model, (images, labels) = network(), pictures()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    silent_parameters(model, optimizer, step, images, labels)
    assert not optimizer._optimizer_step_pre_hooks


# Dead units


def test_dead_units_are_counted_in_rows_and_in_maps():
    model = nn.Sequential(nn.Conv2d(1, 4, (3, 2)), nn.ReLU(), nn.Flatten())
    model.extend([nn.Linear(80, 5), nn.ReLU(inplace=True)])
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([1.0, -1.0, 0.0, 2.0]))
        model[3].weight.zero_()
        model[3].bias.copy_(torch.tensor([1.0, -1.0, float("nan"), -3.0, 0.5]))
    shares = dead_units(model, pictures()[0])
    assert shares == {"1": 0.5, "4": pytest.approx(0.6)}


def test_one_place_of_one_picture_is_enough_to_be_alive():
    model = nn.Sequential(nn.ReLU())
    images = -torch.ones(3, 2, 4, 5)
    images[1, 1, 3, 0] = 1
    assert dead_units(model, images) == {"0": 0.5}


def test_a_relu_that_is_used_twice_counts_units_that_are_dead_both_times():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, images):
            return self.relu(images) + self.relu(-images.roll(1, 1))

    images = torch.tensor([[1.0, -1.0, -1.0, -1.0, 0.0]])
    assert dead_units(Twice(), images) == {"relu": pytest.approx(0.2)}


def test_hooks_are_gone_after_an_error():
    model = network()
    with pytest.raises(RuntimeError):
        dead_units(model, torch.randn(3, 2, 7, 5))
    assert not any(module._forward_hooks for module in model.modules())


# Answers


def test_an_answer_in_evaluation_mode_does_not_depend_on_the_batch():
    model, (images, _) = network(), pictures()
    assert batch_dependence(model, answer, images) < 1e-5


@pytest.mark.parametrize("kind", ["dropout", "batch norm", "softmax over the batch"])
def test_an_answer_that_depends_on_its_batch_is_found(kind):
    model, (images, _) = network(), pictures()
    if kind == "dropout":
        model[1] = nn.Identity()
        wrong = nn.Module.__call__
    elif kind == "batch norm":
        model[-2].p = 0.0
        wrong = nn.Module.__call__
    else:

        def wrong(model, images):
            return answer(model, images).softmax(0)

    assert batch_dependence(model, wrong, images) > 0.01


def test_an_answer_of_nan_is_no_agreement():
    model, (images, _) = network(), pictures()
    images[2] = float("nan")
    assert np.isnan(batch_dependence(model, answer, images))


# Labels dealt out


def test_labels_are_shuffled_whole_and_in_one_order_for_each_seed():
    images, labels = pictures(30)
    seen = []

    def pipeline(given, shuffled):
        assert given is images
        seen.append(shuffled.tolist())
        return 0.25

    for seed in (0, 0, 1):
        assert shuffled_labels_accuracy(pipeline, images, labels, seed) == 0.25
    assert seen[0] == seen[1] != seen[2]
    assert sorted(seen[0]) == sorted(labels.tolist())
    assert seen[0] != labels.tolist() == (torch.arange(30) % 3).tolist()


def nearest(images, labels):
    """Judge the last 60 pictures by the labels of the nearest of the others."""
    distances = torch.cdist(images[-60:].flatten(1), images[:-60].flatten(1))
    return (labels[:-60][distances.argmin(1)] == labels[-60:]).double().mean()


def test_an_honest_pipeline_stays_at_chance_and_one_with_a_leak_does_not():
    images = torch.randn(180, 1, 7, 5)
    labels = torch.arange(180) % 3

    def leaky(images, labels):
        return nearest(images.repeat(2, 1, 1, 1), labels.repeat(2))

    assert abs(shuffled_labels_accuracy(nearest, images, labels) - 1 / 3) < 0.25
    assert shuffled_labels_accuracy(leaky, images, labels) == 1


# Shared pictures


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.int64])
def test_exactly_the_pictures_that_occur_in_both_are_found(dtype):
    first = torch.randint(0, 255, (9, 1, 7, 5)).to(dtype)
    second = torch.randint(0, 255, (6, 1, 7, 5)).to(dtype)
    second[1], second[4], second[5] = first[8], first[0], first[8]
    assert shared_pictures(first, second) == [1, 4, 5]
    assert shared_pictures(second, first) == [0, 8]


def test_a_picture_that_is_stored_otherwise_is_the_same_and_one_that_is_changed_is_not():
    first = torch.randn(3, 7, 5)
    turned = first.transpose(1, 2).contiguous().transpose(1, 2)
    assert shared_pictures(first, turned) == [0, 1, 2]
    changed = first.clone()
    changed[1, 6, 4] += 1e-6
    assert shared_pictures(first, changed) == [0, 2]
    assert shared_pictures(first, first.roll(1, 2)) == []
    assert shared_pictures(torch.full((1, 2), torch.nan), torch.full((1, 2), torch.nan)) == [0]
    assert shared_pictures(torch.zeros(1, 2), -torch.zeros(1, 2)) == []


# Bad input


MODEL = nn.Sequential(nn.Flatten(), nn.Linear(35, 3), nn.ReLU())
SGD = torch.optim.SGD(MODEL.parameters(), lr=0.1)
X, Y = torch.zeros(5, 1, 7, 5), torch.zeros(5, dtype=torch.int64)


@pytest.mark.parametrize("function", [overfit_batch, silent_parameters])
@pytest.mark.parametrize(
    "changed, message",
    [
        ({0: "net"}, "model was a str"),
        ({1: MODEL}, "optimizer was a Sequential"),
        ({2: None}, r"step was a NoneType.*step\(model, optimizer"),
        ({2: lambda *_: None}, "step returned a NoneType"),
        ({2: lambda *_: True}, "step returned a bool"),
        ({2: lambda *_: torch.zeros(2)}, r"step returned a Tensor of shape \(2,\)"),
        ({3: X.numpy()}, "images was a ndarray"),
        ({3: X[:0]}, r"images was of shape \(0, 1, 7, 5\)"),
        ({4: Y[:4]}, "labels were 4; they must be 5"),
    ],
)
def test_a_trial_refuses_what_is_no_training(function, changed, message):
    arguments = [MODEL, SGD, step, X, Y]
    for place, value in changed.items():
        arguments[place] = value
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.mark.parametrize("steps", [0, 2.0, True])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(ValueError, match="steps was"):
        overfit_batch(MODEL, SGD, step, X, Y, steps)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: dead_units(nn.Linear(35, 3), X), "model had no module nn.ReLU"),
        (lambda: dead_units(MODEL, X[0, 0, 0, 0]), "images was of shape"),
        (lambda: batch_dependence(MODEL, answer, X[:3]), "N at least 4"),
        (lambda: batch_dependence(MODEL, 3, X), r"answer was a int.*answer\(model, images\)"),
        (lambda: batch_dependence(MODEL, lambda *_: None, X), "answer returned a NoneType"),
        (lambda: batch_dependence(MODEL, lambda *_: Y, X), "floating-point"),
        (lambda: batch_dependence(MODEL, lambda *_: X[:4], X), "row for each picture"),
        (lambda: shuffled_labels_accuracy(None, X, Y), "pipeline was a NoneType"),
        (lambda: shuffled_labels_accuracy(nearest, X, Y[1:]), "labels were 4"),
        (lambda: shuffled_labels_accuracy(nearest, X, Y, -1), "seed was -1"),
        (lambda: shuffled_labels_accuracy(lambda *_: 97.0, X, Y), "returned 97.0.*0 to 1"),
        (lambda: shuffled_labels_accuracy(lambda *_: "x", X, Y), "pipeline returned a str"),
        (lambda: shared_pictures(X, X.double()), "torch.float32 and second .* torch.float64"),
        (lambda: shared_pictures(X, X[..., 1:]), r"\(5, 1, 7, 5\).*\(5, 1, 7, 4\)"),
        (lambda: shared_pictures(X, None), "second was a NoneType"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
