"""The data-only format in which a judge and a student's process talk.

Plain data goes in as bytes and comes out as copies: numbers, texts, bytes, built-in containers,
NumPy arrays and scalars, torch tensors, of exactly these types. The sender's checks serve honest
students, who learn what to return instead. The reader trusts nothing: it imports and calls nothing
that the data names, and weighs each announced size against its limits before it makes room.

A message is a version byte and one value. A value is a tag byte and its content: counts (LEB128),
a fixed number of bytes, or further values. A frame is eight bytes of length, lowest first, and a
message.
"""

import builtins
import math
import re
import select
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType

VERSION = 1
LENGTH = struct.Struct("<Q")
CHUNK = 2**16
LONGEST_NAME, LONGEST_MESSAGE, LONGEST_STEP = 100, 10_000, 40
MOST_DIMENSIONS, MOST_ALIKE = 64, 64


@dataclass(frozen=True)
class Limits:
    """What one message may hold.

    `size`: bytes; `items`: values in all, where an array, a dict or a set counts as 4 and a tensor
    as 16; `depth`: of containers in containers; `digits`: of an integer, as many as Python prints.
    """

    size: int = 64 * 2**20
    items: int = 1_000_000
    depth: int = 50
    digits: int = 4300

    @property
    def integer_bytes(self):
        return int(self.digits * math.log2(10)) // 8


LIMITS = Limits()


class NotPlain(ValueError):
    """A value is not plain data: says which part of it, what that is and what would do."""


class WireError(ValueError):
    """Bytes are not a message: malformed, too large or too deep."""


class Closed(Exception):
    """The other side has closed the channel, or its process has ended."""


class Late(Exception):
    """The time for a message is over."""


DTYPE = re.compile(r"[<>|](?:b1|[iu][1248]|f[248]|c8|c16|[US][1-9][0-9]{0,8})", re.ASCII)
NUMPY_SCALARS = (
    *("bool", "int8", "int16", "int32", "int64", "longlong", "uint8", "uint16", "uint32"),
    *("uint64", "ulonglong", "float16", "float32", "float64", "complex64", "complex128"),
)
TORCH_DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)

NONE, TRUE, FALSE, ELLIPSIS = b"NTF."
INT, FLOAT, COMPLEX, TEXT, BYTES = b"ifcsb"
LIST, TUPLE, DICT, SET, FROZENSET, SLICE, RANGE = b"ltdez:r"
ARRAY, SCALAR, NUMPY_TEXT, NUMPY_BYTES, NUMPY_DTYPE = b"ASUBD"
TENSOR, TORCH_DTYPE = b"Pp"

CONSTANTS = {NONE: None, TRUE: True, FALSE: False, ELLIPSIS: Ellipsis}
NESTING = {LIST, TUPLE, DICT, SET, FROZENSET, SLICE}
NEVER_KEYS = {LIST, DICT, SET, SLICE, ARRAY, TENSOR}
COSTS = {ARRAY: 4, DICT: 4, SET: 4, FROZENSET: 4, TENSOR: 16}
MEMBER, KEY, BOUND = "a member", "a key", "a bound"


def encode(value, name="value", limits=LIMITS):
    """Return plain data as a message.

    Equal values of equal types give equal bytes, whatever the order of a set. Arrays become
    C-contiguous and keep shape, dtype and byte order; tensors lose their gradients; NaNs keep
    their bits. What a value holds twice is copied twice.

    Parameters
    ----------
    value : plain data
    name : what to call the value in a message to its author
    limits : Limits

    Raises
    ------
    NotPlain
        If the value, or a part of it, is not plain data, contains itself or exceeds a limit.
    """
    writer = _Writer(limits)
    writer.write(value, (None, name), 0, False)
    writer.room(0, (None, name))
    return bytes(writer.data)


def decode(data, limits=LIMITS):
    """Return the plain data of a message.

    Whatever the bytes, this takes memory of at most a small multiple of the limits.

    Parameters
    ----------
    data : bytes or bytearray
    limits : Limits

    Raises
    ------
    WireError
        If the bytes are no message or exceed a limit.
    """
    if len(data) > limits.size:
        raise WireError(f"a message of {len(data)} bytes, more than the {limits.size} allowed")
    reader = _Reader(data, limits)
    try:
        version, value = reader.take(1)[0], None
        if version == VERSION:
            value = reader.read(0, False)
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"the message cannot be read: {type(error).__name__}") from None
    if version != VERSION:
        raise WireError(f"a message of version {version}, not {VERSION}")
    if reader.left:
        raise WireError(f"{reader.left} bytes follow the message")
    return value


