"""What the layers of a network answer to a picture, noted while it goes through.

The chapter "What a CNN sees" introduces the functions of this module. Layers go by their names in
`model.named_modules()`, such as "features.3"; "" is the model itself.
"""

import contextlib
import functools

import torch

from cnnbook.inspection.activations_checks import (
    check_modules,
    check_names,
    check_ran,
    check_tensor,
)
from cnnbook.inspection.checks import check_pictures


@contextlib.contextmanager
def recording(model, names):
    """Note the outputs of named layers during a `with` block, in a dict that grows as they run.

    The outputs are part of the graph of gradients where there is one. A later layer that works in
    place changes a copy, not what was noted. A layer that runs several times leaves its last
    output. The hooks are taken off at the end of the block, after an error too.

    Parameters
    ----------
    model : torch.nn.Module
    names : iterable of str

    Yields
    ------
    dict of torch.Tensor
        From a layer's name to what it returned.

    Raises
    ------
    ValueError
        If an argument is not as above, or a named layer returns something that is no tensor.
    """
    outputs = {}

    def keep(name, module, inputs, output):
        outputs[name] = check_tensor(name, output)
        return output.clone()

    handles = [
        module.register_forward_hook(functools.partial(keep, name))
        for name, module in check_modules(model, names).items()
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def record_activations(model, images, names):
    """Return what named layers answer to pictures, without gradients.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
    images : torch.Tensor, shape (N, C, H, W), floating point, on the model's device
    names : iterable of str

    Returns
    -------
    dict of torch.Tensor, in the order in which the layers end
        Each has the shape that its layer returns, such as (N, channels, rows, columns).

    Raises
    ------
    ValueError
        If an argument is not as above, or a named layer does not run.
    """
    images, names = check_pictures(model, images), check_names(names)
    with torch.no_grad(), recording(model, names) as outputs:
        model(images)
    return check_ran(names, outputs)
