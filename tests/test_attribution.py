"""Attribution maps are what their definitions say, and leave the network as it was."""

import ast
import inspect
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn
from torch.nn import functional as F

from cnnbook.inspection import (
    class_scores,
    grad_cam,
    guided_backpropagation,
    occlusion,
    saliency,
    score_gradient,
    shuffle_weights,
)
from experiments import attribution
from tools import notebooks

SHAPE = (2, 6, 9)  # channels, rows, columns


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(classes=4):
    """Return a linear model of pictures (N, 2, 6, 9), and its weights (classes, 2, 6, 9)."""
    dense = nn.Linear(2 * 6 * 9, classes).double()
    dense.weight.data, dense.bias.data = draw(classes, 108, seed=3), draw(classes, seed=4)
    return nn.Sequential(nn.Flatten(), dense).eval(), dense.weight.detach().reshape(-1, *SHAPE)


def pooled():
    """Return a convolutional net that ends in global pooling and one dense layer."""
    torch.manual_seed(5)
    features = nn.Sequential(
        nn.Conv2d(2, 5, (3, 2), padding=1), nn.ReLU(), nn.Conv2d(5, 7, 3, stride=(2, 1)), nn.ReLU6()
    )
    parts = features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(7, 4)
    return nn.Sequential(*parts).double().eval()


def deep():
    """Return a net that does not end in global pooling."""
    torch.manual_seed(6)
    return (
        nn.Sequential(
            *(nn.Conv2d(2, 5, (3, 2)), nn.ReLU(), nn.Conv2d(5, 3, 2), nn.ReLU6()),
            *(nn.Flatten(), nn.Linear(3 * 3 * 7, 8), nn.ReLU(), nn.Linear(8, 4)),
        )
        .double()
        .eval()
    )


