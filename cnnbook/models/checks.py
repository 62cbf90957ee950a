"""Checks of arguments for networks. Each returns its argument, or raises ValueError."""


def check_switch(name, value):
    """Return `value` if it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} was {value!r}; it must be True or False")
    return value
