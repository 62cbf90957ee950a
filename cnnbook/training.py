"""Training and judging of classifiers in PyTorch.

Everything here works on tensors that are in memory already. MNIST is small enough for that, on
a graphics card too, so there is no data loader and no worker process.
"""

import contextlib
import math
import numbers
import operator
import random
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm


@dataclass(frozen=True)
class History:
    """What `fit` saw on its way.

    Attributes
    ----------
    step_loss, step_learning_rate : tuple of float, one entry a mini-batch
        The loss before the step, and the learning rate of the step.
    train_loss, train_accuracy : tuple of float, one entry an epoch
        Means over the pictures as they were met: in training mode, while the weights changed.
    validation_loss, validation_accuracy : tuple of float, one entry an epoch
        Measured after the epoch, in evaluation mode. Empty without validation data.
    seconds : tuple of float, one entry an epoch
        Wall time of the training, without the validation.
    """

    step_loss: tuple[float, ...]
    step_learning_rate: tuple[float, ...]
    train_loss: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    seconds: tuple[float, ...]


class Score(NamedTuple):
    """Mean loss, and share of the pictures that are read rightly (between 0 and 1)."""

    loss: float
    accuracy: float


def set_seed(seed):
    """Seed the random numbers of Python, NumPy and torch (all of torch's devices).

    Raises
    ------
    ValueError
        If `seed` is not a whole number from 0 to 2**32 - 1, which is what NumPy takes.
    """
    seed = _check_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def choose_device(prefer=None):
    """Return the accelerator of this machine (CUDA, MPS, ...) or else its CPU.

    Parameters
    ----------
    prefer : str or torch.device, optional
        Such as "cpu", "cuda", "cuda:1" or "mps": this one or an error.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If this machine does not have what `prefer` names; the message says what it has.
    """
    available = ["cpu"]
    if torch.accelerator.is_available():
        available.insert(0, torch.accelerator.current_accelerator().type)
    if prefer is None:
        return torch.device(available[0])
    try:
        device = torch.device(prefer)
    except (RuntimeError, TypeError):
        device = None
    count = torch.accelerator.device_count() if len(available) > 1 else 0
    known = device is not None and device.type in available
    if not known or (device.type != "cpu" and (device.index or 0) >= count):
        has = " and ".join(available)
        if count > 1:
            has += f" ({count} of {available[0]}, numbered from 0)"
        raise ValueError(
            f"prefer was {prefer!r}; it must name a device that this machine has: {has}"
        )
    return device


def one_cycle(optimizer, steps):
    """Return a schedule that raises the learning rate to the optimizer's own and then lowers it.

    torch's `OneCycleLR` with its defaults, and the optimizer's learning rate as the peak: over
    the first 30 % of the steps from 1/25 of the peak up to it, then down to 1/250,000 of it,
    both along half a cosine. The momentum (in Adam, the first beta) moves the other way, from
    0.95 down to 0.85 and back; in SGD, this turns momentum on.

    Source: Smith and Topin, "Super-Convergence" (2018), arXiv:1708.07120; torch's form.
    """
    peaks = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peaks, total_steps=steps)


def train_step(model, images, labels, loss, optimizer):
    """Take one step: the loss of one mini-batch, its gradient, one change of the weights.

    Returns the loss and the outputs, both from before the change and without a gradient.
    """
    outputs = model(images)
    batch_loss = loss(outputs, labels)
    optimizer.zero_grad()
    batch_loss.backward()
    optimizer.step()
    return batch_loss.detach(), outputs.detach()


