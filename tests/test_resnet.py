"""The residual networks are those of their papers: shapes, counts, sums and switches."""

import ast
import functools
import io
import itertools
import json
import math
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn import functional as F

from cnnbook.models.resnet import BasicBlock, BottleneckBlock, ResNet, ZeroChannels, make_shortcut
from cnnbook.models.small_resnet import SmallBlock, SmallResNet
from tools import notebooks

# What torchvision documents as num_params, and what the paper's table 1 gives for multiply-adds.
PUBLISHED = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
PAPER = {18: 1.8e9, 34: 3.6e9, 50: 3.8e9, 101: 7.6e9, 152: 11.3e9}
COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
COUNTS[152] = (3, 8, 36, 3)

BIG = [(18, "A", "3x3"), (34, "B", "3x3"), (18, "C", "1x1"), (50, "A", "1x1"), (50, "B", "3x3")]
SMALL = [
    dict(zip(("residual", "normalization", "preactivation", "shortcut"), switches, strict=True))
    for switches in itertools.product((True, False), (True, False), (True, False), "ABC")
    if switches[0] or switches[3] == "A"
]

each_depth = pytest.mark.parametrize("depth", PUBLISHED)
each_big = pytest.mark.parametrize("depth, shortcut, stride_in", BIG)
each_small = pytest.mark.parametrize("switches", SMALL, ids=lambda value: str(list(value.values())))


def numbers(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def trained(model, seed=0):
    """Give a network statistics as a training might leave them, and set evaluation mode."""
    torch.manual_seed(seed)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.weight.data, part.running_var):
                values.uniform_(0.5, 2)
            for values in (part.bias.data, part.running_mean):
                values.normal_(0, 0.3)
        elif isinstance(part, nn.Conv2d) and part.bias is not None:
            part.bias.data.normal_(0, 0.3)
    return model.eval()


def big(depth, shortcut="B", stride_in="3x3", width=3):
    torch.manual_seed(0)
    return ResNet(depth, classes=7, width=width, shortcut=shortcut, stride_in=stride_in)


def small(**switches):
    torch.manual_seed(0)
    return SmallResNet(14, width=3, **switches)


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def outputs_of(model, images):
    """Return by name what each layer gave, and the multiply-adds of each convolution and fc."""
    shapes, work = {}, {}

    def note(name, part, output):
        shapes[name] = tuple(output.shape[1:])
        if isinstance(part, nn.Conv2d | nn.Linear):
            work[name] = output[0].numel() * part.weight[0].numel()

    for name, part in model.named_modules():
        part.register_forward_hook(lambda part, _, output, name=name: note(name, part, output))
    model(images)
    return shapes, work


# ResNet: shapes and counts


@functools.cache
def abstract(depth, stride_in="3x3"):
    """Return a network without numbers, and what `outputs_of` finds for 224×224 pictures."""
    with torch.device("meta"):
        model = ResNet(depth, stride_in=stride_in).eval()
        return model, *outputs_of(model, torch.empty(1, 3, 224, 224))


@each_depth
def test_the_maps_have_the_shapes_of_table_1(depth):
    _, shapes, _ = abstract(depth)
    factor = 1 if depth < 50 else 4
    expected = {"conv1": (64, 112, 112), "pool": (64, 56, 56), "fc": (1000,)}
    for stage, (channels, side) in enumerate(((64, 56), (128, 28), (256, 14), (512, 7)), 2):
        expected[f"conv{stage}_x"] = (factor * channels, side, side)
        for place in range(COUNTS[depth][stage - 2]):
            expected[f"conv{stage}_x.{place}"] = (factor * channels, side, side)
    assert {name: shapes[name] for name in expected} == expected
    assert f"conv5_x.{COUNTS[depth][3]}" not in shapes


