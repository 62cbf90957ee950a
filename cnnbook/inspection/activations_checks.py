"""Checks of arguments for recorded activations. Each returns them ready for use, or raises."""

import torch
from torch import nn


def check_names(names):
    """Return names as a list."""
    if isinstance(names, str):
        raise ValueError(f"names was the text {names!r}; it must be a list of names")
    try:
        return list(names)
    except TypeError:
        raise ValueError(f"names was {names!r}; it must be a list of names") from None


def check_modules(model, names):
    """Return the named modules of a model, by name."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model was a {type(model).__name__}; it must be a torch.nn.Module")
    modules = dict(model.named_modules())
    chosen = {}
    for name in check_names(names):
        if not isinstance(name, str) or name not in modules:
            some = ", ".join(repr(known) for known in list(modules)[1:6])
            raise ValueError(
                f"names held {name!r}; they must be in model.named_modules(), as are {some}"
            )
        chosen[name] = modules[name]
    return chosen


def check_tensor(name, output):
    """Return what a layer returned if it is a tensor."""
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"the layer {name!r} returned a {type(output).__name__}; it must return a tensor"
        )
    return output


def check_ran(names, outputs):
    """Return the outputs if each of the named layers has one."""
    for name in names:
        if name not in outputs:
            raise ValueError(
                f"names held {name!r}, which did not run; they must be layers that the model calls"
            )
    return outputs
