"""Sizes, padding and windows are as defined, agree with torch, and bad input is refused."""

import inspect
import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from cnnbook.convolution import output_size, pad1d, pad2d, windows, windows2d
from cnnbook.convolution.checks import BOUNDARIES

TORCH_MODES = {"replicate": "replicate", "reflect": "reflect", "circular": "circular"}
IMAGE = np.arange(5 * 7).reshape(5, 7)

sizes = st.integers(1, 12)
widths = st.tuples(st.integers(0, 4), st.integers(0, 4))
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def places(size, kernel_size, stride, padding, dilation):
    """Return the samples under the taps of every window that fits, by trying all beginnings."""
    before, after = padding
    line = range(-before, size + after)
    beginnings = range(-before, size + after, stride)
    taken = ([begin + dilation * k for k in range(kernel_size)] for begin in beginnings)
    return [samples for samples in taken if all(sample in line for sample in samples)]


@st.composite
def layers(draw):
    """Draw an input, a kernel and settings that fit: never square, strides and windows apart."""
    kernel_shape, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = (draw(widths), draw(widths))
    shape = []
    for k, d, (before, after) in zip(kernel_shape, dilation, padding, strict=True):
        shape.append(draw(st.integers(max(1, d * (k - 1) + 1 - before - after), 16)))
    assume(shape[0] != shape[1] and kernel_shape != stride)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    leading = (draw(st.integers(0, 2)), draw(st.integers(1, 3)))
    images = random.integers(-9, 10, (*leading, *shape))
    kernel = random.integers(-9, 10, kernel_shape)
    return images, kernel, padding, stride, dilation


def torch_answer(images, kernel, padding, stride, dilation, dtype=torch.float64):
    """Cross-correlate every picture by itself with torch, padded by torch."""
    (above, below), (left, right) = padding
    height, width = images.shape[-2:]
    x = torch.from_numpy(images).reshape(-1, 1, height, width).to(dtype)
    x = torch.nn.functional.pad(x, (left, right, above, below))
    w = torch.from_numpy(kernel)[None, None].to(dtype)
    y = torch.nn.functional.conv2d(x, w, stride=stride, dilation=dilation)
    return y.reshape(*images.shape[:-2], *y.shape[-2:]).numpy()


@given(sizes, st.integers(1, 5), st.integers(1, 5), widths, st.integers(1, 4))
def test_the_output_size_is_the_number_of_windows_that_fit(size, kernel_size, stride, padding, d):
    windows_that_fit = places(size, kernel_size, stride, padding, d)
    if windows_that_fit:
        assert output_size(size, kernel_size, stride, padding, d) == len(windows_that_fit)
    else:
        with pytest.raises(ValueError, match="^kernel_size was"):
            output_size(size, kernel_size, stride, padding, d)


def test_torch_makes_as_many_outputs_and_refuses_the_same_cases():
    fitting = refused = 0
    cases = itertools.product(range(1, 12), range(1, 6), range(1, 5), range(5), range(1, 4))
    for size, kernel_size, stride, padding, dilation in cases:
        x, w = torch.ones(1, 1, 3, size), torch.ones(1, 1, 1, kernel_size)
        settings = {"stride": (2, stride), "padding": (1, padding), "dilation": (1, dilation)}
        try:
            expected = torch.nn.functional.conv2d(x, w, **settings).shape[-1]
        except RuntimeError:
            refused += 1
            with pytest.raises(ValueError, match="^kernel_size was"):
                output_size(size, kernel_size, stride, padding, dilation)
        else:
            fitting += 1
            assert output_size(size, kernel_size, stride, padding, dilation) == expected
    assert fitting > 2000 and refused > 200


def test_one_number_of_padding_stands_for_both_ends():
    assert output_size(9, 4, 2, 3) == output_size(9, 4, 2, (3, 3)) == output_size(9, 4, 2, [2, 4])
    both, apart = pad2d(IMAGE, 2, "reflect"), pad2d(IMAGE, ((2, 2), (2, 2)), "reflect")
    np.testing.assert_array_equal(both, apart)
    np.testing.assert_array_equal(pad2d(IMAGE, (1, 3)), pad2d(IMAGE, ((1, 1), [3, 3])))
    np.testing.assert_array_equal(windows2d(IMAGE, 2, 3, 1), windows2d(IMAGE, (2, 2), (3, 3)))