class _Writer:
    """Appends values to `data`; `path` says where in the whole a value stands."""

    def __init__(self, limits):
        self.limits = limits
        self.data = bytearray([VERSION])
        self.items = 0
        self.open = set()

    def write(self, value, path, depth, key):
        """Append a value; with `key` it must be one that can be a key or a member of a set."""
        tag, write = _writer(value)
        if write is None:
            raise NotPlain(f"{_where(path)} is {describe(value)}")
        if key and tag in NEVER_KEYS:
            raise NotPlain(f"{_where(path)} is {_article(_type_name(type(value)))}")
        self.items += COSTS.get(tag, 1)
        if self.items > self.limits.items:
            raise NotPlain(f"{_top(path)} holds more than {self.limits.items:,} values")
        if tag in NESTING:
            if id(value) in self.open:
                raise NotPlain(f"{_top(path)} contains itself")
            if depth >= self.limits.depth:
                raise NotPlain(f"{_top(path)} is nested deeper than {self.limits.depth} levels")
            self.open.add(id(value))
        self.data.append(tag)
        try:
            write(self, value, path, depth, key)
        except (NotPlain, MemoryError):
            raise
        except Exception as error:
            kind = _article(_type_name(type(value)))
            raise NotPlain(f"{_where(path)} is {kind} that cannot be read: {error}") from None
        self.open.discard(id(value))

    def room(self, size, path):
        if len(self.data) + size > self.limits.size:
            allowed = f"{self.limits.size / 2**20:g} MiB"
            raise NotPlain(f"{_top(path)} is too large: it takes more than {allowed}")

    def append(self, data, path):
        self.room(len(data), path)
        self.data += data

    def count(self, number):
        while number > 0x7F:
            self.data.append(number & 0x7F | 0x80)
            number >>= 7
        self.data.append(number)

    def sized(self, data, path):
        self.count(len(data))
        self.append(data, path)

    def constant(self, value, path, depth, key):
        """Its tag says all."""

    def int(self, value, path, depth, key):
        size = value.bit_length() // 8 + 1
        if size > self.limits.integer_bytes:
            digits = f"{self.limits.digits:,} digits"
            raise NotPlain(f"{_where(path)} is a whole number of more than {digits}")
        self.sized(value.to_bytes(size, "little", signed=True), path)

    def float(self, value, path, depth, key):
        self.append(struct.pack("<d", value), path)

    def complex(self, value, path, depth, key):
        self.append(struct.pack("<dd", value.real, value.imag), path)

    def text(self, value, path, depth, key):
        self.room(len(value), path)
        self.sized(str.encode(value, "utf-8", "surrogatepass"), path)

    def bytes(self, value, path, depth, key):
        self.sized(value, path)

    def sequence(self, value, path, depth, key):
        self.count(len(value))
        for index, element in enumerate(value):
            self.write(element, (path, index), depth + 1, key)

    def dict(self, value, path, depth, key):
        self.count(len(value))
        for name, element in value.items():
            self.write(name, (path, KEY), depth + 1, True)
            self.write(element, (path, name), depth + 1, False)

    def set(self, value, path, depth, key):
        """Members stand in the order of their bytes."""
        self.count(len(value))
        start, members = len(self.data), []
        for element in value:
            before = len(self.data)
            self.write(element, (path, MEMBER), depth + 1, True)
            members.append(bytes(self.data[before:]))
        self.data[start:] = b"".join(sorted(members))

    def bounds(self, value, path, depth, key):
        for bound in (value.start, value.stop, value.step):
            self.write(bound, (path, BOUND), depth + 1, key)

    def array(self, value, path, depth, key):
        self.dtype(value.dtype, path, depth, key)
        size = value.size * value.dtype.itemsize
        self.shape(value.shape, size, path)
        self.append(_proper(value.tobytes(), value.dtype.kind), path)

    def scalar(self, value, path, depth, key):
        self.dtype(value.dtype, path, depth, key)
        self.append(_proper(value.tobytes(), value.dtype.kind), path)

    def dtype(self, value, path, depth, key):
        text = value.str
        if not DTYPE.fullmatch(text):
            raise NotPlain(f"{_where(path)} has the dtype {value}, which is not plain data")
        self.sized(text.encode(), path)

    def tensor(self, value, path, depth, key):
        torch = sys.modules["torch"]
        if value.device.type != "cpu":
            raise NotPlain(f"{_where(path)} is a tensor on the device {value.device}, not the CPU")
        if value.layout is not torch.strided:
            raise NotPlain(f"{_where(path)} is a tensor that is not dense; .to_dense() makes it so")
        self.torch_dtype(value.dtype, path, depth, key)
        self.shape(tuple(value.shape), value.numel() * value.element_size(), path)
        flat = value.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
        data = flat.view(torch.uint8).numpy().tobytes()
        self.append(_proper(data, "b" if value.dtype is torch.bool else ""), path)

    def torch_dtype(self, value, path, depth, key):
        name = str(value).removeprefix("torch.")
        if name not in TORCH_DTYPES:
            raise NotPlain(f"{_where(path)} has the dtype {value}, which is not plain data")
        self.sized(name.encode(), path)

    def shape(self, shape, size, path):
        """Append a shape, if its `size` bytes have room."""
        if _too_wide(shape, size, self.limits):
            raise NotPlain(f"{_where(path)} has the shape {_short(shape)}, and no elements")
        if len(shape) > MOST_DIMENSIONS:
            raise NotPlain(f"{_where(path)} has more than {MOST_DIMENSIONS} dimensions")
        self.room(size, path)
        self.count(len(shape))
        for length in shape:
            self.count(length)


