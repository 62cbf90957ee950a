"""The wire between judge and student: what may cross comes back as it went, all else is refused.

REFEREE_FUZZ=10 in the environment makes the random tests ten times as long.
"""

import collections
import enum
import fractions
import itertools
import math
import os
import socket
import struct
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from referee import wire
from referee.wire import Channel, Closed, Late, Limits, NotPlain, Raised, WireError, decode, encode

FUZZ = float(os.environ.get("REFEREE_FUZZ", "1"))


def fuzz(examples):
    return settings(
        max_examples=int(examples * FUZZ),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def torch_bytes(tensor):
    plain = tensor.detach().resolve_conj().resolve_neg()
    flat = plain.clone(memory_format=torch.contiguous_format).reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def same(first, second):
    """Whether two values are alike in type, content, NaNs and signs of zero."""
    if type(first) is not type(second):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return same(list(first.items()), list(second.items()))
    if isinstance(first, set | frozenset):
        return sorted(map(encode, first)) == sorted(map(encode, second))
    if isinstance(first, np.ndarray):
        alike = first.dtype.str == second.dtype.str and first.shape == second.shape
        return alike and first.tobytes() == second.tobytes()
    if isinstance(first, torch.Tensor):
        if first.dtype != second.dtype or first.shape != second.shape or second.requires_grad:
            return False
        return torch_bytes(first) == torch_bytes(second)
    if isinstance(first, np.generic) and not isinstance(first, np.character):
        return first.dtype.str == second.dtype.str and first.tobytes() == second.tobytes()
    if isinstance(first, float):
        return struct.pack("<d", first) == struct.pack("<d", second)
    if isinstance(first, complex):
        return same([first.real, first.imag], [second.real, second.imag])
    return first == second


texts = st.text(st.characters(codec=None), max_size=20)
integers = st.integers() | st.integers(-(10**300), 10**300)
bounds = st.none() | st.integers(-9, 9)
number_dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
)
text_dtypes = hnp.unicode_string_dtypes(endianness="?", max_len=5) | hnp.byte_string_dtypes(
    max_len=5
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
arrays = hnp.arrays(number_dtypes | text_dtypes, shapes)
views = arrays.map(np.transpose) | arrays.map(lambda a: a[..., ::-2] if a.ndim else a)
scalars = number_dtypes.flatmap(lambda dtype: hnp.arrays(dtype, (1,))).map(lambda a: a[0])
torch_dtypes = st.sampled_from([getattr(torch, name) for name in wire.TORCH_DTYPES])


@st.composite
def tensors(draw):
    dtype, shape = draw(torch_dtypes), draw(shapes)
    size = math.prod(shape) * dtype.itemsize
    data = bytearray(draw(st.binary(min_size=size, max_size=size)))
    if dtype is torch.bool:
        data = bytearray(byte % 2 for byte in data)
    tensor = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    tensor = tensor.reshape(shape)
    if draw(st.booleans()):
        tensor = tensor.movedim(0, -1) if tensor.ndim else tensor
    return tensor.conj() if dtype.is_complex and draw(st.booleans()) else tensor


keys = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.just(...), integers, st.floats(), st.complex_numbers()),
        *(texts, st.binary(max_size=9), scalars, texts.map(np.str_), st.binary().map(np.bytes_)),
        *(number_dtypes, torch_dtypes, st.builds(range, bounds.map(lambda n: n or 0))),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
plain_data = st.recursive(
    keys | arrays | views | tensors() | st.builds(slice, bounds, bounds, bounds),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.sets(keys, max_size=4),
    ),
    max_leaves=12,
)


def test_every_whole_number_that_crosses_can_be_printed():
    largest = 2 ** (8 * wire.LIMITS.integer_bytes - 1) - 1
    for number in (largest, -largest):
        assert wire.decode(wire.encode(number)) == number
        assert len(str(number)) > 4290


