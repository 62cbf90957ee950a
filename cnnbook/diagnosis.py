"""Checks of a training before it runs, and of a network while it learns, in PyTorch.

The chapter "A debugging clinic" introduces the functions of this module. Each tries something out
and returns what it saw, for the caller to judge; none changes the model, the optimizer or the
random state. Three functions of a training script are checked as they are:

- `step(model, optimizer, images, labels)` takes one step of the training, in place, and returns
  the loss, one number, from before the step;
- `answer(model, images)` returns outputs, one row a picture; the tensor is its own or the model's;
- `pipeline(images, labels)` divides the data, trains a new network, judges it, and returns the
  accuracy that it reports, 0 to 1.

The advice to try these things first is Karpathy's: A recipe for training neural networks (2019),
sections 1 and 2.
"""

import contextlib
import copy
import hashlib

import torch

from cnnbook.diagnosis_checks import (
    as_accuracy,
    as_loss,
    as_outputs,
    check_answer,
    check_network,
    check_pictures,
    check_pipeline,
    check_trial,
    random_state_kept,
)


@contextlib.contextmanager
def untouched(model, optimizer=None):
    """Let the body of a `with` try things out, and then put everything back, also after an error.

    Put back are the weights and buffers of the model (such as the running statistics of batch
    normalization), whatever they hold, NaN included; the gradients; the mode of each of its
    modules; the weights, settings and memory of the optimizer; and the random states of Python,
    NumPy, torch's CPU and, if the model is on a CUDA device, that device. Modules and parameters
    that the body adds or replaces are not removed.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer, optional
    """
    groups = [] if optimizer is None else optimizer.param_groups
    trained = [parameter for group in groups for parameter in group["params"]]
    tensors = [*model.parameters(), *model.buffers(), *trained]
    before = [(tensor, tensor.detach().clone(), copy.deepcopy(tensor.grad)) for tensor in tensors]
    modes = [(module, module.training) for module in model.modules()]
    memory = None if optimizer is None else copy.deepcopy(optimizer.state_dict())
    try:
        with random_state_kept(model):
            yield
    finally:
        for tensor, values, gradient in before:
            tensor.data.copy_(values)
            tensor.grad = gradient
        for module, mode in modes:
            module.training = mode
        if optimizer is not None:
            optimizer.load_state_dict(memory)


def overfit_batch(model, optimizer, step, images, labels, steps=100):
    """Return the losses of steps that are all taken on one and the same mini-batch.

    The first loss is that of a network which knows nothing about it: near the logarithm of the
    number of classes, if outputs are logits near 0, the loss is the mean cross-entropy, and the
    network is untrained. The last is near 0, if the step can learn at all and the network is large
    enough for the mini-batch. The model is set to training mode before each step.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
    step : callable
        See the top of this module.
    images : torch.Tensor, shape (N, ...)
    labels : torch.Tensor, shape (N, ...)
    steps : int, at least 1

    Returns
    -------
    list of float
        NaN and infinite losses are kept as they are.

    Raises
    ------
    ValueError
        An argument is not as above, or `step` returned something else than one real number.
    """
    steps = check_trial(model, optimizer, step, images, labels, steps)
    losses = []
    with untouched(model, optimizer):
        for _ in range(steps):
            model.train()
            losses.append(as_loss(step(model, optimizer, images, labels)))
    return losses


def silent_parameters(model, optimizer, step, images, labels):
    """Return the names of the parameters that one step cannot change.

    They have no gradient, or one of zeros alone, when the optimizer takes its step, or else the
    optimizer does not have them. Frozen parameters (`requires_grad` is False) are left out, and so
    are parameters that the model does not know of, as those of layers kept in a plain list.

    Parameters
    ----------
    model, optimizer, step, images, labels
        As in `overfit_batch`.

    Returns
    -------
    list of str
        In the order of the model. A gradient with NaN is not silent. If `step` never calls
        `optimizer.step`, these are all.

    Raises
    ------
    ValueError
        As in `overfit_batch`.
    """
    check_trial(model, optimizer, step, images, labels)
    reached = set()

    def note(stepping, *_):
        for weight in (weight for group in stepping.param_groups for weight in group["params"]):
            if weight.grad is not None and weight.grad.any():
                reached.add(weight)

    hook = optimizer.register_step_pre_hook(note)
    try:
        with untouched(model, optimizer):
            model.train()
            model.zero_grad()
            as_loss(step(model, optimizer, images, labels))
    finally:
        hook.remove()
    named = model.named_parameters()
    return [name for name, weight in named if weight.requires_grad and weight not in reached]


