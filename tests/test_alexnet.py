"""AlexNet is the network of 2012: its sizes, its counts, its two towers; and the small one."""

import ast
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.nn import functional as F

from cnnbook.models.alexnet import AlexNet, ResponseNorm
from cnnbook.models.small_alexnet import SmallAlexNet
from tools import notebooks

# Each layer of AlexNet: inputs, outputs, kernel size, groups; and the rows of what it gives.
CONVOLUTIONS = {
    "conv1": (3, 96, 11, 1, 55),
    "conv2": (96, 256, 5, 2, 27),
    "conv3": (256, 384, 3, 1, 13),
    "conv4": (384, 384, 3, 2, 13),
    "conv5": (384, 256, 3, 2, 13),
}
DENSE = {"dense6": (6 * 6 * 256, 4096), "dense7": (4096, 4096), "dense8": (4096, 1000)}
COUNTS = [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]
SWITCHES = {
    "all": {},
    "one tower": {"towers": 1},
    "halved": {"towers": 1, "halved": True},
    "tanh": {"relu": False},
    "no norm": {"response_norm": False},
    "no dropout": {"dropout": False},
    "plain pooling": {"overlapping": False},
    "narrower": {"width": 2},
}
each_small_net = pytest.mark.parametrize("settings", SWITCHES.values(), ids=SWITCHES)


