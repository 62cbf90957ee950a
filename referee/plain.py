"""Plain data: what may cross between a test cell and the student's code.

Numbers, texts, bytes, ranges, containers of the built-in types, NumPy arrays and scalars, torch
tensors. Of these only the exact types: a subclass can lie about itself.
"""

import copy
import hashlib
import sys

SCALARS = (type(None), bool, int, float, complex, str, bytes, range)
SEQUENCES = (list, tuple, set, frozenset)


def refusal(value):
    """Return what a value is, if it is not plain data, and None if it is."""
    if type(value) in SCALARS:
        return None
    if type(value) in SEQUENCES:
        return next((r for r in map(refusal, value) if r), None)
    if type(value) is dict:
        return next((r for pair in value.items() for r in map(refusal, pair) if r), None)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        return "an array of objects" if value.dtype.hasobject else None
    if torch and type(value) is torch.Tensor:
        return "a tensor that requires gradients" if value.requires_grad else None
    if callable(value):
        return f"the {type(value).__name__} {getattr(value, '__name__', '')}".rstrip()
    return f"an object of type {type(value).__name__}"


def fingerprint(digest, value):
    """Put a value into a hash. Equal plain data give equal hashes; other values their type."""
    kind = type(value)
    digest.update(f"{kind.__module__}.{kind.__qualname__}(".encode())
    torch = sys.modules.get("torch")
    if refusal(value):
        pass
    elif kind in (list, tuple):
        for element in value:
            fingerprint(digest, element)
    elif kind in (set, frozenset):
        for element in sorted(map(_hash, value)):
            digest.update(element)
    elif kind is dict:
        for pair in value.items():
            fingerprint(digest, pair)
    elif torch and kind is torch.Tensor:
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).cpu().numpy().tobytes())
    elif hasattr(value, "tobytes"):
        digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    else:
        digest.update(repr(value).encode())
    digest.update(b")")


def _hash(value):
    digest = hashlib.sha256()
    fingerprint(digest, value)
    return digest.digest()


class Recorder:
    """What a test cell did with the names that it was given."""

    def __init__(self):
        self.digest = hashlib.sha256()
        self.faults = []

    def fault(self, text):
        if text not in self.faults:
            self.faults.append(text)


class StandIn:
    """Stands for a function in a test cell: it can be called with plain data, and nothing else.

    Arguments and results are copies, as if they had come from another process.
    """

    __slots__ = ("_driver", "_function", "_name", "_recorder")

    def __init__(self, name, function, recorder, driver):
        self._name, self._function = name, function
        self._recorder, self._driver = recorder, driver

    def __call__(self, *args, **kwargs):
        record, name = self._recorder, self._name
        for value in [*args, *kwargs.values()]:
            if refused := refusal(value):
                record.fault(f"calls {name!r} with {refused}, which is not plain data")
        fingerprint(record.digest, name)
        fingerprint(record.digest, [list(args), kwargs])
        try:
            result = self._function(*copy.deepcopy(args), **copy.deepcopy(kwargs))
        except Exception as error:
            fingerprint(record.digest, f"{type(error).__name__}: {error}")
            raise
        if refused := refusal(result):
            record.fault(f"{name!r} returns {refused}, which is not plain data")
        elif self._driver and type(result) in (bool, type(None)):
            record.fault(
                f"driver {name!r} returns {result}: a verdict, which can be faked;"
                " let it return the figures to be judged"
            )
        fingerprint(record.digest, result)
        return copy.deepcopy(result)