def fit(
    model,
    images,
    labels,
    epochs,
    *,
    batch_size=64,
    learning_rate=1e-3,
    optimizer=torch.optim.Adam,
    schedule=None,
    loss=F.cross_entropy,
    validation=None,
    seed=0,
    device=None,
    progress=None,
):
    """Train `model` in place. Each epoch uses every picture once, in a new random order.

    Same weights, data, arguments and number of threads: the same result bit for bit on one CPU.
    GPUs promise that for some operations only. The weights that `model` starts from are not
    drawn here: call `set_seed` before the model is made.

    Parameters
    ----------
    model : torch.nn.Module
        Maps pictures (N, ...) to outputs (N, classes).
    images : torch.Tensor, shape (N, ...), floating point
    labels : torch.Tensor, shape (N,), int64
        Classes, counted from 0.
    epochs, batch_size : int
        The last mini-batch of an epoch holds the pictures that are left.
    learning_rate : float
    optimizer : callable
        `optimizer(parameters, lr=learning_rate)` returns a torch optimizer. Parameters that do
        not require a gradient are left out.
    schedule : callable, optional
        `schedule(optimizer, steps)`, such as `one_cycle`, returns a torch scheduler, which is
        stepped after every mini-batch. Without it the learning rate stays as it is.
    loss : callable
        `loss(outputs, labels)` returns the mean over the mini-batch. The default,
        cross-entropy, is right for raw scores (logits) and for log-probabilities alike, since
        log-softmax leaves log-probabilities as they are.
    validation : pair (images, labels), optional
        Evaluated after every epoch. It changes nothing about the training.
    seed : int
        Of the order of the pictures, which is the same for every model, and of random layers
        such as dropout. The global random state is put back afterwards (on Apple's MPS, that
        of the CPU only).
    device : torch.device or str, optional
        The model and the data are moved there once. By default, where the model is.
    progress : bool, optional
        Whether to draw a bar for each epoch on standard error. By default, only in a terminal.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If an argument is not as described.
    FloatingPointError
        If the loss became NaN or infinite, as NaN in `images` or too high a learning rate make
        it. Found at the end of the epoch; the model is of no use then.
    """
    _check_data("images", images, "labels", labels)
    _check_whole("epochs", epochs)
    _check_whole("batch_size", batch_size)
    _check_learning_rate(learning_rate)
    seed = _check_seed(seed)
    if validation is not None:
        _check_validation(validation)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError("model had no parameter that requires a gradient; it must have one")

    device = _device_of(model) if device is None else choose_device(device)
    model.to(device)
    images, labels = images.to(device), labels.to(device)
    first_output = predict(model, images[:1])
    _check_labels("labels", labels, first_output)
    if validation is not None:
        validation = [tensor.to(device) for tensor in validation]
        _check_labels("validation[1]", validation[1], first_output)

    optimizer = optimizer(trainable, lr=learning_rate)
    steps = epochs * math.ceil(len(images) / batch_size)
    scheduler = None if schedule is None else schedule(optimizer, steps)
    order = torch.Generator().manual_seed(seed)
    history = {name: [] for name in History.__dataclass_fields__}

    with _random_state_kept(device), _mode(model, training=True):
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            losses, right = [], torch.zeros((), device=device)
            batches = torch.randperm(len(images), generator=order).to(device).split(batch_size)
            hidden = None if progress is None else not progress
            for batch in tqdm(batches, f"epoch {epoch}/{epochs}", leave=False, disable=hidden):
                history["step_learning_rate"].append(float(optimizer.param_groups[0]["lr"]))
                batch_loss, outputs = train_step(
                    model, images[batch], labels[batch], loss, optimizer
                )
                if scheduler is not None:
                    scheduler.step()
                losses.append(batch_loss)
                right += _right(outputs, labels[batch]).sum()

            losses = torch.stack(losses).tolist()
            history["seconds"].append(time.perf_counter() - start)
            _check_losses(losses, len(history["step_loss"]), history["step_learning_rate"])
            history["step_loss"] += losses
            total = math.fsum(a * len(batch) for a, batch in zip(losses, batches, strict=True))
            history["train_loss"].append(total / len(images))
            history["train_accuracy"].append(right.item() / len(images))
            if validation is not None:
                score = evaluate(model, *validation, loss=loss)
                history["validation_loss"].append(score.loss)
                history["validation_accuracy"].append(score.accuracy)
    return History(**{name: tuple(values) for name, values in history.items()})


