"""What a network costs before it is run: its parameters, and its multiply-adds for given pictures.

The chapter "After ResNet" uses these functions to hold networks against each other. What they
leave out, the moving of numbers, is the subject of "The convolution layer".
"""

from dataclasses import dataclass

import torch
from torch import nn

from cnnbook.inspection.costs_checks import check_module, check_shape

# Each of these multiplies every number that it gives by as many weights as one of its outputs has.
GATHERING = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
# This one sends every number that it gets through a kernel for each output channel of its group.
SCATTERING = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Cost:
    """One call of one layer.

    Attributes
    ----------
    name : str
        Where the layer stands in the model, such as "features.0"; empty for the model itself.
    shape : tuple of int
        Of its output, with the pictures first; empty if the output is no single tensor.
    parameters : int
        Those that the layer holds itself, not those of layers inside it. A parameter counts once:
        for the first layer that holds it, and for the first call of that layer.
    multiply_adds : int
        For all pictures together.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def parameter_count(model):
    """Return how many numbers the parameters of `model` hold, frozen ones among them.

    A parameter that several layers share counts once. Buffers, such as the running statistics of
    batch norm, are no parameters.

    Raises
    ------
    ValueError
        If `model` is no torch.nn.Module.
    """
    return sum(parameter.numel() for parameter in check_module(model).parameters())


def multiply_adds(model, images_shape):
    """Return the multiply-adds of `model` for pictures of `images_shape`: those of `layer_costs`.

    One multiply-add is two floating-point operations. Arguments and errors are those of
    `layer_costs`.
    """
    return sum(cost.multiply_adds for cost in layer_costs(model, images_shape))


def layer_costs(model, images_shape):
    """Return what each layer costs, in the order in which the layers finish their work.

    Counted are the products of a weight with a number from the layer's input, padding zeros among
    them, in torch's Conv and Linear layers (an output takes one for each of its weights, so groups
    count what they leave) and ConvTranspose layers (an input sends one to each weight of its
    channel, also where the result is then cut off). **All else counts 0**: adding biases,
    normalization, activations, pooling, and whatever `forward` does by a function instead of a
    layer, such as `torch.nn.functional.conv2d` or the matrix products of attention.

    Parameters
    ----------
    model : torch.nn.Module
        Is called with one tensor of zeros, in evaluation mode; its mode is put back afterwards.
        Layers that are not reached then, such as auxiliary heads, have no entry. The pass runs on
        torch's device "meta", which follows shapes and computes nothing; where the model refuses
        that (it looks at the numbers, or holds tensors that are neither parameters nor buffers),
        the pass is run where the model is.
    images_shape : sequence of int
        (N, C, H, W), or what else the model takes.

    Returns
    -------
    list of Cost
        One entry for each call of a layer that is of a counted kind or holds parameters itself.

    Raises
    ------
    ValueError
        If `model` is no torch.nn.Module or `images_shape` no sequence of whole numbers of at
        least 1. What the model itself raises for such pictures is passed on.
    """
    model, shape = check_module(model), check_shape(images_shape)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    own = _own_parameters(model)
    try:
        on_meta = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
        return _run(model, on_meta, shape, dict(own))
    except (NotImplementedError, RuntimeError, TypeError):
        return _run(model, tensors, shape, dict(own))


def _own_parameters(model):
    """Return, by name of the layer, how many parameters it is the first to hold."""
    seen, own = set(), {}
    for name, layer in model.named_modules():
        new = {id(p): p.numel() for p in layer.parameters(recurse=False) if id(p) not in seen}
        seen |= set(new)
        own[name] = sum(new.values())
    return own


def _run(model, tensors, shape, uncounted):
    kinds = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
    like = {"dtype": kinds[0].dtype, "device": kinds[0].device} if kinds else {}
    costs, modes = [], {module: module.training for module in model.modules()}

    def note(name):
        def hook(layer, inputs, output):
            counted = _multiply_adds(layer, inputs, output)
            if counted or next(layer.parameters(recurse=False), None) is not None:
                shape = tuple(output.shape) if isinstance(output, torch.Tensor) else ()
                costs.append(Cost(name, shape, uncounted.pop(name, 0), counted))

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in model.named_modules()]
    try:
        model.eval()
        with torch.no_grad():
            torch.func.functional_call(model, tensors, (torch.zeros(shape, **like),))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return costs


def _multiply_adds(layer, inputs, output):
    if isinstance(layer, GATHERING):
        return output.numel() * layer.weight[0].numel()
    if isinstance(layer, SCATTERING):
        return inputs[0].numel() * layer.weight[0].numel()
    return 0