@fuzz(1000)
@given(plain_data)
def test_plain_data_comes_back_as_it_went(value):
    message = encode(value)
    again = decode(message)
    assert same(value, again)
    assert encode(again) == message


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 127, 128, -128, -129, 255, 256, 2**63, -(2**63), 10**4290),
        *(0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, complex(-0.0, math.nan)),
        *("", "\0", "ø漢😀", "\ud800 alone", b"", b"\0\xff", True, False, None, ...),
        *([], (), {}, set(), frozenset(), range(0), range(10**30), range(9, -9, -4)),
        *(slice(None), slice(1, None, -2), {math.nan: math.nan}, {1, "1", (1,), 1.5, b"1"}),
        *(np.zeros((0, 3)), np.zeros((2, 0, 4), "c8"), np.array(2.5), np.array(["", "ab"])),
        *(np.asfortranarray([[1, 2, 3], [4, 5, 6]]), np.arange(7)[::-3], np.array([1], ">i2")),
        *(np.array([b"a", b"\xff\0b"]), np.array(["\ud800"]), np.broadcast_to(1.5, (3, 4))),
        *(np.float64("nan"), np.float32(-0.0), np.bool(True), np.uint64(2**64 - 1), np.str_("é")),
        *(np.dtype("f4"), np.dtype(">U3"), np.dtype(bool), torch.float16, torch.bool),
        *(
            torch.zeros(0, 2),
            torch.tensor(3),
            torch.tensor([math.nan, -0.0]),
            torch.ones(2).to(torch.bfloat16),
        ),
        *(torch.arange(6).reshape(2, 3).T, torch.ones(1).expand(5), torch.tensor([1j]).conj()),
        *(torch.tensor([1j]).conj().imag, torch.arange(6.0)[::2][1:2], torch.ones(2, 1, 2).T),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_edge_of_plain_data_comes_back_as_it_went(value):
    assert same(value, decode(encode([value]))[0])


def test_what_comes_back_is_a_copy_that_can_be_changed():
    array, tensor = np.arange(6).reshape(2, 3).T, torch.ones(2, requires_grad=True)
    again = decode(encode([array, array, tensor, torch.Size([2, 3])]))
    again[0][0, 0] = 9
    again[2][0] = 9
    assert again[0].flags.c_contiguous and again[0].flags.owndata and again[0].flags.writeable
    assert array[0, 0] == again[1][0, 0] == 0 and tensor[0] == 1
    assert not again[2].requires_grad and again[3] == (2, 3) and type(again[3]) is tuple


def test_truth_values_with_other_bits_are_true():
    bits = np.array([0, 1, 2, 255], np.uint8)
    for value in (bits.view(bool), torch.from_numpy(bits).view(torch.bool)):
        assert decode(encode(value)).tolist() == [False, True, True, True]


def test_equal_sets_give_equal_bytes():
    members = [f"member {number}" for number in range(50)]
    assert encode(set(members)) == encode(set(reversed(members)) | {"one"} - {"one"})
    assert encode({1, 2}) != encode({1, 3}) and encode({1, 2}) != encode(frozenset({1, 2}))


def cyclic():
    value = [1, {"again": []}]
    value[1]["again"].append(value)
    return value


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


class Colour(enum.IntEnum):
    RED = 1


