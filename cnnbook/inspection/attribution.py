"""Which places of a picture a score depends on: four answers, and none of them the whole one.

The chapter "What a CNN sees" introduces the functions of this module and shows where each fails.
A score is an output of the model for one class, as the model gives it: a logit, or a probability if
the model ends in a softmax. Pictures must not change each other's scores, hence evaluation mode.
No function leaves a hook, a gradient of a parameter, or another mode behind.
"""

import copy
from itertools import product

import torch
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.inspection.activations import recording
from cnnbook.inspection.activations_checks import check_modules
from cnnbook.inspection.attribution_checks import (
    check_fill,
    check_map,
    check_relus,
    check_target,
    check_windows,
)
from cnnbook.inspection.checks import check_pictures


def class_scores(model, images, target):
    """Return the score of one class for each picture.

    Parameters
    ----------
    model : torch.nn.Module
        Maps pictures (N, C, H, W) to scores (N, classes).
    images : torch.Tensor, shape (N, C, H, W)
    target : int, or sequence of N int
        The class, counted from 0; one for all pictures, or one for each.

    Returns
    -------
    torch.Tensor, shape (N,), with a gradient where the model's outputs have one

    Raises
    ------
    ValueError
        If `target` is not as above, or the model returns another shape.
    """
    outputs = model(images)
    return outputs[torch.arange(len(images)), check_target(target, outputs, len(images))]


def occlusion(model, images, target, size, stride, fill):
    """Return by how much the score falls when a window of the picture is covered.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
        Maps pictures (N, C, H, W) to scores (N, classes).
    images : torch.Tensor, shape (N, C, H, W), floating point, on the model's device
    target : int, or sequence of N int
    size, stride : int or (vertical, horizontal), in pixels
        Of the window, and from one window to the next. Windows lie inside the picture.
    fill : number, or torch.Tensor that broadcasts to `images`
        What stands in the window instead: a gray value, a color (C, 1, 1), other pictures.

    Returns
    -------
    torch.Tensor, shape (N, rows, columns)
        The score of the whole picture less that of the covered one. Above 0: the window's contents
        speak for the class.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014),
    section 4.2, arXiv:1311.2901.
    """
    images = check_pictures(model, images).detach()
    (height, width), tops, lefts = check_windows(size, stride, images)
    fill = check_fill(fill, images)
    drops = images.new_empty(len(images), len(tops), len(lefts))
    with torch.no_grad():
        score = class_scores(model, images, target)  # (N,)
        for (i, top), (j, left) in product(enumerate(tops), enumerate(lefts)):
            covered = images.clone()
            window = ..., slice(top, top + height), slice(left, left + width)
            covered[window] = fill[window]
            drops[:, i, j] = score - class_scores(model, covered, target)
    return drops


def score_gradient(model, images, target):
    """Return the gradient of a class's score with respect to the pictures, (N, C, H, W).

    Arguments and errors are those of `saliency`.
    """
    images = check_pictures(model, images)
    with torch.enable_grad():
        total = class_scores(model, images, target).sum()
    return torch.autograd.grad(total, images, materialize_grads=True)[0]


def saliency(model, images, target):
    """Return how steeply the score changes with each pixel: the largest slope of its channels.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
        Maps pictures (N, C, H, W) to scores (N, classes).
    images : torch.Tensor, shape (N, C, H, W), floating point, on the model's device
    target : int, or sequence of N int

    Returns
    -------
    torch.Tensor, shape (N, H, W), at least 0

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks: visualising image
    classification models and saliency maps" (2013), section 3, arXiv:1312.6034.
    """
    return score_gradient(model, images, target).abs().amax(dim=1)


def guided_backpropagation(model, images, target):
    """Return `saliency` of a gradient that loses its negative part at every ReLU on its way back.

    It is here to be examined, not to be used: the chapter shows that its map hardly depends on the
    upper layers.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
        As in `saliency`; its ReLU and ReLU6 are modules that do not work in place.
    images, target : as in `saliency`

    Returns
    -------
    torch.Tensor, shape (N, H, W), at least 0

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for simplicity: the all
    convolutional net" (2014), section 3.4, arXiv:1412.6806.
    """

    def keep_positive(module, gradients_in, gradients_out):
        return (gradients_in[0].clamp(min=0),)

    handles = [relu.register_full_backward_hook(keep_positive) for relu in check_relus(model)]
    try:
        return saliency(model, images, target)
    finally:
        for handle in handles:
            handle.remove()


def grad_cam(model, images, target, layer):
    """Return where the maps of a layer speak for the class.

    Each map counts by the mean of the score's gradient over its places; negative sums become 0.

    Parameters
    ----------
    model : torch.nn.Module, in evaluation mode
        Maps pictures (N, C, H, W) to scores (N, classes).
    images : torch.Tensor, shape (N, C, H, W), floating point, on the model's device
    target : int, or sequence of N int
    layer : str
        The name, in `model.named_modules()`, of a layer that returns maps (N, channels, h, w).

    Returns
    -------
    torch.Tensor, shape (N, h, w), at least 0

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Selvaraju and others, "Grad-CAM: visual explanations from deep networks via
    gradient-based localization" (2017), equations 1 and 2, arXiv:1610.02391.
    """
    images = check_pictures(model, images)
    with torch.enable_grad(), recording(model, [layer]) as outputs:
        total = class_scores(model, images, target).sum()
        maps = check_map(layer, outputs, images)  # (N, channels, h, w)
        (gradient,) = torch.autograd.grad(total, maps, materialize_grads=True)
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # (N, channels, 1, 1)
    return F.relu((weights * maps).sum(dim=1)).detach()


def shuffle_weights(model, names, seed):
    """Return a copy of a model in which each parameter of the named layers has its numbers mixed.

    The copy has the same numbers, tensor by tensor, in another order; buffers, such as the running
    statistics of batch norm, stay. A map that is still the same does not depend on those layers.

    Parameters
    ----------
    model : torch.nn.Module
    names : iterable of str
        In `model.named_modules()`. A layer inside another named one is mixed twice.
    seed : int, at least 0

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: the idea of Adebayo and others, "Sanity checks for saliency maps" (2018), section 3,
    arXiv:1810.03292, who draw new weights, cascading from the top layer down.
    """
    names = list(check_modules(model, names))
    random = torch.Generator().manual_seed(whole("seed", seed, 0, 2**63 - 1))
    model = copy.deepcopy(model)
    for name in names:
        for parameter in model.get_submodule(name).parameters():
            order = torch.randperm(parameter.numel(), generator=random).to(parameter.device)
            parameter.data = parameter.data.flatten()[order].reshape(parameter.shape)
    return model
