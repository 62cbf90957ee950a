"""Chapters show what the library runs."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest
from conftest import ROOT

import cnnbook
from tools import notebooks

CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))

# The chapter, or the chapters, that write out all public functions and classes of a module.
INTRODUCED = {
    "augmentation": "53-regularization-and-normalization",
    "convolution.one_dimension": "21-one-dimension",
    "convolution.two_dimensions": "22-two-dimensions",
    "convolution.windows": "23-padding-stride-dilation",
    "diagnosis": "54-debugging-clinic",
    "distillation": "72-distillation",
    "gradcheck": "41-backprop-dense",
    "initializers": "51-initialization",
    "inspection.receptive_fields": "33-receptive-fields",
    "layers.activations": "41-backprop-dense",
    "layers.convolution": ("31-the-convolution-layer", "42-backprop-convolution"),
    "layers.dense": "41-backprop-dense",
    "layers.dropout": "53-regularization-and-normalization",
    "layers.losses": "41-backprop-dense",
    "layers.network": "44-a-cnn-in-numpy",
    "layers.normalization": "53-regularization-and-normalization",
    "layers.pooling": ("32-pooling", "43-backprop-pooling"),
    "layers.transposed": "66-transposed-and-atrous",
    "models.alexnet": "62-alexnet",
    "models.lenet5": "61-lenet",
    "models.modern_lenet": "61-lenet",
    "models.one_conv": "45-the-same-in-pytorch",
    "models.one_epoch": "52-optimizers",
    "models.small": "12-a-first-cnn",
    "models.three_conv": "45-the-same-in-pytorch",
    "optimizers": "52-optimizers",
    "schedules": "52-optimizers",
    "statistics": "13-how-to-measure",
}


def definitions(source):
    """Return the functions and classes defined at the top of a source text, by name."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name: node for node in ast.parse(source).body if isinstance(node, kinds)}


def without_docstrings(node):
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner):
            inner.body = inner.body[1:] or [ast.Pass()]
    return ast.dump(node)


def library():
    """Return {name: (module, definition)} of what the modules of cnnbook define."""
    found = {}
    for info in pkgutil.walk_packages(cnnbook.__path__, "cnnbook."):
        module = importlib.import_module(info.name)
        for name, node in definitions(inspect.getsource(module)).items():
            found[name] = (info.name, node)
    return found


def code(path):
    cells = notebooks.read(path).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def shown(path):
    found = {}
    for source in code(path):
        plain = re.sub(r"^(\s*)%.*$", r"\1pass", source, flags=re.M)
        found |= definitions(plain)
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_function_shown_under_a_name_of_the_library_is_the_library_s(path):
    shipped = library()
    for name, node in shown(path).items():
        if name in shipped:
            module, other = shipped[name]
            assert without_docstrings(node) == without_docstrings(other), f"{name} of {module}"


@pytest.mark.parametrize("module, chapters", INTRODUCED.items())
def test_chapters_write_out_every_public_name_of_their_module(module, chapters):
    chapters = (chapters,) if isinstance(chapters, str) else chapters
    source = inspect.getsource(importlib.import_module(f"cnnbook.{module}"))
    public = {name for name in definitions(source) if not name.startswith("_")}
    written = [shown(ROOT / "chapters" / f"{chapter}.ipynb") for chapter in chapters]
    assert not public.difference(*written)


def test_a_changed_operator_is_seen_and_a_changed_docstring_is_not():
    first, second, third = (
        definitions(text)["f"]
        for text in (
            "def f(a):\n 'x'\n return a+1",
            "def f(a):\n return a+1",
            "def f(a):\n return a-1",
        )
    )
    assert without_docstrings(first) == without_docstrings(second) != without_docstrings(third)
