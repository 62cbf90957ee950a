"""Soft targets and the distillation loss are what their formulas say, in value and gradient."""

import ast
import inspect
import json
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.nn import functional as F

from cnnbook.distillation import distillation_loss, soften
from experiments import distillation as experiment
from tools import notebooks

N, CLASSES = 5, 7
each_temperature = pytest.mark.parametrize("temperature", [0.3, 1, 2.5, 20])


def scores(seed, count=N, classes=CLASSES, scale=3.0):
    random = np.random.default_rng(seed)
    return torch.tensor(random.normal(scale=scale, size=(count, classes)))


def softmax(array, temperature=1.0):
    exponentials = np.exp(array / temperature)
    return exponentials / exponentials.sum(1, keepdims=True)


def one_hot(labels, classes=CLASSES):
    return np.eye(classes)[labels.numpy()]


LABELS = torch.tensor([3, 0, 6, 3, 1])


# soften


def test_three_scores_by_hand():
    """The odds 16 : 4 : 1 become 4 : 2 : 1 at temperature 2, and 2 : √2 : 1 at temperature 4."""
    row = torch.tensor([[np.log(16), np.log(4), 0.0]])
    assert torch.allclose(soften(row, 1), torch.tensor([[16.0, 4, 1]]).double() / 21)
    assert torch.allclose(soften(row, 2), torch.tensor([[4.0, 2, 1]]).double() / 7)
    expected = np.array([[2, np.sqrt(2), 1]]) / (3 + np.sqrt(2))
    assert np.allclose(soften(row, 4), expected, atol=1e-12)


@each_temperature
def test_softened_rows_are_the_softmax_of_scores_over_temperature(temperature):
    found = soften(scores(0), temperature)
    assert found.dtype == torch.float64
    assert np.allclose(found, softmax(scores(0).numpy(), temperature), atol=1e-12)


@each_temperature
def test_a_constant_added_to_a_row_changes_nothing(temperature):
    moved = scores(0) + torch.arange(N)[:, None] - 2
    assert torch.allclose(soften(moved, temperature), soften(scores(0), temperature), atol=1e-12)


def test_the_limits_are_the_largest_score_ties_shared_and_equal_probabilities():
    rows = torch.tensor([[2.0, 5, 1, 4], [3, 0, 3, -1]])
    cold, hot = soften(rows, 1e-3), soften(rows, 1e6)
    assert torch.equal(cold, torch.tensor([[0.0, 1, 0, 0], [0.5, 0, 0.5, 0]]))
    assert torch.allclose(hot, torch.full((2, 4), 0.25), atol=1e-5)


def test_huge_scores_do_not_overflow_and_a_batch_may_be_empty():
    assert torch.equal(soften(torch.tensor([[1e4, 0.0, -1e4]]), 1), torch.eye(3)[:1])
    assert soften(torch.zeros(0, 3), 2).shape == (0, 3)


def test_nan_stays_in_its_row():
    rows = scores(0)
    rows[2, 1] = torch.nan
    found = soften(rows, 3).isnan()
    assert found[2].all() and not found[[0, 1, 3, 4]].any()


# the loss


def loss_in_numpy(student, teacher, labels, temperature, weight):
    total = 0.0
    p, q = softmax(student, temperature), softmax(teacher, temperature)
    hard = softmax(student)
    for n in range(len(student)):
        divergence = sum(q[n, k] * np.log(q[n, k] / p[n, k]) for k in range(student.shape[1]))
        total += weight * temperature**2 * divergence
        total -= (1 - weight) * np.log(hard[n, labels[n]])
    return total / len(student)


@each_temperature
@pytest.mark.parametrize("weight", [0, 0.3, 0.9, 1])
def test_the_loss_is_its_definition_summed_up(temperature, weight):
    student, teacher = scores(1), scores(2)
    found = distillation_loss(student, teacher, LABELS, temperature, weight)
    expected = loss_in_numpy(student.numpy(), teacher.numpy(), LABELS, temperature, weight)
    assert found.ndim == 0 and np.isclose(found, expected, rtol=1e-10)


@each_temperature
@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_the_gradient_is_the_derived_one_with_a_random_upstream(temperature, weight):
    student, teacher, upstream = scores(1).requires_grad_(), scores(2), -1.7
    loss = distillation_loss(student, teacher, LABELS, temperature, weight)
    loss.backward(torch.tensor(upstream, dtype=torch.float64))
    z, v = student.detach().numpy(), teacher.numpy()
    soft = temperature * (softmax(z, temperature) - softmax(v, temperature))
    hard = softmax(z) - one_hot(LABELS)
    expected = upstream * (weight * soft + (1 - weight) * hard) / N
    assert np.allclose(student.grad, expected, atol=1e-12)


def test_it_is_zero_with_a_zero_gradient_where_student_and_teacher_differ_by_constants():
    teacher = scores(2)
    student = (teacher + torch.arange(N)[:, None]).requires_grad_()
    loss = distillation_loss(student, teacher, LABELS, 3, 1)
    loss.backward()
    assert abs(loss.item()) < 1e-12 and student.grad.abs().max() < 1e-12