def random_tensor(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(maker, **settings):
    """Return a network in evaluation mode, from a fixed seed."""
    torch.manual_seed(0)
    return maker(**settings).eval()


def with_shapes_only(**settings):
    with torch.device("meta"):
        return AlexNet(**settings).eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def outputs_by_layer(model, images):
    """Return the shape of what each layer with parameters, and each pooling, gives in turn."""
    found = []
    for name, module in model.named_modules():
        if name.startswith(("conv", "dense", "pool")):
            module.register_forward_hook(
                lambda _, inputs, output, name=name: found.append((name, tuple(output.shape[1:])))
            )
    model(images)
    return found


def in_towers(x, weight, bias, towers, padding):
    """Return a convolution as separate convolutions, one for each tower, put side by side."""
    shares = zip(x.chunk(towers, 1), weight.chunk(towers), bias.chunk(towers), strict=True)
    return torch.cat([F.conv2d(*share, padding=padding) for share in shares], dim=1)


def divided(x, towers, alpha):
    """Return torch's response normalization of each tower by itself."""
    shares = [F.local_response_norm(part, 5, 5 * alpha, 0.75, 2.0) for part in x.chunk(towers, 1)]
    return torch.cat(shares, dim=1)


def written_out(model, images, towers, alpha=1e-4, window=3, activation=torch.relu):
    """Compute the outputs in evaluation mode from the parameters, tower by tower."""
    weights = model.state_dict()

    def layer(name):
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    small = images.shape[1] == 1

    def pooled(x):  # by windows that are cut out, not by max_pool2d
        return x.unfold(2, window, 2).unfold(3, window, 2).amax(dim=(4, 5))

    def normed(x):
        return divided(x, towers, alpha) if alpha else x

    x = activation(F.conv2d(images, *layer("conv1"), stride=2 if small else 4, padding=2 * small))
    x = activation(in_towers(pooled(normed(x)), *layer("conv2"), towers, 2))
    x = activation(F.conv2d(pooled(normed(x)), *layer("conv3"), padding=1))
    x = activation(in_towers(x, *layer("conv4"), towers, 1))
    x = activation(in_towers(x, *layer("conv5"), towers, 1))
    x = (x if small else pooled(x)).flatten(1)
    for name in ("dense6", "dense7", "dense8"):
        weight, bias = layer(name)
        x = x @ weight.T + bias
        x = x if name == "dense8" else activation(x)
    return x


# AlexNet


def test_the_published_counts_follow_from_the_widths_and_the_towers():
    model = with_shapes_only()
    derived = [
        outputs * (inputs // groups * size**2 + 1)
        for inputs, outputs, size, groups, _ in CONVOLUTIONS.values()
    ] + [outputs * (inputs + 1) for inputs, outputs in DENSE.values()]
    found = [count(getattr(model, name)) for name in (*CONVOLUTIONS, *DENSE)]
    assert found == derived == COUNTS
    assert count(model) == sum(COUNTS) == 60_965_224


def test_one_tower_has_the_count_of_full_layers():
    full = [outputs * (inputs * size**2 + 1) for inputs, outputs, size, *_ in CONVOLUTIONS.values()]
    expected = sum(full) + sum(COUNTS[5:])
    assert count(with_shapes_only(towers=1)) == expected == 62_378_344


def test_every_layer_gives_the_size_of_the_paper():
    found = outputs_by_layer(with_shapes_only(), torch.empty(2, 3, 227, 227, device="meta"))
    maps = {name: (row[1], row[4], row[4]) for name, row in CONVOLUTIONS.items()}
    assert found == [
        ("conv1", maps["conv1"]),
        ("pool", (96, 27, 27)),
        ("conv2", maps["conv2"]),
        ("pool", (256, 13, 13)),
        ("conv3", maps["conv3"]),
        ("conv4", maps["conv4"]),
        ("conv5", maps["conv5"]),
        ("pool", (256, 6, 6)),
        ("dense6", (4096,)),
        ("dense7", (4096,)),
        ("dense8", (1000,)),
    ]


@pytest.mark.parametrize("classes, width, towers", [(7, 2, 2), (10, 3, 1)])
def test_the_outputs_are_those_of_separate_towers_written_out(classes, width, towers):
    model = made(AlexNet, classes=classes, width=width, towers=towers)
    images = 60 * random_tensor(2, 3, 227, 227)
    found = model(images)
    assert found.shape == (2, classes)
    assert torch.allclose(found, written_out(model, images, towers), atol=1e-5)
    assert not torch.allclose(found, written_out(model, images, towers, alpha=2e-5), atol=1e-5)


def test_a_unit_of_one_tower_sees_nothing_of_the_other_before_the_third_convolution():
    model = made(AlexNet, width=4)
    images = 60 * random_tensor(1, 3, 227, 227)
    maps = F.relu(model.conv1(images)).detach().requires_grad_()
    second = model.conv2(model.pool(model.norm(maps)))
    for rows, own in ((slice(0, 16), slice(0, 6)), (slice(16, 32), slice(6, 12))):
        upstream = torch.zeros_like(second)
        upstream[:, rows] = random_tensor(*second[:, rows].shape, seed=2)
        (gradient,) = torch.autograd.grad(second, maps, upstream, retain_graph=True)
        reached = gradient.abs().amax(dim=(0, 2, 3)) > 0
        assert reached[own].all() and reached.sum() == 6
    third = model.conv3(second)
    (gradient,) = torch.autograd.grad(third[:, 0].sum(), maps)
    assert (gradient.abs().amax(dim=(0, 2, 3)) > 0).all()


def test_a_random_upstream_gradient_reaches_every_parameter_of_alexnet():
    model = made(AlexNet, classes=5, width=2)
    model(60 * random_tensor(3, 3, 227, 227)).backward(random_tensor(3, 5, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad.any() and parameter.grad.isfinite().all(), name


def test_a_nan_in_a_corner_reaches_its_own_picture_only():
    images = torch.zeros(2, 3, 227, 227)
    images[1, 2, 226, 226] = torch.nan
    assert made(AlexNet, width=2)(images).isnan().all(dim=1).tolist() == [False, True]


@pytest.mark.parametrize(
    "shape, wanted",
    [
        ((2, 3, 226, 227), "images were of shape (2, 3, 226, 227)"),
        ((2, 3, 227, 224), "images were of shape (2, 3, 227, 224)"),
        ((2, 1, 227, 227), "images were of shape (2, 1, 227, 227)"),
        ((3, 227, 227), "images were of shape (3, 227, 227)"),
    ],
)
def test_a_picture_that_does_not_fit_alexnet_is_named(shape, wanted):
    with pytest.raises(ValueError, match=re.escape(wanted)):
        with_shapes_only()(torch.empty(shape, device="meta"))


def test_a_picture_too_large_for_the_first_dense_layer_is_refused_by_torch():
    model = made(AlexNet, width=2)
    assert model(torch.zeros(1, 3, 258, 258)).shape == (1, 1000)
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 3, 259, 259))


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"classes": 0}, "classes was 0; it must be a whole number of at least 1"),
        ({"classes": 2.0}, "classes was 2.0; it must be a whole number of at least 1"),
        ({"width": 0}, "width was 0; it must be a whole number of at least 1"),
        ({"width": 3}, "width was 3; it must be even for two towers to share the kernels"),
        ({"towers": 3}, "towers was 3; it must be a whole number from 1 to 2"),
        ({"towers": True}, "towers was True; it must be a whole number from 1 to 2"),
    ],
)
def test_a_wrong_argument_of_alexnet_is_named(settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        with_shapes_only(**settings)


# Response normalization


def test_response_normalization_by_hand():
    """Channel 0 sees itself and two others, channel 2 all five, channel 4 the last three."""
    maps = torch.tensor([10.0, 20, 100, 0, 50])[None, :, None, None]
    sums = [10_500, 10_500, 13_000, 12_900, 12_500]
    expected = [a / (2 + 1e-4 * s) ** 0.75 for a, s in zip([10, 20, 100, 0, 50], sums, strict=True)]
    assert torch.allclose(ResponseNorm()(maps).ravel(), torch.tensor(expected), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 6, 3, 5), (1, 2, 1, 4), (3, 14, 2, 1)])