def _too_wide(shape, size, limits):
    """Whether an array without bytes claims more rows than a list of them may have."""
    return size == 0 and math.prod(max(length, 1) for length in shape) > limits.items


_WRITERS = {
    int: (INT, _Writer.int),
    float: (FLOAT, _Writer.float),
    complex: (COMPLEX, _Writer.complex),
    str: (TEXT, _Writer.text),
    bytes: (BYTES, _Writer.bytes),
    list: (LIST, _Writer.sequence),
    tuple: (TUPLE, _Writer.sequence),
    dict: (DICT, _Writer.dict),
    set: (SET, _Writer.set),
    frozenset: (FROZENSET, _Writer.set),
    slice: (SLICE, _Writer.bounds),
    range: (RANGE, _Writer.bounds),
}
# A class is known by its identity: comparing or hashing it would ask its metaclass.
_WRITERS_BY_ID = {id(kind): writer for kind, writer in _WRITERS.items()}


def _writer(value):
    """Return the tag of a value and what writes it, or None twice if it is not plain data."""
    kind = type(value)
    known = _WRITERS_BY_ID.get(id(kind))
    if known:
        return known
    for tag, constant in CONSTANTS.items():
        if value is constant:
            return tag, _Writer.constant
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy:
        if kind is numpy.ndarray:
            return ARRAY, _Writer.array
        if any(kind is getattr(numpy, name) for name in NUMPY_SCALARS):
            return SCALAR, _Writer.scalar
        if kind is numpy.str_:
            return NUMPY_TEXT, _Writer.text
        if kind is numpy.bytes_:
            return NUMPY_BYTES, _Writer.bytes
        if _derives(kind, numpy.dtype):
            return NUMPY_DTYPE, _Writer.dtype
    if torch:
        if kind is torch.Tensor:
            return TENSOR, _Writer.tensor
        if kind is torch.Size:
            return TUPLE, _Writer.sequence
        if kind is torch.dtype:
            return TORCH_DTYPE, _Writer.torch_dtype
    return None, None


def _proper(data, kind):
    """Return the bytes of an array, of truth values as zeros and ones."""
    return data.translate(b"\0" + b"\1" * 255) if kind == "b" else data


def describe(value):
    """Return what a value is, that it is not plain data, and what would be.

    Nothing of the value is called, however its class defines itself.
    """
    kind = type(value)
    if kind is FunctionType or kind is BuiltinFunctionType:
        text = f"the function {str.__str__(value.__name__)[:LONGEST_NAME]}"
    elif kind is ModuleType:
        text = "a module"
    elif _derives(kind, type):
        text = f"the class {_type_name(value)}"
    else:
        text = _article(_type_name(kind))
    instead = _instead(kind)
    return f"{text}, which is not plain data" + (f"; {instead} would be" if instead else "")


