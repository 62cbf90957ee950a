"""Checks of arguments for attribution. Each returns them ready for use, or raises ValueError."""

import numbers

import torch
from torch import nn

from cnnbook import checks
from cnnbook.convolution.checks import AXES, whole_pair


def check_target(target, outputs, count):
    """Return the class of each picture as a tensor (N,), if the outputs are (N, classes)."""
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or len(outputs) != count:
        kind = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ValueError(
            f"model returned {kind}; it must return scores of shape ({count}, classes)"
        )
    if isinstance(target, torch.Tensor):
        target = target.tolist()
    most = outputs.shape[1] - 1
    if not hasattr(target, "__len__"):
        return torch.full((count,), checks.whole("target", target, 0, most))
    if isinstance(target, str) or len(target) != count:
        raise ValueError(
            f"target was {target!r}; it must be one class, or {count}, one for each picture"
        )
    return torch.tensor(
        [checks.whole(f"target[{place}]", item, 0, most) for place, item in enumerate(target)]
    )


def check_windows(size, stride, images):
    """Return the window's sides, and the rows and the columns at which windows begin."""
    sides = whole_pair("size", size, 1, AXES)
    steps = whole_pair("stride", stride, 1, AXES)
    shape = tuple(images.shape[2:])
    if any(side > length for side, length in zip(sides, shape, strict=True)):
        raise ValueError(f"size was {size!r}; it must fit into the pictures, which are {shape}")
    starts = [
        range(0, length - side + 1, step)
        for length, side, step in zip(shape, sides, steps, strict=True)
    ]
    return sides, *starts


def check_fill(fill, images):
    """Return what covers the windows as a tensor of the pictures' shape."""
    wanted = f"a number or a tensor that broadcasts to the pictures, {tuple(images.shape)}"
    if isinstance(fill, numbers.Real) and not isinstance(fill, bool):
        fill = torch.tensor(float(fill))
    if not isinstance(fill, torch.Tensor):
        raise ValueError(f"fill was {fill!r}; it must be {wanted}")
    try:
        return torch.broadcast_to(fill.to(images), images.shape)
    except RuntimeError:
        raise ValueError(f"fill was of shape {tuple(fill.shape)}; it must be {wanted}") from None


def check_relus(model):
    """Return the ReLU and ReLU6 modules of a model, if there are some and none works in place."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model was a {type(model).__name__}; it must be a torch.nn.Module")
    relus = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ReLU | nn.ReLU6)
    }
    if not relus:
        raise ValueError(
            "model had no ReLU or ReLU6 among its modules; it must have one (a call of "
            "torch.nn.functional.relu cannot be changed from outside)"
        )
    for name, module in relus.items():
        if module.inplace:
            raise ValueError(f"model's layer {name!r} worked in place; it must have inplace=False")
    return relus.values()


def check_map(layer, outputs, images):
    """Return the maps of a layer if it ran and returned one set of maps for each picture."""
    if layer not in outputs:
        raise ValueError(f"layer was {layer!r}, which did not run; it must be one the model calls")
    shape = tuple(outputs[layer].shape)
    if len(shape) != 4 or shape[0] != len(images):
        raise ValueError(
            f"layer was {layer!r}, which returned shape {shape}; it must return maps of shape "
            f"({len(images)}, channels, rows, columns)"
        )
    return outputs[layer]