METHODS = {
    "occlusion": lambda model, images, target: occlusion(model, images, target, 2, 2, 0),
    "saliency": saliency,
    "score_gradient": score_gradient,
    "guided": guided_backpropagation,
    "grad_cam": lambda model, images, target: grad_cam(model, images, target, "0"),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def test_the_score_is_the_output_of_each_picture_s_own_class():
    model, _ = linear()
    images = draw(3, *SHAPE)
    outputs = model(images)
    assert torch.equal(class_scores(model, images, 2), outputs[:, 2])
    for target in ([3, 0, 1], torch.tensor([3, 0, 1]), np.array([3, 0, 1])):
        expected = torch.stack([outputs[0, 3], outputs[1, 0], outputs[2, 1]])
        assert torch.equal(class_scores(model, images, target), expected)


def test_occlusion_of_a_linear_model_is_the_sum_of_weight_times_what_was_covered():
    model, weights = linear()
    images, fill = draw(3, *SHAPE), draw(3, *SHAPE, seed=1)
    found = occlusion(model, images, [3, 0, 1], (2, 3), (3, 2), fill)
    assert found.shape == (3, 2, 4)
    for n, i, j in np.ndindex(3, 2, 4):
        window = ..., slice(3 * i, 3 * i + 2), slice(2 * j, 2 * j + 3)
        lost = weights[(3, 0, 1)[n]] * (images[n] - fill[n])
        assert found[n, i, j].item() == pytest.approx(lost[window].sum().item(), abs=1e-12)


def test_a_window_is_filled_with_a_number_a_color_or_another_picture():
    model, _ = linear()
    images = draw(3, *SHAPE)
    color = draw(2, 1, 1, seed=2)
    by_number = occlusion(model, images, 1, 2, 4, 0.25)
    assert torch.equal(by_number, occlusion(model, images, 1, 2, 4, torch.full((3, *SHAPE), 0.25)))
    by_color = occlusion(model, images, 1, 2, 4, color)
    assert torch.equal(by_color, occlusion(model, images, 1, 2, 4, color.expand(3, *SHAPE)))
    assert not torch.equal(by_number, by_color)
    assert not occlusion(model, images, 1, 2, 4, images).any()


def test_windows_stay_inside_the_picture():
    model, weights = linear()
    whole = occlusion(model, draw(1, *SHAPE), 0, (6, 9), 1, 0.0)
    assert whole.shape == (1, 1, 1)
    expected = (weights[0] * draw(1, *SHAPE)[0]).sum()
    assert whole.item() == pytest.approx(expected.item())
    assert occlusion(model, draw(1, *SHAPE), 0, (4, 2), (2, 3), 0.0).shape == (1, 2, 3)


def test_the_gradient_of_a_linear_model_is_its_weights_and_saliency_their_largest_size():
    model, weights = linear()
    images, target = draw(3, *SHAPE), [3, 0, 1]
    assert torch.allclose(score_gradient(model, images, target), weights[target])
    expected = weights[target].abs().max(dim=1).values
    assert torch.allclose(saliency(model, images, target), expected)


def test_the_gradient_is_the_slope_of_the_score():
    model, images = deep(), draw(2, *SHAPE)
    gradient = score_gradient(model, images, [1, 3])
    for place in ((0, 1, 2, 3), (1, 0, 5, 8), (0, 0, 0, 0)):
        step = torch.zeros_like(images)
        step[place] = 1e-6
        ahead, behind = (class_scores(model, images + s, [1, 3]).sum() for s in (step, -step))
        slope = (ahead - behind) / 2e-6
        assert gradient[place].item() == pytest.approx(slope.item(), rel=1e-4, abs=1e-9)


def test_grad_cam_of_pooling_and_a_dense_layer_is_the_positive_part_of_cam():
    model, images, target = pooled(), draw(3, *SHAPE), [3, 0, 1]
    maps = model[0](images)  # (N, 7, h, w)
    weights = model[3].weight[target]  # (N, 7)
    cam = (weights[:, :, None, None] * maps).sum(dim=1)
    places = maps.shape[2] * maps.shape[3]
    assert torch.allclose(grad_cam(model, images, target, "0"), cam.relu() / places)
    assert (cam > 0).any() and (cam < 0).any() and maps.shape[2] != maps.shape[3]


def test_grad_cam_in_the_middle_of_a_net_weighs_maps_by_the_mean_of_their_gradient():
    model, images, target = deep(), draw(2, *SHAPE), [3, 1]
    maps = model[:2](images).detach().requires_grad_()
    outputs = model[2:](maps)
    (outputs[0, 3] + outputs[1, 1]).backward()
    expected = torch.zeros(2, *maps.shape[2:], dtype=torch.float64)
    for n, c in np.ndindex(2, 5):
        expected[n] += maps.grad[n, c].mean() * maps.detach()[n, c]
    found = grad_cam(model, images, target, "1")
    assert torch.allclose(found, expected.clamp(min=0)) and found.any()


def test_guided_backpropagation_drops_the_negative_part_at_every_relu():
    model, images = deep(), draw(2, *SHAPE)
    values = [images]
    for module in model:
        values.append(module(values[-1]))
    gradient = torch.zeros_like(values[-1])
    gradient[:, 2] = 1
    for module, value in reversed(list(zip(model, values[:-1], strict=True))):
        value = value.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(module(value), value, gradient)
        if isinstance(module, nn.ReLU | nn.ReLU6):
            gradient = gradient.clamp(min=0)
    found = guided_backpropagation(model, images, 2)
    assert torch.allclose(found, gradient.abs().max(dim=1).values)
    assert found.any() and not torch.allclose(found, saliency(model, images, 2))


@every_method
def test_a_picture_has_its_map_whatever_other_pictures_are_there(method):
    model, images = pooled(), draw(3, *SHAPE)
    together = method(model, images, [3, 0, 1])
    for n, target in enumerate((3, 0, 1)):
        assert torch.allclose(together[n : n + 1], method(model, images[n : n + 1], target))
    assert not torch.allclose(together, method(model, images, [0, 3, 2]))


@every_method
def test_the_network_and_the_pictures_are_left_as_they_were(method):
    model, images = pooled(), draw(3, *SHAPE)
    model[0][0].bias.requires_grad_(False)
    model(images).sum().backward()
    state = [
        (parameter.requires_grad, None if parameter.grad is None else parameter.grad.clone())
        for parameter in model.parameters()
    ]
    copy = images.clone()
    assert not method(model, images, 1).requires_grad
    assert torch.equal(images, copy) and not images.requires_grad and images.grad is None
    assert not any(module.training for module in model.modules())
    for parameter, (requires_grad, gradient) in zip(model.parameters(), state, strict=True):
        assert parameter.requires_grad == requires_grad
        if gradient is None:
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, gradient)
    for module in model.modules():
        assert not module._forward_hooks and not module._backward_hooks


@every_method
def test_a_map_can_be_had_where_gradients_are_off_and_where_no_weight_has_one(method):
    model, images = pooled(), draw(3, *SHAPE)
    expected = method(model, images, 1)
    with torch.no_grad():
        assert torch.equal(method(model, images, 1), expected)
    assert torch.equal(method(model.requires_grad_(False), images, 1), expected)


def test_hooks_are_gone_after_an_error_too():
    model = pooled()
    for method in (METHODS["guided"], METHODS["grad_cam"]):
        with pytest.raises(ValueError, match="target"):
            method(model, draw(1, *SHAPE), 4)
        assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())


