"""Checks of arguments for residual networks. Each returns its argument, or raises ValueError."""

from cnnbook.checks import whole


def check_choice(name, value, choices):
    """Return `value` if it is one of `choices`, of the same type."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices[:-1])
        raise ValueError(f"{name} was {value!r}; it must be {listed} or {choices[-1]!r}")
    return value


def check_depth(depth):
    """Return n, the blocks of each of three stages, of a network with 6n + 2 layers."""
    whole("depth", depth, 8)
    if depth % 6 != 2:
        raise ValueError(f"depth was {depth}; it must be 6n + 2, such as 8, 14, 20, 56 or 110")
    return depth // 6