@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize("alpha", [1e-4, 0.6])
def test_response_normalization_is_torch_s_with_five_times_its_alpha(shape, towers, alpha):
    maps = 30 * random_tensor(*shape)
    assert torch.allclose(ResponseNorm(towers, alpha)(maps), divided(maps, towers, alpha))


@pytest.mark.parametrize("towers, reached", [(1, [1, 2, 3, 4, 5]), (2, [1, 2, 3])])
def test_a_nan_reaches_two_channels_to_either_side_in_its_own_tower(towers, reached):
    maps = torch.zeros(1, 8, 2, 3)
    maps[0, 3, 1, 2] = torch.nan
    touched = ResponseNorm(towers)(maps).isnan()
    assert touched[0, :, 1, 2].nonzero().ravel().tolist() == reached
    assert touched.sum() == len(reached)


@pytest.mark.parametrize("alpha", [0, -1e-4, float("nan"), float("inf"), True, "0.1", None])
def test_a_wrong_factor_of_the_squares_is_named(alpha):
    text = f"alpha was {alpha!r}; it must be a positive, finite number"
    with pytest.raises(ValueError, match=re.escape(text)):
        ResponseNorm(alpha=alpha)


def test_towers_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(RuntimeError):
        ResponseNorm(towers=2)(torch.zeros(1, 5, 2, 3))
    with pytest.raises(ValueError, match="towers was 0; it must be a whole number from 1 to 2"):
        ResponseNorm(towers=0)


# The small one


