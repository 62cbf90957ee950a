"""Checks of the arguments of `cnnbook.data.textures`."""

from cnnbook.checks import whole


def check_columns(columns, size):
    """Return `columns` as two ints; ValueError if they hold no patch of `size` columns."""
    try:
        first, end = columns
    except (TypeError, ValueError):
        raise ValueError(f"columns were {columns!r}; they must be a pair (first, end)") from None
    first, end = whole("columns[0]", first, 0, 511), whole("columns[1]", end, 1, 512)
    if end - first < size:
        raise ValueError(f"columns were {first} to {end}; they must hold a patch of {size} columns")
    return first, end
