"""The page "How this course is tested" names every file of tests, and nothing that is not there."""

import ast
import re
from functools import cache

import pytest
from conftest import ROOT

PAGE = ROOT / "chapters" / "a7-how-this-course-is-tested.md"
TEXT = PAGE.read_text(encoding="utf-8")
FILE = re.compile(r"`(?:tests/)?(test_\w+\.py)`")
CODE = re.compile(r"`([^`\n]+)`")
QUOTED = re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)")


def held():
    """Return the first line of what each file of tests says of itself, by its name."""
    return {
        path.name: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[0]
        for path in sorted(ROOT.glob("tests/test_*.py"))
    }


def unnamed(text):
    """Return a line for each file of tests that a text does not name, with what it holds."""
    named = set(FILE.findall(text))
    return [f"`{name}`: {promise}" for name, promise in held().items() if name not in named]


def absent(text):
    """Return the files of tests that a text names and that do not exist."""
    return sorted(set(FILE.findall(text)) - set(held()))


@cache
def names_in(name):
    """Return the names of the functions of a file of tests, none if there is no such file."""
    path = ROOT / "tests" / name
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def misquoted(text):
    """Return what a text quotes as a test and is none of the files named in the same paragraph."""
    found = []
    for paragraph in text.splitlines():
        files = FILE.findall(paragraph)
        known = set().union(*map(names_in, files)) if files else set()
        for quotation in QUOTED.findall(paragraph.partition("ble to fail")[2]):
            if "test_" + quotation.replace(" ", "_") not in known:
                found.append(quotation)
    return found


def test_every_file_of_tests_is_named():
    missing = unnamed(TEXT)
    assert not missing, f"{PAGE.name} must say what these hold:\n" + "\n".join(missing)


def test_every_file_of_tests_that_is_named_exists():
    assert absent(TEXT) == []


def test_every_test_that_is_quoted_stands_in_a_file_named_beside_it():
    assert misquoted(TEXT) == []
    assert len(re.findall("able to fail: ", TEXT)) > 12


def test_every_other_file_and_command_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    named = set(CODE.findall(TEXT))
    commands = {name.split()[1] for name in named if name.startswith("make ")}
    assert len(commands) > 3 and commands <= targets, commands - targets
    parts = {name.partition("PART=")[2].replace("-", "_") for name in named if "PART=" in name}
    assert len(parts) > 1
    assert [part for part in parts if f"test_{part}.py" not in held()] == []
    paths = [name for name in named if "/" in name and " " not in name]
    assert len(paths) > 3
    assert [path for path in paths if not (ROOT / path).exists()] == []


QUOTATION = "*a cut file is found and the error states both lengths*"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"`test_data.py`; able to fail: {QUOTATION}", 0),
        ("`test_data.py`; able to fail: *a cut file is lost*", 1),
        (f"`test_links.py`; able to fail: {QUOTATION}", 1),
        (f"able to fail: {QUOTATION}", 1),
        ("*any words* before, `test_data.py`", 0),
    ],
)
def test_a_file_that_is_not_named_and_a_quotation_that_is_no_test_are_found(text, found):
    assert len(misquoted(text)) == found
    shorter = TEXT.replace("`test_data.py`", "`data`")
    (line,) = set(unnamed(shorter)) - set(unnamed(TEXT))
    assert line.startswith("`test_data.py`: The data are genuine")
    assert absent(TEXT + "`tests/test_nothing.py`") == ["test_nothing.py"]
