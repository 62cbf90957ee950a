"""Receptive fields: which pixels a unit can see, and how much each of them counts.

The chapter "Receptive fields" introduces the functions of this module. Units and pixels are
counted from 0. Pixels before the first row or column of the picture have negative places: they
are padding.
"""

from dataclasses import dataclass

import numpy as np
import torch

from cnnbook.inspection.checks import (
    check_model,
    check_pictures,
    check_place,
    check_power,
    check_stack,
    check_unit,
    check_weights,
    padding_of,
)


@dataclass(frozen=True)
class Window:
    """How the window of one layer lies over the layer's input.

    Attributes
    ----------
    kernel_size, stride, dilation : int or (vertical, horizontal), at least 1
    padding : int or (vertical, horizontal), each an int or (before, after), at least 0

    All are checked where a stack of windows is used.
    """

    kernel_size: int | tuple
    stride: int | tuple = 1
    padding: int | tuple = 0
    dilation: int | tuple = 1


@dataclass(frozen=True)
class Field:
    """What the units of one layer see of the picture: unit i begins at start + i * jump.

    Attributes
    ----------
    size, jump, start : (vertical, horizontal), in pixels
        Rows and columns from the first pixel of a unit's field to the last, both counted; the
        distance from one unit's field to the next; the place where the field of unit 0 begins.
    """

    size: tuple[int, int]
    jump: tuple[int, int]
    start: tuple[int, int]


def receptive_field(layers):
    """Return what a unit of each layer sees of the picture, borders of maps left aside.

    Parameters
    ----------
    layers : iterable of Window
        In the order in which the picture meets them.

    Returns
    -------
    list of Field, one a layer
        A field is the smallest rectangle that holds all pixels a unit reads. With dilation, or
        where a stride is longer than a window, there may be pixels inside that it does not read.

    Raises
    ------
    ValueError
        If `layers` is no such iterable, or a window is not as `Window` says.

    Source: the recurrence of Araujo, Norris and Sim, "Computing receptive fields of convolutional
    neural networks" (2019), doi:10.23915/distill.00021, with dilation.
    """
    layers = check_stack(layers)
    axes = []
    for axis in (0, 1):
        size, jump, start, along = 1, 1, 0, []
        for layer in layers:
            size += (layer.kernel_size[axis] - 1) * layer.dilation[axis] * jump
            start -= layer.padding[axis][0] * jump
            jump *= layer.stride[axis]
            along.append((size, jump, start))
        axes.append(along)
    return [Field(*zip(*both, strict=True)) for both in zip(*axes, strict=True)]


def pixels_read(layers, unit, shape):
    """Return the rows and the columns that one unit of the last layer reads: exactly these pixels.

    Holes and borders are taken into account: what a layer reads of its padding leads nowhere.

    Parameters
    ----------
    layers : iterable of Window
    unit : (row, column)
        Of the last layer's map.
    shape : (height, width)
        Of the picture, in pixels.

    Returns
    -------
    rows, columns : lists of int, in rising order
        The unit reads the pixels whose row is in the one and whose column is in the other.

    Raises
    ------
    ValueError
        If an argument is not as above, a window does not fit into its map, or the last map has no
        such unit.
    """
    layers, unit, shapes = check_place(layers, unit, shape)
    axes = []
    for axis in (0, 1):
        read = {unit[axis]}
        for layer, size in zip(reversed(layers), reversed(shapes), strict=True):
            stride, dilation = layer.stride[axis], layer.dilation[axis]
            taps = [dilation * k - layer.padding[axis][0] for k in range(layer.kernel_size[axis])]
            read = {stride * place + tap for place in read for tap in taps}
            read &= set(range(size[axis]))
        axes.append(sorted(read))
    return tuple(axes)


def stack_of(model):
    """Return the windows of a torch model, in order.

    Parameters
    ----------
    model : torch.nn.Sequential
        Of Conv2d with padding of zeros, MaxPool2d, AvgPool2d, modules that treat each place by
        itself (activations, Dropout, BatchNorm2d in evaluation mode, Identity), which add no
        window, and Sequentials of these. One such module alone will do, too.

    Returns
    -------
    list of Window

    Raises
    ------
    ValueError
        If a module is another one. Transposed convolution and upsampling give neighboring units
        fields of different sizes; global pooling, Flatten and Linear see the whole map; so do
        the normalizations that average over it. A class of your own may do anything in `forward`.
    """
    return [
        Window(
            module.kernel_size, module.stride, padding_of(module), getattr(module, "dilation", 1)
        )
        for module in check_model(model)
    ]


def effective_receptive_field(model, images, unit=None):
    """Return how much each pixel counts for one unit: its share of the squared gradient.

    The gradient of the unit's value with respect to each picture is squared, summed over the
    picture's channels, averaged over the pictures and divided by its sum over all pixels.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
        Maps pictures (N, C, H, W) to outputs (N, ...), each picture by itself.
    images : torch.Tensor, shape (N, C, H, W), floating point, on the model's device
    unit : tuple of int, optional
        The unit's place in the output of one picture, as (channel, row, column) or (class,). By
        default, channel 0 and the middle of each other axis.

    Returns
    -------
    array of float64, shape (H, W)
        It adds up to 1. A NaN in a gradient makes all of it NaN.

    Raises
    ------
    ValueError
        If an argument is not as above, or the gradient is 0 for all pictures.

    Source: Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep
    convolutional neural networks" (2016), arXiv:1701.04128, section 2, who take the gradient or
    its magnitude; the square is their variance over random weights (section 2.2).
    """
    images = check_pictures(model, images)
    outputs = model(images)
    unit = check_unit(outputs, images, unit)
    value = outputs[:, *unit].sum()
    (gradient,) = torch.autograd.grad(value, images, materialize_grads=True)  # (N, C, H, W)
    power = gradient.double().square().sum(dim=1).mean(dim=0).cpu().numpy()
    return check_power(power, unit) / power.sum()


def field_spread(field):
    """Return the standard deviation of a field's rows and of its columns, in pixels.

    Parameters
    ----------
    field : array_like of real numbers, shape (H, W), at least 0 and not all 0
        Weights of pixels, such as `effective_receptive_field` gives. NaN gives NaN.

    Returns
    -------
    (vertical, horizontal), floats

    Raises
    ------
    ValueError
        If `field` is not as above.
    """
    field = check_weights(field)
    spreads = []
    for axis in (0, 1):
        profile = field.sum(axis=1 - axis) / field.sum()
        places = np.arange(len(profile))
        variance = profile @ (places - profile @ places) ** 2
        spreads.append(float(np.sqrt(variance)))
    return tuple(spreads)
