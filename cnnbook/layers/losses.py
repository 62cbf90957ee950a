"""Softmax, the losses on top of it, and their backward passes.

The chapter "Backpropagation through dense layers" introduces the functions of this module. Scores
are arrays (N, classes), one row an example. Floats keep their type; whole numbers and bool become
float64. A row that holds NaN or plus infinity, or nothing but minus infinity, becomes NaN.
"""

import numpy as np

from cnnbook.layers.dense_checks import check_labels, check_scores, check_scores_backward


def softmax(scores):
    """Turn each row of scores into probabilities that add up to 1.

    Parameters
    ----------
    scores : array_like of real numbers, shape (N, classes)
        N may be 0. A score of minus infinity has the probability 0.

    Returns
    -------
    array, shape (N, classes)
        A row that holds NaN or plus infinity, or nothing but minus infinity, becomes NaN.

    Raises
    ------
    ValueError
        `scores` is not as above.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 4.1.
    """
    scores = check_scores(scores)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_softmax(scores):
    """Return the logarithms of `softmax`, finite also where the probabilities are rounded to 0.

    Parameters
    ----------
    scores : array_like of real numbers, shape (N, classes)
        N may be 0.

    Returns
    -------
    array, shape (N, classes)
        A row that holds NaN or plus infinity, or nothing but minus infinity, becomes NaN.

    Raises
    ------
    ValueError
        `scores` is not as above.

    Source: Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax
    functions (2021).
    """
    scores = check_scores(scores)
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_softmax_backward(upstream, scores):
    """Return the gradient of the scores of `log_softmax`.

    Parameters
    ----------
    upstream : array_like of real numbers, shape (N, classes)
        The gradient of the loss with respect to the log-probabilities.
    scores : array_like of real numbers, shape (N, classes)

    Returns
    -------
    array, shape (N, classes)
        A row in which upstream or `softmax` is NaN becomes NaN.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: derived in the chapter.
    """
    upstream, scores = check_scores_backward(upstream, scores)
    return upstream - softmax(scores) * upstream.sum(axis=1, keepdims=True)


def nll_loss(log_probabilities, labels):
    """Return the mean of minus the log-probability of the right class, in nats.

    Parameters
    ----------
    log_probabilities : array_like of real numbers, shape (N, classes)
        N is at least 1.
    labels : array_like of whole numbers, shape (N,)
        The right class of each row, from 0 to classes - 1.

    Returns
    -------
    number, of the type of the scores
        NaN if the log-probability of a right class is NaN; NaN of other classes is not seen.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.1.1.
    """
    log_probabilities, labels = check_labels(log_probabilities, labels, "log_probabilities")
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def nll_loss_backward(log_probabilities, labels):
    """Return the gradient of the log-probabilities of `nll_loss`.

    Parameters
    ----------
    log_probabilities, labels
        As in `nll_loss`.

    Returns
    -------
    array, shape (N, classes)
        -1 / N at the right class of each row, else 0. Only the shape and the type of
        `log_probabilities` matter, and NaN in it changes nothing.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: derived in the chapter.
    """
    log_probabilities, labels = check_labels(log_probabilities, labels, "log_probabilities")
    d_log_probabilities = np.zeros_like(log_probabilities)
    d_log_probabilities[np.arange(len(labels)), labels] = -1 / len(labels)
    return d_log_probabilities


def cross_entropy(scores, labels):
    """Return `nll_loss` of `log_softmax`: the mean cross-entropy, in nats.

    Parameters
    ----------
    scores : array_like of real numbers, shape (N, classes)
        N is at least 1. Scores, not probabilities.
    labels : array_like of whole numbers, shape (N,)
        The right class of each row, from 0 to classes - 1.

    Returns
    -------
    number, of the type of the scores
        NaN if any row holds NaN or plus infinity, or nothing but minus infinity.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.3.
    """
    scores, labels = check_labels(scores, labels)
    return nll_loss(log_softmax(scores), labels)


def cross_entropy_backward(scores, labels):
    """Return the gradient of the scores of `cross_entropy`: (probabilities - one-hot) / N.

    Parameters
    ----------
    scores, labels
        As in `cross_entropy`.

    Returns
    -------
    array, shape (N, classes)
        A row that holds NaN or plus infinity, or nothing but minus infinity, becomes NaN.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Bridle, Probabilistic interpretation of feedforward classification network outputs,
    with relationships to statistical pattern recognition (1990).
    """
    scores, labels = check_labels(scores, labels)
    d_scores = softmax(scores)
    d_scores[np.arange(len(labels)), labels] -= 1
    return d_scores / len(labels)