def small_count(width=4, towers=2, halved=False, **_):
    few = width // 2 if halved else width
    layers = [
        (1, 3 * few, 4, 1),
        (3 * few, 8 * few, 5, towers),
        (8 * few, 12 * few, 3, 1),
        (12 * few, 12 * few, 3, towers),
        (12 * few, 8 * width, 3, towers),
    ]
    dense = [(72 * width, 32 * width), (32 * width, 32 * width), (32 * width, 10)]
    return sum(
        outputs * (inputs // groups * size**2 + 1) for inputs, outputs, size, groups in layers
    ) + sum(outputs * (inputs + 1) for inputs, outputs in dense)


@each_small_net
def test_the_small_net_has_the_sizes_and_the_count_of_its_settings(settings):
    model = made(SmallAlexNet, **settings)
    assert count(model) == small_count(**settings)
    width = settings.get("width", 4)
    few = width // 2 if settings.get("halved") else width
    assert [shape for _, shape in outputs_by_layer(model, torch.zeros(2, 1, 28, 28))] == [
        (3 * few, 15, 15),
        (3 * few, 7, 7),
        (8 * few, 7, 7),
        (8 * few, 3, 3),
        (12 * few, 3, 3),
        (12 * few, 3, 3),
        (8 * width, 3, 3),
        (32 * width,),
        (32 * width,),
        (10,),
    ]


def test_the_small_net_has_91_062_parameters():
    assert count(SmallAlexNet()) == small_count() == 91_062


@each_small_net
def test_the_outputs_of_the_small_net_are_those_of_its_layers_written_out(settings):
    model, images = made(SmallAlexNet, **settings), random_tensor(3, 1, 28, 28)
    expected = written_out(
        model,
        images,
        towers=settings.get("towers", 2),
        alpha=0.6 if settings.get("response_norm", True) else None,
        window=3 if settings.get("overlapping", True) else 2,
        activation=torch.relu if settings.get("relu", True) else torch.tanh,
    )
    assert torch.allclose(model(images), expected, atol=1e-5)


@each_small_net
def test_a_random_upstream_gradient_reaches_every_parameter_of_the_small_net(settings):
    model = made(SmallAlexNet, **settings)
    model(random_tensor(9, 1, 28, 28)).backward(random_tensor(9, 10, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad.any() and parameter.grad.isfinite().all(), name


@each_small_net
def test_only_training_with_dropout_is_random(settings):
    model, images = made(SmallAlexNet, **settings), random_tensor(3, 1, 28, 28)
    assert torch.equal(model(images), model(images))
    model.train()
    assert torch.equal(model(images), model(images)) == (not settings.get("dropout", True))


def test_dropout_silences_half_of_the_units_of_the_first_two_dense_layers():
    """In front of dense7 and of dense8, and not in front of dense6."""
    model, shares = SmallAlexNet(relu=False).train(), {}
    for name in ("dense6", "dense7", "dense8"):
        getattr(model, name).register_forward_hook(
            lambda _, inputs, output, name=name: shares.update(
                {name: (inputs[0] == 0).float().mean().item()}
            )
        )
    torch.manual_seed(0)
    model(random_tensor(40, 1, 28, 28))
    assert shares["dense6"] == 0
    assert abs(shares["dense7"] - 0.5) < 0.02 and abs(shares["dense8"] - 0.5) < 0.02


@pytest.mark.parametrize(
    "maker, shape", [(SmallAlexNet, (2, 1, 28, 28)), (AlexNet, (1, 3, 227, 227))]
)
def test_a_saved_state_gives_the_same_outputs_in_another_network(maker, shape):
    first, images = made(maker, width=2), random_tensor(*shape)
    torch.manual_seed(5)
    second = maker(width=2).eval()
    assert not torch.equal(first(images), second(images))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(images), second(images))


@pytest.mark.parametrize("overlapping", [True, False])
def test_a_nan_in_any_corner_reaches_its_own_picture_only(overlapping):
    model = made(SmallAlexNet, overlapping=overlapping)
    for place in ((0, 0), (27, 27), (27, 0), (4, 27)):
        images = torch.zeros(2, 1, 28, 28)
        images[1, 0][place] = torch.nan
        assert model(images).isnan().all(dim=1).tolist() == [False, True]


def test_a_picture_too_large_for_the_small_net_is_refused_by_torch():
    with pytest.raises(RuntimeError):
        SmallAlexNet()(torch.zeros(1, 1, 40, 40))


def test_the_first_weights_have_he_s_variance_and_with_tanh_lecun_s():
    torch.manual_seed(0)
    for relu, factor in ((True, 2), (False, 1)):
        model = SmallAlexNet(width=24, relu=relu)
        for layer, inputs in ((model.dense7, 768), (model.conv4, 144 * 9)):
            assert abs(layer.weight.var() * inputs / factor - 1) < 0.05
            assert not layer.bias.any()


@pytest.mark.parametrize(
    "shape", [(2, 1, 27, 28), (2, 1, 28, 24), (2, 3, 28, 28), (1, 28, 28)], ids=str
)
def test_a_picture_that_does_not_fit_the_small_net_is_named(shape):
    with pytest.raises(ValueError, match=re.escape(f"images were of shape {shape}")):
        SmallAlexNet()(torch.zeros(shape))


def test_pictures_of_whole_numbers_are_refused():
    with pytest.raises(ValueError, match="images were torch.uint8; they must be a tensor of float"):
        SmallAlexNet()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    with pytest.raises(ValueError, match="images were torch.int64; they must be a tensor of float"):
        with_shapes_only()(torch.empty(2, 3, 227, 227, dtype=torch.int64, device="meta"))


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"width": 1}, "width was 1; it must be even for two towers to share the kernels"),
        ({"towers": 0}, "towers was 0; it must be a whole number from 1 to 2"),
        ({"relu": "tanh"}, "relu was 'tanh'; it must be True or False"),
        ({"response_norm": 1}, "response_norm was 1; it must be True or False"),
        ({"dropout": 0.5}, "dropout was 0.5; it must be True or False"),
        ({"overlapping": None}, "overlapping was None; it must be True or False"),
        ({"halved": 0}, "halved was 0; it must be True or False"),
        ({"halved": True}, "halved was True with width 4 and towers 2; it must be False unless"),
        (
            {"halved": True, "towers": 1, "width": 3},
            "halved was True with width 3 and towers 1; it must be False unless",
        ),
    ],
)
def test_a_wrong_argument_of_the_small_net_is_named(settings, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        SmallAlexNet(**settings)


@pytest.mark.parametrize("make, side, channels", [(AlexNet, 227, 3), (SmallAlexNet, 28, 1)])
def test_dropout_follows_the_first_two_dense_layers_and_no_other(make, side, channels):
    model, order = make(width=2), []
    for name, part in model.named_children():
        if name.startswith("dense") or name == "dropout":
            part.register_forward_hook(lambda *_, name=name: order.append(name))
    model(torch.zeros(2, channels, side, side))
    assert order == ["dense6", "dropout", "dense7", "dropout", "dense8"]


# The chapter


def first_below(curve, limit=1.0, block=10):
    """Return the steps until a block of them had a mean loss below the limit, or None."""
    return next((block * (n + 1) for n, loss in enumerate(curve) if loss < limit), None)


def figures_of(result):
    """Return what the chapter shows of the stored experiment, under the chapter's names."""
    runs = {recipe: [] for recipe in result["recipes"]}
    for run in result["runs"]:
        runs[run["recipe"]].append(run)
    curves = runs.pop("first steps")
    rates = result["recipes"]["first steps"]["rates"]
    steps, losses = {}, {}
    for name in ("ReLU", "tanh"):
        by_rate = np.array([run[name] for run in curves])  # (seeds, rates, blocks)
        best = by_rate.mean(axis=(0, 2)).argmin()
        losses[name] = by_rate[:, best].mean(axis=0).round(2).tolist()
        steps[name] = {
            rate: [first_below(run[name][place]) for run in curves]
            for place, rate in enumerate(rates)
        }
    return {
        "STORED": {
            name: [round(100 * run["validation_accuracy"], 2) for run in some]
            for name, some in runs.items()
        },
        "TRAINING_LOSS": {
            name: round(float(np.mean([run["train_loss"] for run in some])), 3)
            for name, some in runs.items()
        },
        "PARAMETERS": {name: some[0]["parameters"] for name, some in runs.items()},
        "STEPS": steps,
        "LOSSES": losses,
    }


def test_the_chapter_prints_the_stored_figures_all_of_them():
    result = json.loads((ROOT / "experiments/results/alexnet.json").read_text("utf-8"))
    expected, written = figures_of(result), {}
    for cell in notebooks.read(ROOT / "chapters/62-alexnet.ipynb").cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in expected:
                    written[ast.unparse(node.targets[0])] = eval(ast.unparse(node.value))
    assert written == expected