@given(layers())
def test_each_window_holds_the_samples_that_stride_and_dilation_name(layer):
    images, kernel, padding, stride, dilation = layer
    padded = pad2d(images, padding)
    result = windows2d(padded, kernel.shape, stride, dilation)
    rows, columns = (
        places(size, k, s, (0, 0), d)
        for size, k, s, d in zip(padded.shape[-2:], kernel.shape, stride, dilation, strict=True)
    )
    assert result.shape == (*images.shape[:-2], len(rows), len(columns), *kernel.shape)
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        np.testing.assert_array_equal(
            result[..., i, j, :, :], padded[..., rows[i], :][..., columns[j]]
        )


@given(layers())
def test_windows_times_kernel_is_what_torch_computes(layer):
    images, kernel, padding, stride, dilation = layer
    padded = pad2d(images, padding)
    result = np.tensordot(windows2d(padded, kernel.shape, stride, dilation), kernel, 2)
    np.testing.assert_array_equal(result, torch_answer(*layer))
    vertical, horizontal = (
        output_size(size, k, s, p, d)
        for size, k, s, p, d in zip(
            images.shape[-2:], kernel.shape, stride, padding, dilation, strict=True
        )
    )
    assert result.shape[-2:] == (vertical, horizontal)


@pytest.mark.parametrize("kind", ("float32", "float64"))
def test_floats_keep_their_type_and_agree_with_torch_in_it(kind):
    random = np.random.default_rng(2)
    images = random.normal(size=(2, 3, 11, 14)).astype(kind)
    kernel = random.normal(size=(4, 3)).astype(kind)
    layer = (((2, 1), (0, 3)), (3, 2), (2, 1))
    view = windows2d(pad2d(images, layer[0]), kernel.shape, *layer[1:])
    expected = torch_answer(images, kernel, *layer, dtype=getattr(torch, kind))
    assert view.dtype == expected.dtype == kind
    np.testing.assert_allclose(
        np.tensordot(view, kernel, 2), expected, rtol=0, atol=20 * np.finfo(kind).eps
    )


@given(st.data())
def test_each_boundary_continues_the_picture_as_its_rule_says(data):
    height, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    assume(height != width)
    image = np.arange(height * width).reshape(height, width) + 1
    (above, below), (left, right) = padding = data.draw(widths), data.draw(widths)
    rules = {
        "replicate": lambda i, last: min(max(i, 0), last),
        "reflect": lambda i, last: -i if i < 0 else 2 * last - i if i > last else i,
        "circular": lambda i, last: i % (last + 1),
        "zero": lambda i, last: i if 0 <= i <= last else None,
    }
    assert set(rules) == set(BOUNDARIES)
    for boundary, rule in rules.items():
        if boundary == "reflect" and (max(padding[0]) >= height or max(padding[1]) >= width):
            continue
        rows = [rule(i, height - 1) for i in range(-above, height + below)]
        columns = [rule(j, width - 1) for j in range(-left, width + right)]
        expected = [[0 if None in (i, j) else image[i, j] for j in columns] for i in rows]
        np.testing.assert_array_equal(pad2d(image, padding, boundary), expected)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_torch_pads_in_the_same_way(boundary):
    random = np.random.default_rng(3)
    for (above, below), (left, right) in itertools.product([(0, 1), (4, 2)], [(3, 0), (5, 6)]):
        images = random.normal(size=(2, 3, 6, 7)).astype("float32")
        padding, ours = (left, right, above, below), ((above, below), (left, right))
        mode = TORCH_MODES.get(boundary, "constant")
        expected = torch.nn.functional.pad(torch.from_numpy(images), padding, mode=mode).numpy()
        result = pad2d(images, ours, boundary)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_padding_a_picture_pads_its_columns_and_then_its_rows(boundary):
    result = pad2d(IMAGE, ((3, 1), (2, 4)), boundary)
    tall = np.stack([pad1d(column, 3, 1, boundary) for column in IMAGE.T], axis=1)
    np.testing.assert_array_equal(result, [pad1d(row, 2, 4, boundary) for row in tall])


@pytest.mark.parametrize("kind", ("bool", "int8", "uint8", "int16", "uint32", "int64", "uint64"))
def test_whole_numbers_are_padded_in_int64_and_windows_keep_their_type(kind):
    image = np.array([[0, 1, 1], [1, 0, 1]], dtype=kind)
    padded = pad2d(image, ((0, 1), 0), "replicate")
    assert padded.dtype == np.int64
    assert padded.tolist() == [[0, 1, 1], [1, 0, 1], [1, 0, 1]]
    assert windows2d(image, (1, 2)).dtype == kind


