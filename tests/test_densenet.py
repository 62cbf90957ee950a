"""DenseNet has the shapes and counts of its paper, and computes what its definition says."""

import pytest
import torch
from after_resnet_nets import (
    assert_gradients_reach_every_parameter,
    assert_pictures_do_not_meet_in_evaluation,
    assert_refused,
    assert_state_dict_carries_everything,
    norm_of,
    normal,
    prepared,
    shapes_of,
)
from torch.nn import functional as F

from cnnbook.inspection import layer_costs, multiply_adds, parameter_count
from cnnbook.models import DenseNet
from cnnbook.models.densenet import DenseLayer

PUBLISHED = {"121": (6, 12, 24, 16), "169": (6, 12, 32, 32), "201": (6, 12, 48, 32)}


def small():
    return DenseNet((2, 3, 1), growth=6, width=5, channels=2, classes=4, small_pictures=True)


def tiny_imagenet():
    return DenseNet((2, 1, 1, 1), growth=6, width=8, classes=9)


def count(layers, growth=32, width=64, channels=3, classes=1000):
    """Return parameters by the widths alone: no layer is looked at."""
    total = 49 * channels * width + 2 * width
    for place, number in enumerate(layers):
        for _ in range(number):
            total += 2 * width + 4 * growth * width + 2 * 4 * growth + 9 * 4 * growth * growth
            width += growth
        if place < len(layers) - 1:
            total += 2 * width + width * (width // 2)
            width //= 2
    return total + 2 * width + (width + 1) * classes


def test_densenet_121_has_7_978_856_parameters_derived_from_its_widths():
    with torch.device("meta"):
        model = DenseNet()
    assert parameter_count(model) == count(PUBLISHED["121"]) == 7_978_856


@pytest.mark.parametrize("name, published", [("169", 14_149_480), ("201", 20_013_928)])
def test_the_deeper_networks_of_the_paper_have_their_published_counts(name, published):
    with torch.device("meta"):
        model = DenseNet(PUBLISHED[name])
    assert parameter_count(model) == count(PUBLISHED[name]) == published


def test_it_has_121_layers_with_weights():
    with torch.device("meta"):
        costs = layer_costs(DenseNet(), (1, 3, 224, 224))
    assert sum(cost.multiply_adds > 0 for cost in costs) == 121


def test_the_sizes_are_those_of_table_1():
    with torch.device("meta"):
        model, images = DenseNet(), torch.zeros(1, 3, 224, 224)
        places = (1, 2, 3)
        names = [f"blocks.{kind}{place}" for place in places for kind in ("dense", "transition")]
        found = shapes_of(model, images, ["stem.0", "stem", *names, "blocks", "classifier"])
    assert found == {
        "stem.0": (64, 112, 112),
        "stem": (64, 56, 56),
        "blocks.dense1": (256, 56, 56),
        "blocks.transition1": (128, 28, 28),
        "blocks.dense2": (512, 28, 28),
        "blocks.transition2": (256, 14, 14),
        "blocks.dense3": (1024, 14, 14),
        "blocks.transition3": (512, 7, 7),
        "blocks": (1024, 7, 7),
        "classifier": (1000,),
    }


def written_out(weights, images):
    """Compute the small network from its weights, keeping the maps in lists."""
    x = F.conv2d(images, weights["stem.weight"], padding=1)
    for place, number in enumerate((2, 3, 1), start=1):
        kept = [x]
        for layer in range(number):
            name = f"blocks.dense{place}.{layer}"
            old = torch.cat(kept, dim=1)
            mixed = norm_of(weights, f"{name}.norm1", old).clamp(min=0)
            mixed = torch.einsum("oc,nchw->nohw", weights[f"{name}.conv1.weight"][..., 0, 0], mixed)
            mixed = norm_of(weights, f"{name}.norm2", mixed).clamp(min=0)
            kept.append(F.conv2d(mixed, weights[f"{name}.conv2.weight"], padding=1))
        x = torch.cat(kept, dim=1)
        if place < 3:
            name = f"blocks.transition{place}"
            x = norm_of(weights, f"{name}.0", x).clamp(min=0)
            x = torch.einsum("oc,nchw->nohw", weights[f"{name}.2.weight"][..., 0, 0], x)
            x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
            x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean(dim=(3, 5))
    x = norm_of(weights, "norm", x).clamp(min=0).flatten(2).mean(2)
    return x @ weights["classifier.weight"].T + weights["classifier.bias"]


def test_the_outputs_are_those_of_the_definition_written_out():
    model, images = prepared(small), normal(3, 2, 10, 13)
    assert torch.allclose(model(images), written_out(model.state_dict(), images), atol=1e-10)


def test_a_layer_hands_on_what_it_got_and_adds_growth_maps():
    layer, maps = prepared(lambda: DenseLayer(5, 3)), normal(2, 5, 4, 6)
    outputs = layer(maps)
    assert outputs.shape == (2, 8, 4, 6) and torch.equal(outputs[:, :5], maps)
    assert not torch.equal(layer(2 * maps)[:, 5:], outputs[:, 5:])


@pytest.mark.parametrize("make, shape", [(small, (3, 2, 25, 22)), (tiny_imagenet, (2, 3, 97, 130))])
def test_gradients_reach_every_parameter_and_a_state_dict_carries_everything(make, shape):
    assert_gradients_reach_every_parameter(prepared(make), normal(*shape))
    assert_state_dict_carries_everything(make, normal(*shape))
    assert_pictures_do_not_meet_in_evaluation(prepared(make), normal(*shape))


def test_nan_stays_in_its_picture_in_evaluation_and_spreads_in_training():
    images = normal(3, 2, 9, 8)
    images[1, 0, 0, 0] = torch.nan
    model = prepared(small)
    assert model(images).isnan().all(1).tolist() == [False, True, False]
    assert model.train()(images).isnan().all()


@pytest.mark.parametrize("make, channels, least", [(small, 2, 4), (tiny_imagenet, 3, 32)])
def test_pictures_too_small_or_of_other_channels_are_named(make, channels, least):
    model = make()
    assert model.eval()(torch.zeros(1, channels, least, least + 1)).shape[0] == 1
    wanted = f"(N, {channels}, height, width) with at least {least} rows and columns"
    for shape in ((1, channels, least - 1, 99), (1, channels, 99, least - 1), (1, 1, 99, 99)):
        text = f"images were of shape {shape}; they must be {wanted}"
        assert_refused(lambda shape=shape: model(torch.zeros(shape)), text)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"layers": ()}, "layers was (); it must be a sequence of whole numbers of at least 1"),
        ({"layers": 6}, "layers was 6; it must be a sequence"),
        ({"layers": (6, 0)}, "layers[1] was 0; it must be a whole number of at least 1"),
        ({"growth": 0}, "growth was 0; it must be a whole number of at least 1"),
        ({"width": 1}, "width was 1; it must be a whole number of at least 2"),
        ({"channels": 0}, "channels was 0; it must be"),
        ({"classes": 2.0}, "classes was 2.0; it must be"),
        ({"small_pictures": 1}, "small_pictures was 1; it must be True or False"),
    ],
)
def test_a_wrong_argument_is_named(arguments, text):
    assert_refused(lambda: DenseNet(**arguments), text)


def test_multiply_adds_are_those_of_the_widths():
    expected, width, side = 49 * 3 * 64 * 112**2, 64, 56
    for place, number in enumerate(PUBLISHED["121"]):
        for _ in range(number):
            expected += (128 * width + 9 * 128 * 32) * side**2
            width += 32
        if place < 3:
            expected += width * (width // 2) * side**2
            width, side = width // 2, side // 2
    with torch.device("meta"):
        assert multiply_adds(DenseNet(), (1, 3, 224, 224)) == expected + 1024 * 1000
