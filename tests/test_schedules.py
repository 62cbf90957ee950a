"""The factors of the schedules are those of torch's schedulers, at every step."""

import inspect
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from cnnbook import schedules
from cnnbook.schedules import (
    constant_factor,
    cosine_factor,
    one_cycle_factor,
    step_factor,
    warmup_factor,
)

FUNCTIONS = [constant_factor, cosine_factor, one_cycle_factor, step_factor, warmup_factor]
RATE = 0.3

lengths = st.integers(1, 130)
shares = st.floats(0.01, 1).map(lambda share: round(share, 3))


def rates_in_torch(schedule, steps):
    """Return the learning rates that `schedule(optimizer)` gives to so many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler, rates = schedule(optimizer), []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            scheduler.step()
    return rates


def agree(factor, schedule, steps, /, **options):
    ours = [RATE * factor(step, steps, **options) for step in range(steps)]
    theirs = rates_in_torch(schedule, steps)
    assert len(ours) == len(theirs) == steps
    for one, two in zip(ours, theirs, strict=True):
        assert math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12)


@given(steps=lengths)
@settings(max_examples=5, deadline=None)
def test_the_constant_factor_is_one(steps):
    agree(constant_factor, lambda optimizer: lr_scheduler.ConstantLR(optimizer, 1.0), steps)


@given(steps=lengths, drops=st.lists(shares, max_size=4), factor=st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_steps_are_those_of_multi_step_lr(steps, drops, factor):
    milestones = sorted(round(share * steps) for share in drops)
    if 0 in milestones:  # torch has no step before the first
        milestones, drops = [], []

    def schedule(optimizer):
        return lr_scheduler.MultiStepLR(optimizer, milestones, gamma=factor)

    agree(step_factor, schedule, steps, drops=drops, factor=factor)


@given(steps=lengths, lowest=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_the_cosine_is_that_of_cosine_annealing_lr(steps, lowest):
    def schedule(optimizer):
        return lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=lowest * RATE)

    agree(cosine_factor, schedule, steps, lowest=lowest)


@given(steps=lengths, share=shares, start=st.sampled_from([0.001, 0.3, 1.0]))
@settings(max_examples=15, deadline=None)
def test_the_warm_up_is_that_of_linear_lr(steps, share, start):
    length = round(share * steps)
    if length == 0:
        assert warmup_factor(0, steps, share, start) == 1
        return

    def schedule(optimizer):
        return lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=length)

    agree(warmup_factor, schedule, steps, share=share, start=start)


@given(steps=lengths, share=st.floats(0, 0.99).map(lambda share: round(share, 3)))
@settings(max_examples=15, deadline=None)
def test_one_cycle_is_that_of_one_cycle_lr(steps, share):
    if share * steps == 1:  # torch divides by zero
        assert one_cycle_factor(0, steps, share) == 1
        return

    def schedule(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=share)

    agree(one_cycle_factor, schedule, steps, share=share)


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 860])
def test_the_defaults_are_those_that_are_named(steps):
    agree(one_cycle_factor, lambda o: lr_scheduler.OneCycleLR(o, RATE, total_steps=steps), steps)
    agree(cosine_factor, lambda o: lr_scheduler.CosineAnnealingLR(o, steps), steps)


def test_factors_multiply_as_in_a_chain_of_torch_s_schedulers():
    steps = 50

    def schedule(optimizer):
        first = lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=5)
        second = lr_scheduler.MultiStepLR(optimizer, [25, 38])
        return lr_scheduler.ChainedScheduler([first, second])

    agree(
        lambda step, steps: warmup_factor(step, steps) * step_factor(step, steps), schedule, steps
    )


def test_worked_values():
    assert [round(cosine_factor(step, 4), 3) for step in range(4)] == [1, 0.854, 0.5, 0.146]
    assert [step_factor(step, 8) for step in (3, 4, 5, 6)] == pytest.approx([1, 0.1, 0.1, 0.01])
    assert [warmup_factor(step, 20, 0.2, 0) for step in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert one_cycle_factor(0, 100) == pytest.approx(0.04)
    assert one_cycle_factor(29, 100) == 1
    assert one_cycle_factor(99, 100) == pytest.approx(4e-6)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    "step, steps, message",
    [
        (10, 10, "step was 10; it must be a whole number from 0 to 9"),
        (-1, 10, "step was -1; it must be a whole number from 0 to 9"),
        (0.5, 10, "step was 0.5; it must be a whole number from 0 to 9"),
        (True, 10, "step was True; it must be a whole number from 0 to 9"),
        (0, 0, "steps was 0; it must be a whole number of at least 1"),
        (0, None, "steps was None; it must be a whole number of at least 1"),
    ],
)
def test_a_step_that_is_none_is_named(function, step, steps, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(step, steps)


@pytest.mark.parametrize(
    "function, options, message",
    [
        (step_factor, {"drops": 0.5}, "drops was 0.5; it must be a sequence of numbers from 0 to"),
        (step_factor, {"drops": (0.5, 2)}, "drops was 2; it must be a number from 0 to 1"),
        (step_factor, {"factor": 1.5}, "factor was 1.5; it must be a number from 0 to 1"),
        (cosine_factor, {"lowest": -0.1}, "lowest was -0.1; it must be a number from 0 to 1"),
        (cosine_factor, {"lowest": math.nan}, "lowest was nan; it must be a number from 0 to 1"),
        (warmup_factor, {"share": "all"}, "share was 'all'; it must be a number from 0 to 1"),
        (warmup_factor, {"start": True}, "start was True; it must be a number from 0 to 1"),
        (one_cycle_factor, {"share": 1}, "share was 1; it must be a number from 0 to below 1"),
    ],
)
def test_a_wrong_setting_is_named(function, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        function(3, 10, **options)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_schedule_is_documented_and_tested_here(function):
    assert "Parameters" in inspect.getdoc(function) and "NaN" in schedules.__doc__
    public = {name for name in vars(schedules) if name.endswith("_factor")} - {"check_factor"}
    assert public == {each.__name__ for each in FUNCTIONS}
