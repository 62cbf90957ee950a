"""Checks of arguments for inspection. Each returns them ready for use, or raises ValueError."""

from dataclasses import is_dataclass, replace

import numpy as np
import torch
from torch import nn

from cnnbook import checks
from cnnbook.convolution import output_size
from cnnbook.convolution.checks import AXES, whole_pair

SETTINGS = ("kernel_size", "stride", "padding", "dilation")
SLIDING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
# Modules that treat each place of a map by itself (dropout and batch norm: in evaluation mode).
POINTWISE = (
    nn.BatchNorm2d,
    nn.Dropout,
    nn.Dropout2d,
    nn.ELU,
    nn.GELU,
    nn.Hardswish,
    nn.Identity,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Tanh,
)


def check_stack(layers):
    """Return the windows with pairs of ints, padding as ((above, below), (left, right))."""
    try:
        layers = list(layers)
    except TypeError:
        raise ValueError(
            f"layers was a {type(layers).__name__}; it must be an iterable of Window"
        ) from None
    checked = []
    for place, layer in enumerate(layers):
        if not is_dataclass(layer) or not all(hasattr(layer, name) for name in SETTINGS):
            raise ValueError(f"layers[{place}] was {layer!r}; it must be a Window")
        where = f"layers[{place}]."
        pairs = {
            name: whole_pair(f"{where}{name}", getattr(layer, name), 1, AXES)
            for name in ("kernel_size", "stride", "dilation")
        }
        padding = layer.padding
        if not isinstance(padding, tuple | list):
            padding = whole_pair(f"{where}padding", padding, 0, AXES)
        if len(padding) != 2:
            raise ValueError(
                f"{where}padding was {padding!r}; it must be a whole number or a pair "
                f"({', '.join(AXES)})"
            )
        pairs["padding"] = tuple(
            whole_pair(f"{where}padding ({axis})", width, 0, ("before", "after"))
            for axis, width in zip(AXES, padding, strict=True)
        )
        checked.append(replace(layer, **pairs))
    return checked


def check_place(layers, unit, shape):
    """Return the windows, the unit as ints, and the shape of each layer's input."""
    layers = check_stack(layers)
    shapes = [whole_pair("shape", shape, 1, ("height", "width"))]
    for place, layer in enumerate(layers):
        settings = zip(
            shapes[-1], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True
        )
        try:
            shapes.append(tuple(output_size(*setting) for setting in settings))
        except ValueError as error:
            raise ValueError(
                f"layers[{place}] did not fit into its input of {shapes[-1]}: {error}"
            ) from None
    unit = whole_pair("unit", unit, 0, ("row", "column"))
    if any(index >= size for index, size in zip(unit, shapes[-1], strict=True)):
        raise ValueError(
            f"unit was {unit}; it must lie in the last map, which is of shape {shapes[-1]}"
        )
    return layers, unit, shapes[:-1]


def check_model(model):
    """Return the modules of a Sequential that have a window, in order."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model was a {type(model).__name__}; it must be a torch.nn.Sequential, or one module"
        )
    return list(_sliding(model, "model"))


def _sliding(module, name):
    if isinstance(module, nn.Sequential):
        for place, part in enumerate(module):
            yield from _sliding(part, f"{name}[{place}]")
    elif isinstance(module, SLIDING):
        if getattr(module, "padding_mode", "zeros") != "zeros":
            raise ValueError(
                f"{name} had padding_mode {module.padding_mode!r}; it must be 'zeros': other "
                "paddings hold pixels of the picture"
            )
        yield module
    elif not isinstance(module, POINTWISE):
        raise ValueError(
            f"{name} was a {type(module).__name__}; it must be a Conv2d, MaxPool2d, AvgPool2d, a "
            "module that treats each place by itself, or a Sequential of these"
        )


def padding_of(module):
    """Return a module's padding as numbers; for "same", torch puts the odd one after."""
    if not isinstance(module.padding, str):
        return module.padding
    if module.padding == "valid":
        return 0
    totals = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def check_pictures(model, images):
    """Return a leaf that shares the pictures' memory and records gradients."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model was a {type(model).__name__}; it must be a torch.nn.Module")
    # A slice of a Sequential is a new one, in training mode; a Sequential itself does not care.
    modules = (module for module in model.modules() if type(module) is not nn.Sequential)
    if any(module.training for module in modules):
        raise ValueError(
            "model was in training mode; it must be in evaluation mode (model.eval()), in which "
            "no picture changes the answer to another"
        )
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        kind = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise ValueError(f"images was {kind}; it must be a torch tensor of floating-point numbers")
    if images.ndim != 4 or images.numel() == 0:
        raise ValueError(
            f"images was of shape {tuple(images.shape)}; it must be (N, C, H, W) and not be empty"
        )
    return images.detach().requires_grad_()


def check_unit(outputs, images, unit):
    """Return the place of the unit in the outputs of one picture."""
    count = len(images)
    if not isinstance(outputs, torch.Tensor) or outputs.ndim < 2 or len(outputs) != count:
        kind = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ValueError(f"model returned {kind}; it must return a tensor of shape ({count}, ...)")
    shape = tuple(outputs.shape[1:])
    if unit is None:
        return (0, *(size // 2 for size in shape[1:]))
    if not isinstance(unit, tuple | list) or len(unit) != len(shape):
        raise ValueError(f"unit was {unit!r}; it must be a place in an output of shape {shape}")
    return tuple(
        checks.whole(f"unit (axis {axis})", index, 0, size - 1)
        for axis, (index, size) in enumerate(zip(unit, shape, strict=True))
    )


def check_power(power, unit):
    """Return squared gradients if one is not 0."""
    if not power.any():
        raise ValueError(
            f"unit was {unit}, whose gradient was 0 at every pixel of all images; it must be a "
            "unit that answers to a change of some picture"
        )
    return power


def check_weights(field):
    """Return weights of pixels as an array of float64."""
    field = checks.real_array("field", field, ndim=2, shape="two-dimensional").astype(np.float64)
    if (field < 0).any() or not field.any() or np.isinf(field).any():
        raise ValueError(
            "field held a negative number, an infinity, or nothing but 0; it must hold finite "
            "weights of at least 0, and one above 0"
        )
    return field
