"""Faults: what happens to notebooks on their way from students to a grader.

Each fault takes a good submission of any assignment, damages it, and says what must come of it:

- `FULL`: every question keeps its points.
- `LOST`: the first question loses its points, the others keep theirs.
- `NOTHING`: every question loses its points, and the submission still has an outcome.
- `UNREADABLE`: the file is refused.
- `ABSENT`: no file is found.

`message` is a pattern that one of the notes, or the refusal, matches; "" where none is due.
"""

import gzip
import io
import json
import os
import re
import socket
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests

FULL, LOST, NOTHING = "full", "question lost", "nothing"
UNREADABLE, ABSENT = "unreadable", "absent"
FAULTS = []


@dataclass(frozen=True)
class Fault:
    name: str
    outcome: str
    message: str
    damage: Callable
    of_file: bool


class Good:
    """A good submission as plain JSON, and its cells by what they are for."""

    def __init__(self, notebook):
        self.notebook = notebook

    @property
    def cells(self):
        return self.notebook["cells"]

    def having(self, *, answer=False, test=False):
        """Return the numbers of the answer cells or of the test cells in code."""
        numbers = []
        for number, cell in enumerate(self.cells):
            data = cell["metadata"].get("nbgrader", {})
            solution, grade = data.get("solution", False), data.get("grade", False)
            code = cell["cell_type"] == "code"
            if code and ((answer and solution) or (test and grade and not solution)):
                numbers.append(number)
        return numbers

    @property
    def place(self):
        return self.having(answer=True)[0]

    @property
    def answer(self):
        """The answer cell of the first question."""
        return self.cells[self.place]

    @property
    def test(self):
        """The first test cell of the first question."""
        return self.cells[next(n for n in self.having(test=True) if n > self.place)]


def good_submission(source):
    """Return the submission with the instructor's answers, as a student's file would hold them."""
    released, _ = ClearHiddenTests().preprocess(deepcopy(source), {})
    for cell in released.cells:
        if utils.is_solution(cell):
            lines = cell.source.split("\n")
            marks = ("### BEGIN SOLUTION", "### END SOLUTION")
            cell.source = "\n".join(x for x in lines if not x.strip().startswith(marks))
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return json.loads(json.dumps(released))


def plant(fault, folder, name, notebook):
    """Write a damaged copy of a good submission into a folder, under the name of an assignment."""
    folder = Path(folder)
    good = Good(deepcopy(notebook))
    path = folder / f"{name}.ipynb"
    if fault.of_file:
        fault.damage(path, good)
    else:
        fault.damage(good)
        write(path, good)


def write(path, good):
    path.write_bytes(to_bytes(good))


def to_bytes(good):
    return json.dumps(good.notebook, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def code(text, **metadata):
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": text,
        "outputs": [],
        "execution_count": None,
    }


def in_notebook(outcome, message=""):
    """Mark a function that changes the cells or the metadata of a good submission."""
    return _recorder(outcome, message, of_file=False)


def in_file(outcome, message=""):
    """Mark a function that writes what stands in place of a good submission."""
    return _recorder(outcome, message, of_file=True)


def _recorder(outcome, message, of_file):
    def record(function):
        name = function.__name__.replace("_", " ")
        FAULTS.append(Fault(name, outcome, message, function, of_file))
        return function

    return record


# --- bytes ------------------------------------------------------------------------------------


@in_file(FULL)
def byte_order_mark(path, good):
    path.write_bytes(b"\xef\xbb\xbf" + to_bytes(good))


@in_file(FULL)
def utf_16(path, good):
    path.write_bytes(to_bytes(good).decode().encode("utf-16"))


@in_file(FULL)
def utf_16_without_mark(path, good):
    path.write_bytes(to_bytes(good).decode().encode("utf-16-be"))


@in_file(FULL)
def utf_32(path, good):
    path.write_bytes(to_bytes(good).decode().encode("utf-32"))


