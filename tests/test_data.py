"""The data are genuine, intact, balanced as promised, and belong to the caller."""

import hashlib
import shutil
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from cnnbook.data import load_ecg, load_mnist, load_photograph, mnist, samples
from tools import make_mnist


@pytest.fixture(scope="module")
def digits():
    return load_mnist()


def rows(images):
    return {image.tobytes() for image in images}


# ----------------------------------------------------------------------------- genuine


@pytest.mark.parametrize("field", make_mnist.SOURCES)
def test_each_array_reproduces_its_idx_file_byte_for_byte(digits, field):
    array = getattr(digits, field)
    _, md5, shape = make_mnist.SOURCES[field]
    assert array.shape == shape
    assert array.dtype == np.uint8
    # The idx header: two zero bytes, 8 for "unsigned byte", the number of axes, each axis.
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 | array.ndim, *array.shape)
    assert hashlib.md5(header + array.tobytes()).hexdigest() == md5


def test_the_class_counts_are_those_that_the_docstring_states(digits):
    words = load_mnist.__doc__.replace(",", "").split()
    numbers = [int(word) for word in words if word.isdigit()]
    for labels in (digits.train_labels, digits.test_labels):
        counts = np.bincount(labels).tolist()
        assert len(counts) == 10
        start = numbers.index(counts[0])
        assert numbers[start : start + 10] == counts


