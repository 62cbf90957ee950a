"""LeNet-5 is the network of its paper, and differs from today's LeNet in four switches."""

import ast
import itertools
import json
import math
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.nn import functional as F

from cnnbook.data import load_mnist
from cnnbook.models import LeNet5, ModernLeNet
from cnnbook.models.lenet5 import (
    C3_TABLE,
    RUBBISH,
    DistanceOutput,
    ScaledTanh,
    SparseConv2d,
    Subsampling,
    digit_codes,
    frame_digits,
    map_loss,
)
from tools import notebooks

SWITCHES = {
    "activation": ("tanh", "relu"),
    "pooling": ("subsampling", "max"),
    "c3": ("sparse", "dense"),
    "output": ("rbf", "linear"),
}
ALL = [dict(zip(SWITCHES, values, strict=True)) for values in itertools.product(*SWITCHES.values())]
MODERN = ALL[-1]

each_network = pytest.mark.parametrize("switches", ALL, ids=lambda each: "-".join(each.values()))


def generator(seed):
    return torch.Generator().manual_seed(seed)


def pictures(*shape, seed=1):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def made(switches, seed=0):
    """Return a network in float64 whose gains and biases are not those of the beginning."""
    torch.manual_seed(seed)
    model = LeNet5(**switches).double()
    for part in model.modules():
        if isinstance(part, Subsampling):
            part.gain.data.uniform_(0.1, 0.5)
            part.bias.data.uniform_(-0.3, 0.3)
    return model


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# The paper's counts, each from its formula


