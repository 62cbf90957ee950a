"""The options of a course: `c.Referee.NAME = VALUE` in its `nbgrader_config.py`.

============  =======  ==================================================================
`packages`    numpy    names of packages that are loaded before a student's code starts
`seconds`     30       what one cell, or one call of a student's function, may take
`memory`      4096     megabytes that one student's process may take
`unsafe`      False    grade without a jail where the machine cannot make one
`forbidden`   none     dict from the grade id of an answer cell to the calls it may not use,
                       as `{"q1": ["numpy.convolve"]}`: a deterrent, not a boundary
============  =======  ==================================================================
"""

import ast
import contextlib
import math
from dataclasses import dataclass, field, fields, replace
from numbers import Real

from traitlets.config.loader import DeferredConfig

SECTION = "Referee"
ENABLED = "enabled"


@dataclass(frozen=True)
class Settings:
    """The options, checked. `memory` is in megabytes.

    Raises
    ------
    ValueError
        If an option has a value that it cannot have.
    """

    packages: tuple[str, ...] = ("numpy",)
    seconds: float = 30.0
    memory: int = 4096
    unsafe: bool = False
    forbidden: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self):
        names = list(self.packages) if isinstance(self.packages, list | tuple) else [None]
        _require(all(map(_is_text, names)), "packages", self.packages, "a list of package names")
        object.__setattr__(self, "packages", tuple(names))
        for name in ("seconds", "memory"):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            good = number and math.isfinite(value) and value > 0
            _require(good, name, value, "a number above 0")
        _require(isinstance(self.unsafe, bool), "unsafe", self.unsafe, "True or False")
        good = isinstance(self.forbidden, dict) and all(
            _is_text(grade_id) and isinstance(calls, list | tuple) and all(map(_is_text, calls))
            for grade_id, calls in self.forbidden.items()
        )
        what = "a dict from grade ids to lists of names such as numpy.convolve"
        _require(good, "forbidden", self.forbidden, what)

    def changed(self, **values):
        """Return the settings with the values that are not None."""
        return replace(self, **{name: v for name, v in values.items() if v is not None})


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


def _require(good, name, value, what):
    if not good:
        raise ValueError(f"c.{SECTION}.{name} must be {what}, and is {value!r}")


def read_settings(config):
    """Return the settings that an nbgrader configuration holds.

    Raises
    ------
    ValueError
        If there is an option that referee does not know, or a value that it cannot have.
    """
    given = dict(config[SECTION]) if SECTION in config else {}
    given.pop(ENABLED, None)
    known = [option.name for option in fields(Settings)]
    for name in given:
        if name not in known:
            raise ValueError(f"c.{SECTION}.{name} is no option; there are {', '.join(known)}")
    return Settings(**{name: _value(value) for name, value in given.items()})


def _value(given):
    """Return the value of an option: from the command line it comes as a text of Python."""
    if isinstance(given, list) and isinstance(given, DeferredConfig):
        return list(map(str, given))
    if isinstance(given, DeferredConfig):
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(given)
        return str(given)
    return given


def is_enabled(config):
    """Whether the configuration is one that `referee.enable` has seen."""
    return SECTION in config and config[SECTION].get(ENABLED, False) is True
