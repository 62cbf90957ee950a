"""Costs of networks are those of the formulas, of torch's own counter, and of torchinfo."""

import inspect
import random
import re

import pytest
import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnbook import inspection
from cnnbook.inspection import Cost, layer_costs, multiply_adds, parameter_count
from cnnbook.models import OneConvNet, OneEpochNet, SmallNet, ThreeConvNet


def one_layer_costs():
    """Return layers, input shapes, and the multiply-adds that the formulas give."""
    return [
        (nn.Conv1d(6, 4, 5, stride=2, padding=1, groups=2), (3, 6, 20), 3 * 4 * 9 * 3 * 5),
        (nn.Conv2d(3, 8, (5, 3), bias=False), (2, 3, 11, 9), 2 * 8 * 7 * 7 * 3 * 15),
        (nn.Conv2d(3, 8, 3, stride=(2, 3), padding=1), (2, 3, 11, 9), 2 * 8 * 6 * 3 * 27),
        (nn.Conv2d(4, 6, (3, 2), dilation=(2, 3), groups=2), (5, 4, 9, 8), 5 * 6 * 5 * 5 * 2 * 6),
        (nn.Conv2d(6, 12, 3, padding="same", groups=6), (1, 6, 5, 7), 12 * 35 * 9),
        (nn.ConvTranspose2d(4, 6, (2, 3), stride=2, padding=1), (3, 4, 5, 6), 3 * 4 * 30 * 6 * 6),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (1, 4, 5, 6), 4 * 30 * 3 * 9),
        (nn.Linear(7, 5), (4, 7), 4 * 7 * 5),
        (nn.Linear(7, 5, bias=False), (4, 3, 2, 7), 24 * 7 * 5),
    ]


@pytest.mark.parametrize("case", range(len(one_layer_costs())))
def test_a_layer_costs_what_its_formula_says(case):
    layer, shape, expected = one_layer_costs()[case]
    assert multiply_adds(layer, shape) == expected
    count = sum(parameter.numel() for parameter in layer.parameters())
    assert parameter_count(layer) == count
    outputs = tuple(layer(torch.zeros(shape)).shape)
    assert layer_costs(layer, shape) == [Cost("", outputs, count, expected)]


def test_the_layers_of_the_chapter_on_the_convolution_layer_cost_what_it_prints():
    """In millions: 3,699 ordinary, 462 in 8 groups, 411 pointwise, 29 depthwise."""
    found = []
    for size, groups in ((3, 1), (3, 8), (1, 1), (3, 128)):
        layer = nn.Conv2d(128, 128, size, padding=size // 2, groups=groups, bias=False)
        found.append(multiply_adds(layer, (32, 128, 28, 28)))
    products = [9 * 128 * 128, 9 * 128 * 16, 128 * 128, 9 * 128]
    assert found == [32 * 28 * 28 * number for number in products]
    assert [round(number / 1e6) for number in found] == [3_699, 462, 411, 29]


def random_layer(draw, channels):
    out, groups = draw.choice([4, 6, 12]), draw.choice([1, 2])
    kernel = draw.randint(1, 3), draw.randint(1, 3)
    settings = {"groups": groups, "stride": draw.randint(1, 2), "bias": draw.random() < 0.5}
    if draw.random() < 0.3:
        return nn.ConvTranspose2d(channels, out, kernel, **settings), out
    settings |= {"padding": draw.randint(2, 3), "dilation": draw.randint(1, 2)}
    return nn.Conv2d(channels, out, kernel, **settings), out


@pytest.mark.parametrize("seed", range(20))
def test_random_networks_cost_what_torchs_own_counter_finds_in_a_real_pass(seed):
    """It counts floating-point operations as they happen, two for each multiply-add."""
    draw, channels, layers = random.Random(seed), 4, []
    for _ in range(4):
        layer, channels = random_layer(draw, channels)
        layers += [layer, nn.BatchNorm2d(channels), nn.ReLU()]
    model = nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 3)
    )
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 4, 11, 8))
    assert 2 * multiply_adds(model, (2, 4, 11, 8)) == counter.get_total_flops()


@pytest.mark.parametrize("network", [SmallNet, OneConvNet, OneEpochNet, ThreeConvNet])
def test_the_networks_of_the_course_cost_what_torchinfo_finds_without_biases_and_norms(network):
    model = network()
    costs = layer_costs(model, (3, 1, 28, 28))
    info = torchinfo.summary(model, input_size=(3, 1, 28, 28), verbose=0)
    rows = [row for row in info.summary_list if row.num_params and not row.children]
    assert [cost.name.split(".")[-1] for cost in costs] == [row.var_name for row in rows]
    assert [cost.shape for cost in costs] == [tuple(row.output_size) for row in rows]
    assert [cost.parameters for cost in costs] == [row.num_params for row in rows]
    assert parameter_count(model) == sum(cost.parameters for cost in costs) == info.total_params


