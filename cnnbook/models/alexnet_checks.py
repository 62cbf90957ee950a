"""Checks of arguments for both AlexNets: each returns them converted, or raises ValueError."""

import math
import numbers

from cnnbook.checks import whole
from cnnbook.models.checks import check_switch


def check_alexnet(classes, width, towers):
    """Return the number of classes, the width and the number of towers."""
    return whole("classes", classes, 1), *check_width(width, towers)


def check_width(width, towers):
    """Return the width and the number of towers, among which the kernels are dealt out."""
    towers, width = whole("towers", towers, 1, 2), whole("width", width, 1)
    if width % towers:
        raise ValueError(f"width was {width}; it must be even for two towers to share the kernels")
    return width, towers


def check_small_alexnet(width, towers, halved, **switches):
    """Return the width, the number of towers and whether the kernels are halved."""
    width, towers = check_width(width, towers)
    for name, value in {"halved": halved, **switches}.items():
        check_switch(name, value)
    if halved and (towers == 2 or width % 2):
        raise ValueError(
            f"halved was True with width {width} and towers {towers}; "
            f"it must be False unless the width is even and towers is 1"
        )
    return width, towers, halved


def check_response_norm(towers, alpha):
    """Return the number of towers and the factor of the squares."""
    number = isinstance(alpha, numbers.Real) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < math.inf:
        raise ValueError(f"alpha was {alpha!r}; it must be a positive, finite number")
    return whole("towers", towers, 1, 2), float(alpha)
