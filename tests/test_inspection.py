"""Receptive fields are the pixels that have a gradient, and bad input is refused."""

import inspect
import re
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from cnnbook import inspection
from cnnbook.inspection import (
    Field,
    Window,
    effective_receptive_field,
    field_spread,
    pixels_read,
    receptive_field,
    stack_of,
)

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
SHAPE = (17, 13)


@st.composite
def models(draw):
    """Draw a model of positive weights whose windows fit into SHAPE, never square throughout."""
    modules, shape = [], np.array(SHAPE)
    for _ in range(draw(st.integers(1, 4))):
        kernel, stride = draw(pairs), draw(pairs)
        mean = draw(st.booleans())
        dilation = (1, 1) if mean else draw(pairs)
        room = [k // 2 if mean else 2 for k in kernel]
        padding = tuple(draw(st.integers(0, most)) for most in room)
        if mean:
            modules.append(nn.AvgPool2d(kernel, stride, padding))
        else:
            modules.append(nn.Conv2d(1, 1, kernel, stride, padding, dilation))
        spans = np.multiply(dilation, np.subtract(kernel, 1)) + 1
        shape = (shape + 2 * np.array(padding) - spans) // stride + 1
        assume(shape.min() >= 1)
    assume(any(len(set(stack_of(module)[0].kernel_size)) == 2 for module in modules))
    model = nn.Sequential(*modules).double().eval()
    for parameter in model.parameters():
        parameter.data.uniform_(0.5, 1)
    return model, tuple(shape.tolist())


def pixels_with_gradient(model, unit, shape=SHAPE):
    picture = torch.ones(1, 1, *shape, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(picture)[0, 0, *unit], picture)
    return gradient[0, 0].numpy() != 0


def mask(rows, columns):
    read = np.zeros(SHAPE, bool)
    read[np.ix_(rows, columns)] = True
    return read


@given(models(), st.data())
def test_the_pixels_read_are_those_with_a_gradient_at_borders_and_with_holes(case, data):
    model, shape = case
    unit = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    rows, columns = pixels_read(stack_of(model), unit, SHAPE)
    np.testing.assert_array_equal(mask(rows, columns), pixels_with_gradient(model, unit))


@settings(max_examples=25)
@given(models())
def test_the_field_is_the_rectangle_around_the_pixels_with_a_gradient(case):
    model, _ = case
    field, shape = receptive_field(stack_of(model))[-1], (341, 343)
    unit = [150 // jump for jump in field.jump]
    found = np.nonzero(pixels_with_gradient(model, unit, shape))
    for axis, places in enumerate(found):
        first = field.start[axis] + unit[axis] * field.jump[axis]
        assert (places.min(), places.max()) == (first, first + field.size[axis] - 1)


def test_each_layer_has_its_own_field_and_each_axis_too():
    layers = [Window((3, 5), (1, 2), (1, (2, 0))), Window(2, (3, 1)), Window((1, 3), dilation=2)]
    assert receptive_field(layers) == [
        Field(size=(3, 5), jump=(1, 2), start=(-1, -2)),
        Field(size=(4, 7), jump=(3, 2), start=(-1, -2)),
        Field(size=(4, 15), jump=(3, 2), start=(-1, -2)),
    ]
    assert receptive_field(iter(layers)) == receptive_field(layers)
    assert receptive_field([]) == []


def test_known_networks_have_their_published_fields():
    vgg = []
    for count in (2, 2, 3, 3, 3):
        vgg += [Window(3, padding=1)] * count + [Window(2, 2)]
    alexnet = [Window(11, 4), Window(3, 2), Window(5, padding=2), Window(3, 2)]
    alexnet += [Window(3, padding=1)] * 3 + [Window(3, 2)]
    assert receptive_field(vgg)[-1] == Field((212, 212), (32, 32), (-90, -90))
    assert receptive_field(alexnet)[-1] == Field((195, 195), (32, 32), (-64, -64))


def test_what_a_layer_reads_of_its_padding_leads_nowhere():
    layers = [Window((2, 1), dilation=(3, 1)), Window(2, padding=(2, 0))]
    assert pixels_read(layers, (0, 0), (9, 4)) == ([], [0, 1])
    assert pixels_read(layers, (2, 1), (9, 4)) == ([0, 1, 3, 4], [1, 2])
    assert pixels_read([], (3, 1), (9, 4)) == ([3], [1])


def test_a_stack_is_read_from_a_model_in_order():
    model = nn.Sequential(
        nn.Conv2d(3, 4, (5, 2), stride=(1, 3), padding=(2, 1), dilation=(1, 2)),
        nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()),
        nn.MaxPool2d(3, padding=1, dilation=2),
        nn.Sequential(nn.AvgPool2d((2, 3), stride=1), nn.Identity()),
        nn.Conv2d(4, 4, (4, 3), padding="same", dilation=(1, 2)),
        nn.Conv2d(4, 4, 1, padding="valid"),
    )
    assert stack_of(model) == [
        Window((5, 2), (1, 3), (2, 1), (1, 2)),
        Window(3, 3, 1, 2),
        Window((2, 3), 1, 0, 1),
        Window((4, 3), (1, 1), ((1, 2), (2, 2)), (1, 2)),
        Window((1, 1), (1, 1), 0, (1, 1)),
    ]
    assert stack_of(nn.ReLU()) == []


def test_the_padding_same_of_an_even_kernel_begins_where_torch_s_does():
    model = nn.Sequential(nn.Conv2d(1, 1, (4, 2), padding="same")).double()
    model[0].weight.data.fill_(1)
    for unit in ((0, 0), (8, 5), (16, 12)):
        rows, columns = pixels_read(stack_of(model), unit, SHAPE)
        np.testing.assert_array_equal(mask(rows, columns), pixels_with_gradient(model, unit))


@pytest.mark.parametrize(
    "module",
    (
        nn.ConvTranspose2d(1, 1, 3, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Upsample(scale_factor=2),
        nn.InstanceNorm2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    ),
)
def test_a_module_without_one_window_for_all_units_is_named_with_its_place(module):
    name = type(module).__name__
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU(), module))
    with pytest.raises(ValueError, match=rf"^model\[1\]\[1\] was a {name}; it must be a Conv2d"):
        stack_of(model)