def test_the_divergence_counts_from_the_teacher():
    """Mass where the student has none costs more than the other way round."""
    sure, open_minded = torch.tensor([[9.0, 0, 0]]), torch.tensor([[0.0, 0, 0]])
    label = torch.tensor([0])
    missed = distillation_loss(sure, open_minded, label, 1, 1)
    wasted = distillation_loss(open_minded, sure, label, 1, 1)
    assert missed > 4 and wasted < 1.1


def test_a_hot_loss_matches_centered_scores():
    student, teacher = scores(1).requires_grad_(), scores(2)
    centered = [part - part.mean(1, keepdim=True) for part in (student.detach(), teacher)]
    difference = centered[0] - centered[1]
    loss = distillation_loss(student, teacher, LABELS, 1e4, 1)
    loss.backward()
    assert np.isclose(loss.item(), difference.square().sum() / (2 * CLASSES * N), rtol=1e-3)
    assert torch.allclose(student.grad, difference / (CLASSES * N), atol=1e-4)


def test_no_gradient_flows_to_the_teacher():
    student, teacher = scores(1).requires_grad_(), scores(2).requires_grad_()
    distillation_loss(student, teacher, LABELS, 2, 0.5).backward()
    assert student.grad.any() and teacher.grad is None


def test_without_labels_it_is_the_teacher_s_part():
    parts = scores(1), scores(2)
    assert distillation_loss(*parts, None, 2, 1) == distillation_loss(*parts, LABELS, 2, 1)


def test_the_mean_runs_over_the_batch():
    student, teacher = scores(1), scores(2)
    rows = [
        distillation_loss(student[n : n + 1], teacher[n : n + 1], LABELS[n : n + 1], 2, 0.4)
        for n in range(N)
    ]
    together = distillation_loss(student, teacher, LABELS, 2, 0.4)
    assert torch.isclose(together, torch.stack(rows).mean())


def test_a_teacher_who_excludes_a_class_does_no_harm_and_nan_is_seen():
    teacher = scores(2)
    teacher[1, 4] = -torch.inf
    assert distillation_loss(scores(1), teacher, LABELS, 2, 0.4).isfinite()
    teacher[1, 4] = torch.nan
    assert distillation_loss(scores(1), teacher, LABELS, 2, 0.4).isnan()