Point = collections.namedtuple("Point", "x y")
Truth = type("Truth", (float,), {})


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (torch.nn.Linear(1, 2), "result is a torch.nn.modules.linear.Linear, which is not plain"),
        (
            [0, 0, {"kernel": print}],
            "result[2]['kernel'] is the function print, which is not plain",
        ),
        ({(1, 2): {3.5: [len]}}, "result[(1, 2)][3.5][0] is the function len"),
        ({"k" * 99: [int]}, "result['" + "k" * 38 + "…][0] is the class int, which is not plain"),
        ({(1, (2, print)): 0}, "a key of result[1][1] is the function print"),
        ({(1, frozenset({torch.ones(1)})): 0}, "a member of a key of result[1] is a torch.Tensor"),
        ({torch.ones(1)}, "a member of result is a torch.Tensor"),
        (slice([print], 0), "a bound of result[0] is the function print"),
        (lambda: 0, "result is the function <lambda>, which is not plain data"),
        (np, "result is a module, which is not plain data"),
        (np.add, "result is a numpy.ufunc"),
        ((n for n in "ab"), "result is a generator, which is not plain data; list(…) would be"),
        (map(int, "12"), "result is a map, which is not plain data; list(…) would be"),
        ({}.keys(), "result is a dict_keys, which is not plain data; list(…) would be"),
        (collections.OrderedDict(), "OrderedDict, which is not plain data; dict(…) would be"),
        (collections.Counter("ab"), "Counter, which is not plain data; dict(…) would be"),
        (Point(1, 2), "Point, which is not plain data; tuple(…) would be"),
        (Colour.RED, "Colour, which is not plain data; int(…) would be"),
        (Truth(1), "Truth, which is not plain data; float(…) would be"),
        (fractions.Fraction(1, 3), "a fractions.Fraction, which is not plain data"),
        (bytearray(b"a"), "a bytearray, which is not plain data"),
        (np.matrix([1]), "a numpy.matrix, which is not plain data; numpy.array(…) would be"),
        (np.ma.array([1]), "MaskedArray, which is not plain data; numpy.array(…) would be"),
        (np.array([None, 1]), "result has the dtype object, which is not plain data"),
        (np.zeros(2, "f4,i2"), "result has the dtype [('f0', '<f4'), ('f1', '<i2')], which is not"),
        (np.zeros(2, "M8[s]"), "result has the dtype datetime64[s]"),
        (np.zeros(2, "longdouble"), "result has the dtype float128"),
        (np.array(["a"], np.dtypes.StringDType()), "result has the dtype StringDType()"),
        (np.dtype("f4,i2"), "result has the dtype [('f0', '<f4'), ('f1', '<i2')], which is not"),
        (np.longdouble(1), "result is a numpy.longdouble, which is not plain data"),
        (np.float64, "result is the class numpy.float64"),
        (torch.nn.Parameter(torch.ones(1)), "Parameter, which is not plain data; its .detach() w"),
        (torch.zeros(2).to_sparse(), "a tensor that is not dense; .to_dense() makes it so"),
        (torch.zeros(2, device="meta"), "a tensor on the device meta, not the CPU"),
        (torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "the dtype torch.qint8"),
        (torch.zeros(1, dtype=torch.complex32), "the dtype torch.complex32"),
        (cyclic(), "result contains itself"),
        (nested(10**5), "result is nested deeper than 50 levels"),
        ([0] * 1_000_000, "result holds more than 1,000,000 values"),
        ([{}] * 250_000, "result holds more than 1,000,000 values"),
        (10**4300, "result is a whole number of more than 4,300 digits"),
        (np.broadcast_to(1.5, (10**6, 10**6)), "result is too large: it takes more than 64 MiB"),
        (torch.ones(1).expand(10**6, 10**6), "result is too large: it takes more than 64 MiB"),
        ("a" * 2**26, "result is too large: it takes more than 64 MiB"),
        ([b"a" * 2**25] * 2, "result is too large: it takes more than 64 MiB"),
        (np.zeros((10**9, 0)), "result has the shape (1000000000, 0), and no elements"),
        (torch.zeros((1,) * 65), "result has more than 64 dimensions"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_what_is_not_plain_data_is_refused_by_name(value, what):
    with pytest.raises(NotPlain) as refusal:
        encode(value, "result")
    assert what in str(refusal.value)
    assert len(str(refusal.value)) < 300


class LyingType(type):
    """A metaclass whose classes may not be asked anything."""

    def __getattribute__(cls, name):
        raise RuntimeError(f"asked for its {name}")

    def __instancecheck__(cls, instance):
        raise RuntimeError("asked whether something is one")

    def __subclasscheck__(cls, kind):
        raise RuntimeError("asked whether something is derived from it")

    def __eq__(cls, other):
        raise RuntimeError("compared")

    def __hash__(cls):
        raise RuntimeError("hashed")


def raising(*arguments):
    raise RuntimeError("called")


METHODS = (
    *("__getattribute__", "__eq__", "__hash__", "__len__", "__iter__", "__next__", "__repr__"),
    *("__str__", "__reduce__", "__reduce_ex__", "__array__", "__index__", "__float__", "__bool__"),
    *("__call__", "__getitem__", "__contains__", "__del__", "__format__", "__torch_function__"),
    *("__array_ufunc__", "__array_interface__", "__getstate__", "__deepcopy__", "__lt__"),
)


@pytest.mark.parametrize(
    "base", [object, list, tuple, dict, set, int, float, str, bytes, np.ndarray, torch.Tensor]
)
def test_no_method_of_a_refused_value_is_called(base):
    methods = {name: raising for name in METHODS if name != "__del__"}
    kind = type("Liar", (base,), methods | {"__class__": property(raising)})
    value = base.__new__(kind, (1,)) if base is np.ndarray else base.__new__(kind)
    for whole in (value, [value], (1, {"k": value})):
        with pytest.raises(NotPlain, match="Liar, which is not plain data"):
            encode(whole)


def test_a_refused_class_or_metaclass_is_not_asked_about_itself():
    liar = LyingType("Liar", (), {})
    with pytest.raises(NotPlain, match="value is the class .*Liar, which is not plain data"):
        encode(liar)
    with pytest.raises(NotPlain, match="value is a .*Liar, which is not plain data"):
        encode(liar())
    with pytest.raises(NotPlain) as refusal:
        encode(type("n" * 10**6, (), {})())
    assert len(str(refusal.value)) < 300


events = []
watching = False


def watch(event, arguments):
    if watching:
        events.append((event, arguments))


sys.addaudithook(watch)
WARMED = [np.zeros(1), np.float32(0), np.dtype("f4"), torch.ones(1), torch.bool, "ü", 10**99]


def attempt(message, limits=wire.LIMITS):
    """Decode a message; return its value or None, and the most memory that this took.

    Whatever the message, the one error is WireError, and nothing is imported, run or opened.
    """
    global watching
    decode(encode(WARMED))
    events.clear()
    tracemalloc.start()
    watching = True
    try:
        value = decode(message, limits)
    except WireError:
        value = None
    finally:
        watching = False
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert events == []
    return value, peak


def most(size):
    """Bytes that reading a message of this size may take: an empty set for each of its bytes."""
    return 400 * size + 2**17


@fuzz(1000)
@given(st.binary(max_size=200).map(lambda data: bytes([wire.VERSION]) + data))
def test_random_bytes_are_a_message_or_a_wire_error(data):
    value, peak = attempt(data)
    assert peak < most(len(data))
    encode(value)


HUGE = [b"\xff" * 8 + b"\x7f", b"\x80\x80\x80\x80\x10", b"\xff\xff\x03", b"\x80" * 12, b"\0"]


@st.composite
def mutants(draw):
    """Messages with some bytes changed, moved, repeated, cut or made into huge counts."""
    data = bytearray(encode(draw(plain_data)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        end = draw(st.integers(place, min(len(data), place + 12)))
        part = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(HUGE),
                st.sampled_from([bytes([tag]) for tag in wire._READERS]),
                st.just(bytes(data[place:end]) * 2),
            )
        )
        data[place:end] = part
    return bytes(data)


@fuzz(1500)
@given(mutants())
def test_a_damaged_message_is_a_message_or_a_wire_error(data):
    value, peak = attempt(data)
    assert peak < most(len(data))
    encode(value)


def message(*parts):
    return bytes([wire.VERSION]) + b"".join(parts)


def count(number):
    data = b""
    while number > 0x7F:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


CONTAINERS = b"ltdez"
ARRAY_OF_FLOATS = b"A" + count(3) + b"<f8"


@pytest.mark.parametrize("announced", [2**20, 2**40, 2**62])
@pytest.mark.parametrize(
    "start",
    [
        *(bytes([tag]) for tag in CONTAINERS + b"isbUBDp"),
        *(ARRAY_OF_FLOATS + count(1), ARRAY_OF_FLOATS, b"P" + count(7) + b"float32" + count(1)),
        *(b"A" + count(4) + b"<U99" + count(1), b"A", b"P", b"S"),
    ],
)
def test_an_announced_size_takes_no_memory_before_its_bytes_have_come(start, announced):
    for data in (message(start + count(announced)), message(start + count(announced), b"N" * 9)):
        value, peak = attempt(data)
        assert value is None and peak < 2**17


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"N", b"N"],
        [b"x"],
        [b"l", count(2), b"N"],
        [b"i", count(4155), b"\1" * 4155],
        [b"s", count(2), b"\xff\xfe"],
        [b"s", count(3), b"\xf4\x90\x80"],
        [b"d", count(2), b"TNi\1\1N"],
        [b"e", count(2), b"TT"],
        [b"e", count(2), b"Tf" + struct.pack("<d", 1)],
        [b"d", count(1), b"l", count(0), b"N"],
        [b"e", count(1), b":NNN"],
        [b"e", count(1), b"t", count(1), b"l", count(0)],
        [b"e", count(1), b"P", count(5) + b"uint8", count(0), b"\0"],
        [b"r", b"i\1\1i\1\1i\1\0"],
        [b"r", b"NNN"],
        [b"D", count(2), b"O8"],
        [b"D", count(2), b"|O"],
        [b"D", count(5), b"f8,f8"],
        [b"D", count(3), b"<U0"],
        [b"D", count(3), b"|b8"],
        [b"D", count(5), b"<f8\n "],
        [b"D", count(11), b"<U999999999"],
        [b"D", count(7), b"<M8[s]\0"],
        [b"p", count(6), b"qint32"],
        [b"p", count(4), b"save"],
        [b"p", count(8), b"__dict__"],
        [b"S", count(3), b"<U1", b"a\0\0\0"],
        [b"S", count(3), b"|b1", b"\2"],
        [b"A", count(3), b"|b1", count(1), count(1), b"\2"],
        [b"A", count(3), b"<U1", count(1), count(1), b"\0\0\x11\0"],
        [b"A", count(3), b">U1", count(1), count(1), b"\0\x11\0\0"],
        [ARRAY_OF_FLOATS, count(65), b"\1" * 65, b"\0" * 8],
        [ARRAY_OF_FLOATS, count(2), count(10**9), count(0)],
        [ARRAY_OF_FLOATS, count(3), count(2**62), count(2**62), count(0)],
        [b"P", count(4), b"bool", count(1), count(1), b"\2"],
        [b"P", count(7), b"float32", count(2), count(10**9), count(0)],
        [b"P", count(7), b"float32", count(3), count(2**62), count(4), count(0)],
        [b"l\1" * 51, b"N"],
        [b"t\1" * 100_000, b"N"],
        [b"b" + b"\x80" * 9 + b"\1"],
    ],
    ids=lambda parts: repr(b"".join(parts)[:24]),
)
def test_a_message_that_says_what_cannot_be_is_a_wire_error(parts):
    with pytest.raises(WireError):
        decode(message(*parts))


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ([b"s", count(5), b"four"], "the message ends before 5 announced bytes"),
        ([b"l", count(5), b"NNNN"], "the message ends before 5 announced values"),
        ([b"b", b"\x80" * 10**6 + b"\0"], "a count of more than 63 bits"),
        ([ARRAY_OF_FLOATS, count(65), b"\1" * 99], "more than 64 dimensions"),
        ([b"b", count(2**62)], f"the message ends before {2**62} announced bytes"),
    ],
    ids=["bytes", "values", "long", "dimensions", "huge"],
)
def test_a_false_count_is_found_at_once(parts, what):
    with pytest.raises(WireError, match=f"^{what}$"):
        decode(message(*parts))


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_message_of_another_version_is_a_wire_error(version):
    with pytest.raises(WireError, match="version"):
        decode(bytes([version]) + b"N")


