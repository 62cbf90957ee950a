"""Knowledge distillation: soft targets and the loss that a student learns them with, in torch.

The chapter "Knowledge distillation" introduces the functions of this module. Scores are logits, or
anything that differs from them by a constant in each row, such as log-probabilities.
"""

from torch.nn import functional as F

from cnnbook.distillation_checks import check_distillation, check_soften


def soften(scores, temperature):
    """Turn each row of scores into probabilities: the softmax of scores / temperature.

    Every ratio of two probabilities is the one at temperature 1, to the power 1 / temperature.

    Parameters
    ----------
    scores : torch.Tensor, shape (N, classes), floating point
        N may be 0. A row with NaN or plus infinity becomes NaN.
    temperature : float, above 0 and finite

    Returns
    -------
    torch.Tensor, shape (N, classes)
        Through which gradients flow.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network (2015), eq. 1.
    """
    check_soften(scores, temperature)
    return F.softmax(scores / temperature, dim=1)


def distillation_loss(student_scores, teacher_scores, labels, temperature, weight):
    """Return weight · T² · KL(teacher ‖ student) + (1 - weight) · cross-entropy with the labels.

    The divergence is that of the two softened rows, in nats, and both parts are means over the
    batch. The gradient with respect to the student's scores is, with the softmax at T = 1 in the
    second part,

        weight · T · (student - teacher) / N + (1 - weight) · (student - one-hot) / N.

    None flows to the teacher.

    Parameters
    ----------
    student_scores, teacher_scores : torch.Tensor, shape (N, classes), floating point
        N is at least 1. NaN anywhere makes the loss NaN.
    labels : torch.Tensor, shape (N,), int64, or None
        The right classes, counted from 0. None, for pictures without labels, needs a weight of 1.
    temperature : float, above 0 and finite
    weight : float, from 0 to 1
        The teacher's part.

    Returns
    -------
    torch.Tensor, a single number

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: Hinton, Vinyals and Dean, Distilling the knowledge in a neural network (2015),
    section 2.
    """
    check_distillation(student_scores, teacher_scores, labels, temperature, weight)
    targets = soften(teacher_scores.detach(), temperature)  # (N, classes)
    log_guesses = F.log_softmax(student_scores / temperature, dim=1)
    soft_loss = temperature**2 * F.kl_div(log_guesses, targets, reduction="batchmean")
    if labels is None:
        return soft_loss
    return weight * soft_loss + (1 - weight) * F.cross_entropy(student_scores, labels)