@each_depth
def test_the_published_counts_follow_from_the_formulas_of_the_blocks(depth):
    expansion = 1 if depth < 50 else 4
    total = 3 * 7 * 7 * 64 + 2 * 64 + (512 * expansion + 1) * 1000
    before = 64
    for channels, count in zip((64, 128, 256, 512), COUNTS[depth], strict=True):
        after = expansion * channels
        for _ in range(count):
            kernels = [(9, before, channels), (9, channels, channels)]
            if expansion == 4:
                kernels = [(1, before, channels), (9, channels, channels), (1, channels, after)]
            if before != after:
                kernels.append((1, before, after))
            total += sum(area * i * o + 2 * o for area, i, o in kernels)
            before = after
    model, *_ = abstract(depth)
    assert size(model) == total == PUBLISHED[depth]


@each_depth
def test_so_many_layers_have_weights_as_the_name_says(depth):
    model, *_ = abstract(depth)
    layers = [
        name
        for name, part in model.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(layers) == depth


@each_depth
def test_no_convolution_before_batch_norm_has_a_bias(depth):
    model, *_ = abstract(depth)
    assert all(part.bias is None for part in model.modules() if isinstance(part, nn.Conv2d))


@each_depth
def test_multiply_adds_are_those_of_the_paper_when_the_first_1x1_has_the_stride(depth):
    totals = {}
    for stride_in in ("1x1", "3x3"):
        model, _, work = abstract(depth, stride_in)
        totals[stride_in] = sum(work.values())
        assert size(model) == PUBLISHED[depth]
    assert abs(totals["1x1"] - PAPER[depth]) < 0.1e9
    more = 0
    if depth >= 50:  # in three blocks the first 1×1 gives four times, three quarters more
        more = sum(2 * c * c * 3 * side**2 for c, side in ((128, 28), (256, 14), (512, 7)))
    assert totals["3x3"] - totals["1x1"] == more


@pytest.mark.parametrize("depth, counts", [(34, "ABC"), (50, "ABC")])
def test_the_options_of_the_shortcut_differ_by_their_projections_alone(depth, counts):
    with torch.device("meta"):
        sizes = {option: size(ResNet(depth, shortcut=option)) for option in counts}
    if depth == 34:
        changing = sum(c * 2 * c + 2 * 2 * c for c in (64, 128, 256))
        always = sum(
            (n - (c > 64)) * (c * c + 2 * c)
            for c, n in zip((64, 128, 256, 512), COUNTS[34], strict=True)
        )
    else:
        changing = 64 * 256 + 2 * 256 + sum(c * 2 * c + 2 * 2 * c for c in (256, 512, 1024))
        always = sum(
            (n - 1) * (16 * c * c + 8 * c)
            for c, n in zip((64, 128, 256, 512), COUNTS[50], strict=True)
        )
    assert sizes["B"] - sizes["A"] == changing
    assert sizes["C"] - sizes["B"] == always


# The forward pass by another road


def norm(x, state, name):
    keys = ("running_mean", "running_var", "weight", "bias")
    mean, variance, scale, shift = (state[f"{name}.{key}"][:, None, None] for key in keys)
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def conv(x, state, name, stride=1):
    """Convolve through the unfolded picture, so that nothing of nn.Conv2d is used."""
    kernels, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    k = kernels.shape[-1]
    columns = F.unfold(x, k, padding=k // 2, stride=stride)
    height = (x.shape[2] - 1) // stride + 1
    y = (kernels.flatten(1) @ columns).unflatten(2, (height, -1))
    return y if bias is None else y + bias[:, None, None]


def around(x, state, name, channels, stride):
    """The shortcut, from what the state dict holds."""
    if f"{name}.0.weight" in state:
        return norm(conv(x, state, f"{name}.0", stride), state, f"{name}.1")
    if f"{name}.weight" in state:
        return conv(x, state, name, stride)
    x = x[:, :, ::stride, ::stride]
    zeros = x.new_zeros(len(x), channels - x.shape[1], *x.shape[2:])
    return torch.cat([x, zeros], dim=1)


def written_out_big(depth, stride_in, state, images):
    x = norm(conv(images, state, "conv1", 2), state, "bn1").clamp(min=0)
    rows = F.pad(x, (1, 1, 1, 1), value=-math.inf).unfold(2, 3, 2).unfold(3, 3, 2)
    x = rows.amax(dim=(4, 5))
    for stage, count in enumerate(COUNTS[depth], 2):
        for place in range(count):
            name, stride = f"conv{stage}_x.{place}", 2 if stage > 2 and place == 0 else 1
            strides = [stride, 1]
            if depth >= 50:
                strides = [stride, 1, 1] if stride_in == "1x1" else [1, stride, 1]
            y = x
            for layer, step in enumerate(strides, 1):
                y = norm(conv(y, state, f"{name}.conv{layer}", step), state, f"{name}.bn{layer}")
                y = y if layer == len(strides) else y.clamp(min=0)
            x = (around(x, state, f"{name}.shortcut", y.shape[1], stride) + y).clamp(min=0)
    return x.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def written_out_small(switches, state, images):
    def maybe_norm(x, name):
        return norm(x, state, name) if switches["normalization"] else x

    before = switches["preactivation"]
    x = conv(images, state, "conv1")
    x = x if before else maybe_norm(x, "bn").clamp(min=0)
    for stage, place in itertools.product((1, 2, 3), (0, 1)):
        name, stride = f"stage{stage}.{place}", 2 if stage > 1 and place == 0 else 1
        y = source = x
        if before:
            y = maybe_norm(y, f"{name}.bn1").clamp(min=0)
            if f"{name}.shortcut.weight" in state:
                source = y
        y = conv(y, state, f"{name}.conv1", stride)
        y = maybe_norm(y, f"{name}.{'bn2' if before else 'bn1'}").clamp(min=0)
        y = conv(y, state, f"{name}.conv2")
        y = y if before else maybe_norm(y, f"{name}.bn2")
        if switches["residual"]:
            y = around(source, state, f"{name}.shortcut", y.shape[1], stride) + y
        x = y if before else y.clamp(min=0)
    x = maybe_norm(x, "bn").clamp(min=0) if before else x
    return x.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@each_big
def test_a_large_network_gives_what_its_weights_give_by_another_road(depth, shortcut, stride_in):
    model, images = (
        trained(big(depth, shortcut, stride_in)).double(),
        numbers(2, 3, 37, 50).double(),
    )
    expected = written_out_big(depth, stride_in, model.state_dict(), images)
    assert model(images).shape == (2, 7)
    assert torch.allclose(model(images), expected, rtol=1e-9, atol=1e-9)


@each_small
def test_a_small_network_gives_what_its_weights_give_by_another_road(switches):
    model, images = trained(small(**switches)).double(), numbers(3, 1, 11, 14).double()
    expected = written_out_small(switches, model.state_dict(), images)
    assert model(images).shape == (3, 10)
    assert torch.allclose(model(images), expected, rtol=1e-9, atol=1e-9)


# Gradients, modes, saving


def networks():
    yield from (pytest.param(lambda row=row: big(*row), (3, 3, 37, 50), id=str(row)) for row in BIG)
    for row in SMALL:
        name = str(list(row.values()))
        yield pytest.param(lambda row=row: small(**row), (3, 1, 11, 14), id=name)


each_network = pytest.mark.parametrize("make, shape", list(networks()))


@each_network
def test_a_random_upstream_gradient_reaches_every_parameter(make, shape):
    model = make()
    outputs = model(numbers(*shape))
    outputs.backward(numbers(*outputs.shape, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
        assert parameter.grad.isfinite().all(), name


@each_network
def test_each_batch_norm_counts_one_batch_in_training_and_none_in_evaluation(make, shape):
    model, images = make(), numbers(*shape)
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():
        first = model.eval()(images)
        assert torch.equal(first, model(images))
        assert {part.num_batches_tracked.item() for part in norms} <= {0}
        model.train()(images)
    assert {part.num_batches_tracked.item() for part in norms} <= {1}
    same = torch.equal(first, model.eval()(images))
    assert same == (not norms)


@each_network
def test_a_saved_network_answers_alike_after_loading(make, shape):
    model, buffer = trained(make()), io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = make().eval()
    with torch.no_grad():
        before = model(numbers(*shape))
        assert not torch.equal(other(numbers(*shape)), before)
        other.load_state_dict(torch.load(buffer, weights_only=True))
        assert torch.equal(other(numbers(*shape)), before)


@each_network
def test_nan_in_any_pixel_spoils_its_own_picture_and_no_other_in_evaluation(make, shape):
    model = trained(make())
    for place in ((0, 0), (shape[2] - 1, shape[3] - 1), (3, 6)):
        images = torch.zeros(shape)
        images[1, 0][place] = torch.nan
        assert model(images).isnan().all(dim=1).tolist() == [False, True, False], place


@pytest.mark.parametrize("make", [lambda: big(18), lambda: small()])
def test_convolutions_begin_with_he_s_weights(make):
    torch.manual_seed(0)
    wide = ResNet(18, width=24) if isinstance(make(), ResNet) else SmallResNet(14, width=24)
    for part in wide.modules():
        if isinstance(part, nn.Conv2d) and part.weight.numel() > 4000:
            deviation = math.sqrt(2 / part.weight[0].numel())
            assert abs(part.weight.std().item() / deviation - 1) < 0.05


def test_biases_of_a_small_network_without_batch_norm_begin_at_zero():
    model = small(normalization=False)
    biases = [part.bias for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert len(biases) == 13 and not any(bias.any() for bias in biases)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())


# Identity, residuals, positions


@pytest.mark.parametrize(
    "block, last",
    [(BasicBlock(4, 4), "bn2"), (BottleneckBlock(16, 4), "bn3"), (SmallBlock(4, 4), "bn2")],
)
def test_a_block_whose_last_scale_is_zero_hands_on_what_is_not_negative(block, last):
    nn.init.zeros_(getattr(block, last).weight)
    channels = 16 if isinstance(block, BottleneckBlock) else 4
    x = numbers(2, channels, 5, 6)
    assert torch.equal(block(x.relu()), x.relu())
    assert not torch.equal(block(x), x)


def test_a_block_with_preactivation_and_a_last_kernel_of_zeros_hands_on_everything():
    block, x = SmallBlock(4, 4, preactivation=True), numbers(2, 4, 5, 6)
    nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("normalization", [True, False])
def test_with_preactivation_a_stage_gives_its_input_plus_the_sum_of_its_residuals(normalization):
    torch.manual_seed(0)
    model = SmallResNet(26, 3, preactivation=True, normalization=normalization)
    found, residuals = [], []
    model.stage1.register_forward_hook(lambda _, inputs, output: found.extend((*inputs, output)))
    for block in model.stage1:
        block.conv2.register_forward_hook(lambda _, inputs, output: residuals.append(output))
    model(numbers(2, 1, 11, 14))
    total, output = found
    for residual in residuals:
        total = total + residual
    assert len(residuals) == 4 and torch.equal(total, output)


def test_plain_and_residual_networks_have_the_same_parameters_and_other_outputs():
    plain, residual = small(residual=False), small()
    states = plain.state_dict(), residual.state_dict()
    assert [states[0].keys(), size(plain)] == [states[1].keys(), size(residual)]
    plain.load_state_dict(states[1])
    images = numbers(3, 1, 11, 14)
    assert not torch.allclose(plain(images), residual(images), atol=1e-2)


@pytest.mark.parametrize("depth, millions", [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_the_counts_for_color_pictures_round_to_those_of_table_6(depth, millions):
    with torch.device("meta"):
        model = SmallResNet(depth, in_channels=3)
    n = (depth - 2) // 6
    expected = 27 * 16 + 2 * 16 + 65 * 10 + 2 * n * (9 * 16**2 + 2 * 16)
    for c in (32, 64):
        expected += 9 * c * c // 2 + (2 * n - 1) * 9 * c * c + 2 * n * 2 * c
    assert size(model) == expected and round(size(model) / 1e6, 2) == millions
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_the_stages_of_a_small_network_halve_the_sides_and_double_the_channels():
    shapes, _ = outputs_of(SmallResNet(8, 5).eval(), numbers(2, 1, 28, 15))
    names = ("conv1", "stage1", "stage2", "stage3", "fc")
    expected = [(5, 28, 15), (5, 28, 15), (10, 14, 8), (20, 7, 4), (10,)]
    assert [shapes[name] for name in names] == expected


@pytest.mark.parametrize("stride_in, share", [("1x1", 1 / 4), ("3x3", 1)])
def test_a_first_1x1_with_a_stride_leaves_three_quarters_of_the_positions_unread(stride_in, share):
    torch.manual_seed(0)
    block = BottleneckBlock(8, 4, stride=2, stride_in=stride_in)
    x = numbers(2, 8, 10, 14).requires_grad_()
    block(x).backward(numbers(2, 16, 5, 7))
    read = x.grad.abs().amax(dim=(0, 1)) > 0
    assert read[::2, ::2].all() and read.double().mean() == share


@pytest.mark.parametrize("stride, height, width", [(1, 5, 8), (2, 3, 4), (3, 2, 3)])
def test_zero_channels_keeps_every_stride_th_position_and_appends_zeros(stride, height, width):
    x = numbers(2, 3, 5, 8)
    y = ZeroChannels(4, stride)(x)
    assert y.shape == (2, 7, height, width)
    assert torch.equal(y[:, :3], x[:, :, ::stride, ::stride]) and not y[:, 3:].any()


@pytest.mark.parametrize(
    "option, arguments, kind",
    [
        *((option, (4, 4, 1), nn.Identity) for option in "AB"),
        *(("A", arguments, ZeroChannels) for arguments in ((4, 8, 2), (4, 4, 2), (4, 8, 1))),
        *(("B", arguments, nn.Sequential) for arguments in ((4, 8, 2), (4, 4, 2), (4, 8, 1))),
        *(("C", arguments, nn.Sequential) for arguments in ((4, 8, 2), (4, 4, 1))),
    ],
)
def test_a_shortcut_is_of_the_kind_that_its_option_names(option, arguments, kind):
    assert type(make_shortcut(option, *arguments)) is kind


# Bad input


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"depth": 20}, "depth was 20; it must be 18, 34, 50, 101 or 152"),
        ({"depth": 18.0}, "depth was 18.0; it must be 18,"),
        ({"depth": "50"}, "depth was '50'; it must be 18,"),
        ({"classes": 0}, "classes was 0; it must be a whole number of at least 1"),
        ({"width": 2.5}, "width was 2.5; it must be a whole number of at least 1"),
        ({"shortcut": "D"}, "shortcut was 'D'; it must be 'A', 'B' or 'C'"),
        ({"stride_in": 3}, "stride_in was 3; it must be '1x1' or '3x3'"),
        ({"stride_in": "2x2", "depth": 18}, "stride_in was '2x2'; it must be '1x1' or '3x3'"),
    ],
)
def test_a_wrong_argument_of_a_large_network_is_named(arguments, text):
    with torch.device("meta"), pytest.raises(ValueError, match=re.escape(text)):
        ResNet(**arguments)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"depth": 2}, "depth was 2; it must be a whole number of at least 8"),
        ({"depth": 21}, "depth was 21; it must be 6n + 2, such as 8, 14, 20, 56 or 110"),
        ({"depth": True}, "depth was True; it must be a whole number of at least 8"),
        ({"width": 0}, "width was 0; it must be a whole number of at least 1"),
        ({"residual": 1}, "residual was 1; it must be True or False"),
        ({"normalization": None}, "normalization was None; it must be True or False"),
        ({"preactivation": "no"}, "preactivation was 'no'; it must be True or False"),
        ({"shortcut": None}, "shortcut was None; it must be 'A', 'B' or 'C'"),
        ({"shortcut": "D", "residual": False}, "shortcut was 'D'; it must be 'A', 'B' or 'C'"),
        ({"in_channels": 0}, "in_channels was 0; it must be a whole number of at least 1"),
        ({"classes": -1}, "classes was -1; it must be a whole number of at least 1"),
    ],
)
def test_a_wrong_argument_of_a_small_network_is_named(arguments, text):
    with torch.device("meta"), pytest.raises(ValueError, match=re.escape(text)):
        SmallResNet(**arguments)