two, one = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: soften([[1.0]], 1), "scores were list; they must be a torch tensor of floats"),
        (lambda: soften(two.long(), 1), "scores were torch.int64; they must be a torch tensor"),
        (lambda: soften(two[0], 1), "scores were of shape (3,); they must be (N, classes)"),
        (lambda: soften(two[:, :0], 1), "scores were of shape (2, 0); they must be (N, classes)"),
        (lambda: soften(two, 0), "temperature was 0; it must be a finite number above 0"),
        (lambda: soften(two, -1.5), "temperature was -1.5; it must be a finite number above 0"),
        (lambda: soften(two, np.inf), "temperature was inf; it must be"),
        (lambda: soften(two, np.nan), "temperature was nan; it must be"),
        (lambda: soften(two, True), "temperature was True; it must be"),
        (lambda: soften(two, "2"), "temperature was '2'; it must be"),
        (
            lambda: distillation_loss(two[0], two, one, 1, 1),
            "student_scores were of shape (3,); they must be (N, classes)",
        ),
        (
            lambda: distillation_loss(two, two.long(), one, 1, 1),
            "teacher_scores were torch.int64; they must be a torch tensor of floats",
        ),
        (
            lambda: distillation_loss(two, two[:1], one, 1, 1),
            "teacher_scores were of shape (1, 3); they must be (2, 3), the shape of student_sc",
        ),
        (
            lambda: distillation_loss(two[:0], two[:0], one[:0], 1, 1),
            "student_scores were of shape (0, 3); they must have at least one row",
        ),
        (lambda: distillation_loss(two, two, one, 0, 1), "temperature was 0; it must be"),
        (
            lambda: distillation_loss(two, two, one, 1, 1.1),
            "weight was 1.1; it must be a number from 0 to 1",
        ),
        (lambda: distillation_loss(two, two, one, 1, np.nan), "weight was nan; it must be"),
        (lambda: distillation_loss(two, two, one, 1, False), "weight was False; it must be"),
        (
            lambda: distillation_loss(two, two, None, 1, 0.9),
            "weight was 0.9; it must be 1 where labels is None",
        ),
        (
            lambda: distillation_loss(two, two, [0, 0], 1, 1),
            "labels were list; they must be a torch tensor of int64, or None",
        ),
        (
            lambda: distillation_loss(two, two, one.int(), 1, 1),
            "labels were torch.int32; they must be a torch tensor of int64, or None",
        ),
        (
            lambda: distillation_loss(two, two, one[:1], 1, 1),
            "labels were of shape (1,); they must be (2,)",
        ),
        (
            lambda: distillation_loss(two, two, one + 3, 1, 1),
            "labels held 3; they must be from 0 to 2",
        ),
        (
            lambda: distillation_loss(two, two, torch.tensor([-1, 2]), 1, 1),
            "labels held -1; they must be from 0 to 2",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()


# the controls of the experiment


def digit_scores(count=40):
    labels = torch.arange(count) % 10
    raised = scores(3, count, 10) + 4 * F.one_hot(labels, 10)
    return raised, labels


def test_shuffled_scores_keep_the_label_s_place_and_each_row_s_entropy():
    rows, labels = digit_scores()
    found = experiment.shuffled(rows, labels, torch.Generator().manual_seed(0))
    assert torch.equal(found.sort(1).values, rows.sort(1).values)
    assert torch.equal(found[range(40), labels], rows[range(40), labels])
    wrong = F.one_hot(labels, 10) == 0
    moved = (found != rows)[wrong].float().mean()
    assert 0.8 < moved < 0.97


def test_smoothing_has_the_mean_entropy_and_says_nothing_about_wrong_classes():
    rows, labels = digit_scores()
    found = soften(experiment.smoothing(rows, labels, 4.0), 4)
    wanted = experiment.entropy(soften(rows, 4)).mean()
    assert torch.allclose(experiment.entropy(found), wanted.expand(40), atol=1e-6)
    assert torch.equal(found.argmax(1), labels)
    wrong = found[F.one_hot(labels, 10) == 0]
    assert torch.allclose(wrong, wrong[:1].expand(len(wrong)), atol=1e-12)


def test_class_means_are_the_mean_soft_targets_of_the_class():
    rows, labels = digit_scores()
    found = soften(experiment.class_means(rows, labels, 4.0), 4)
    for digit in (0, 7):
        expected = soften(rows, 4)[labels == digit].mean(0)
        assert torch.allclose(found[labels == digit], expected.expand(4, 10), atol=1e-12)


def test_the_best_bias_is_the_one_that_reads_most_digits():
    rows = torch.tensor([[0.0, 3.1], [0.0, -0.9], [2.1, 1.5], [5.0, 0.0]])
    labels = torch.tensor([1, 0, 1, 0])
    assert experiment.best_bias(rows, labels, 1) == 0.75
    assert experiment.best_bias(rows.flip(1), 1 - labels, 0) == 0.75
    assert experiment.best_bias(rows - torch.tensor([0, 1000.0]), labels, 1) == 0


# the chapter


def chapter_cells():
    cells = notebooks.read(ROOT / "chapters/72-distillation.ipynb").cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def stored(name):
    source = next(cell for cell in chapter_cells() if f"{name} = " in cell)
    node = next(node for node in ast.parse(source).body if node.targets[0].id == name)
    return ast.literal_eval(node.value)


def results():
    path = ROOT / "experiments/results/distillation.json"
    return json.loads(path.read_text("utf-8"))["runs"]


@pytest.mark.parametrize(
    "name, figure, digits",
    [
        ("VALIDATION", "validation_accuracy", 2),
        ("STORED", "test_accuracy", 2),
        ("CONTROLS", "test_accuracy", 2),
        ("UNSEEN", "test_accuracy", 2),
        ("BIAS", "bias", 2),
        ("ABSENT", "test_absent", 1),
        ("CORRECTED", "test_accuracy_corrected", 2),
        ("ABSENT_CORRECTED", "test_absent_corrected", 1),
    ],
)
def test_the_chapter_shows_the_stored_figures_of_all_seeds(name, figure, digits):
    expected = {}
    for run in results():
        if figure in run:
            value = run[figure] if figure == "bias" else 100 * run[figure]
            expected.setdefault(run["recipe"], []).append(round(value, digits))
    shown = stored(name)
    assert shown == {recipe: expected[recipe] for recipe in shown}
    if figure not in ("validation_accuracy", "test_accuracy"):
        assert set(shown) == set(expected)


def test_every_recipe_of_the_experiment_stands_in_the_chapter():
    names = ("VALIDATION", "STORED", "CONTROLS", "UNSEEN")
    assert set().union(*(stored(name) for name in names)) == set(experiment.RECIPES)


def test_the_chapter_s_student_and_its_training_are_those_of_the_experiment():
    def tree(function):
        node = ast.parse(function).body[0]
        node.body = [
            part for part in node.body if not ast.get_docstring(node) or part != node.body[0]
        ]
        return ast.dump(node)

    for name in ("make_student", "train_student", "shuffled", "best_bias"):
        source = next(cell for cell in chapter_cells() if f"def {name}(" in cell)
        nodes = [part for part in ast.parse(source).body if getattr(part, "name", "") == name]
        shown = ast.unparse(nodes[0])
        assert tree(shown) == tree(inspect.getsource(getattr(experiment, name))), name
