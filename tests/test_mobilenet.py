"""MobileNet has the shapes and counts of its paper, and computes what its definition says."""

import numpy as np
import pytest
import torch
from after_resnet_nets import (
    assert_gradients_reach_every_parameter,
    assert_pictures_do_not_meet_in_evaluation,
    assert_refused,
    assert_state_dict_carries_everything,
    normal,
    prepared,
    shapes_of,
)

from cnnbook.inspection import layer_costs, multiply_adds, parameter_count
from cnnbook.layers import conv2d
from cnnbook.models import MobileNet
from cnnbook.models.mobilenet import SeparableConv

# Channels and rows after each pair of a depthwise and a pointwise convolution, at 224×224.
MAPS = [(64, 112), (128, 56), (128, 56), (256, 28), (256, 28), *6 * [(512, 14)]]
MAPS += [(1024, 7), (1024, 7)]


def small():
    return MobileNet(3, ((2, 1), (3, 2), (1, 3)), stride=1, channels=2, classes=4)


def count(width):
    """Return parameters by the widths alone; `width` is that of the first layer."""
    inputs, total = width, 27 * width + 2 * width
    for channels, _ in MAPS:
        outputs = channels * width // 32
        total += 9 * inputs + 2 * inputs + inputs * outputs + 2 * outputs
        inputs = outputs
    return total + (inputs + 1) * 1000


def test_mobilenet_has_4_231_976_parameters_derived_from_its_widths():
    with torch.device("meta"):
        assert parameter_count(MobileNet()) == count(32) == 4_231_976


@pytest.mark.parametrize("width, millions", [(24, 2.6), (16, 1.3), (8, 0.5)])
def test_the_narrower_networks_have_the_parameters_of_the_paper_s_table_6(width, millions):
    with torch.device("meta"):
        found = parameter_count(MobileNet(width))
    assert found == count(width) and round(found / 1e6, 1) == millions


def test_its_multiply_adds_are_568_740_352_derived_from_the_sizes():
    expected, inputs, rows = 112**2 * 27 * 32, 32, 112
    for outputs, rows in MAPS:
        expected += rows**2 * (9 * inputs + inputs * outputs)
        inputs = outputs
    with torch.device("meta"):
        found = multiply_adds(MobileNet(), (1, 3, 224, 224))
    assert found == expected + 1024 * 1000 == 568_740_352 and rows == 7


def test_the_sizes_are_those_of_table_1():
    with torch.device("meta"):
        names = ["stem", *(f"blocks.{place}" for place in range(13)), "classifier"]
        found = shapes_of(MobileNet(), torch.zeros(1, 3, 224, 224), names)
    sizes = [(32, 112), *MAPS]
    assert list(found.values()) == [*((c, rows, rows) for c, rows in sizes), (1000,)]


def test_most_multiply_adds_are_in_the_pointwise_layers_as_the_paper_s_table_2_says():
    with torch.device("meta"):
        costs = layer_costs(MobileNet(), (1, 3, 224, 224))
    work = {"0": 0, "3": 0}  # places of the two convolutions of a pair
    for cost in costs:
        if cost.name.startswith("blocks") and cost.multiply_adds:
            work[cost.name.split(".")[2]] += cost.multiply_adds
    total = sum(cost.multiply_adds for cost in costs)
    assert [round(100 * part / total, 1) for part in work.values()] == [3.1, 94.9]


def written_out(weights, images):
    """Compute the small network with the course's NumPy convolution."""
    weights = {name: value.numpy() for name, value in weights.items()}

    def step(x, conv, norm, stride, padding, groups):
        x = conv2d(x, weights[f"{conv}.weight"], None, stride, padding, groups=groups)
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, shift = (weights[f"{norm}.{part}"][:, None, None] for part in parts)
        return np.maximum((x - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)

    x = step(images.numpy(), "stem.0", "stem.1", 1, 1, 1)
    for place, stride in enumerate((1, 2, 3)):
        name = f"blocks.{place}"
        x = step(x, f"{name}.0", f"{name}.1", stride, 1, x.shape[1])
        x = step(x, f"{name}.3", f"{name}.4", 1, 0, 1)
    return x.mean((2, 3)) @ weights["classifier.weight"].T + weights["classifier.bias"]


def test_the_outputs_are_those_of_the_definition_written_out_in_numpy():
    model, images = prepared(small), normal(3, 2, 11, 8)
    expected = written_out(model.state_dict(), images)
    assert np.allclose(model(images).detach(), expected, atol=1e-10)


@pytest.mark.parametrize("stride, rows", [(1, 7), (2, 4), (3, 3)])
def test_a_pair_of_layers_rounds_its_rows_up(stride, rows):
    assert SeparableConv(2, 5, stride)(torch.zeros(1, 2, 7, 7)).shape == (1, 5, rows, rows)


def test_gradients_reach_every_parameter_and_a_state_dict_carries_everything():
    images = normal(4, 2, 9, 7)
    assert_gradients_reach_every_parameter(prepared(small), images)
    assert_state_dict_carries_everything(small, images)
    assert_pictures_do_not_meet_in_evaluation(prepared(small), images)


def test_nan_stays_in_its_picture_in_evaluation_and_spreads_in_training():
    images = normal(3, 2, 9, 7)
    images[1, 1, 8, 6] = torch.nan
    model = prepared(small)
    assert model(images).isnan().all(1).tolist() == [False, True, False]
    assert model.train()(images).isnan().all()


def test_it_takes_pictures_down_to_one_pixel_and_names_other_channels():
    model = prepared(small)
    assert model(normal(2, 2, 1, 1)).shape == (2, 4)
    text = "images were of shape (1, 3, 8, 8); they must be (N, 2, height, width)"
    assert_refused(lambda: model(torch.zeros(1, 3, 8, 8)), text)
    assert_refused(lambda: model(torch.zeros(1, 2, 8, 8, dtype=torch.uint8)), "images were torch.u")


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"width": 0}, "width was 0; it must be a whole number of at least 1"),
        ({"stride": 0}, "stride was 0; it must be"),
        ({"channels": None}, "channels was None; it must be"),
        ({"classes": 0}, "classes was 0; it must be"),
        ({"blocks": ()}, "blocks was (); it must be a sequence of pairs (multiple, stride)"),
        ({"blocks": ((2, 1), 3)}, "blocks[1] was 3; blocks must be a sequence of pairs"),
        ({"blocks": ((2, 1), (2, 0))}, "blocks[1] was 0; it must be a whole number of at least 1"),
        ({"blocks": ((2, 1, 1),)}, "blocks[0] was (2, 1, 1); blocks must be a sequence"),
    ],
)
def test_a_wrong_argument_is_named(arguments, text):
    assert_refused(lambda: MobileNet(**arguments), text)