def test_shuffling_mixes_each_parameter_of_the_named_layers_and_nothing_else():
    model = pooled()
    mixed = shuffle_weights(model, ["3", "0.2"], 7)
    original = pooled().state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, original[name])
        changed = mixed.state_dict()[name]
        assert torch.equal(changed.flatten().sort().values, tensor.flatten().sort().values)
        assert torch.equal(changed, tensor) == (not name.startswith(("3.", "0.2."))), name
    assert not torch.equal(mixed(draw(2, *SHAPE)), model(draw(2, *SHAPE)))


def test_the_seed_chooses_the_order_of_shuffled_weights():
    first, again, other = (shuffle_weights(pooled(), ["3"], seed)[3].weight for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_shuffling_leaves_the_statistics_of_batch_norm():
    norm = nn.BatchNorm2d(6)
    norm.running_mean, norm.weight.data = torch.arange(6.0), torch.arange(6.0)
    mixed = shuffle_weights(nn.Sequential(norm), ["0"], 0)[0]
    assert torch.equal(mixed.running_mean, norm.running_mean)
    assert not torch.equal(mixed.weight, norm.weight)


class Unnamed(nn.Module):
    """A net whose ReLU is a call, with a part that does not run."""

    def __init__(self):
        super().__init__()
        self.layer, self.unused = nn.Conv2d(2, 4, 3), nn.Identity()

    def forward(self, images):
        return F.relu(self.layer(images)).mean(dim=(2, 3))


def in_place():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Flatten()).eval()


IMAGES = draw(3, *SHAPE).float()