def test_every_layer_has_the_size_and_the_parameters_and_the_connections_of_the_paper():
    """Section II.B states them; connections are parameters times the places where they are used."""
    model, found = LeNet5(), {}
    for name, layer in model.named_children():
        layer.register_forward_hook(
            lambda _, inputs, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
    model(torch.zeros(2, 1, 32, 32))
    side = {"c1": 32 - 4}
    side["s2"] = side["c1"] // 2
    side["c3"] = side["s2"] - 4
    side["s4"] = side["c3"] // 2
    maps = {"c1": 6, "s2": 6, "c3": 16, "s4": 16}
    shapes = {name: (maps[name], side[name], side[name]) for name in maps}
    assert found == shapes | {"c5": (120, 1, 1), "f6": (1, 1, 84), "output": (1, 1, 10)}

    parameters = {name: count(layer) for name, layer in model.named_children()}
    assert parameters == {
        "c1": 6 * (5 * 5 + 1),
        "s2": 6 * (1 + 1),
        "c3": (6 * 3 + 9 * 4 + 1 * 6) * 5 * 5 + 16,
        "s4": 16 * (1 + 1),
        "c5": 120 * (16 * 5 * 5 + 1),
        "f6": 84 * (120 + 1),
        "output": 0,
    }
    assert list(parameters.values()) == [156, 12, 1_516, 32, 48_120, 10_164, 0]
    assert count(model) == 60_000
    assert sum(buffer.numel() for name, buffer in model.named_buffers() if "codes" in name) == 840

    uses = {name: shapes[name][1] ** 2 for name in shapes}
    inputs_of_a_block = {"s2": 6 * 4 + 6, "s4": 16 * 4 + 16}
    connections = [
        uses["c1"] * parameters["c1"],
        uses["s2"] * inputs_of_a_block["s2"],
        uses["c3"] * parameters["c3"],
        uses["s4"] * inputs_of_a_block["s4"],
    ]
    assert connections == [122_304, 5_880, 151_600, 2_000]


def test_the_table_of_c3_holds_the_subsets_that_the_paper_describes():
    triples = [{k % 6 for k in range(first, first + 3)} for first in range(6)]
    fours = [{k % 6 for k in range(first, first + 4)} for first in range(6)]
    split = [{k % 6 for k in (first, first + 1, first + 3, first + 4)} for first in range(3)]
    assert [set(row) for row in C3_TABLE] == [*triples, *fours, *split, set(range(6))]
    assert sum(map(len, C3_TABLE)) == 60 < 6 * 16
    assert np.bincount([read for row in C3_TABLE for read in row]).tolist() == [10] * 6
    assert len({frozenset(row) for row in C3_TABLE}) == 16


def test_the_counts_between_then_and_now_differ_by_what_the_switches_change():
    changes = {"pooling": -12 - 32, "c3": 36 * 25, "output": 84 * 10 + 10, "activation": 0}
    for switches in ALL:
        changed = [name for name in SWITCHES if switches[name] != SWITCHES[name][0]]
        assert count(LeNet5(**switches)) == 60_000 + sum(changes[name] for name in changed)
    modern = 6 * 26 + 16 * (6 * 25 + 1) + 120 * (16 * 25 + 1) + 84 * 121 + 10 * 85
    assert count(LeNet5(**MODERN)) == count(ModernLeNet()) == modern == 61_706


@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_count_of_the_modern_net_follows_from_its_width(width):
    sizes = [width * size for size in (6, 16, 120, 84)]
    a, b, c, d = sizes
    assert count(ModernLeNet(width)) == (
        a * 26 + b * (25 * a + 1) + c * (25 * b + 1) + d * (c + 1) + 10 * (d + 1)
    )
    assert ModernLeNet(width)(torch.zeros(2, 1, 32, 32)).shape == (2, 10)


# The parts


def test_scaled_tanh_maps_one_to_one_and_bends_most_beside_it():
    squash = ScaledTanh()
    ones = squash(torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(ones, torch.tensor([-1.0, 0.0, 1.0]).double(), atol=1e-4)
    x = torch.linspace(-3, 3, 6001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(squash(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert math.isclose(x[bend.argmin()].item(), 1.5 * math.atanh(3**-0.5), abs_tol=1e-3)
    assert math.isclose(x[bend.argmax()].item(), -1.5 * math.atanh(3**-0.5), abs_tol=1e-3)
    assert squash(torch.tensor(torch.nan)).isnan()


def test_subsampling_adds_four_and_scales_and_shifts_each_map_by_itself():
    layer, maps = Subsampling(3).double(), pictures(2, 3, 7, 10)
    layer.gain.data.uniform_(-1, 1, generator=generator(2))
    layer.bias.data.uniform_(-1, 1, generator=generator(3))
    blocks = maps[..., :6, :].unflatten(3, (5, 2)).unflatten(2, (3, 2))  # (N, C, 3, 2, 5, 2)
    gain, bias = layer.gain[None], layer.bias[None]
    assert torch.allclose(layer(maps), gain * blocks.sum(dim=(3, 5)) + bias)
    assert torch.allclose(layer(maps), 4 * gain * blocks.mean(dim=(3, 5)) + bias)
    inputs = maps.requires_grad_()
    function = lambda x, gain, bias: torch.func.functional_call(  # noqa: E731
        layer, {"gain": gain, "bias": bias}, x
    )
    assert torch.autograd.gradcheck(function, (inputs, layer.gain, layer.bias))


def test_subsampling_begins_as_a_mean():
    maps = pictures(2, 3, 6, 8).float()
    assert torch.allclose(Subsampling(3)(maps), F.avg_pool2d(maps, 2))


def test_the_sparse_convolution_reads_what_its_table_says_and_nothing_else():
    table = ([2, 0], [1], [3, 1, 2], [0, 3])
    layer, maps = SparseConv2d(4, table, 3).double(), pictures(2, 4, 6, 9)
    assert layer.kernels.shape == (8, 3, 3) and count(layer) == 8 * 9 + 4
    outputs = layer(maps)
    assert outputs.shape == (2, 4, 4, 7)
    place = 0
    for out, row in enumerate(table):
        kernels = layer.kernels[place : place + len(row)]
        expected = F.conv2d(maps[:, sorted(row)], kernels[None], layer.bias[out : out + 1])
        assert torch.allclose(outputs[:, out : out + 1], expected)
        place += len(row)
    changed = maps.clone()
    changed[:, 3] += 1
    moved = (layer(changed) - outputs).abs().amax(dim=(0, 2, 3)) > 1e-9
    assert moved.tolist() == [False, False, True, True]


def test_the_sparse_convolution_has_the_gradients_of_a_masked_dense_one():
    layer, maps = SparseConv2d(6, C3_TABLE, 5).double(), pictures(3, 6, 8, 7)
    upstream = pictures(3, 16, 4, 3, seed=2)
    mask = torch.tensor([[float(k in row) for k in range(6)] for row in C3_TABLE]).double()
    dense = torch.zeros(16, 6, 5, 5, dtype=torch.float64)
    dense[mask.bool()] = layer.kernels.detach()
    dense.requires_grad_()
    outputs = layer(maps)
    masked = F.conv2d(maps, dense * mask[..., None, None], layer.bias)
    assert torch.allclose(outputs, masked)
    (ours,) = torch.autograd.grad(outputs, layer.kernels, upstream)
    (theirs,) = torch.autograd.grad(masked, dense, upstream)
    assert torch.allclose(ours, theirs[mask.bool()])


def test_the_first_kernels_have_the_bounds_of_torch_for_what_each_map_reads():
    torch.manual_seed(0)
    layer, place = SparseConv2d(6, C3_TABLE, 5), 0
    for out, row in enumerate(C3_TABLE):
        bound = 1 / math.sqrt(25 * len(row))
        kernels = layer.kernels[place : place + len(row)]
        assert 0.9 * bound < kernels.abs().max() <= bound and abs(layer.bias[out]) <= bound
        place += len(row)


def test_the_codes_are_ten_drawings_of_plus_and_minus_one_that_keep_apart():
    codes = digit_codes()
    assert codes.shape == (10, 84) and codes.abs().eq(1).all()
    distances = (codes[:, None] - codes).square().sum(-1)
    assert distances[3, 8] == 40 == distances[~torch.eye(10, dtype=bool)].min()
    eight = codes[8].unflatten(0, (12, 7))
    assert torch.equal(eight, eight.flip(1)) and eight[5].tolist() == [-1, 1, 1, 1, 1, 1, -1]


def test_the_output_is_minus_the_squared_distance_to_each_code():
    codes, vectors = pictures(3, 5), pictures(2, 4, 5, seed=2)
    scores = DistanceOutput(codes)(vectors)
    assert scores.shape == (2, 4, 3)
    for place in itertools.product(range(2), range(4), range(3)):
        distance = sum((vectors[place[:2]][k] - codes[place[2]][k]) ** 2 for k in range(5))
        assert torch.isclose(scores[place], -distance)
    exact = DistanceOutput(codes)(codes)
    assert exact.diagonal().eq(0).all() and torch.equal(exact.argmax(1), torch.arange(3))


def test_a_framed_digit_is_centered_and_runs_from_white_to_black():
    images = torch.rand(3, 1, 28, 28, generator=generator(1))
    images[0, 0, 0, 0], images[0, 0, 0, 1] = 0, 1
    framed = frame_digits(images)
    assert framed.shape == (3, 1, 32, 32)
    assert framed[0, 0, 2, 2:4].tolist() == pytest.approx([-0.1, 1.175])
    assert torch.allclose(framed[..., 2:30, 2:30], images * 1.275 - 0.1)
    frame = torch.ones(32, 32, dtype=bool)
    frame[2:30, 2:30] = False
    assert torch.allclose(framed[..., frame], torch.tensor(-0.1))
    images[1, 0, 3, 4] = torch.nan
    assert frame_digits(images).isnan().sum() == 1


# The loss


@pytest.mark.parametrize("rubbish", [0.0, 2.5, RUBBISH, math.inf])
def test_the_loss_is_equation_9(rubbish):
    distances = pictures(6, 10).abs().mul(3)
    labels = torch.tensor([3, 1, 4, 1, 5, 9])
    terms = []
    for row, label in zip(distances.tolist(), labels.tolist(), strict=True):
        total = math.exp(-rubbish) + sum(math.exp(-distance) for distance in row)
        terms.append(row[label] + math.log(total))
    assert map_loss(-distances, labels, rubbish).item() == pytest.approx(sum(terms) / 6)
    assert min(terms) > 0
    if rubbish == math.inf:
        assert torch.isclose(
            map_loss(-distances, labels, rubbish), F.cross_entropy(-distances, labels)
        )


def test_without_the_rubbish_class_the_rbf_output_is_a_linear_layer_with_fixed_weights():
    codes, vectors = digit_codes().double(), pictures(5, 84)
    labels = torch.tensor([0, 7, 2, 9, 4])
    scores = DistanceOutput(codes)(vectors)
    linear = vectors @ (2 * codes).T
    assert torch.isclose(map_loss(scores, labels, math.inf), F.cross_entropy(linear, labels))
    assert not torch.isclose(map_loss(scores, labels, 40.0), F.cross_entropy(linear, labels))


def test_the_loss_of_large_distances_is_finite_and_so_is_its_gradient():
    scores = torch.tensor([[-900.0, -400.0]], requires_grad=True)
    loss = map_loss(scores, torch.tensor([0]), rubbish=300.0)
    loss.backward()
    assert loss.item() == pytest.approx(600) and scores.grad.isfinite().all()


@pytest.mark.parametrize("wrong", [-1, math.nan, "40", None, True])
def test_a_wrong_rubbish_distance_is_named(wrong):
    text = f"rubbish was {wrong!r}; it must be a number of at least 0"
    with pytest.raises(ValueError, match=re.escape(text)):
        map_loss(torch.zeros(1, 10), torch.tensor([0]), wrong)


# The network


def written_out(model, switches, images):
    """Compute the scores from the parameters alone, with windows cut out by hand."""
    weights = dict(model.named_parameters()) | dict(model.named_buffers())

    def squash(x):
        return x.clamp(min=0) if switches["activation"] == "relu" else 1.7159 * (2 * x / 3).tanh()

    def convolve(x, kernels, bias):
        windows = x.unfold(2, 5, 1).unfold(3, 5, 1)  # (N, C, rows, columns, 5, 5)
        return torch.einsum("ncrsij,ocij->nors", windows, kernels) + bias[:, None, None]

    def halve(x, name):
        corners = [x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
        if switches["pooling"] == "max":
            return torch.stack(corners).amax(0)
        return squash(weights[f"{name}.0.gain"] * sum(corners) + weights[f"{name}.0.bias"])

    if switches["c3"] == "sparse":
        kernels, place = torch.zeros(16, 6, 5, 5, dtype=torch.float64), 0
        for out, row in enumerate(C3_TABLE):
            for read in row:
                kernels[out, read] = weights["c3.0.kernels"][place]
                place += 1
    else:
        kernels = weights["c3.0.weight"]
    x = halve(squash(convolve(images, weights["c1.0.weight"], weights["c1.0.bias"])), "s2")
    x = halve(squash(convolve(x, kernels, weights["c3.0.bias"])), "s4")
    x = squash(x.flatten(1) @ weights["c5.0.weight"].flatten(1).T + weights["c5.0.bias"])
    x = x @ weights["f6.0.weight"].T + weights["f6.0.bias"]
    if switches["output"] == "linear":
        return squash(x) @ weights["output.weight"].T + weights["output.bias"]
    x = 1.7159 * (2 * x / 3).tanh()
    codes = weights["output.codes"]
    return 2 * x @ codes.T - x.square().sum(1, keepdim=True) - codes.square().sum(1)


@each_network
def test_the_scores_are_those_of_the_layers_written_out(switches):
    model, images = made(switches), pictures(4, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(images), written_out(model, switches, images))


@each_network
def test_a_random_upstream_gradient_reaches_every_kernel_and_every_parameter(switches):
    model = made(switches)
    outputs = model(pictures(6, 1, 32, 32))
    outputs.backward(pictures(6, 10, seed=2))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    if switches["c3"] == "sparse" and switches["activation"] == "tanh":  # a ReLU may be dead
        assert model.c3[0].kernels.grad.flatten(1).any(1).all()


def test_the_modern_net_is_lenet_5_with_all_four_switches():
    old, new = made(MODERN), ModernLeNet().double()
    pairs = {"conv1": old.c1[0], "conv2": old.c3[0], "dense1": old.c5[0], "dense2": old.f6[0]}
    for name, layer in (pairs | {"dense3": old.output}).items():
        mine = getattr(new, name)
        mine.weight.data = layer.weight.data.reshape(mine.weight.shape)
        mine.bias.data = layer.bias.data
    images = pictures(4, 1, 32, 32)
    assert torch.allclose(old(images), new(images))


@each_network
def test_sliding_gives_at_every_fourth_pixel_what_the_window_by_itself_gives(switches):
    model, images = made(switches), pictures(2, 1, 38, 51)
    with torch.no_grad():
        scores = model.slide(images)
        assert scores.shape == (2, 10, 2, 5)
        for row, column in itertools.product(range(2), range(5)):
            window = images[..., 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
            assert torch.allclose(scores[:, :, row, column], model(window))


@pytest.mark.parametrize("extra", range(9))
def test_the_number_of_windows_grows_by_one_every_four_pixels(extra):
    scores = LeNet5().slide(torch.zeros(1, 1, 32, 32 + extra))
    assert scores.shape == (1, 10, 1, 1 + extra // 4)


def test_nan_spoils_the_scores_of_its_own_picture_only():
    images = torch.zeros(2, 1, 32, 32)
    for place in ((0, 0), (31, 31), (13, 30)):
        images[1, 0][place] = torch.nan
        for model in (LeNet5(), ModernLeNet(), LeNet5(**MODERN)):
            assert model(images).isnan().all(dim=1).tolist() == [False, True]
        images[1] = 0


@pytest.mark.parametrize("make", [LeNet5, ModernLeNet])
def test_a_saved_network_gives_the_same_scores_and_both_modes_agree(make, tmp_path):
    torch.manual_seed(1)
    first, second, images = make(), make(), pictures(3, 1, 32, 32).float()
    assert not torch.allclose(first(images), second(images))
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second.load_state_dict(torch.load(tmp_path / "weights.pt"))
    assert torch.equal(first(images), second(images))
    assert torch.equal(first.train()(images), first.eval()(images))


def test_the_codes_are_saved_and_not_trained():
    model = LeNet5()
    assert "output.codes" in model.state_dict()
    assert all("codes" not in name for name, _ in model.named_parameters())
    before = model.output.codes.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    map_loss(model(torch.zeros(2, 1, 32, 32)), torch.tensor([1, 2])).backward()
    optimizer.step()
    assert torch.equal(model.output.codes, before)


def test_lenet_5_learns_thirty_digits_by_heart():
    data = load_mnist(30, scale=True, tensors=True)
    images, labels = frame_digits(data.train_images), data.train_labels
    torch.manual_seed(0)
    model = LeNet5()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(60):
        optimizer.zero_grad()
        map_loss(model(images), labels).backward()
        optimizer.step()
    assert torch.equal(model(images).argmax(1), labels)


# Bad arguments


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("wrong", ["max ", "other", True, None, 1])
def test_a_wrong_switch_is_named_with_its_two_values(name, wrong):
    first, second = SWITCHES[name]
    text = f"{name} was {wrong!r}; it must be {first!r} or {second!r}"
    with pytest.raises(ValueError, match=re.escape(text)):
        LeNet5(**{name: wrong})


@pytest.mark.parametrize("wrong", [0, -1, 1.0, "2", None, True])
def test_a_wrong_width_is_named(wrong):
    with pytest.raises(ValueError, match=re.escape(f"width was {wrong!r}; it must be a whole")):
        ModernLeNet(wrong)


@pytest.mark.parametrize("model", [LeNet5(), ModernLeNet()], ids=["1998", "modern"])
@pytest.mark.parametrize(
    "wrong, part",
    [
        (torch.zeros(2, 1, 31, 32), "of shape (2, 1, 31, 32)"),
        (torch.zeros(2, 1, 28, 28), "of shape (2, 1, 28, 28)"),
        (torch.zeros(2, 1, 32, 36), "of shape (2, 1, 32, 36)"),
        (torch.zeros(2, 3, 32, 32), "of shape (2, 3, 32, 32)"),
        (torch.zeros(1, 32, 32), "of shape (1, 32, 32)"),
        (torch.zeros(2, 1, 32, 32, dtype=torch.int64), "torch.int64"),
        (np.zeros((2, 1, 32, 32)), "float64"),
    ],
)
def test_pictures_of_a_wrong_kind_are_named(model, wrong, part):
    with pytest.raises(ValueError, match="images were " + re.escape(part)):
        model(wrong)


def test_sliding_refuses_pictures_that_are_too_small():
    with pytest.raises(ValueError, match=re.escape("images were of shape (1, 1, 32, 31)")):
        LeNet5().slide(torch.zeros(1, 1, 32, 31))


@pytest.mark.parametrize(
    "wrong, part",
    [
        (torch.zeros(2, 28, 28), "of shape (2, 28, 28)"),
        (torch.zeros(2, 1, 32, 32), "of shape (2, 1, 32, 32)"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "torch.uint8"),
        (np.zeros((2, 1, 28, 28)), "float64"),
    ],
)
def test_digits_of_a_wrong_shape_or_kind_are_named(wrong, part):
    with pytest.raises(ValueError, match="images were " + re.escape(part)):
        frame_digits(wrong)


def test_digits_beyond_the_range_are_named():
    with pytest.raises(ValueError, match=re.escape("images ran from 0 to 255")):
        frame_digits(torch.tensor([0.0, 255.0]).repeat(392).reshape(1, 1, 28, 28))


@pytest.mark.parametrize(
    "table, part",
    [
        ([[0], []], "one or more input maps, none of them twice"),
        ([[0, 0]], "one or more input maps, none of them twice"),
        ([], "it must have a row for each output map"),
        ([[0, 4]], "a map in table was 4; it must be a whole number from 0 to 3"),
        ([[-1]], "a map in table was -1"),
        ([[1.0]], "a map in table was 1.0"),
        ([0, 1], "table was a list"),
        (7, "table was a int"),
    ],
)
def test_a_wrong_connection_table_is_named(table, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        SparseConv2d(4, table, 3)


@pytest.mark.parametrize("wrong", [0, 2.0, None])
def test_a_wrong_size_of_a_part_is_named(wrong):
    with pytest.raises(ValueError, match=f"kernel_size was {wrong!r}"):
        SparseConv2d(4, [[0]], wrong)
    with pytest.raises(ValueError, match=f"in_channels was {wrong!r}"):
        SparseConv2d(wrong, [[0]], 3)
    with pytest.raises(ValueError, match=f"channels was {wrong!r}"):
        Subsampling(wrong)


# The experiment and the chapter


def test_the_chapter_prints_the_stored_figures_all_of_them():
    result = json.loads((ROOT / "experiments/results/lenet.json").read_text("utf-8"))
    found = {}
    for run in result["runs"]:
        found.setdefault(run["recipe"], []).append(round(100 * run["test_accuracy"], 2))
    cells = notebooks.read(ROOT / "chapters/61-lenet.ipynb").cells
    source = next(cell.source for cell in cells if cell.source.startswith("STORED ="))
    assert ast.literal_eval(ast.parse(source).body[0].value) == found