@pytest.mark.parametrize("model, channels, side", [(big(18), 3, 32), (small(), 1, 4)])
def test_pictures_that_are_too_small_or_of_another_kind_are_refused(model, channels, side):
    wanted = f"(N, {channels}, height, width) with at least {side} rows and columns"
    fitting = numbers(2, channels, side, side)
    assert model(fitting).isfinite().all()
    for wrong in (fitting[..., 1:, :], fitting[..., 1:], fitting[0], fitting.repeat(1, 2, 1, 1)):
        text = f"images were of shape {tuple(wrong.shape)}; they must be {wanted}"
        with pytest.raises(ValueError, match=re.escape(text)):
            model(wrong)
    with pytest.raises(ValueError, match=re.escape(f"tensor of floats {wanted}")):
        model(fitting.byte())


@pytest.mark.parametrize("wrong, text", [(("A", 8, 4, 1), "added was -4"), (("a", 4, 4, 1), "'a'")])
def test_a_shortcut_that_cannot_be_made_is_refused(wrong, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        make_shortcut(*wrong)


# The chapter


DRAWN = ("plain, 20 layers", "plain, 44 layers", "plain, no batch norm, 44 layers")


def figures_of(result):
    """Return what the chapter shows of the stored experiment, under the chapter's names."""
    shown = {"STORED": {}, "CURVES": {}, "GRADIENTS": {}, "DELETED": {}}
    for recipe, settings in result["recipes"].items():
        runs = [run for run in result["runs"] if run["recipe"] == recipe]
        for place, options in enumerate(settings["networks"]):
            more = [
                text
                for text, given in (
                    ("rate 0.02", options["rate"] == 0.02),
                    ("pre-activation", options.get("preactivation")),
                    ("zero start", options.get("zero_start")),
                )
                if given
            ]
            name = ", ".join([f"{recipe}, {options['depth']} layers", *more])
            losses = [run["train_loss"][place] for run in runs]
            shown["STORED"][name] = [loss and round(loss, 3) for loss in losses]
            if settings["normalization"] and not more:
                curves = [run["curve"][place] for run in runs]
                shown["CURVES"][name] = np.mean(curves, axis=0).round(2).tolist()
                deleted = [run["without"][place] for run in runs]
                rounded = [[round(100 * share, 1) for share in shares] for shares in deleted]
                if options["depth"] == 20:
                    shown["DELETED"][name] = rounded
            if name in (*DRAWN, "residual, 44 layers"):
                norms = np.mean([run["gradients"][place][::2] for run in runs], axis=0)
                thinned = norms[:, :: options["depth"] // 10].round(1)
                shown["GRADIENTS"][name] = thinned.tolist()
    return shown


def test_the_chapter_prints_the_stored_figures_all_of_them():
    result = json.loads((ROOT / "experiments/results/depth.json").read_text("utf-8"))
    expected, written = figures_of(result), {}
    for cell in notebooks.read(ROOT / "chapters/64-resnet.ipynb").cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in expected:
                    written[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    assert written == expected
