"""Training is the same every time, uses every picture once an epoch, and refuses bad input."""

import math
import random
from itertools import chain

import numpy as np
import pytest
import torch
import torchinfo
from torch import nn
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models import SmallNet
from cnnbook.training import choose_device, evaluate, fit, one_cycle, predict, set_seed, train_step


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits():
    data = load_mnist(subset=500, validation=300, scale=True, tensors=True)
    return data.train_images, data.train_labels, data.validation_images, data.validation_labels


def points(count=70, seed=0):
    """Two features; the class says which of the two is larger."""
    images = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return images, images.argmax(1)


def small_model(dropout=0.0):
    set_seed(1)
    return nn.Sequential(nn.Linear(2, 7), nn.Dropout(dropout), nn.ReLU(), nn.Linear(7, 2))


class Recorder(nn.Module):
    """A linear model of one feature, the picture's number, that notes which pictures it sees."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 2)
        self.seen = []

    def forward(self, images):
        if self.training:
            self.seen.append(images.flatten().tolist())
        return self.linear(images / 100)


def numbered(count):
    return torch.arange(count).float()[:, None], torch.arange(count) % 2


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# The same seed, the same result


def test_the_same_seed_gives_the_same_weights_and_history_bit_for_bit(digits):
    images, labels, *validation = digits
    results = []
    for _ in range(2):
        set_seed(3)
        model = SmallNet()
        history = fit(
            model,
            images,
            labels,
            2,
            schedule=one_cycle,
            validation=validation,
            seed=3,
            device="cpu",
        )
        results.append((weights(model), history))
    (first, first_history), (second, second_history) = results
    assert torch.equal(first, second)
    for field in ("step_loss", "train_loss", "train_accuracy", "validation_loss"):
        assert getattr(first_history, field) == getattr(second_history, field)


def test_the_seed_of_fit_alone_decides_the_order_and_what_dropout_drops():
    images, labels = points()

    def trained(seed, dropout, draws_before=0):
        model = small_model(dropout)
        torch.rand(draws_before)
        fit(model, images, labels, 1, seed=seed, batch_size=8, optimizer=torch.optim.SGD)
        return weights(model)

    assert not torch.equal(trained(0, 0.0), trained(1, 0.0))
    assert torch.equal(trained(0, 0.5), trained(0, 0.5, draws_before=3))


def test_the_order_of_the_pictures_is_the_same_for_every_model():
    plain, with_random_layer = Recorder(), Recorder()
    with_random_layer.linear = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 2))
    for model in (plain, with_random_layer):
        fit(model, *numbered(23), 2, batch_size=5, seed=3)
    assert plain.seen == with_random_layer.seen


def test_fit_puts_the_global_random_state_back():
    set_seed(5)
    expected = torch.rand(3)
    set_seed(5)
    state = torch.get_rng_state()
    model = nn.Sequential(nn.Linear(2, 7), nn.Dropout(0.5), nn.Linear(7, 2))
    torch.set_rng_state(state)
    fit(model, *points(), 1, seed=99)
    assert torch.equal(torch.rand(3), expected)


def test_set_seed_seeds_python_numpy_and_torch():
    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()

    set_seed(4)
    first = draws()
    set_seed(np.int64(4))
    assert draws() == first
    set_seed(5)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_validation_changes_nothing_about_the_training():
    images, labels = points()
    with_validation, without = small_model(0.3), small_model(0.3)
    fit(with_validation, images, labels, 2, validation=points(31, seed=8))
    fit(without, images, labels, 2)
    assert torch.equal(weights(with_validation), weights(without))


# Every picture, once an epoch


def test_every_epoch_uses_every_picture_once_in_an_order_of_its_own():
    model = Recorder()
    fit(model, *numbered(23), 3, batch_size=5)
    sizes = [len(batch) for batch in model.seen]
    assert sizes == [5, 5, 5, 5, 3] * 3
    epochs = [list(chain(*model.seen[start : start + 5])) for start in (0, 5, 10)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(23))
    assert len({tuple(epoch) for epoch in [*epochs, list(range(23))]}) == 4


def test_pictures_keep_their_labels_when_they_are_shuffled():
    images, labels = numbered(23)
    pairs = []

    def loss(outputs, batch_labels):
        pairs.extend(zip(model.seen[-1], batch_labels.tolist(), strict=True))
        return F.cross_entropy(outputs, batch_labels)

    model = Recorder()
    fit(model, images, labels, 1, batch_size=4, loss=loss)
    assert sorted(pairs) == [(number, number % 2) for number in range(23)]


def test_a_batch_size_above_the_number_of_pictures_makes_one_batch():
    model = Recorder()
    fit(model, *numbered(6), 2, batch_size=50)
    assert [len(batch) for batch in model.seen] == [6, 6]


# What a step and an epoch do


def test_a_step_is_the_one_of_gradient_descent_and_returns_what_was_before_it():
    images, labels = points(9)
    model = small_model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    outputs_before = model(images).detach()
    loss = F.cross_entropy(outputs_before, labels)
    gradients = torch.autograd.grad(F.cross_entropy(model(images), labels), model.parameters())

    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)  # left over; must not count
    batch_loss, outputs = train_step(model, images, labels, F.cross_entropy, sgd)

    assert torch.equal(outputs, outputs_before) and not outputs.requires_grad
    assert batch_loss.item() == pytest.approx(loss.item()) and not batch_loss.requires_grad
    for parameter, old, gradient in zip(model.parameters(), before, gradients, strict=True):
        assert torch.allclose(parameter, old - 0.1 * gradient)


def test_fit_is_a_plain_loop_over_batches():
    images, labels = points(20)
    model, twin = small_model(), small_model()
    history = fit(model, images, labels, 2, batch_size=8, learning_rate=0.05, seed=6)

    order = torch.Generator().manual_seed(6)
    adam = torch.optim.Adam(twin.parameters(), lr=0.05)
    losses, right = [], []
    for _ in range(2):
        for batch in torch.randperm(20, generator=order).split(8):
            outputs = twin(images[batch])
            loss = F.cross_entropy(outputs, labels[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
            right.append((outputs.argmax(1) == labels[batch]).sum().item())

    assert torch.equal(weights(model), weights(twin))
    assert list(history.step_loss) == losses
    assert history.train_accuracy == (sum(right[:3]) / 20, sum(right[3:]) / 20)
    expected = [(8 * a + 8 * b + 4 * c) / 20 for a, b, c in (losses[:3], losses[3:])]
    assert history.train_loss == pytest.approx(expected)


def test_a_history_has_one_entry_for_each_step_or_epoch():
    images, labels = points(50)
    history = fit(small_model(), images, labels, 3, batch_size=8, validation=points(11, seed=2))
    assert len(history.step_loss) == len(history.step_learning_rate) == 3 * 7
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert len(getattr(history, name)) == 3
    assert len(history.seconds) == 3 and min(history.seconds) > 0

    history = fit(small_model(), images, labels, 1)
    assert history.validation_loss == history.validation_accuracy == ()


def test_the_validation_figures_are_those_of_the_trained_model():
    validation = points(33, seed=2)
    model = small_model(0.4)
    history = fit(model, *points(), 2, validation=validation)
    score = evaluate(model, *validation)
    assert (history.validation_loss[-1], history.validation_accuracy[-1]) == score


def test_the_learning_rate_follows_the_one_cycle_schedule_of_torch():
    history = fit(
        small_model(), *points(50), 4, batch_size=8, learning_rate=0.02, schedule=one_cycle
    )
    adam = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    reference = torch.optim.lr_scheduler.OneCycleLR(adam, max_lr=0.02, epochs=4, steps_per_epoch=7)
    expected = []
    for _ in range(28):
        expected.append(reference.get_last_lr()[0])
        adam.step()
        reference.step()
    assert history.step_learning_rate == pytest.approx(expected, rel=1e-12)
    assert max(expected) == pytest.approx(0.02, rel=0.02)
    assert expected[0] == pytest.approx(0.02 / 25)


def test_without_a_schedule_the_learning_rate_stays():
    history = fit(small_model(), *points(), 2, learning_rate=0.003)
    assert set(history.step_learning_rate) == {0.003}


def test_frozen_parameters_stay_and_the_others_move():
    model = small_model()
    model[0].requires_grad_(False)
    frozen, free = model[0].weight.clone(), model[3].weight.clone()
    fit(model, *points(), 1)
    assert torch.equal(model[0].weight, frozen)
    assert not torch.equal(model[3].weight, free)


def test_cross_entropy_gives_the_loss_of_log_probabilities_too():
    images, labels = points(12)
    log_probabilities = nn.Sequential(small_model(), nn.LogSoftmax(dim=1))
    by_default = evaluate(log_probabilities, images, labels)
    by_nll = evaluate(log_probabilities, images, labels, loss=F.nll_loss)
    by_scores = evaluate(log_probabilities[0], images, labels)
    assert by_default == pytest.approx(by_nll)
    assert by_default == pytest.approx(by_scores)


# Judging


def test_evaluation_counts_every_picture_whatever_the_batch_size():
    model = small_model()
    images, labels = points(23)
    outputs = model(images)
    accuracy = (outputs.argmax(1) == labels).float().mean().item()
    assert 0 < accuracy < 1
    for batch_size in (1, 5, 22, 23, 100):
        score = evaluate(model, images, labels, batch_size)
        assert score.accuracy == pytest.approx(accuracy)
        assert score.loss == pytest.approx(F.cross_entropy(outputs, labels).item(), rel=1e-6)
        assert torch.allclose(predict(model, images, batch_size), outputs, atol=1e-6)


@pytest.mark.parametrize("judge", [evaluate, lambda model, images, _: predict(model, images)])
def test_judging_uses_evaluation_mode_and_puts_every_part_s_mode_back(judge):
    model = nn.Sequential(nn.Linear(2, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 2))
    model[1].eval()
    modes = []
    model[2].register_forward_hook(lambda part, *_: modes.append(part.training))
    judge(model, *points())
    assert modes == [False]
    assert [part.training for part in model] == [True, False, True, True]
    assert model.training

    model.eval()
    judge(model, *points())
    assert not any(part.training for part in model.modules())


def test_modes_are_put_back_even_when_the_model_fails():
    model = small_model()
    with pytest.raises(RuntimeError):
        predict(model, torch.zeros(3, 5))
    assert all(part.training for part in model.modules())


def test_fit_trains_in_training_mode_and_puts_the_mode_back():
    model = small_model(0.5).eval()
    modes = []
    model[1].register_forward_hook(lambda part, *_: modes.append(part.training))
    fit(model, *points(20), 1, batch_size=10)
    assert modes == [False, True, True]  # one look at the outputs' shape, two steps
    assert not any(part.training for part in model.modules())


def test_predictions_carry_no_gradient():
    assert not predict(small_model(), points()[0]).requires_grad


def test_nan_in_a_picture_counts_as_wrong_and_shows_in_the_loss():
    images, labels = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    identity = nn.Identity()
    assert evaluate(identity, images, labels).accuracy == 1
    images[1, 0] = math.nan
    score = evaluate(identity, images, labels)
    assert score.accuracy == 0.75 and math.isnan(score.loss)


# The small net


def test_the_small_net_has_7175_parameters_by_hand_by_torch_and_by_torchinfo():
    by_hand = {"conv1": 20, "conv2": 57, "dense1": 6928, "dense2": 170}
    model = SmallNet()
    by_torch = {
        name: sum(parameter.numel() for parameter in layer.parameters())
        for name, layer in model.named_children()
    }
    assert by_torch == {**by_hand, "pool": 0}
    assert sum(by_hand.values()) == 7175
    summary = torchinfo.summary(model, (1, 1, 28, 28), verbose=0)
    assert summary.total_params == summary.trainable_params == 7175


def test_the_small_net_returns_log_probabilities():
    outputs = SmallNet()(torch.randn(5, 1, 28, 28))
    assert outputs.shape == (5, 10)
    assert torch.allclose(outputs.exp().sum(1), torch.ones(5), atol=1e-6)


def test_the_small_net_is_convolution_relu_pooling_and_dense_layers():
    set_seed(2)
    net, images = SmallNet(), torch.randn(3, 1, 28, 28)
    x = F.conv2d(images, net.conv1.weight, net.conv1.bias).clamp(min=0)
    x = F.conv2d(x, net.conv2.weight, net.conv2.bias).clamp(min=0)
    x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1)).reshape(3, 432)
    x = (x @ net.dense1.weight.T + net.dense1.bias).clamp(min=0)
    x = x @ net.dense2.weight.T + net.dense2.bias
    assert torch.allclose(net(images), x - x.logsumexp(1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 1, 52, 52), (5, 1, 28, 27), (5, 28, 28), (28, 28)])
def test_the_small_net_refuses_pictures_of_another_shape(shape):
    with pytest.raises(RuntimeError):
        SmallNet()(torch.zeros(shape))


def test_a_small_part_of_mnist_is_learned(digits):
    images, labels, *validation = digits
    set_seed(1)
    model = SmallNet()
    untrained = evaluate(model, *validation).accuracy
    history = fit(
        model, images, labels, 25, batch_size=16, learning_rate=0.006, schedule=one_cycle, seed=1
    )
    assert untrained < 0.3
    assert history.train_accuracy[-1] > 0.9
    assert evaluate(model, *validation).accuracy > 0.75


# Devices


def pretend(monkeypatch, kind, count):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


@pytest.mark.parametrize("kind, count", [("cuda", 2), ("mps", 1)])
def test_the_accelerator_is_chosen_where_there_is_one(monkeypatch, kind, count):
    pretend(monkeypatch, kind, count)
    assert choose_device() == torch.device(kind)
    assert choose_device(kind) == torch.device(kind)
    assert choose_device(torch.device(kind, count - 1)) == torch.device(kind, count - 1)
    assert choose_device("cpu") == torch.device("cpu")


def test_without_an_accelerator_the_cpu_is_chosen(monkeypatch):
    pretend(monkeypatch, "cuda", 0)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "count, prefer, has",
    [
        (0, "cuda", "cpu$"),
        (0, "mps", "cpu$"),
        (0, "gpu", "cpu$"),
        (0, 3.5, "cpu$"),
        (1, "mps", "cuda and cpu$"),
        (2, "cuda:2", r"cuda and cpu \(2 of cuda, numbered from 0\)$"),
    ],
)
def test_a_device_that_is_absent_is_refused_with_what_there_is(monkeypatch, count, prefer, has):
    pretend(monkeypatch, "cuda", count)
    with pytest.raises(ValueError, match=f"prefer was {prefer!r}; it must name a device .*: {has}"):
        choose_device(prefer)


def test_fit_refuses_a_device_that_is_absent(monkeypatch):
    pretend(monkeypatch, "cuda", 0)
    with pytest.raises(ValueError, match="machine has: cpu"):
        fit(small_model(), *points(), 1, device="cuda")


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="there is no accelerator here")
def test_training_on_the_accelerator_gives_nearly_the_same_history(digits):
    histories = []
    for device in ("cpu", choose_device()):
        set_seed(3)
        model = SmallNet()
        histories.append(fit(model, *digits[:2], 1, validation=digits[2:], device=device))
        assert next(model.parameters()).device.type == torch.device(device).type
        assert predict(model, digits[0]).device.type == "cpu"
    assert histories[0].step_loss == pytest.approx(histories[1].step_loss, rel=1e-2)


# The progress bar


def test_no_bar_is_drawn_where_nobody_watches(capsys):
    fit(small_model(), *points(), 2)
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_asked_for_goes_to_standard_error_alone(capsys):
    fit(small_model(), *points(), 2, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "epoch 2/2" in err


# Bad input

IMAGES, LABELS = torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64)
BAD_DATA = [
    (torch.zeros(0, 2), LABELS[:0], r"images had shape \(0, 2\); .* not be empty"),
    (torch.zeros(6), LABELS, r"images had shape \(6,\); it must be \(N, ...\)"),
    (torch.zeros(6, 2, dtype=torch.uint8), LABELS, "images was torch.uint8; .* floating"),
    (torch.zeros(6, 2, dtype=torch.complex64), LABELS, "images was torch.complex64; .* floating"),
    (np.zeros((6, 2)), LABELS, "images was ndarray; it must be a torch tensor"),
    (IMAGES, LABELS[:5], r"labels had shape \(5,\); it must be \(6,\)"),
    (IMAGES, LABELS[:, None], r"labels had shape \(6, 1\); it must be \(6,\)"),
    (IMAGES, LABELS.float(), "labels was torch.float32; .* int64"),
    (IMAGES, [0] * 6, "labels was list; .* int64"),
    (IMAGES, LABELS - 1, "labels had a -1; they must be at least 0"),
    (IMAGES, LABELS + 2, "labels had a 2; they must be below 2"),
]


@pytest.mark.parametrize("images, labels, message", BAD_DATA)
def test_bad_pictures_and_labels_are_refused_by_name(images, labels, message):
    with pytest.raises(ValueError, match=message):
        fit(small_model(), images, labels, 1)
    with pytest.raises(ValueError, match=message):
        evaluate(small_model(), images, labels)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": 0}, "epochs was 0; it must be"),
        ({"epochs": 1.5}, "epochs was 1.5; it must be"),
        ({"epochs": True}, "epochs was True; it must be"),
        ({"batch_size": 0}, "batch_size was 0; it must be"),
        ({"batch_size": -3}, "batch_size was -3; it must be"),
        ({"learning_rate": 0}, "learning_rate was 0; it must be"),
        ({"learning_rate": -0.1}, "learning_rate was -0.1; it must be"),
        ({"learning_rate": math.nan}, "learning_rate was nan; it must be"),
        ({"learning_rate": math.inf}, "learning_rate was inf; it must be"),
        ({"learning_rate": "0.1"}, "learning_rate was '0.1'; it must be"),
        ({"seed": -1}, "seed was -1; it must be"),
        ({"seed": 2**32}, "seed was 4294967296; it must be"),
        ({"seed": None}, "seed was None; it must be"),
        ({"validation": IMAGES}, "validation was a Tensor; it must be a pair"),
        ({"validation": (IMAGES[:0], LABELS[:0])}, r"validation\[0\] had shape \(0, 2\)"),
        ({"validation": (IMAGES, LABELS[1:])}, r"validation\[1\] had shape \(5,\)"),
        ({"validation": (IMAGES, LABELS + 5)}, r"validation\[1\] had a 5; they must be below 2"),
    ],
)
def test_bad_settings_are_refused_by_name_before_anything_is_trained(arguments, message):
    model = small_model()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        fit(model, IMAGES, LABELS, **{"epochs": 1, **arguments})
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_set_seed_refuses_what_is_no_seed(seed):
    with pytest.raises(ValueError, match=r"seed was .*; it must be a whole number from 0"):
        set_seed(seed)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, False])
def test_predict_refuses_a_batch_size_that_is_none(batch_size):
    with pytest.raises(ValueError, match=r"batch_size was .*; it must be a whole number"):
        predict(small_model(), IMAGES, batch_size)


def test_a_model_with_nothing_to_train_is_refused():
    for model in (nn.Identity(), small_model().requires_grad_(False)):
        with pytest.raises(ValueError, match="model had no parameter"):
            fit(model, IMAGES, LABELS, 1)


def test_a_model_whose_outputs_are_no_table_of_classes_is_refused():
    with pytest.raises(ValueError, match=r"model returned shape \(1, 2, 1\)"):
        fit(nn.Sequential(nn.Linear(2, 2), nn.Unflatten(1, (2, 1))), IMAGES, LABELS, 1)


def test_a_loss_that_is_no_number_stops_the_training_and_says_where():
    images, labels = points(20)
    images[13] = math.nan
    position = torch.randperm(20, generator=torch.Generator().manual_seed(0)).tolist().index(13)
    with pytest.raises(FloatingPointError, match=f"became nan at step {position + 1}, .* 0.001"):
        fit(small_model(), images, labels, 1, batch_size=1)

    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(small_model(), *points(), 3, learning_rate=1e30, optimizer=torch.optim.SGD)