@pytest.mark.parametrize("tag", CONTAINERS + b":", ids=chr)
def test_nesting_ends_at_the_same_depth_on_both_sides(tag):
    limits = Limits(depth=4)
    first = {wire.DICT: b"d\1N", wire.SLICE: b":"}.get(tag, bytes([tag, 1]))
    rest = b"NN" if tag == wire.SLICE else b""
    for depth in (4, 5):
        data = message(first * depth, b"N", rest * depth)
        if depth > 4 or tag in b"e":
            with pytest.raises(WireError):
                decode(data, limits)
        else:
            assert encode(decode(data, limits), limits=limits) == data


@pytest.mark.parametrize(
    "value", ["a" * 50, [0] * 30, {n: n for n in range(9)}, [[]] * 40, np.zeros(20), [{}] * 12]
)
def test_what_is_within_the_limits_of_the_sender_is_within_those_of_the_reader(value):
    data = encode(value)
    items = itertools.count(1)
    need = next(n for n in items if attempt(data, Limits(items=n))[0] is not None)
    assert same(decode(encode(value, limits=Limits(items=need))), value)
    with pytest.raises(NotPlain):
        encode(value, limits=Limits(items=need - 1))
    with pytest.raises(WireError):
        decode(data, Limits(size=len(data) - 1))
    with pytest.raises(NotPlain):
        encode(value, limits=Limits(size=len(data) - 1))
    assert encode(value, limits=Limits(size=len(data))) == data