@in_file(FULL, "could not be read. The sign \ufffd stands for them")
def latin_1(path, good):
    good.answer["source"] += "\n# deja vu"
    path.write_bytes(to_bytes(good).replace(b"deja", "d\xe9j\xe0".encode("latin-1")))


@in_file(FULL)
def windows_line_ends(path, good):
    path.write_bytes(to_bytes(good).replace(b"\n", b"\r\n"))


@in_file(FULL)
def zero_bytes_at_the_end(path, good):
    path.write_bytes(to_bytes(good) + b"\0" * 4096)


@in_file(FULL)
def not_a_number_in_metadata(path, good):
    good.notebook["metadata"]["x"] = [float("nan"), float("inf"), float("-inf")]
    write(path, good)


@in_file(FULL)
def a_number_of_a_million_digits(path, good):
    data = to_bytes(good)
    path.write_bytes(b'{"count": ' + b"9" * 1_000_000 + b"," + data[1:])


@in_file(FULL)
def duplicate_keys(path, good):
    path.write_bytes(b'{"cells": [], "metadata": {}, ' + to_bytes(good)[1:])


@in_file(FULL)
def bare_line_breaks_in_strings(path, good):
    path.write_bytes(to_bytes(good).replace(b"\\n", b"\n"))


@in_file(UNREADABLE, "not valid JSON at line 1, column 2")
def comments_in_json(path, good):
    path.write_bytes(to_bytes(good).replace(b"{", b"{// mine\n", 1))


@in_file(UNREADABLE, "not valid JSON")
def trailing_comma(path, good):
    path.write_bytes(b"{" + b'"x": [1,],' + to_bytes(good)[1:])


@in_file(UNREADABLE, "not valid JSON")
def two_notebooks_in_one_file(path, good):
    path.write_bytes(to_bytes(good) * 2)


