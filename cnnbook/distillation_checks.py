"""Checks of arguments for distillation. Each raises ValueError or returns nothing."""

import math
import numbers

import torch


def check_soften(scores, temperature, name="scores"):
    """Refuse scores that are no (N, classes) of floats, and a temperature that is not above 0."""
    if not isinstance(scores, torch.Tensor) or not scores.is_floating_point():
        kind = getattr(scores, "dtype", type(scores).__name__)
        raise ValueError(f"{name} were {kind}; they must be a torch tensor of floats (N, classes)")
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise ValueError(f"{name} were of shape {tuple(scores.shape)}; they must be (N, classes)")
    if not _is_number(temperature) or not 0 < temperature < math.inf:
        raise ValueError(f"temperature was {temperature!r}; it must be a finite number above 0")


def check_distillation(student_scores, teacher_scores, labels, temperature, weight):
    """Refuse scores of two shapes or without rows, and labels or a weight that do not fit."""
    check_soften(student_scores, temperature, "student_scores")
    check_soften(teacher_scores, temperature, "teacher_scores")
    shape = tuple(student_scores.shape)
    if not len(student_scores):
        raise ValueError(f"student_scores were of shape {shape}; they must have at least one row")
    if tuple(teacher_scores.shape) != shape:
        raise ValueError(
            f"teacher_scores were of shape {tuple(teacher_scores.shape)}; they must be {shape}, "
            "the shape of student_scores"
        )
    if not _is_number(weight) or not 0 <= weight <= 1:
        raise ValueError(f"weight was {weight!r}; it must be a number from 0 to 1")
    if labels is not None:
        _check_labels(labels, *shape)
    elif weight != 1:
        raise ValueError(f"weight was {weight!r}; it must be 1 where labels is None")


def _check_labels(labels, count, classes):
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise ValueError(f"labels were {kind}; they must be a torch tensor of int64, or None")
    if tuple(labels.shape) != (count,):
        raise ValueError(f"labels were of shape {tuple(labels.shape)}; they must be ({count},)")
    for extreme in (labels.min().item(), labels.max().item()):
        if not 0 <= extreme < classes:
            raise ValueError(f"labels held {extreme}; they must be from 0 to {classes - 1}")


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