@pytest.mark.parametrize(
    "item", [b"e\0", b"d\0", b"l\0", b"f" + b"\0" * 8, b"s\4\xf0\x9f\x98\x80", b"S\3<i2ab"]
)
def test_a_full_message_takes_a_bounded_multiple_of_its_limits(item):
    limits = Limits(items=20_000, size=2**18)
    number = (limits.items - 1) // wire.COSTS.get(item[0], 1)
    number = min(number, (limits.size - 9) // len(item))
    value, peak = attempt(message(b"l", count(number), item * number), limits)
    assert len(value) == number
    assert peak < 120 * limits.items + 6 * limits.size


def test_keys_made_to_collide_are_refused():
    def keys(number):
        return {index * (2**61 - 1) for index in range(1, number + 1)}

    assert same(decode(encode(keys(wire.MOST_ALIKE))), keys(wire.MOST_ALIKE))
    for value in (keys(wire.MOST_ALIKE + 1), dict.fromkeys(keys(wire.MOST_ALIKE + 1))):
        with pytest.raises(WireError, match="of one hash"):
            decode(encode(value))


class Stubborn(Exception):
    def __str__(self):
        raise SystemExit


class Talkative(IndexError):
    def __str__(self):
        return "x" * 10**7


class NoText(Exception):
    def __str__(self):
        return 3


Mimic = type("ValueError", (KeyError,), {})
Both = type("Both", (ValueError, IndexError), {})


@pytest.mark.parametrize(
    ("error", "name", "kinds", "text"),
    [
        (ValueError("n must be 1"), "ValueError", (ValueError,), "n must be 1"),
        (ValueError(), "ValueError", (ValueError,), ""),
        (KeyError("kernel"), "KeyError", (KeyError, LookupError), "'kernel'"),
        (KeyError(3), "KeyError", (KeyError,), "3"),
        (OSError(2, "gone"), "FileNotFoundError", (OSError,), "[Errno 2] gone"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "no"), "UnicodeDecodeError", (ValueError,), None),
        (np.exceptions.AxisError(3, 2), "AxisError", (ValueError, IndexError), None),
        (Both("b"), "Both", (ValueError, IndexError), "b"),
        (Mimic("k"), "ValueError", (KeyError,), "'k'"),
        (Talkative(), "Talkative", (IndexError,), "x" * 10_000),
        (Stubborn(), "Stubborn", (Exception,), ""),
        (NoText(), "NoText", (Exception,), ""),
        (ExceptionGroup("g", [ValueError()]), "ExceptionGroup", (Exception,), None),
        (AssertionError("a"), "AssertionError", (AssertionError,), "a"),
    ],
)
def test_an_exception_crosses_as_what_a_test_cell_can_catch_and_read(error, name, kinds, text):
    raised = Raised.of(error)
    again = raised.exception()
    assert type(again).__name__ == name
    assert all(isinstance(again, kind) for kind in kinds)
    assert str(again) == raised.message == (str(error) if text is None else text)
    assert isinstance(again, LookupError) == isinstance(error, LookupError)
    assert isinstance(again, ValueError) == isinstance(error, ValueError)
    if type(error).__module__ == "builtins" and text is not None:
        assert type(again) is type(error)


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, StopIteration]
)
def test_what_would_end_a_loop_or_the_judge_crosses_as_a_plain_exception(kind):
    again = Raised.of(type("Sub", (kind,), {})("end")).exception()
    assert type(again).__bases__ == (Exception,) and str(again) == "end"
    again = Raised.of(kind("end")).exception()
    assert type(again).__name__ == kind.__name__ and type(again).__bases__ == (Exception,)
    with pytest.raises(Exception, match="end"):
        list(map(lambda _: (_ for _ in ()).throw(again), [1]))