@pytest.mark.parametrize(
    "call, text",
    [
        (
            lambda net: saliency(net, IMAGES, 4),
            "target was 4; it must be a whole number from 0 to 3",
        ),
        (lambda net: saliency(net, IMAGES, -1), "target was -1; it must be a whole number from 0"),
        (lambda net: saliency(net, IMAGES, 1.0), "target was 1.0; it must be a whole number"),
        (lambda net: saliency(net, IMAGES, True), "target was True; it must be a whole number"),
        (lambda net: saliency(net, IMAGES, "cat"), "target was 'cat'; it must be one class, or 3"),
        (
            lambda net: saliency(net, IMAGES, [0, 1]),
            "target was [0, 1]; it must be one class, or 3",
        ),
        (
            lambda net: saliency(net, IMAGES, [0, 1, 4]),
            "target[2] was 4; it must be a whole number",
        ),
        (lambda net: saliency(net.layer, IMAGES, 0), "model returned (3, 4, 4, 7); it must return"),
        (lambda net: saliency(net.train(), IMAGES, 0), "model was in training mode"),
        (lambda net: saliency(net, IMAGES[0], 0), "images was of shape (2, 6, 9); it must be"),
        (lambda net: saliency(net, IMAGES.int(), 0), "images was torch.int32; it must be a torch"),
        (
            lambda net: saliency(len, IMAGES, 0),
            "model was a builtin_function_or_method; it must be",
        ),
        (
            lambda net: occlusion(net, IMAGES, 0, (7, 2), 1, 0),
            "size was (7, 2); it must fit into the pictures, which are (6, 9)",
        ),
        (lambda net: occlusion(net, IMAGES, 0, 0, 1, 0), "size was 0; it must be a pair (vertical"),
        (lambda net: occlusion(net, IMAGES, 0, 2, (1, 0), 0), "stride (horizontal) was 0; it must"),
        (
            lambda net: occlusion(net, IMAGES, 0, 2, 1, torch.zeros(3)),
            "fill was of shape (3,); it must be a number or a tensor that broadcasts to the "
            "pictures, (3, 2, 6, 9)",
        ),
        (
            lambda net: occlusion(net, IMAGES, 0, 2, 1, None),
            "fill was None; it must be a number or",
        ),
        (
            lambda net: occlusion(net, IMAGES, 0, 2, 1, True),
            "fill was True; it must be a number or",
        ),
        (
            lambda net: guided_backpropagation(net, IMAGES, 0),
            "model had no ReLU or ReLU6 among its modules",
        ),
        (
            lambda net: guided_backpropagation(in_place(), IMAGES, 0),
            "model's layer '1' worked in place; it must have inplace=False",
        ),
        (
            lambda net: guided_backpropagation(4, IMAGES, 0),
            "model was a int; it must be a torch.nn",
        ),
        (lambda net: grad_cam(net, IMAGES, 0, "relu"), "names held 'relu'; they must be in"),
        (lambda net: grad_cam(net, IMAGES, 0, "unused"), "layer was 'unused', which did not run"),
        (
            lambda net: grad_cam(net, IMAGES, 0, ""),
            "layer was '', which returned shape (3, 4); it must return maps of shape (3, channels,",
        ),
        (lambda net: shuffle_weights(net, "layer", 0), "names was the text 'layer'; it must be"),
        (lambda net: shuffle_weights(net, ["head"], 0), "names held 'head'; they must be in"),
        (lambda net: shuffle_weights(net, ["layer"], -1), "seed was -1; it must be a whole number"),
        (lambda net: shuffle_weights(1, ["layer"], 0), "model was a int; it must be a torch.nn"),
    ],
)
def test_what_does_not_fit_is_named(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call(Unnamed().eval())


# The chapter, and its experiment

CHAPTER = ROOT / "chapters/74-what-a-cnn-sees.ipynb"


def stored(name):
    """Return what the chapter's literal of that name holds, or the source of its function."""
    for cell in notebooks.read(CHAPTER).cells:
        if cell.cell_type == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    return ast.literal_eval(node.value)
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return ast.unparse(node)
    raise LookupError(name)


def runs_of(recipe):
    result = json.loads((ROOT / "experiments/results/attribution.json").read_text("utf-8"))
    return [run for run in result["runs"] if run["recipe"] == recipe]


def test_the_chapter_shows_the_stored_correlations_all_of_them():
    runs = runs_of("shuffled")
    expected = {}
    for name in set(runs[0]) - {"recipe", "seed"}:
        rows = np.array([run[name] for run in runs])
        expected[name] = [rows.mean(axis=0).round(3).tolist()]
        expected[name].append(rows.std(axis=0, ddof=1).round(3).tolist())
    assert stored("STORED") == expected and stored("STORED_DEPTHS") == attribution.DEPTHS


def test_the_chapter_shows_the_stored_shares_of_all_pairs():
    expected = {}
    for recipe, ending in (("pairs", ""), ("pairs, classifier shuffled", ", classifier mixed")):
        for name in attribution.METHODS:
            shares = [round(float(np.mean(run[name])), 3) for run in runs_of(recipe)]
            expected[name.replace("grad_cam", "Grad-CAM") + ending] = shares
    del expected["edges, classifier mixed"]  # no weight has a part in it
    assert stored("PAIRS") == expected


def test_the_chapter_shows_the_stored_areas_of_all_orders():
    expected = {}
    for recipe in attribution.RECIPES:
        if recipe.startswith("deletion, "):
            runs = runs_of(recipe)
            kinds = [kind for kind in runs[0] if f"{kind}_curve" in runs[0]]
            areas = {
                kind: [round(100 * float(np.mean(r[kind])), 1) for r in runs] for kind in kinds
            }
            expected[recipe.removeprefix("deletion, ")] = areas
    assert stored("AREAS") | {"16 pixels, gray": stored("SMALL_CELLS")} == expected
    runs = runs_of("deletion, 32 pixels, gray")
    for kind, curve in stored("CURVES").items():
        mean = np.mean([run[f"{kind}_curve"] for run in runs], axis=0)
        assert curve == mean.round(3).tolist()
    for kind, areas in stored("BY_PHOTOGRAPH").items():
        mean = 100 * np.mean([run[kind] for run in runs], axis=0)
        assert areas == mean.round(1).tolist()


def test_the_chapter_deletes_as_the_experiment_does():
    theirs = ast.parse(inspect.getsource(attribution.deletion_curve)).body[0]
    theirs.body = theirs.body[1:]
    source = ast.unparse(theirs).replace("network()", "net")
    assert stored("deletion_curve") == source.replace("pictures", "images").replace(
        "picture", "image"
    )


def test_crops_are_squares_that_the_seed_moves():
    first, again, other = (attribution.crop("coffee.png", 32, seed) for seed in (0, 0, 1))
    assert first.shape == (1, 3, 32, 32) and torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0 <= first.min() < first.max() <= 1


def test_cells_are_means_of_pixels_or_interpolated_places():
    maps = draw(2, 12, 18)
    expected = maps.reshape(2, 3, 4, 6, 3).mean(dim=(2, 4))
    assert torch.allclose(attribution.cells(maps, (3, 6)), expected)
    ramp = torch.arange(4.0).expand(1, 3, 4)
    assert torch.allclose(attribution.cells(ramp, (6, 8))[0, :, 3:5].mean(), torch.tensor(1.5))
    assert torch.allclose(attribution.cells(maps, (12, 18)), maps)


def test_agreement_is_one_for_the_same_order_and_none_for_a_flat_map():
    map_ = draw(1, 3, 5)
    assert attribution.agreement(map_, map_.exp()) == pytest.approx(1)
    assert attribution.agreement(map_, -map_) == pytest.approx(-1)
    assert attribution.agreement(map_, torch.ones(1, 3, 5)) == 0