def test_a_transposed_convolution_has_units_whose_fields_differ_in_size():
    layer = nn.ConvTranspose2d(1, 1, (3, 1), stride=(2, 1))
    layer.weight.data.fill_(1)
    counts = []
    for row in (4, 5):
        picture = torch.ones(1, 1, 9, 4, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(picture)[0, 0, row, 2], picture)
        counts.append(int((gradient != 0).sum()))
    assert counts == [2, 1]


def smooth(depth=3):
    """Return equal weights and no nonlinearity: gradients are powers of a box."""
    layers = [nn.Conv2d(1, 1, (3, 2), bias=False) for _ in range(depth)]
    for layer in layers:
        nn.init.constant_(layer.weight, 0.5)
    return nn.Sequential(*layers).double().eval()


def test_the_effective_field_of_equal_weights_is_a_power_of_a_box():
    pictures = torch.randn(2, 1, 11, 9, dtype=torch.float64)
    field = effective_receptive_field(smooth(), pictures, (0, 1, 4))
    rows = np.array([0, 1, 3, 6, 7, 6, 3, 1, 0, 0, 0])
    columns = np.array([0, 0, 0, 0, 1, 3, 3, 1, 0])
    expected = np.outer(rows, columns) ** 2.0
    np.testing.assert_allclose(field, expected / expected.sum(), atol=1e-15)