@pytest.mark.parametrize("leading", [(), (1,), (0,), (0, 3), (2, 0), (2, 1, 3)])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_leading_axes_are_kept_also_where_they_are_empty(leading, boundary):
    images = np.zeros((*leading, 4, 6), dtype="float32")
    padded = pad2d(images, ((1, 0), (2, 3)), boundary)
    assert (padded.shape, padded.dtype) == ((*leading, 5, 11), np.float32)
    assert windows2d(padded, (2, 4), (2, 3), (3, 1)).shape == (*leading, 1, 3, 2, 4)
    whole = np.zeros((*leading, 4, 6), dtype="int16")
    assert pad2d(whole, 1, boundary).shape == (*leading, 6, 8)


def test_inputs_that_are_not_contiguous_give_the_same_result():
    stack = np.arange(2 * 9 * 14).reshape(2, 9, 14) % 23
    for images in (stack[:, ::2, ::-1], stack.transpose(1, 2, 0), stack[::-1, :, 1::3]):
        copied = np.ascontiguousarray(images)
        assert not images.flags.c_contiguous
        np.testing.assert_array_equal(
            pad2d(images, (0, 1), "circular"), pad2d(copied, (0, 1), "circular")
        )
        np.testing.assert_array_equal(
            windows2d(images, (2, 1), (1, 2), (3, 1)), windows2d(copied, (2, 1), (1, 2), (3, 1))
        )


def test_windows_are_a_view_that_cannot_be_written_to():
    image = np.arange(30.0).reshape(5, 6)
    view = windows2d(image, (2, 3), (2, 1), (1, 2))
    assert np.shares_memory(view, image)
    image[0, 0] = -1
    assert view[0, 0, 0, 0] == -1
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0, 0] = 0
    assert image.flags.writeable


@pytest.mark.parametrize("kind", ("int64", "float64"))
def test_padding_makes_a_copy_also_where_nothing_is_added(kind):
    image = np.arange(30).reshape(5, 6).astype(kind)
    image.setflags(write=False)
    result = pad2d(image, 0)
    result += 1
    assert image[0, 0] == 0 and result[0, 0] == 1


def test_nan_is_padded_like_any_sample_and_stands_in_the_windows_with_a_tap_on_it():
    image = np.zeros((6, 7))
    image[0, 2] = image[3, 4] = np.nan
    assert np.argwhere(np.isnan(pad2d(image, ((2, 0), 0), "replicate"))).tolist() == [
        [0, 2],
        [1, 2],
        [2, 2],
        [5, 4],
    ]
    seen = np.isnan(windows2d(image, (2, 3), (1, 2), (3, 1))).any(axis=(-2, -1))
    assert seen.tolist() == [[True, True, True], [False] * 3, [False] * 3]


WHOLE = (-1, 2.0, "3", None, True, np.ones(2, int))
NOT_POSITIVE = (0, *WHOLE)


@pytest.mark.parametrize("number", NOT_POSITIVE)
@pytest.mark.parametrize("name", ("size", "kernel_size", "stride", "dilation"))
def test_a_size_that_is_no_positive_whole_number_is_named(name, number):
    arguments = {"size": 9, "kernel_size": 2, name: number}
    message = f"^{name} was {re.escape(repr(number))}; it must be a whole number of at least 1$"
    with pytest.raises(ValueError, match=message):
        output_size(**arguments)


