"""Runs statements of the instructor's cells for the names that they bind.

A statement is plain data: its text, the names that it binds or changes, the names that it uses.
`referee.supplies` reads them from a notebook.
"""

import builtins

STAR = "*"


class CannotMake(Exception):
    """A statement of the instructor's ended with an exception."""


def make(supplies, wanted):
    """Run what names need, in the order of the notebook; return what they stand for.

    Parameters
    ----------
    supplies : list of [text, names bound, names used], in the order of the notebook
    wanted : names; those that no statement binds are left out

    Raises
    ------
    CannotMake
    """
    there = {name for _, binds, _ in supplies for name in binds}.intersection(wanted)
    if not there:
        return {}
    scope = {"__name__": "__main__", "__builtins__": builtins}
    names = reached([(binds, uses) for _, binds, uses in supplies], there)
    for text, binds, _ in supplies:
        if STAR in binds or not names.isdisjoint(binds):
            try:
                exec(compile(text, "the instructor's cells", "exec"), scope)
            except Exception as error:
                raise CannotMake(f"{', '.join(sorted(there))}: {_line(text, error)}") from error
    return {name: scope[name] for name in there if name in scope}


def _line(text, error):
    return f"`{text.splitlines()[0]}` ends with {type(error).__name__}: {error}"


def reached(pairs, wanted):
    """Return the names that wanted names need, themselves included; `pairs` of binds and uses."""
    names, size = set(wanted), -1
    while size < len(names):
        size = len(names)
        for binds, uses in pairs:
            if not names.isdisjoint(binds):
                names.update(uses)
    return names