def _instead(kind):
    """Return what makes plain data of such a value, or None."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and _derives(kind, numpy.ndarray):
        return "numpy.array(…)"
    if torch and _derives(kind, torch.Tensor):
        return "its .detach()"
    for plain in _WRITERS:
        if _derives(kind, plain):
            return f"{plain.__name__}(…)"
    namespaces = [type.__dict__["__dict__"].__get__(base) for base in _ancestors(kind)]
    iterates = any("__next__" in namespace for namespace in namespaces)
    views = (type({}.keys()), type({}.values()), type({}.items()))
    return "list(…)" if iterates or any(kind is view for view in views) else None


def _derives(kind, base):
    return any(ancestor is base for ancestor in _ancestors(kind))


def _ancestors(kind):
    return type.__dict__["__mro__"].__get__(kind)


def _type_name(kind):
    """Return the full name of a type, past whatever its metaclass would say."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)
    if type(module) is str and module not in ("builtins", "__main__"):
        name = f"{module}.{name}"
    return str.__str__(name)[:LONGEST_NAME]


def _article(noun):
    return f"{'an' if noun[:1] in tuple('aeiouAEIOU') else 'a'} {noun}"


def _where(path):
    """Return a path such as `result[2]['kernel']`, spelt as in code."""
    parent, step = path
    if parent is None:
        return step
    if step is MEMBER or step is KEY or step is BOUND:
        return f"{step} of {_where(parent)}"
    return f"{_where(parent)}[{_short(step)}]"


def _top(path):
    while path[0] is not None:
        path = path[0]
    return path[1]


def _short(value):
    text = repr(value)
    return text if len(text) <= LONGEST_STEP else text[: LONGEST_STEP - 1] + "…"