@pytest.mark.parametrize("number", WHOLE)
def test_a_bad_padding_is_named(number):
    was = re.escape(repr(number))
    either = r"it must be a pair \(before, after\) or a whole number of at least 0$"
    alone = "it must be a whole number of at least 0$"
    two = r"it must be a pair \(vertical, horizontal\) or a whole number of at least 0$"
    calls = {
        f"^padding was {was}; {either}": lambda: output_size(9, 2, 1, number),
        rf"^padding \(before\) was {was}; {alone}": lambda: output_size(9, 2, 1, (number, 1)),
        rf"^padding \(after\) was {was}; {alone}": lambda: output_size(9, 2, 1, (1, number)),
        f"^padding was {was}; {two}": lambda: pad2d(IMAGE, number),
        f"^vertical padding was {was}; {either}": lambda: pad2d(IMAGE, (number, 1)),
        rf"^horizontal padding \(after\) was {was}; {alone}": lambda: pad2d(
            IMAGE, (1, (0, number))
        ),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("number", NOT_POSITIVE)
@pytest.mark.parametrize("name", ("kernel_shape", "stride", "dilation"))
def test_a_bad_kernel_shape_stride_or_dilation_is_named(name, number):
    was = re.escape(repr(number))
    parts = ("height", "width") if name == "kernel_shape" else ("vertical", "horizontal")
    values = {
        rf"^{name} was {was}; it must be a pair \({parts[0]}, {parts[1]}\) or a whole": number,
        rf"^{name} \({parts[0]}\) was {was}; it must be a whole number of at least 1$": (number, 1),
        rf"^{name} \({parts[1]}\) was {was}; it must be a whole number of at least 1$": (1, number),
    }
    for message, value in values.items():
        with pytest.raises(ValueError, match=message):
            windows2d(IMAGE, **{"kernel_shape": 2, name: value})


@pytest.mark.parametrize("value", ((), (1,), (1, 1, 1), [2, 3, 4]))
def test_a_pair_of_another_length_is_refused(value):
    was = re.escape(repr(value))
    with pytest.raises(ValueError, match=rf"^padding was {was}; .*pair \(before, after\)$"):
        output_size(9, 2, 1, value)
    with pytest.raises(ValueError, match=rf"^padding was {was}; .*pair \(vertical, horizontal\)$"):
        pad2d(IMAGE, value)
    with pytest.raises(ValueError, match=rf"^kernel_shape was {was}; .*pair \(height, width\)$"):
        windows2d(IMAGE, value)


def test_a_kernel_that_spans_too_much_is_refused_with_what_it_spans():
    message = (
        "^kernel_size was 4, which with dilation 3 spans 10 samples; it must span at most 9, "
        "the padded size$"
    )
    with pytest.raises(ValueError, match=message):
        output_size(6, 4, 2, (1, 2), 3)
    assert output_size(6, 4, 2, (2, 2), 3) == 1
    for part, shape, most in (("height", (4, 1), 5), ("width", (1, 4), 7)):
        message = (
            rf"^kernel_shape \({part}\) was 4, which with dilation 3 spans 10 samples; it must "
            f"span at most {most}, the {part} of images$"
        )
        with pytest.raises(ValueError, match=message):
            windows2d(IMAGE, shape, dilation=3)
    assert windows2d(IMAGE, (5, 7)).shape == (1, 1, 5, 7)


def test_reflection_is_refused_where_there_is_too_little_to_mirror():
    vertical = "^vertical padding was 5; it must be at most 4, because an axis of 5 samples"
    with pytest.raises(ValueError, match=vertical):
        pad2d(IMAGE, (5, 0), "reflect")
    horizontal = r"^horizontal padding was \(0, 7\); it must be at most 6, because an axis of 7"
    with pytest.raises(ValueError, match=horizontal):
        pad2d(IMAGE, (0, (0, 7)), "reflect")
    assert pad2d(IMAGE, (4, 6), "reflect").shape == (13, 19)


@pytest.mark.parametrize("boundary", ("wrap", "Zero", None, 0, ["zero"]))
def test_an_unknown_boundary_is_named(boundary):
    message = f"^boundary was {re.escape(repr(boundary))}; it must be one of zero, replicate,"
    with pytest.raises(ValueError, match=message):
        pad2d(IMAGE, 1, boundary)


NO_IMAGE = {
    "number": (3.0, r"was of shape \(\); it must have at least two axes"),
    "vector": ([1, 2, 3], r"was of shape \(3,\); it must have at least two axes"),
    "complex": ([[1j, 2]], "was of dtype complex128; it must hold bool, integers or floats"),
    "none": (None, "was of dtype object; it must hold"),
    "strings": ([["1", "2"]], "was of dtype <U1; it must hold"),
    "ragged": ([[1, 2], [3]], "was a list that is no array .* at least two axes"),
    "gradient": (torch.ones(2, 3, requires_grad=True), "was a Tensor that is no array"),
}


@pytest.mark.parametrize("bad", NO_IMAGE)
def test_what_is_no_picture_is_named(bad):
    value, message = NO_IMAGE[bad]
    with pytest.raises(ValueError, match=f"^image {message}"):
        pad2d(value, 1)
    with pytest.raises(ValueError, match=f"^images {message}"):
        windows2d(value, 1)


def test_a_picture_without_rows_or_columns_is_refused():
    for shape in ((0, 4), (4, 0), (2, 0, 4)):
        message = rf"^image was of shape {re.escape(str(shape))}; its height and width must be"
        with pytest.raises(ValueError, match=message):
            pad2d(np.zeros(shape), 1)
        with pytest.raises(ValueError, match="^kernel_shape .* must span at most 0, the"):
            windows2d(np.zeros(shape), 1)
    with pytest.raises(ValueError, match="^image held 9223372036854775808 or its"):
        pad2d(np.array([[2**63]], "uint64"), 1)


def test_every_public_function_says_what_it_raises():
    own = [
        function
        for name, function in inspect.getmembers(windows, inspect.isfunction)
        if function.__module__ == windows.__name__ and not name.startswith("_")
    ]
    assert {function.__name__ for function in own} == {"output_size", "pad2d", "windows2d"}
    for function in own:
        text = inspect.getdoc(function)
        assert ("ValueError" in text and "NaN" in text) or function is output_size