def dead_units(model, images):
    """Return, for each ReLU of a network, the share of its units that no picture makes positive.

    A unit is a number in a row (N, C), or a channel of maps (N, C, H, W). Measured in evaluation
    mode. Only modules `nn.ReLU` are seen, not the function `relu`.

    Parameters
    ----------
    model : torch.nn.Module
    images : torch.Tensor, shape (N, ...)

    Returns
    -------
    dict of str to float
        The name of the module and a share from 0 to 1. NaN is not positive.

    Raises
    ------
    ValueError
        An argument is not as above, or no ReLU answered.
    """
    relus = check_network(model, images)
    alive = {}

    def note(relu, _, outputs):
        fires = (outputs > 0).transpose(0, 1).flatten(1).any(1)
        alive[relu] = fires | alive.get(relu, fires)

    hooks = [relu.register_forward_hook(note) for relu in relus]
    try:
        with untouched(model), torch.no_grad():
            model.eval()
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {relus[relu]: 1 - fires.double().mean().item() for relu, fires in alive.items()}


def batch_dependence(model, answer, images):
    """Return by how much the answer for a picture depends on the pictures beside it, at most.

    All pictures are answered together, and then in two halves. The model is in training mode before
    each call, as it is after an epoch: `answer` has to see to its mode.

    Parameters
    ----------
    model : torch.nn.Module
    answer : callable
        See the top of this module.
    images : torch.Tensor, shape (N, ...), N at least 4

    Returns
    -------
    float
        The largest absolute difference of two outputs, about 1e-6 from rounding alone if the
        outputs are around 1; NaN if a difference is NaN.

    Raises
    ------
    ValueError
        An argument is not as above, or `answer` returned something else than a tensor of
        floating-point numbers with a row for each picture.
    """
    check_answer(model, answer, images)
    outputs = []
    with untouched(model), torch.no_grad():
        for part in (images, *images.tensor_split(2)):
            model.train()
            outputs.append(as_outputs(answer(model, part), part).clone())
    return (outputs[0] - torch.cat(outputs[1:])).abs().max().item()


def shuffled_labels_accuracy(pipeline, images, labels, seed=0):
    """Return the accuracy that a pipeline reports when the labels are dealt out at random.

    Nothing can be learned then about pictures that were not seen. An accuracy far beyond chance
    (for balanced classes, 1 in their number) means that the pictures which judge were seen, with
    their labels. One deal strays further from chance than independent guesses would, since a
    network answers the pictures of a class alike: by up to the standard error of as many guesses
    as there are classes, sqrt(p (1 - p) / C) for chance p and C classes. Several seeds say more
    than one.

    Parameters
    ----------
    pipeline : callable
        See the top of this module.
    images : torch.Tensor, shape (N, ...)
    labels : torch.Tensor, shape (N,)
    seed : int, 0 to 2**32 - 1
        Of the order of the labels.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An argument is not as above, or `pipeline` returned something else than a number from 0
        to 1.
    """
    random = check_pipeline(pipeline, images, labels, seed)
    with random_state_kept():
        shuffled = labels[torch.randperm(len(labels), generator=random)]
        return as_accuracy(pipeline(images, shuffled))


def shared_pictures(first, second):
    """Return the places of those pictures of the second set that are in the first too, bit by bit.

    Pictures are compared by a hash of their values, so a picture that was shifted, turned or scaled
    is another one, and so is one whose 0 became -0. NaN equals NaN of the same bits.

    Parameters
    ----------
    first : torch.Tensor, shape (M, ...)
    second : torch.Tensor, shape (N, ...), of the same dtype and the same size of a picture

    Returns
    -------
    list of int, ascending

    Raises
    ------
    ValueError
        An argument is not as above.
    """
    first, second = check_pictures(first, second)
    known = {hashlib.sha256(picture).digest() for picture in first}
    found = [hashlib.sha256(picture).digest() in known for picture in second]
    return [place for place, shared in enumerate(found) if shared]
