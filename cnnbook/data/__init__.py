"""The course's data: MNIST, shipped in this package, and samples that other packages carry."""

from cnnbook.data.mnist import Mnist, load_mnist
from cnnbook.data.samples import load_ecg, load_photograph
from cnnbook.data.textures import texture_patches

__all__ = ["Mnist", "load_ecg", "load_mnist", "load_photograph", "texture_patches"]