def test_an_exception_of_unknown_names_is_a_plain_exception():
    for raised in (Raised("Odd", (), "m"), Raised("Odd", ("print", "Ended", "object"), "m")):
        again = raised.exception()
        assert type(again).__bases__ == (Exception,) and str(again) == "m"


def test_the_name_of_an_exception_class_is_cut_and_not_computed():
    kind = type("n" * 10**6, (ValueError,), {})
    assert len(Raised.of(kind()).name) == wire.LONGEST_NAME
    meta = type("Meta", (type,), {"__name__": property(raising)})
    assert Raised.of(meta("Odd", (ValueError,), {})("m")) == Raised.of(
        type("Odd", (ValueError,), {})("m")
    )


@pytest.fixture
def ends():
    here, there = socket.socketpair()
    yield Channel(here), there
    here.close()
    there.close()


def frame(data):
    return struct.pack("<Q", len(data)) + data


def test_values_cross_a_channel_in_order(ends):
    channel, there = ends
    other = Channel(there)
    values = [None, {"a": np.arange(3)}, ["x" * 300_000], torch.ones(2)]
    thread = threading.Thread(target=lambda: [other.send(value) for value in values])
    thread.start()
    assert all(same(channel.receive(5), value) for value in values)
    thread.join()
    assert not channel.waiting()
    other.send(1)
    assert channel.waiting() and channel.receive(5) == 1
    assert channel.fileno() >= 0