def test_writing_the_file_again_gives_the_same_bytes(digits, tmp_path):
    arrays = {name: getattr(digits, name)[:50] for name in make_mnist.SOURCES}
    make_mnist.write_npz(arrays, tmp_path / "one.npz")
    make_mnist.write_npz(arrays, tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as archive:
        assert sorted(archive) == sorted(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(archive[name], array)


def test_the_shipped_file_fits_its_stated_size_and_the_limit_of_the_repository():
    assert mnist.MNIST_PATH.stat().st_size == mnist.MNIST_BYTES <= 11_500_000


def test_the_readme_beside_the_file_states_license_and_hash():
    text = mnist.MNIST_PATH.with_name("README.md").read_text(encoding="utf-8")
    for phrase in (mnist.MNIST_SHA256, "Attribution-Share Alike 3.0", "Corinna Cortes"):
        assert phrase in text


# ----------------------------------------------------------------------------- damaged


@pytest.fixture
def copy(tmp_path, monkeypatch):
    path = tmp_path / "mnist.npz"
    shutil.copy(mnist.MNIST_PATH, path)
    monkeypatch.setattr(mnist, "MNIST_PATH", path)
    return path


def test_an_untouched_copy_loads(copy):
    assert len(load_mnist().train_labels) == 60_000


@pytest.mark.parametrize("place", [0, 5_000_001, -1])
def test_one_altered_byte_is_found_and_the_error_says_what_to_do(copy, place):
    content = bytearray(copy.read_bytes())
    content[place] ^= 1
    copy.write_bytes(content)
    with pytest.raises(RuntimeError) as caught:
        load_mnist()
    message = str(caught.value)
    found = hashlib.sha256(content).hexdigest()
    for part in (str(copy), "altered", found, mnist.MNIST_SHA256, "git checkout"):
        assert part in message


@pytest.mark.parametrize("length", [0, 1, 11_000_000])
def test_a_cut_file_is_found_and_the_error_states_both_lengths(copy, length):
    copy.write_bytes(copy.read_bytes()[:length])
    with pytest.raises(RuntimeError, match="cut off") as caught:
        load_mnist()
    assert f"({length:,} bytes)" in str(caught.value)
    assert f"({mnist.MNIST_BYTES:,} bytes)" in str(caught.value)


def test_a_file_damaged_after_the_first_load_is_found_too(copy):
    load_mnist()
    copy.write_bytes(b"nonsense")
    with pytest.raises(RuntimeError, match="damaged"):
        load_mnist()


def test_a_missing_file_is_named_with_the_remedy(copy):
    copy.unlink()
    with pytest.raises(FileNotFoundError, match="is missing") as caught:
        load_mnist()
    assert str(copy) in str(caught.value)
    assert "git checkout" in str(caught.value)


# ----------------------------------------------------------------------------- chosen


@pytest.mark.parametrize(
    ("subset", "validation"),
    [(1, 1), (7, None), (10, 3), (999, 1234), (1000, 5000), (4210, 50_000)],
)
def test_subset_and_validation_are_balanced_and_share_no_picture(subset, validation):
    chosen = load_mnist(subset=subset, validation=validation)
    parts = [(chosen.train_images, chosen.train_labels, subset)]
    if validation is not None:
        parts.append((chosen.validation_images, chosen.validation_labels, validation))
    for images, labels, count in parts:
        assert images.shape == (count, 28, 28)
        assert labels.shape == (count,)
        assert np.ptp(np.bincount(labels, minlength=10)) <= 1
        # No two pictures of the training set are the same, so bytes identify a picture.
        assert len(rows(images)) == count
    if validation is not None:
        assert not rows(chosen.train_images) & rows(chosen.validation_images)


def test_no_two_training_pictures_are_the_same(digits):
    assert len(rows(digits.train_images)) == 60_000


def test_pictures_of_a_subset_keep_their_labels(digits):
    label_of = dict(
        zip(map(bytes, digits.train_images.reshape(60_000, -1)), digits.train_labels, strict=True)
    )
    chosen = load_mnist(subset=501, validation=333)
    for images, labels in (
        (chosen.train_images, chosen.train_labels),
        (chosen.validation_images, chosen.validation_labels),
    ):
        assert [label_of[image.tobytes()] for image in images] == labels.tolist()


def test_a_subset_is_fixed_for_ever():
    chosen = load_mnist(subset=1000)
    digest = hashlib.sha256(chosen.train_images.tobytes()).hexdigest()
    assert digest == "02f71ee6ea449c67c60f1259e5d78768d09d31faa874a4b039180662db5848fe"


def test_the_seed_chooses_the_pictures():
    one, again, other = (load_mnist(subset=100, validation=50, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.train_images, again.train_images)
    np.testing.assert_array_equal(one.validation_images, again.validation_images)
    assert rows(one.train_images) != rows(other.train_images)
    assert rows(one.validation_images) != rows(other.validation_images)


def test_subsets_are_nested_and_validation_does_not_depend_on_them():
    small, large = (load_mnist(subset=subset, validation=70) for subset in (103, 1009))
    np.testing.assert_array_equal(small.train_images, large.train_images[:103])
    np.testing.assert_array_equal(small.validation_images, large.validation_images)


def test_ten_successive_pictures_of_a_subset_hold_each_digit_once():
    labels = load_mnist(subset=500, validation=7).train_labels
    for start in range(0, 491, 3):
        assert sorted(labels[start : start + 10]) == list(range(10))


def test_validation_alone_leaves_the_rest_in_the_order_of_the_file(digits):
    split = load_mnist(validation=5000)
    held_out = rows(split.validation_images)
    rest = [i for i, image in enumerate(digits.train_images) if image.tobytes() not in held_out]
    assert len(rest) == 55_000
    np.testing.assert_array_equal(split.train_images, digits.train_images[rest])
    np.testing.assert_array_equal(split.train_labels, digits.train_labels[rest])


def test_the_largest_subset_is_the_whole_training_set(digits):
    assert rows(load_mnist(subset=60_000).train_images) == rows(digits.train_images)


def test_balance_holds_up_to_the_limit_that_the_docstring_names_and_not_beyond():
    assert "54,210" in load_mnist.__doc__
    assert np.ptp(np.bincount(load_mnist(subset=54_210).train_labels)) == 0
    assert np.ptp(np.bincount(load_mnist(subset=54_230).train_labels)) > 1


def test_the_test_set_stays_whole_and_validation_is_none_unless_asked(digits):
    chosen = load_mnist(subset=20, validation=20)
    np.testing.assert_array_equal(chosen.test_images, digits.test_images)
    np.testing.assert_array_equal(chosen.test_labels, digits.test_labels)
    assert digits.validation_images is None
    assert digits.validation_labels is None


# ----------------------------------------------------------------------------- converted


FIELDS = ("train", "validation", "test")


def test_scaled_images_are_float32_from_0_to_1(digits):
    scaled = load_mnist(subset=30, validation=20, scale=True)
    for part in FIELDS:
        images = getattr(scaled, f"{part}_images")
        assert images.dtype == np.float32
        assert images.min() == 0
        assert images.max() == 1
        assert getattr(scaled, f"{part}_labels").dtype == np.uint8
    np.testing.assert_array_equal(np.rint(scaled.test_images * 255), digits.test_images)


@pytest.mark.parametrize(("scale", "dtype"), [(False, torch.uint8), (True, torch.float32)])
def test_tensors_have_a_channel_axis_and_int64_labels(scale, dtype):
    arrays = load_mnist(subset=30, validation=20, scale=scale)
    tensors = load_mnist(subset=30, validation=20, scale=scale, tensors=True)
    for part, count in zip(FIELDS, (30, 20, 10_000), strict=True):
        images = getattr(tensors, f"{part}_images")
        labels = getattr(tensors, f"{part}_labels")
        assert images.shape == (count, 1, 28, 28)
        assert images.dtype == dtype
        assert images.is_contiguous()
        assert labels.dtype == torch.int64
        np.testing.assert_array_equal(images[:, 0].numpy(), getattr(arrays, f"{part}_images"))
        np.testing.assert_array_equal(labels.numpy(), getattr(arrays, f"{part}_labels"))
    torch.nn.functional.nll_loss(torch.zeros(30, 10), tensors.train_labels)


@pytest.mark.parametrize("tensors", [False, True])
def test_writing_into_the_arrays_changes_no_other_call(tensors):
    first = load_mnist(validation=10, tensors=tensors)
    kept = load_mnist(validation=10, tensors=tensors)
    for part in FIELDS:
        getattr(first, f"{part}_images")[:] = 77
        getattr(first, f"{part}_labels")[:] = 77
    later = load_mnist(validation=10, tensors=tensors)
    for part in FIELDS:
        for field in (f"{part}_images", f"{part}_labels"):
            assert (getattr(first, field) == 77).all()
            assert not (getattr(kept, field) == 77).all()
            assert (getattr(kept, field) == getattr(later, field)).all()


def test_fields_cannot_be_replaced(digits):
    with pytest.raises(AttributeError):
        digits.train_images = None


def test_the_repr_states_the_sizes():
    text = repr(load_mnist(subset=30, validation=20))
    assert text == "Mnist(train: 30, validation: 20, test: 10,000; images (28, 28), uint8)"


def test_importing_the_data_imports_neither_torch_nor_the_sample_packages():
    probe = (
        "import sys, cnnbook.data as data; data.load_mnist(subset=10, scale=True);"
        "print([name for name in ('torch', 'pywt', 'skimage') if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", probe], check=True, capture_output=True, text=True
    )
    assert output.stdout.strip() == "[]"


# ----------------------------------------------------------------------------- bad input


BAD = [
    *((name, value) for name in ("subset", "validation") for value in (-1, 0, 60_001, 2.5, 10.0)),
    *((name, value) for name in ("subset", "validation") for value in (True, "a", [5])),
    *((name, np.nan) for name in ("subset", "validation", "seed")),
    ("validation", 60_000),
    *(("seed", value) for value in (-1, 2**32, 0.0, "0", None, False)),
    *((name, value) for name in ("scale", "tensors") for value in (1, 0, None, "yes")),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_argument_is_named_with_its_value_and_what_it_must_be(name, value):
    with pytest.raises(ValueError) as caught:
        load_mnist(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} was {value!r}; it must be ")


def test_subset_and_validation_together_cannot_exceed_the_training_set():
    with pytest.raises(
        ValueError, match=r"subset \+ validation was 59000 \+ 1001 = 60001; .*60000"
    ):
        load_mnist(subset=59_000, validation=1001)
    assert len(load_mnist(subset=59_000, validation=1000).train_labels) == 59_000


def test_numpy_integers_and_booleans_are_accepted():
    chosen = load_mnist(subset=np.int64(12), scale=np.True_, seed=np.uint8(3))
    np.testing.assert_array_equal(
        chosen.train_images, load_mnist(subset=12, scale=True, seed=3).train_images
    )


# ----------------------------------------------------------------------------- samples


SHAPES = {
    "camera": (512, 512),
    "astronaut": (512, 512, 3),
    "chelsea": (300, 451, 3),
    "coffee": (400, 600, 3),
    "brick": (512, 512),
    "grass": (512, 512),
    "gravel": (512, 512),
    "coins": (303, 384),
}


@pytest.fixture
def offline(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "socket", refuse)


def test_every_photograph_has_its_stated_shape_and_needs_no_network(offline):
    assert set(SHAPES) == set(samples.PHOTOGRAPHS)
    for name, shape in SHAPES.items():
        photograph = load_photograph(name)
        assert photograph.shape == shape
        assert photograph.dtype == np.uint8
        assert photograph.std() > 10
        assert f'"{name}"' in load_photograph.__doc__
        assert str(shape) in load_photograph.__doc__


def test_the_ecg_is_what_the_docstring_says_and_needs_no_network(offline):
    ecg = load_ecg()
    assert ecg.shape == (1024,)
    assert ecg.dtype == np.float64
    assert (ecg.min(), ecg.max()) == (-112, 250)
    np.testing.assert_array_equal(ecg, np.rint(ecg))


@pytest.mark.parametrize("load", [load_ecg, lambda: load_photograph("coins")])
def test_writing_into_a_sample_changes_no_other_call(load):
    first = load()
    first[:] = 7
    assert not (load() == 7).all()


@pytest.mark.parametrize("name", ["moon", "Camera", "", "__name__", None, 3, ["camera"]])
def test_an_unknown_photograph_is_refused_with_the_names(name):
    with pytest.raises(ValueError) as caught:
        load_photograph(name)
    assert str(caught.value).startswith(f"name was {name!r}; it must be one of camera, ")
    assert all(known in str(caught.value) for known in SHAPES)


@pytest.mark.parametrize(
    ("module", "load", "line"),
    [
        ("pywt", load_ecg, "load_ecg needs PyWavelets; .*pip install PyWavelets"),
        (
            "skimage",
            lambda: load_photograph("coins"),
            "load_photograph needs scikit-image; .*pip install scikit-image",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_install_line(monkeypatch, module, load, line):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.data", None)
    with pytest.raises(ImportError, match=line):
        load()