def predict(model, images, batch_size=1000):
    """Return what `model` answers, in evaluation mode and without gradients.

    The mode of every part of the model is put back afterwards. NaN in a picture gives NaN in
    its outputs.

    Parameters
    ----------
    model : torch.nn.Module
    images : torch.Tensor, shape (N, ...), floating point
    batch_size : int
        How many pictures at a time. They are moved to where the model is.

    Returns
    -------
    torch.Tensor, shape (N, classes), on the CPU

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    _check_images("images", images)
    _check_whole("batch_size", batch_size)
    device = _device_of(model)
    with _mode(model, training=False), torch.no_grad():
        outputs = [model(part.to(device)).cpu() for part in images.split(batch_size)]
    return torch.cat(outputs)


def evaluate(model, images, labels, batch_size=1000, loss=F.cross_entropy):
    """Return the mean loss and the accuracy of `model`, in evaluation mode.

    The mode of every part of the model is put back afterwards. A picture whose outputs hold NaN
    counts as read wrongly and makes the loss NaN.

    Parameters
    ----------
    model : torch.nn.Module
        Maps pictures (N, ...) to outputs (N, classes).
    images : torch.Tensor, shape (N, ...), floating point
    labels : torch.Tensor, shape (N,), int64
    batch_size : int
    loss : callable
        `loss(outputs, labels)` returns the mean over the pictures; see `fit`.

    Returns
    -------
    Score
        The pair (loss, accuracy).

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    _check_data("images", images, "labels", labels)
    outputs, labels = predict(model, images, batch_size), labels.cpu()
    _check_labels("labels", labels, outputs)
    right = _right(outputs, labels).sum().item()
    return Score(loss(outputs, labels).item(), right / len(labels))


def _right(outputs, labels):
    return (outputs.argmax(1) == labels) & ~outputs.isnan().any(1)


def _device_of(model):
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextlib.contextmanager
def _mode(model, training):
    before = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


def _random_state_kept(device):
    if device.type == "cuda":
        return torch.random.fork_rng([device], device_type="cuda")
    return torch.random.fork_rng([])


def _check_whole(name, value):
    try:
        accepted = not isinstance(value, bool) and operator.index(value) >= 1
    except TypeError:
        accepted = False
    if not accepted:
        raise ValueError(f"{name} was {value!r}; it must be a whole number of at least 1")


def _check_seed(seed):
    try:
        accepted = not isinstance(seed, bool) and 0 <= operator.index(seed) < 2**32
    except TypeError:
        accepted = False
    if not accepted:
        raise ValueError(f"seed was {seed!r}; it must be a whole number from 0 to 2**32 - 1")
    return operator.index(seed)


def _check_learning_rate(value):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(f"learning_rate was {value!r}; it must be a finite number above 0")


def _check_images(name, images):
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        kind = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise ValueError(f"{name} was {kind}; it must be a torch tensor of floating-point numbers")
    if images.ndim < 2 or images.numel() == 0:
        raise ValueError(
            f"{name} had shape {tuple(images.shape)}; it must be (N, ...) and not be empty"
        )


def _check_data(images_name, images, labels_name, labels):
    _check_images(images_name, images)
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
        kind = labels.dtype if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise ValueError(f"{labels_name} was {kind}; it must be a torch tensor of int64")
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"{labels_name} had shape {tuple(labels.shape)}; it must be ({len(images)},), "
            f"one for each of {images_name}"
        )
    if labels.min() < 0:
        raise ValueError(f"{labels_name} had a {labels.min().item()}; they must be at least 0")


def _check_validation(validation):
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        kind = type(validation).__name__
        raise ValueError(f"validation was a {kind}; it must be a pair (images, labels)")
    _check_data("validation[0]", validation[0], "validation[1]", validation[1])


def _check_labels(name, labels, outputs):
    if outputs.ndim != 2:
        raise ValueError(f"model returned shape {tuple(outputs.shape)}; it must be (N, classes)")
    classes, highest = outputs.shape[1], labels.max().item()
    if highest >= classes:
        raise ValueError(
            f"{name} had a {highest}; they must be below {classes}, the model's number of classes"
        )


def _check_losses(losses, before, learning_rates):
    for step, value in enumerate(losses, before):
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss became {value} at step {step + 1}, where the learning rate was "
                f"{learning_rates[step]:.3g}; look for NaN in images, or lower learning_rate"
            )