def test_without_a_unit_the_middle_one_of_channel_0_is_taken():
    pictures = torch.randn(2, 1, 11, 9, dtype=torch.float64)
    model = smooth()  # maps of 5 by 6
    default, named = (effective_receptive_field(model, pictures, u) for u in (None, (0, 2, 3)))
    np.testing.assert_array_equal(default, named)
    ended = nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    field = effective_receptive_field(ended, pictures)
    assert field.shape == (11, 9) and (field > 0).all()


def test_a_slice_of_a_model_in_evaluation_mode_is_accepted():
    pictures = torch.randn(2, 1, 11, 9, dtype=torch.float64)
    field = effective_receptive_field(smooth()[:1], pictures)
    assert (field > 0).sum() == 6


def test_squared_gradients_are_summed_over_channels_and_averaged_over_pictures():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.Tanh(), nn.Conv2d(3, 4, (3, 1))).eval()
    pictures = torch.randn(3, 2, 7, 6)
    field = effective_receptive_field(model, pictures, (2, 1, 3))
    total = np.zeros((7, 6))
    for picture in pictures:
        jacobian = torch.autograd.functional.jacobian(model, picture[None])[0, 2, 1, 3, 0]
        total += (jacobian.double() ** 2).sum(0).numpy()
    np.testing.assert_allclose(field, total / total.sum(), rtol=1e-5)
    assert not pictures.requires_grad and pictures.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_squared_gradient_of_random_weights_spreads_as_a_random_walk():
    """Over weights of mean 0, n layers of K taps give a variance of n (K² - 1) / 12 pixels."""
    depth, channels, pictures = 6, 8, torch.ones(1, 1, 13, 25, dtype=torch.float64)
    total = 0
    for seed in range(60):
        torch.manual_seed(seed)
        modules = [nn.Conv2d(1, channels, (3, 5), bias=False)]
        modules += [nn.Conv2d(channels, channels, (3, 5), bias=False) for _ in range(depth - 1)]
        total = total + effective_receptive_field(nn.Sequential(*modules).double().eval(), pictures)
    expected = np.sqrt([depth * 8 / 12, depth * 24 / 12])
    np.testing.assert_allclose(field_spread(total), expected, rtol=0.04)


def test_the_spread_is_the_standard_deviation_of_rows_and_columns():
    weights = np.array([[0, 0, 0], [1, 0, 3]])
    np.testing.assert_allclose(field_spread(weights), (0, np.sqrt(0.75)))
    np.testing.assert_allclose(field_spread(weights.T * 5), (np.sqrt(0.75), 0))
    assert np.isnan(field_spread([[1, np.nan]])).all()


def test_a_nan_of_a_picture_makes_the_effective_field_nan():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Tanh()).eval()
    assert np.isnan(effective_receptive_field(model, torch.full((1, 1, 5, 4), torch.nan))).all()


