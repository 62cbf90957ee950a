"""Checks of arguments for `cnnbook.diagnosis`, and the random states that its trials leave alone.

Each returns what the caller goes on with, or raises ValueError and says why not.
"""

import contextlib
import math
import numbers
import random

import numpy as np
import torch
from torch import nn

from cnnbook.checks import whole


def check_trial(model, optimizer, step, images, labels, steps=1):
    """Return `steps` as an int."""
    _model(model)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(
            f"optimizer was a {type(optimizer).__name__}; it must be a torch.optim.Optimizer"
        )
    _callable("step", step, "step(model, optimizer, images, labels)")
    _pair(images, labels)
    return whole("steps", steps, 1)


def check_network(model, images):
    """Return a dict of the model's ReLU modules and their names."""
    _model(model)
    _tensor("images", images)
    relus = {module: name for name, module in model.named_modules() if isinstance(module, nn.ReLU)}
    if not relus:
        raise ValueError("model had no module nn.ReLU; it must have one")
    return relus


def check_answer(model, answer, images):
    """Accept a model, a callable and at least four pictures."""
    _model(model)
    _callable("answer", answer, "answer(model, images)")
    _tensor("images", images, least=4)


def check_pipeline(pipeline, images, labels, seed):
    """Return a generator of torch for the seed."""
    _callable("pipeline", pipeline, "pipeline(images, labels)")
    _pair(images, labels)
    return torch.Generator().manual_seed(whole("seed", seed, 0, 2**32 - 1))


def check_pictures(first, second):
    """Return the bytes of each picture, as two generators."""
    for name, pictures in (("first", first), ("second", second)):
        _tensor(name, pictures)
    if first.shape[1:] != second.shape[1:] or first.dtype != second.dtype:
        kinds = [f"{tuple(pictures.shape)} in {pictures.dtype}" for pictures in (first, second)]
        raise ValueError(
            f"first was {kinds[0]} and second {kinds[1]}; their pictures must be of one size "
            "and dtype, or none can be equal"
        )
    both = (pictures.detach().cpu().contiguous() for pictures in (first, second))
    return [map(_bytes, pictures) for pictures in both]


def as_loss(value):
    """Return what a step returned as a float."""
    number = _number(value)
    if number is None:
        raise ValueError(f"step returned {_kind(value)}; it must return the loss, one real number")
    return number


def as_accuracy(value):
    """Return what a pipeline returned as a float."""
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        kind = _kind(value) if number is None else number
        raise ValueError(f"pipeline returned {kind}; it must return an accuracy from 0 to 1")
    return number


def as_outputs(outputs, images):
    """Return what `answer` returned for the pictures."""
    tensor = isinstance(outputs, torch.Tensor) and outputs.is_floating_point()
    if not tensor or outputs.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"answer returned {_kind(outputs)} for {len(images)} pictures; it must return a tensor "
            "of floating-point numbers with a row for each picture"
        )
    return outputs


@contextlib.contextmanager
def random_state_kept(model=None):
    """Put back the random states of Python, NumPy and torch: its CPU, and the model's device."""
    parameter = None if model is None else next(model.parameters(), None)
    cuda = parameter is not None and parameter.device.type == "cuda"
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([parameter.device] if cuda else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _model(model):
    if not isinstance(model, nn.Module):
        raise ValueError(f"model was a {type(model).__name__}; it must be a torch.nn.Module")


def _callable(name, function, form):
    if not callable(function):
        raise ValueError(f"{name} was a {type(function).__name__}; it must be callable as {form}")


def _tensor(name, tensor, least=1):
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{name} was a {type(tensor).__name__}; it must be a torch tensor")
    if tensor.ndim < 1 or len(tensor) < least or tensor.numel() == 0:
        raise ValueError(
            f"{name} was of shape {tuple(tensor.shape)}; it must be (N, ...) with N at least "
            f"{least}, and not be empty"
        )


def _pair(images, labels):
    _tensor("images", images)
    _tensor("labels", labels)
    if len(images) != len(labels):
        raise ValueError(
            f"labels were {len(labels)}; they must be {len(images)}, one for each of images"
        )


def _number(value):
    """Return a float, or None if the value is not one real number."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
        value = value.item()
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if real else None


def _kind(value):
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + ("" if shape is None else f" of shape {tuple(shape)}")


def _bytes(picture):
    return picture.flatten().view(torch.uint8).numpy().tobytes()