def test_three_convolutions_by_hand():
    """320, 18,496 and 36,928 parameters; the convolutions slide over 26², 11² and 3² places."""
    costs = {cost.name: cost for cost in layer_costs(ThreeConvNet(), (1, 1, 28, 28))}
    assert {name: cost.multiply_adds for name, cost in costs.items()} == {
        "convolutions.0": 26 * 26 * 32 * 9,
        "convolutions.3": 11 * 11 * 64 * 32 * 9,
        "convolutions.6": 3 * 3 * 64 * 64 * 9,
        "dense1": 576 * 64,
        "dense2": 64 * 10,
    }
    assert multiply_adds(ThreeConvNet(), (5, 1, 28, 28)) == 5 * 2_794_240
    assert costs["convolutions.3"].parameters == 18_496


class Twice(nn.Module):
    """One layer called twice, one weight held by two layers, and a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.idle = nn.Linear(9, 9)

    def forward(self, x):
        return self.gain * self.second(self.first(self.first(x)))


def test_a_parameter_counts_once_and_a_call_each_time():
    assert parameter_count(Twice()) == 3 + 12 + 90
    assert layer_costs(Twice(), (5, 3)) == [
        Cost("first", (5, 3), 12, 45),
        Cost("first", (5, 3), 0, 45),
        Cost("second", (5, 3), 0, 45),
        Cost("", (5, 3), 3, 0),
    ]


class Looks(nn.Module):
    """Cannot run on "meta": it looks at the numbers, or holds a tensor of its own."""

    def __init__(self, constant):
        super().__init__()
        self.dense = nn.Linear(4, 2).double()
        self.constant = torch.ones(4, dtype=torch.float64) if constant else None

    def forward(self, x):
        if self.constant is not None:
            x = x + self.constant
        elif x.sum().item() > 1:
            raise AssertionError("zeros were promised")
        return self.dense(x)


@pytest.mark.parametrize("constant", [True, False])
def test_a_network_that_refuses_meta_is_run_where_it_is(constant):
    assert layer_costs(Looks(constant), (3, 4)) == [Cost("dense", (3, 2), 10, 24)]


class Records(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.seen = nn.Linear(4, 2).half(), []

    def forward(self, x):
        self.seen.append((x.device.type, x.dtype, self.training))
        return self.dense(x)


def test_nothing_is_computed_and_nothing_is_changed():
    model = Records()
    model.dense.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    assert multiply_adds(model, [1, 4]) == 8
    assert model.seen == [("meta", torch.float16, False)]
    assert model.training and not model.dense.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not model._forward_hooks and not model.dense._forward_hooks
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


def test_the_mode_and_the_hooks_are_put_back_after_an_error():
    model = OneEpochNet()
    with pytest.raises(RuntimeError):
        layer_costs(model, (1, 3, 28, 28))
    assert all(module.training and not module._forward_hooks for module in model.modules())
    statistics = model.convolutions[2].running_var.clone()
    layer_costs(model, (1, 1, 28, 28))
    assert torch.equal(model.convolutions[2].running_var, statistics)


def test_a_network_of_any_size_is_counted_on_meta():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 10**5, 3), nn.Conv2d(10**5, 10**5, 3))
    assert parameter_count(model) == 28 * 10**5 + (9 * 10**5 + 1) * 10**5
    assert multiply_adds(model, (1, 3, 5, 6)) == 12 * 27 * 10**5 + 2 * 9 * 10**10


def test_layers_with_several_outputs_have_no_shape():
    costs = layer_costs(nn.LSTM(3, 4, bias=False), (5, 2, 3))
    assert costs == [Cost("", (), 16 * (3 + 4), 0)]


@pytest.mark.parametrize("function", [layer_costs, multiply_adds, parameter_count])
@pytest.mark.parametrize("wrong", [None, nn.Linear, "net", []])
def test_a_model_that_is_none_is_named(function, wrong):
    arguments = (wrong,) if function is parameter_count else (wrong, (1, 1, 28, 28))
    text = f"model was a {type(wrong).__name__}; it must be a torch.nn.Module"
    with pytest.raises(ValueError, match=re.escape(text)):
        function(*arguments)


@pytest.mark.parametrize(
    "wrong, text",
    [
        (28, "images_shape was 28; it must be a sequence"),
        ((), "images_shape was (); it must be a sequence"),
        ("1128", "images_shape was '1128'; it must be a sequence"),
        ((1, 1, 28.0, 28), "images_shape[2] was 28.0; it must be a whole number of at least 1"),
        ((0, 1, 28, 28), "images_shape[0] was 0; it must be"),
        ((1, True, 28, 28), "images_shape[1] was True; it must be"),
    ],
)
def test_a_wrong_shape_is_named(wrong, text):
    for function in (layer_costs, multiply_adds):
        with pytest.raises(ValueError, match=re.escape(text)):
            function(SmallNet(), wrong)


def test_the_functions_are_public_and_say_what_they_raise():
    for name in ("layer_costs", "parameter_count"):
        assert name in inspection.__all__
        assert "ValueError" in inspect.getdoc(getattr(inspection, name))