class _Reader:
    """Reads values from `data`, none larger than what is left of it."""

    def __init__(self, data, limits):
        self.data = memoryview(data)
        self.limits = limits
        self.left = len(data)
        self.items = 0

    def take(self, size):
        if size > self.left:
            raise WireError(f"the message ends before {size} announced bytes")
        start = len(self.data) - self.left
        self.left -= size
        return self.data[start : start + size]

    def count(self):
        number, shift = 0, 0
        while shift < 63:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise WireError("a count of more than 63 bits")

    def sized(self):
        return self.take(self.count())

    def read(self, depth, key):
        tag = self.take(1)[0]
        if tag in CONSTANTS:
            read = None
        elif tag in _READERS:
            read = _READERS[tag]
        else:
            raise WireError(f"there is no tag {tag}")
        if key and tag in NEVER_KEYS:
            raise WireError("a key that cannot be hashed")
        if tag in NESTING and depth >= self.limits.depth:
            raise WireError(f"nested deeper than {self.limits.depth} levels")
        self.items += COSTS.get(tag, 1)
        if self.items > self.limits.items:
            raise WireError(f"more than {self.limits.items} values")
        return read(self, depth + 1, key) if read else CONSTANTS[tag]

    def int(self, depth, key):
        size = self.count()
        if size > self.limits.integer_bytes:
            raise WireError(f"an integer of more than {self.limits.digits} digits")
        return int.from_bytes(self.take(size), "little", signed=True)

    def float(self, depth, key):
        return struct.unpack("<d", self.take(8))[0]

    def complex(self, depth, key):
        return complex(*struct.unpack("<dd", self.take(16)))

    def text(self, depth, key):
        return str(self.sized(), "utf-8", "surrogatepass")

    def bytes(self, depth, key):
        return bytes(self.sized())

    def length(self):
        """Return the number of a container's values, each of which takes a byte or more."""
        length = self.count()
        if length > self.left:
            raise WireError(f"the message ends before {length} announced values")
        return length

    def list(self, depth, key):
        return [self.read(depth, key) for _ in range(self.length())]

    def tuple(self, depth, key):
        return tuple(self.list(depth, key))

    def dict(self, depth, key):
        pairs = [(self.read(depth, True), self.read(depth, False)) for _ in range(self.length())]
        _require_apart([name for name, _ in pairs])
        return _require_length(dict(pairs), len(pairs))

    def set(self, depth, key):
        return set(self.frozenset(depth, key))

    def frozenset(self, depth, key):
        members = [self.read(depth, True) for _ in range(self.length())]
        _require_apart(members)
        return _require_length(frozenset(members), len(members))

    def slice(self, depth, key):
        return slice(*[self.read(depth, key) for _ in range(3)])

    def range(self, depth, key):
        return range(*[self.read(depth, key) for _ in range(3)])

    def shape(self, itemsize):
        """Return a shape and as many bytes as its elements take."""
        dimensions = self.count()
        if dimensions > MOST_DIMENSIONS:
            raise WireError(f"more than {MOST_DIMENSIONS} dimensions")
        shape = tuple(self.count() for _ in range(dimensions))
        size = math.prod(shape) * itemsize
        if _too_wide(shape, size, self.limits):
            raise WireError("too wide a shape of an empty array")
        return shape, self.take(size)

    def array(self, depth, key):
        import numpy

        dtype = self.dtype(depth, key)
        shape, data = self.shape(dtype.itemsize)
        _require_proper(data, dtype)
        return numpy.ndarray(shape, dtype, data).copy()

    def scalar(self, depth, key):
        import numpy

        dtype = self.dtype(depth, key)
        if dtype.kind in "US":
            raise WireError("a text among the numbers")
        data = self.take(dtype.itemsize)
        _require_proper(data, dtype)
        return numpy.frombuffer(data, dtype)[0]

    def numpy_text(self, depth, key):
        import numpy

        return numpy.str_(self.text(depth, key))

    def numpy_bytes(self, depth, key):
        import numpy

        return numpy.bytes_(self.bytes(depth, key))

    def dtype(self, depth=0, key=False):
        import numpy

        text = str(self.sized(), "ascii")
        if not DTYPE.fullmatch(text):
            raise WireError("no such dtype of an array")
        return numpy.dtype(text)

    def tensor(self, depth, key):
        import numpy
        import torch

        dtype = self.torch_dtype()
        shape, data = self.shape(dtype.itemsize)
        if dtype is torch.bool:
            _require_proper(data, numpy.dtype(bool))
        if not data:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)

    def torch_dtype(self, depth=0, key=False):
        import torch

        name = str(self.sized(), "ascii")
        if name not in TORCH_DTYPES:
            raise WireError("no such dtype of a tensor")
        return getattr(torch, name)


_READERS = {
    INT: _Reader.int,
    FLOAT: _Reader.float,
    COMPLEX: _Reader.complex,
    TEXT: _Reader.text,
    BYTES: _Reader.bytes,
    LIST: _Reader.list,
    TUPLE: _Reader.tuple,
    DICT: _Reader.dict,
    SET: _Reader.set,
    FROZENSET: _Reader.frozenset,
    SLICE: _Reader.slice,
    RANGE: _Reader.range,
    ARRAY: _Reader.array,
    SCALAR: _Reader.scalar,
    NUMPY_TEXT: _Reader.numpy_text,
    NUMPY_BYTES: _Reader.numpy_bytes,
    NUMPY_DTYPE: _Reader.dtype,
    TENSOR: _Reader.tensor,
    TORCH_DTYPE: _Reader.torch_dtype,
}


def _require_apart(members):
    """Refuse keys made to collide: a set of them would take the square of their number."""
    hashes = Counter(map(hash, members))
    if hashes and max(hashes.values()) > MOST_ALIKE:
        raise WireError(f"more than {MOST_ALIKE} keys of one hash")


def _require_length(container, length):
    if len(container) != length:
        raise WireError("a key stands twice")
    return container


def _require_proper(data, dtype):
    """Refuse truth values that are neither 0 nor 1, and characters that are none."""
    import numpy

    if dtype.kind == "b" and data and numpy.frombuffer(data, numpy.uint8).max() > 1:
        raise WireError("a truth value that is neither 0 nor 1")
    if dtype.kind == "U" and data:
        characters = numpy.frombuffer(data, numpy.dtype(numpy.uint32).newbyteorder(dtype.byteorder))
        if characters.max() > sys.maxunicode:
            raise WireError("a character that does not exist")


_EXCEPTIONS = {
    kind.__name__: kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}


