"""Puts a student's text into the instructor's notebook."""

import copy
from dataclasses import dataclass

from nbformat.notebooknode import NotebookNode

from referee.intake.cells import cell_list, cleaned
from referee.intake.matching import match
from referee.intake.notes import Note
from referee.intake.places import places_of

LONGEST_TEXT = 1_000_000
MOST_ADDED = 500


@dataclass(frozen=True)
class Intake:
    """A notebook to be graded, and what the student is told about how it came about."""

    notebook: NotebookNode
    notes: list[Note]


def rebuild(source, submitted, config=None):
    """Put a student's text into the instructor's notebook.

    The result has the instructor's cells in the instructor's order. Answers hold the student's
    text, test cells all their lines, other cells what was released. Cells that the student added
    stand after the cell that they followed, with the metadata `{"referee": {"added": true}}`.

    A submitted cell is known by its grade id, else by its cell id, else by its text, else by the
    functions that it defines, else, if it is the only one, by its place.

    Parameters
    ----------
    source : NotebookNode, the instructor's notebook, with solutions and hidden tests
    submitted : NotebookNode, the student's, as `read` gives it; outputs and metadata are ignored
    config : traitlets configuration of the course, which may set other solution marks, or None

    Returns
    -------
    Intake

    Raises
    ------
    ValueError
        If the marks of solutions or hidden tests in `source` do not match.
    """
    matching = match(places_of(source, config), cleaned(cell_list(submitted) or []))
    added = _added(matching)
    cells = added.get(-1, [])
    for place in matching.places:
        cells += [_filled(place, matching), *added.get(place.number, [])]
    for number, cell in enumerate(filter(_is_added, cells), start=1):
        cell.id = f"added-{number}"
    metadata = copy.deepcopy(source.metadata)
    notebook = NotebookNode(cells=cells, metadata=metadata, nbformat=4, nbformat_minor=5)
    return Intake(notebook, matching.notes)


def _filled(place, matching):
    """Return the instructor's cell, with the student's text if it is an answer."""
    cell = copy.deepcopy(place.cell)
    cell.id = place.cell.get("id", f"cell-{place.number + 1}")
    if cell.cell_type == "code":
        cell.update(outputs=[], execution_count=None)
    if not place.test:
        cell.source = place.released
    if not place.answer:
        if place.test and place.taken is None and matching.owner:
            matching.note(place, f"The {place.title} was missing. It was put back.")
        return cell
    cell.pop("attachments", None)
    if place.taken is None:
        matching.note(place, f"The {place.title} is missing. It counts as blank.")
        return cell
    submitted = matching.cells[place.taken]
    if not submitted.source.strip():
        matching.note(place, f"The {place.title} is empty. It counts as blank.")
        return cell
    if len(submitted.source) > LONGEST_TEXT:
        matching.note(
            place,
            f"The {place.title} holds more than {LONGEST_TEXT:,} characters, the most that "
            "is read. It counts as blank.",
        )
        return cell
    if submitted.cell_type != cell.cell_type:
        matching.note(
            place,
            f"The {place.title} had become a {submitted.cell_type} cell. It is read as the "
            f"{cell.cell_type} cell that it was.",
        )
    if "\ufffd" in submitted.source:
        matching.note(
            place,
            f"Some characters of the {place.title} could not be read. The sign \ufffd stands "
            "for them. Save the notebook as UTF-8.",
        )
    cell.source = submitted.source
    if cell.cell_type != "code" and "attachments" in submitted:
        cell.attachments = submitted.attachments
    return cell


def _added(matching):
    """Return the cells that the student added, by the number of the place that they follow."""
    added, anchor, count, left_out = {}, -1, 0, 0
    for number, cell in enumerate(matching.cells):
        place = matching.owner.get(number) or matching.edited.get(number)
        anchor = place.number if place else anchor
        if number in matching.owner or number in matching.dropped or not cell.source.strip():
            continue
        if count == MOST_ADDED or len(cell.source) > LONGEST_TEXT:
            left_out += 1
            continue
        count += 1
        new = NotebookNode(
            cell_type="code" if cell.cell_type == "code" else "markdown",
            metadata=NotebookNode(referee=NotebookNode(added=True)),
            source=cell.source,
        )
        if new.cell_type == "code":
            new.update(outputs=[], execution_count=None)
        elif "attachments" in cell:
            new.attachments = cell.attachments
        added.setdefault(_end_of_gap(matching.places, anchor), []).append(new)
    if left_out:
        matching.note(
            None,
            f"{left_out} of the cells that you added were left out: at most {MOST_ADDED} are "
            f"read, of at most {LONGEST_TEXT:,} characters each.",
        )
    return added


def _end_of_gap(places, number):
    """Skip what is missing after a place up to the next test, for it may be needed there.

    A blank answer that was put back must not undo the definition in a cell that was added.
    """
    following = places[number + 1 : number + 2]
    while following and following[0].taken is None and not following[0].test:
        number += 1
        following = places[number + 1 : number + 2]
    return number


def _is_added(cell):
    return "referee" in cell.metadata