@in_file(UNREADABLE, r"unresolved merge conflict \(line \d+\)")
def merge_conflict(path, good):
    text = to_bytes(good).decode()
    half = text.index("\n", len(text) // 2)
    mine, theirs = "<<<<<<< HEAD\n", "=======\n1\n>>>>>>> theirs\n"
    path.write_text(text[: half + 1] + mine + theirs + text[half + 1 :], encoding="utf-8")


@in_file(UNREADABLE, "unresolved merge conflict")
def merge_conflict_in_the_first_line(path, good):
    path.write_bytes(b"<<<<<<< HEAD\n" + to_bytes(good) + b"=======\n{}\n>>>>>>> theirs\n")


@in_file(UNREADABLE, "breaks off in line")
def broken_off_in_a_string(path, good):
    data = to_bytes(good)
    path.write_bytes(data[: data.index(b'"source": "') + 15])


@in_file(UNREADABLE, "breaks off in line")
def broken_off_between_values(path, good):
    data = to_bytes(good)
    path.write_bytes(data[: data.index(b'"source":') + 9])


@in_file(UNREADABLE, "is empty")
def empty_file(path, good):
    path.write_bytes(b"")


@in_file(UNREADABLE, "is empty")
def only_zero_bytes(path, good):
    path.write_bytes(b"\0" * len(to_bytes(good)))


@in_file(UNREADABLE, "is a web page")
def web_page(path, good):
    path.write_text("\n<!DOCTYPE html><html><title>Sign in</title></html>", encoding="utf-8")


@in_file(UNREADABLE, "is a zip archive")
def zip_archive(path, good):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(path.name, to_bytes(good))
    path.write_bytes(buffer.getvalue())


@in_file(UNREADABLE, "is a gzip archive")
def gzip_archive(path, good):
    path.write_bytes(gzip.compress(to_bytes(good)))


@in_file(UNREADABLE, "not valid JSON at line 1")
def python_script(path, good):
    path.write_text("\n\n".join(cell["source"] for cell in good.cells), encoding="utf-8")


@in_file(UNREADABLE, "has no list of cells")
def a_list_instead_of_a_notebook(path, good):
    path.write_bytes(b"[" + to_bytes(good) + b"]")


@in_file(UNREADABLE, "has no list of cells")
def cells_by_name(path, good):
    good.notebook["cells"] = dict(enumerate(good.cells))
    write(path, good)


@in_file(UNREADABLE, "is nested too deeply")
def nested_lists(path, good):
    path.write_bytes(b"[" * 100_000)


@in_file(UNREADABLE, "has too many parts")
def a_million_lists(path, good):
    path.write_bytes(b"[" + b"[]," * 1_000_001 + b"[]]")


@in_file(UNREADABLE, "has 100,000 cells")
def a_hundred_thousand_cells(path, good):
    cell = b'{"cell_type":"code","source":""}'
    path.write_bytes(b'{"cells":[' + b",".join([cell] * 100_000) + b"]}")


@in_file(UNREADABLE, "is larger than 32 MB")
def two_hundred_megabytes(path, good):
    write(path, good)
    os.truncate(path, 200 * 2**20)


# --- what stands in the folder ----------------------------------------------------------------


@in_file(UNREADABLE, "is a folder")
def folder_by_the_name_of_the_notebook(path, good):
    path.mkdir()


@in_file(UNREADABLE, "is a link")
def link_to_the_passwords(path, good):
    path.symlink_to("/etc/passwd")


@in_file(UNREADABLE, "is a link")
def link_to_another_submission(path, good):
    other = path.with_suffix(".other")
    write(other, good)
    path.symlink_to(other)


@in_file(UNREADABLE, "is a link")
def link_to_nothing(path, good):
    path.symlink_to("nothing")


@in_file(UNREADABLE, "is a link")
def link_to_itself(path, good):
    path.symlink_to(path.name)


@in_file(UNREADABLE, "is a link")
def link_to_an_endless_device(path, good):
    path.symlink_to("/dev/zero")


@in_file(UNREADABLE, "is not an ordinary file")
def named_pipe(path, good):
    os.mkfifo(path)


@in_file(UNREADABLE, "is not an ordinary file")
def unix_socket(path, good):
    here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


@in_file(FULL, "“(.+) \\(1\\).ipynb” was graded instead")
def second_download(path, good):
    write(path.with_name(f"{path.stem} (1).ipynb"), good)


@in_file(FULL, "was graded instead")
def copy_of_it(path, good):
    write(path.with_name(f"Copy_of_{path.stem}.ipynb"), good)


@in_file(FULL, "was graded instead")
def copied_in_jupyterlab(path, good):
    write(path.with_name(f"{path.stem}-Copy1.ipynb"), good)


@in_file(FULL, "was graded instead")
def capital_letters(path, good):
    write(path.with_name(f"{path.stem.upper()}.IPYNB"), good)


@in_file(FULL, "was graded instead")
def renamed_to_text_by_the_browser(path, good):
    write(path.with_name(f"{path.name}.txt"), good)


@in_file(FULL, "“homework.ipynb” was graded instead")
def another_name(path, good):
    write(path.with_name("homework.ipynb"), good)


@in_file(FULL)
def copies_beside_it(path, good):
    path.with_name(f"{path.stem} (1).ipynb").write_bytes(b"{")
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (path.parent / ".ipynb_checkpoints").mkdir()
    (path.parent / ".ipynb_checkpoints" / path.name).write_bytes(b"{")
    write(path, good)


@in_file(ABSENT, "several that could be meant: “.+”, “.+”. None was graded")
def several_copies(path, good):
    for number in (1, 2):
        write(path.with_name(f"{path.stem} ({number}).ipynb"), good)


@in_file(ABSENT, "There was no file .+. Nothing was graded for it")
def no_notebook(path, good):
    path.with_name("notes.txt").write_text("see e-mail", encoding="utf-8")


@in_file(ABSENT, "There was no file")
def only_a_link_under_another_name(path, good):
    path.with_name(f"{path.stem} (1).ipynb").symlink_to("/etc/passwd")


@in_file(FULL, "does not hold a time")
def time_stamp_without_a_time(path, good):
    write(path, good)
    path.with_name("timestamp.txt").write_text("yesterday ../../etc", encoding="utf-8")


@in_file(FULL, "does not hold a time")
def time_stamp_in_bytes(path, good):
    write(path, good)
    path.with_name("timestamp.txt").write_bytes(b"\xff\0" * 10)


@in_file(FULL, "is unknown")
def endless_time_stamp(path, good):
    write(path, good)
    path.with_name("timestamp.txt").write_bytes(b"2" * 1_000_000)


@in_file(FULL, "is unknown")
def linked_time_stamp(path, good):
    write(path, good)
    path.with_name("timestamp.txt").symlink_to("/dev/zero")


@in_file(FULL, "lies in the future: 9999-12-31")
def time_stamp_of_the_future(path, good):
    write(path, good)
    path.with_name("timestamp.txt").write_text("9999-12-31 23:59:59.5 UTC", encoding="utf-8")


# --- formats and editors ----------------------------------------------------------------------


@in_notebook(FULL)
def format_3(good):
    cells = []
    for cell in good.cells:
        cell.pop("id", None)
        if cell["cell_type"] == "code":
            cell = {
                "cell_type": "code",
                "input": cell["source"],
                "metadata": cell["metadata"],
                "language": "python",
                "outputs": [],
                "prompt_number": 3,
            }
        cells.append(cell)
    sheet = {"cells": cells, "metadata": {}}
    good.notebook = {"metadata": {}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [sheet]}


@in_notebook(FULL)
def format_4_0_without_ids(good):
    good.notebook["nbformat_minor"] = 0
    for cell in good.cells:
        cell.pop("id", None)


@in_notebook(FULL)
def format_4_9_with_new_keys(good):
    good.notebook.update(nbformat_minor=9, signature={"by": "me"})
    for cell in good.cells:
        cell["kernel"] = "python-4"


@in_notebook(FULL)
def format_5(good):
    good.notebook["nbformat"] = 5


@in_notebook(FULL)
def format_missing(good):
    del good.notebook["nbformat"], good.notebook["nbformat_minor"], good.notebook["metadata"]


@in_notebook(FULL)
def format_as_words(good):
    good.notebook.update(nbformat="four", nbformat_minor=None, metadata=None)


@in_notebook(FULL)
def from_colab(good):
    good.notebook["nbformat_minor"] = 0
    good.notebook["metadata"] = {
        "colab": {"provenance": [], "gpuType": "T4"},
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "accelerator": "GPU",
    }
    for number, cell in enumerate(good.cells):
        cell.pop("id", None)
        cell["source"] = cell["source"].splitlines(keepends=True)
        cell["metadata"].update(id=f"x{number}", outputId="y", colab={"base_uri": "https://x"})
    good.cells.insert(0, code("!true", id="new"))


@in_notebook(FULL)
def from_visual_studio_code(good):
    good.notebook["metadata"]["kernelspec"] = {"name": ".venv", "display_name": ".venv (3.13)"}
    good.notebook["metadata"]["language_info"] = {"name": "python", "version": "3.13.1"}
    for cell in good.cells:
        cell["metadata"]["vscode"] = {"languageId": "python"}


@in_notebook(FULL)
def kernel_of_another_language(good):
    good.notebook["metadata"] = {"kernelspec": {"name": "ir", "language": "R"}}


def _schema(good, version):
    for cell in good.cells:
        data = cell["metadata"].get("nbgrader")
        if data:
            data.pop("task", None)
            data.pop("schema_version", None)
            if version:
                data["schema_version"] = version


@in_notebook(FULL)
def nbgrader_schema_without_a_number(good):
    _schema(good, None)


@in_notebook(FULL)
def nbgrader_schema_1(good):
    _schema(good, 1)


@in_notebook(FULL)
def nbgrader_schema_2(good):
    _schema(good, 2)


@in_notebook(FULL)
def nbgrader_schema_of_the_future(good):
    _schema(good, 99)


# --- cells ------------------------------------------------------------------------------------


@in_notebook(LOST, "The answer cell `.+` is missing. It counts as blank")
def answer_deleted(good):
    del good.cells[good.place]


@in_notebook(LOST, "is empty. It counts as blank")
def answer_emptied(good):
    good.answer["source"] = " \n"


@in_notebook(LOST, "is empty")
def answer_without_text(good):
    good.answer["source"] = None


@in_notebook(LOST, "is empty")
def answer_is_a_number(good):
    good.answer["source"] = 42


@in_notebook(LOST, "is empty")
def answer_is_an_object(good):
    good.answer["source"] = {"text": good.answer["source"]}


@in_notebook(LOST)
def answer_is_not_python(good):
    good.answer["source"] += "\n)"


@in_notebook(LOST)
def answer_with_an_invisible_character(good):
    good.answer["source"] = good.answer["source"].replace("def ", "def \u200b", 1)


@in_notebook(LOST)
def answer_with_tabs_and_spaces(good):
    lines = good.answer["source"].rstrip().split("\n")
    good.answer["source"] = "\n".join([*lines[:-1], " \t" + lines[-1], "\t" + lines[-1].lstrip()])


@in_notebook(LOST, "holds more than 1,000,000 characters")
def answer_of_five_megabytes(good):
    good.answer["source"] += "\n#" + "x" * 5_000_000


@in_notebook(FULL)
def answer_as_a_list_of_lines(good):
    good.answer["source"] = good.answer["source"].splitlines(keepends=True)


@in_notebook(FULL)
def answer_as_lines_without_ends(good):
    good.answer["source"] = good.answer["source"].split("\n")


@in_notebook(FULL)
def answer_with_numbers_among_its_lines(good):
    good.answer["source"] = [7, *good.answer["source"].splitlines(keepends=True), None, ["x"]]


@in_notebook(FULL)
def answer_with_windows_line_ends(good):
    good.answer["source"] = good.answer["source"].replace("\n", "\r\n")


@in_notebook(FULL, "could not be read")
def answer_with_half_a_character(good):
    good.answer["source"] += "\n# \ud83d"


@in_notebook(FULL, "could not be read")
def answer_with_a_zero_byte(good):
    good.answer["source"] += "\n# \0"


@in_notebook(FULL)
def answer_under_a_cell_magic(good):
    good.answer["source"] = "%%time\n" + good.answer["source"]


@in_notebook(FULL)
def answer_with_ipython_syntax(good):
    good.answer["source"] = "%matplotlib inline\n!true\n" + good.answer["source"]


@in_notebook(FULL, "had become a markdown cell")
def answer_turned_into_markdown(good):
    good.answer["cell_type"] = "markdown"


@in_notebook(FULL, "had become a raw cell")
def answer_turned_into_raw_text(good):
    good.answer["cell_type"] = "raw"


@in_notebook(FULL, "had become a raw cell")
def answer_of_an_unknown_type(good):
    good.answer["cell_type"] = ["code"]


@in_notebook(FULL, "cells are marked as the answer")
def answer_split_in_two(good):
    lines = good.answer["source"].split("\n")
    first = next(n for n, line in enumerate(lines) if line.startswith("def "))
    half = deepcopy(good.answer)
    good.answer["source"] = "\n".join([*lines[:first], "split = 1"])
    half["source"] = "\n".join(lines[first:])
    half.pop("id", None)
    good.cells.insert(good.place + 1, half)


@in_notebook(FULL, "cells are marked as the answer")
def answer_tried_twice(good):
    first = deepcopy(good.answer)
    first.update(id="first-try", source="raise RuntimeError('not yet')")
    good.cells.insert(good.place, first)


@in_notebook(FULL, "cells are marked as the answer")
def old_answer_kept_at_the_end(good):
    old = deepcopy(good.answer)
    old.update(id="old", source="kept = 'an older answer'")
    good.cells.append(old)


@in_notebook(FULL, "cells are marked as the answer")
def answer_pasted_below_an_empty_one(good):
    empty = deepcopy(good.answer)
    empty.update(source="", id="empty")
    good.cells.insert(good.place + 1, empty)


@in_notebook(FULL)
def answer_merged_with_the_test_below(good):
    place = good.place
    good.answer["source"] += "\n\n" + good.cells[place + 1]["source"]
    del good.cells[place + 1]


@in_notebook(FULL, "recognized by the function that it defines")
def answer_merged_into_the_test_below(good):
    good.test["source"] = good.answer["source"] + "\n\n" + good.test["source"]
    del good.cells[good.place]


@in_notebook(FULL, "recognized by the function that it defines")
def answer_cut_and_written_into_a_new_cell(good):
    text = good.answer["source"]
    place = good.place
    del good.cells[place]
    good.cells.insert(place, code(text))


@in_notebook(FULL, "recognized by its place")
def answer_bound_to_its_name_in_a_new_cell(good):
    text = good.answer["source"]
    name = re.search(r"def (\w+)", text)[1]
    text = text.replace(f"def {name}", "def other", 1)
    good.cells[good.place] = code(f"{text}\n{name} = other")


@in_notebook(FULL, "stood in another order")
def cells_turned_over(good):
    good.cells.reverse()


@in_notebook(FULL, "The test cell `.+` was missing. It was put back")
def test_deleted(good):
    good.cells.remove(good.test)


@in_notebook(FULL, "was missing")
def all_tests_deleted(good):
    for number in reversed(good.having(test=True)):
        del good.cells[number]


@in_notebook(FULL, "The test cell `.+` was changed. Its original text is used")
def test_changed(good):
    good.test["source"] = "assert False"


@in_notebook(FULL, "was copied. The original is used")
def test_copied(good):
    good.cells.append({**deepcopy(good.test), "id": "copy"})


@in_notebook(FULL, "copies that were changed count as cells that you added")
def test_copied_and_used_for_notes(good):
    copied = deepcopy(good.test)
    copied.update(id="copy", source="raise RuntimeError('trying things out')")
    good.cells.insert(good.place, copied)


@in_notebook(FULL, "stood in another order")
def test_moved_to_the_top(good):
    good.cells.insert(0, good.cells.pop(good.cells.index(good.test)))


@in_notebook(FULL)
def test_turned_into_markdown(good):
    good.test["cell_type"] = "markdown"


@in_notebook(FULL)
def test_with_blanks_at_the_ends_of_lines(good):
    good.test["source"] = good.test["source"].replace("\n", "  \n") + "\n\n"


@in_notebook(FULL, "was changed")
def read_only_cells_changed(good):
    for cell in good.cells:
        data = cell["metadata"].get("nbgrader", {})
        if data.get("locked") and not data.get("grade"):
            cell["source"] += "\nI changed this."
    good.test["source"] += "\n# and this"


@in_notebook(FULL)
def cells_that_are_no_cells(good):
    good.cells[0:0] = [None, 3, "text", [], {}]


@in_notebook(FULL)
def cells_of_unknown_types(good):
    good.cells.append({"cell_type": "chart", "source": "raise SystemExit", "metadata": {}})
    good.cells.append({"cell_type": "heading", "level": 2, "source": "Notes", "metadata": {}})


@in_notebook(FULL)
def helper_in_a_cell_of_its_own(good):
    place = good.place
    name = re.search(r"def (\w+)", good.answer["source"])[1]
    good.cells.insert(place, code("def student_helper():\n    return 1"))
    good.cells[place + 1]["source"] += f"\nassert student_helper() == 1\n{name}"


@in_notebook(FULL)
def added_cell_that_fails(good):
    good.cells.insert(0, code("1 / 0"))
    good.cells.append(code("this is not Python"))


@in_notebook(FULL, "100 of the cells that you added were left out")
def six_hundred_added_cells(good):
    good.cells.extend(code(f"x{number} = {number}") for number in range(600))


@in_notebook(FULL, "1 of the cells that you added were left out")
def added_cell_of_five_megabytes(good):
    good.cells.append(code("#" * 5_000_000))


@in_notebook(NOTHING, "No cell of this assignment was found")
def no_cells(good):
    good.cells.clear()


@in_notebook(NOTHING, "No cell of this assignment was found")
def notebook_of_another_course(good):
    good.notebook["cells"] = [code("x = 1", nbgrader={"grade_id": "other", "solution": True})]


# --- metadata and outputs ---------------------------------------------------------------------


@in_notebook(LOST, "stood in another order")
def grade_ids_swapped(good):
    first, second = (good.cells[n] for n in good.having(answer=True)[:2])
    first["metadata"], second["metadata"] = second["metadata"], first["metadata"]


@in_notebook(FULL, "recognized by its cell id")
def nbgrader_metadata_stripped(good):
    for cell in good.cells:
        cell["metadata"] = {}


@in_notebook(FULL, "recognized by the function that it defines")
def metadata_and_ids_stripped(good):
    for cell in good.cells:
        cell["metadata"] = {}
        cell.pop("id", None)


@in_notebook(FULL, "recognized by the function that it defines")
def only_the_answers_and_nothing_else(good):
    answers = good.having(answer=True)
    written = [c for c in good.cells if _is_written(c)]
    good.notebook["cells"] = [code(good.cells[n]["source"]) for n in answers] + written


def _is_written(cell):
    data = cell["metadata"].get("nbgrader", {})
    return cell["cell_type"] == "markdown" and data.get("solution")


@in_notebook(FULL)
def all_metadata_null(good):
    for cell in good.cells:
        cell["metadata"] = None


@in_notebook(FULL)
def nbgrader_metadata_as_text(good):
    good.answer["metadata"]["nbgrader"] = "answer"


@in_notebook(FULL)
def grade_id_as_a_number(good):
    good.answer["metadata"]["nbgrader"]["grade_id"] = 1


@in_notebook(FULL)
def grade_id_unknown(good):
    good.answer["metadata"]["nbgrader"]["grade_id"] = "cell-0123456789abcdef"


@in_notebook(FULL)
def points_raised(good):
    for number in good.having(test=True):
        good.cells[number]["metadata"]["nbgrader"]["points"] = 10**9


@in_notebook(FULL)
def points_as_text(good):
    good.test["metadata"]["nbgrader"]["points"] = "many"


@in_notebook(FULL)
def test_no_longer_graded(good):
    good.test["metadata"]["nbgrader"].update(grade=False, locked=False, solution=True)


@in_notebook(FULL)
def cell_tags_and_ids_in_the_way(good):
    for cell in good.cells:
        cell["metadata"]["tags"] = ["skip-execution", "remove-cell"]
        cell["id"] = "same"


@in_notebook(FULL)
def cell_ids_that_are_none(good):
    for number, cell in enumerate(good.cells):
        cell["id"] = [None, 7, "", "a b", "x" * 10_000][number % 5]


@in_notebook(FULL)
def outputs_with_scripts(good):
    page = {"text/html": "<script>alert(1)</script>", "application/javascript": "alert(1)"}
    for cell in good.cells:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"output_type": "display_data", "data": page, "metadata": {}}]


@in_notebook(FULL)
def outputs_that_are_none(good):
    for number, cell in enumerate(good.cells):
        cell["outputs"] = [None, "text", {"output_type": 3}, [[]]][number % 4]
        cell["execution_count"] = "often"


@in_notebook(FULL)
def attachments_that_are_none(good):
    for number, cell in enumerate(good.cells):
        cell["attachments"] = [None, "x", {"a": 3}, {"a": {"text/html": "<script>"}}][number % 4]