@dataclass(frozen=True)
class Raised:
    """An exception as plain data.

    `ancestors`: names of the built-in exceptions that it is an instance of, nearest first;
    `traceback`: lines that say where in the student's cells it came from.
    """

    name: str
    ancestors: tuple[str, ...]
    message: str
    traceback: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, error, traceback=()):
        """Return an exception as plain data; a message that cannot be had is empty."""
        kind = type(error)
        ancestors = [base.__name__ for base in _ancestors(kind) if _is_known(base)]
        try:
            message = str.__str__(str(error))[:LONGEST_MESSAGE]
        except BaseException:  # a student's __str__ may raise anything
            message = ""
        name = type.__dict__["__name__"].__get__(kind)[:LONGEST_NAME]
        return cls(name, tuple(ancestors), message, tuple(traceback))

    def exception(self):
        """Return an `Exception` that a test cell can catch and read as if it had been that one.

        It is of a built-in type, or of a subclass with the right name of all its built-in
        ancestors. `StopIteration`, which would end a loop of the test cell in silence, and what is
        no `Exception`, which would end more than that, are of a plain `Exception` of that name.
        """
        kinds = [_EXCEPTIONS[name] for name in self.ancestors if name in _EXCEPTIONS]
        if not any(kind is Exception for kind in kinds) or set(kinds) & _ENDS_LOOPS:
            kinds = [Exception]
        nearest = [k for k in kinds if not any(o is not k and issubclass(o, k) for o in kinds)]
        if nearest[0].__name__ == self.name:
            error = _made(nearest[0], self.message)
            if error is not None:
                return error
        for bases in (nearest, nearest[:1], [Exception]):
            try:
                kind = type(self.name, tuple(bases), {"__str__": lambda error: error.message})
                error = kind.__new__(kind)
            except TypeError:
                continue
            error.message = self.message
            return error


_ENDS_LOOPS = {StopIteration, StopAsyncIteration}


def _is_known(kind):
    return any(kind is known for known in _EXCEPTIONS.values())


class _Verbatim(str):
    """A text that `KeyError` shows as it is."""

    def __repr__(self):
        return str.__str__(self)


def _made(kind, message):
    """Return an exception of a kind that shows a message, or None where that cannot be had."""
    for argument in (message, _Verbatim(message)):
        try:
            error = kind(argument)
        except TypeError:
            return None
        if str(error) == message:
            return error
    return None


class Channel:
    """Frames over a connected stream socket.

    The judge gives each call its time; without one a call waits for ever.

    Raises
    ------
    Closed
        If the other side has closed its end.
    Late
        If the time was over before a whole frame had come or gone. What comes next on the channel
        has no meaning then.
    WireError, NotPlain
        If what came is no message, or what was to go is not plain data.
    """

    def __init__(self, connection, limits=LIMITS):
        self._socket = connection
        self._limits = limits
        connection.setblocking(False)

    def send(self, value, seconds=None):
        deadline = _deadline(seconds)
        data = encode(value, limits=self._limits)
        left = memoryview(LENGTH.pack(len(data)) + data)
        while left:
            left = left[self._try(select.POLLOUT, deadline, self._socket.send, left) :]

    def receive(self, seconds=None):
        deadline = _deadline(seconds)
        (size,) = LENGTH.unpack(self._read(LENGTH.size, deadline))
        if size > self._limits.size:
            raise WireError(f"a message of {size} bytes, more than the {self._limits.size} allowed")
        return decode(self._read(size, deadline), self._limits)

    def waiting(self):
        """Whether bytes have come that nobody has received."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def fileno(self):
        return self._socket.fileno()

    def close(self):
        self._socket.close()

    def _read(self, size, deadline):
        data = bytearray()
        while len(data) < size:
            chunk = self._try(
                select.POLLIN, deadline, self._socket.recv, min(size - len(data), CHUNK)
            )
            if not chunk:
                raise Closed
            data += chunk
        return data

    def _try(self, event, deadline, act, argument):
        """Send or receive once, as soon as that can be done."""
        poll = select.poll()
        poll.register(self._socket, event)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Late
            if not poll.poll(None if left is None else math.ceil(left * 1000)):
                continue
            try:
                return act(argument)
            except BlockingIOError:
                continue
            except OSError:
                raise Closed from None


def _deadline(seconds):
    return None if seconds is None else time.monotonic() + seconds