def test_a_frame_that_is_not_plain_data_does_not_go(ends):
    channel, there = ends
    with pytest.raises(NotPlain):
        channel.send(print)
    channel.send(1)
    assert Channel(there).receive(1) == 1


@pytest.mark.parametrize("sent", [b"", b"\3\0\0", frame(b"\1N")[:-1]], ids=["none", "3", "half"])
def test_part_of_a_frame_is_late_or_closed(ends, sent):
    channel, there = ends
    there.sendall(sent)
    with pytest.raises(Late):
        channel.receive(0.05)
    there.sendall(sent)
    there.close()
    with pytest.raises(Closed):
        Channel(channel._socket).receive(5)


def test_bytes_that_drip_do_not_put_off_the_deadline(ends):
    channel, there = ends
    stop = threading.Event()

    def drip():
        for byte in frame(encode("x" * 30)):
            if stop.wait(0.05):
                return
            there.sendall(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(Late):
        channel.receive(0.4)
    stop.set()
    thread.join()


def test_a_reader_that_does_not_read_makes_the_sender_late(ends):
    channel, _ = ends
    with pytest.raises(Late):
        channel.send(bytes(10**7), 0.1)


def test_a_sender_finds_a_closed_channel(ends):
    channel, there = ends
    there.close()
    with pytest.raises(Closed):
        channel.send(1, 1)


@pytest.mark.parametrize(
    "sent",
    [
        *(frame(b""), frame(b"\1"), frame(b"\2N"), frame(b"\1Nx"), b"GET / HTTP/1.1\r\n\r\n"),
        *(struct.pack("<Q", 2**26 + 1), struct.pack("<Q", 2**64 - 1), b"\xff" * 10**4),
        frame(b"\1l\xff\xff\xff\x7f"),
    ],
    ids=repr,
)
def test_what_is_no_frame_is_a_wire_error(ends, sent):
    channel, there = ends
    there.sendall(sent[: 10**5])
    with pytest.raises(WireError):
        channel.receive(5)


def test_an_announced_frame_takes_no_memory_before_it_comes(ends):
    channel, there = ends
    there.sendall(struct.pack("<Q", 2**26) + b"\1")
    tracemalloc.start()
    with pytest.raises(Late):
        channel.receive(0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**18


def test_an_endless_frame_ends_at_its_announced_size(ends):
    channel, there = ends
    stop = threading.Event()

    def flood():
        there.settimeout(0.05)
        while not stop.is_set():
            try:
                there.send(b"\1" * 65536)
            except TimeoutError:
                continue

    there.sendall(struct.pack("<Q", 10**5))
    thread = threading.Thread(target=flood)
    thread.start()
    with pytest.raises(WireError):
        channel.receive(5)
    stop.set()
    thread.join()


def test_descriptors_sent_along_are_not_taken(ends):
    channel, there = ends
    reader, writer = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(there, [frame(encode(7))], [reader, writer, 0, 1])
    assert channel.receive(5) == 7
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(reader)
    os.close(writer)