@pytest.mark.parametrize(
    "layers, message",
    (
        (3, "layers was a int; it must be an iterable of Window"),
        ([Window(3), 3], "layers[1] was 3; it must be a Window"),
        ([nn.MaxPool2d(2)], "layers[0] was MaxPool2d("),
        ([Window(0)], "layers[0].kernel_size was 0; it must be a pair (vertical, horizontal) or "),
        ([Window((2, 1.0))], "layers[0].kernel_size (horizontal) was 1.0; it must be a whole"),
        ([Window(2, stride=0)], "layers[0].stride was 0; it must be "),
        ([Window(2), Window(2, dilation=True)], "layers[1].dilation was True; it must be "),
        ([Window(2, padding=-1)], "layers[0].padding was -1; it must be "),
        ([Window(2, padding=(1, 2, 3))], "layers[0].padding was (1, 2, 3); it must be "),
        ([Window(2, padding=(1, (0, -1)))], "layers[0].padding (horizontal) (after) was -1; it "),
    ),
)
def test_a_bad_stack_is_named(layers, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        receptive_field(layers)


@pytest.mark.parametrize(
    "unit, shape, message",
    (
        ((5, 0), (7, 9), "unit was (5, 0); it must lie in the last map, which is of shape (5, 8)"),
        ((0, 8), (7, 9), "unit was (0, 8); it must lie in the last map, which is of shape (5, 8)"),
        ((-1, 0), (7, 9), "unit (row) was -1; it must be a whole number of at least 0"),
        ((0, 0), (2, 9), "layers[0] did not fit into its input of (2, 9): kernel_size was 3"),
        ((0, 0), (7, 0), "shape (width) was 0; it must be "),
    ),
)
def test_a_place_that_does_not_exist_is_named(unit, shape, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        pixels_read([Window((3, 2))], unit, shape)


def test_a_model_that_is_no_sequential_is_named():
    for model, message in (
        (3, "model was a int; it must be a torch.nn.Sequential"),
        (nn.ModuleList(), "model was a ModuleList; it must be a Conv2d"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")),
            "model[0] had padding_mode 'circular'; it must be 'zeros'",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            stack_of(model)


PICTURES, MODEL = torch.ones(2, 1, 5, 6), nn.Sequential(nn.Conv2d(1, 3, 2)).eval()


class Constant(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.eval()

    def forward(self, images):
        return self.answer


ONE_FOR_ALL = Constant(torch.ones(2, 3, requires_grad=True))


@pytest.mark.parametrize(
    "model, pictures, unit, message",
    (
        ("net", PICTURES, None, "model was a str; it must be a torch.nn.Module"),
        (nn.Dropout(), PICTURES, None, "model was in training mode; it must be in evaluation"),
        (MODEL, PICTURES.numpy(), None, "images was ndarray; it must be a torch tensor"),
        (MODEL, PICTURES.int(), None, "images was torch.int32; it must be a torch tensor"),
        (MODEL, PICTURES[0], None, "images was of shape (1, 5, 6); it must be (N, C, H, W)"),
        (MODEL, PICTURES[:0], None, "images was of shape (0, 1, 5, 6); it must be (N, C, H, W)"),
        (MODEL, PICTURES, (0, 1), "unit was (0, 1); it must be a place in an output of shape"),
        (MODEL, PICTURES, (0, 4, 0), "unit (axis 1) was 4; it must be a whole number from 0 to 3"),
        (MODEL, PICTURES, (3, 0, 0), "unit (axis 0) was 3; it must be a whole number from 0 to 2"),
        (ONE_FOR_ALL, PICTURES, (2,), "unit was (2,), whose gradient was 0 at every pixel"),
        (Constant(PICTURES[:1]), PICTURES, None, "model returned (1, 1, 5, 6); it must return"),
        (Constant("yes"), PICTURES, None, "model returned str; it must return a tensor"),
    ),
)
def test_bad_arguments_of_the_effective_field_are_named(model, pictures, unit, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        effective_receptive_field(model, pictures, unit)


@pytest.mark.parametrize("field", ([[0, 0]], [[1, -1]], [[1, np.inf]], [1, 2], [["a"]]))
def test_weights_that_are_none_are_refused(field):
    with pytest.raises(ValueError, match="^field (held|was)"):
        field_spread(field)


def test_docstrings_say_what_they_raise():
    for name in ("receptive_field", "pixels_read", "stack_of", "effective_receptive_field"):
        assert "ValueError" in inspect.getdoc(getattr(inspection, name))


def test_every_unit_of_a_small_map_is_checked_once_by_changing_pixels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, (3, 2), padding=(1, 0)), nn.Tanh(), nn.AvgPool2d(2))
    picture = torch.randn(1, 1, 6, 7, dtype=torch.float64)
    answers = model.double()(picture)
    read = {unit: set() for unit in product(range(3), range(3))}
    for row, column in product(range(6), range(7)):
        changed = picture.clone()
        changed[0, 0, row, column] += 1
        different = (model(changed) != answers)[0].any(0)
        for unit in product(range(3), range(3)):
            if different[unit]:
                read[unit].add((row, column))
    for unit, pixels in read.items():
        assert pixels == set(product(*pixels_read(stack_of(model), unit, (6, 7))))
