"""Finds out which submitted cell stands in which place of the instructor's notebook.

Submitted cells go by their numbers. What a student has moved, copied, emptied or stripped of its
mark still finds its place if there is one sign left of what it was.
"""

from bisect import bisect
from dataclasses import dataclass, field
from itertools import pairwise

from nbformat.notebooknode import NotebookNode

from referee.intake.notes import Note
from referee.intake.places import Place, defined, even


def match(places, cells):
    """Let submitted cells stand in places: known by grade id, else cell id, else text, and so on.

    Parameters
    ----------
    places : list of Place, which come to know what they have `taken`
    cells : list of NotebookNode, as `referee.intake.cells.cleaned` gives them

    Returns
    -------
    Matching
    """
    matching = Matching(places, cells)
    matching.match_grade_ids()
    matching.match_cell_ids()
    matching.match_texts()
    matching.match_names()
    matching.match_neighbors()
    matching.note_order()
    return matching


@dataclass
class Matching:
    """Which submitted cell stands where, and what the student is told about it.

    `owner` gives the place of a cell, `edited` the plain cell that a cell was made from, which is
    kept beside it. Copies in `dropped` are not kept. All other cells were added.
    """

    places: list[Place]
    cells: list[NotebookNode]
    notes: list[Note] = field(default_factory=list)
    owner: dict[int, Place] = field(default_factory=dict)
    edited: dict[int, Place] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)

    def note(self, place, message):
        self.notes.append(Note(place.grade_id if place else None, message))

    def take(self, place, number, how=None):
        """Let a submitted cell stand in a place."""
        place.taken = number
        self.owner[number] = place
        if how and place.answer:
            self.note(place, f"The {place.title} had lost its mark. It was recognized by {how}.")

    def free(self):
        """Return the numbers of the submitted cells that stand in no place yet."""
        return [
            number
            for number in range(len(self.cells))
            if not any(number in known for known in (self.owner, self.edited, self.dropped))
        ]

    def missing(self):
        return [place for place in self.places if place.taken is None]

    def match_grade_ids(self):
        groups = {place.grade_id: [] for place in self.places if place.marked}
        for number, cell in enumerate(self.cells):
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if grade_id in groups:
                groups[grade_id].append(number)
        marked = [place for place in self.places if groups.get(place.grade_id)]
        for place in marked:
            if not place.answer:
                self.take_locked(place, groups[place.grade_id])
        for place in marked:
            if place.answer:
                self.take_answer(place, groups[place.grade_id])

    def take_locked(self, place, numbers):
        """The instructor's text stands; a copy with other text is a cell that was added."""
        given = [number for number in numbers if place.holds(self.cells[number].source)]
        self.take(place, given[0] if given else numbers[0])
        self.dropped.update(given[1:])
        if len(numbers) > 1:
            self.note(
                place,
                f"The {place.title} was copied. The original is used once; copies that were "
                "changed count as cells that you added.",
            )
        elif not given:
            self.note(
                place,
                f"The {place.title} was changed. Its original text is used, and what you wrote "
                "in it does not count.",
            )

    def take_answer(self, place, numbers):
        """Of several, the last with text above the tests counts, as it would in a run of all."""
        blank = {n for n in numbers if place.is_blank(self.cells[n].source)}
        filled = [n for n in numbers if n not in blank] or numbers
        tests = [p.taken for p in self.tests_of(place) if p.taken is not None]
        above = [number for number in filled if number < min(tests, default=len(self.cells))]
        self.take(place, (above or filled)[-1])
        if len(numbers) > 1:
            self.dropped |= blank - {place.taken}
            which = "last one with text above the tests" if above else "last one with text"
            self.note(
                place,
                f"{len(numbers)} cells are marked as the {place.title}. The {which} counts as "
                "the answer; others with text count as cells that you added.",
            )

    def tests_of(self, place):
        for other in self.places[place.number + 1 :]:
            if other.answer:
                return
            if other.test:
                yield other

    def match_cell_ids(self):
        by_id = {}
        for number in self.free():
            cell = self.cells[number]
            if "id" in cell:
                by_id.setdefault(cell.id, number)
        for place in self.missing():
            number = by_id.get(place.cell.get("id"))
            if number is None:
                continue
            if place.answer or place.holds(self.cells[number].source):
                self.take(place, number, "its cell id")
            elif place.marked:
                self.take_locked(place, [number])
            else:
                place.taken = number
                self.edited[number] = place

    def match_texts(self):
        by_text = {}
        for number in reversed(self.free()):
            by_text.setdefault(even(self.cells[number].source), []).append(number)
        for place in self.missing():
            for text in () if place.answer else (even(place.released), even(place.cell.source)):
                if text and by_text.get(text):
                    self.take(place, by_text[text].pop())
                    break

    def match_names(self):
        """An answer without a mark: the last code that defines one of its functions.

        That may be text in a locked cell, as when an answer was merged into the cell above it.
        """
        wanted = [place for place in self.missing() if place.answer and place.names]
        if not wanted:
            return
        names, by_name = set().union(*(place.names for place in wanted)), {}
        for number, cell in enumerate(self.cells):
            place = self.owner.get(number)
            known = place is not None and (place.answer or place.holds(cell.source))
            if not known and number not in self.dropped and cell.cell_type != "markdown":
                for name in {name for name in defined(cell.source) if name in names}:
                    by_name.setdefault(name, []).append(number)
        for place in wanted:
            numbers = [n for name in sorted(place.names) for n in by_name.get(name, ())]
            numbers = [n for n in numbers if n not in self.owner or not self.owner[n].answer]
            filled = [n for n in numbers if not place.is_blank(self.cells[n].source)]
            if numbers:
                number = (filled or numbers)[-1]
                self.take(place, number, "the function that it defines")

    def match_neighbors(self):
        """An answer without a mark: the only cell of its type between the cells around it."""
        free = self.free()
        for gap, start, end in list(self.gaps()):
            for kind in ("code", "markdown"):
                places = [p for p in gap if p.answer and p.cell.cell_type == kind]
                if len(places) == 1:
                    inside = free[bisect(free, start) : bisect(free, end)]
                    numbers = [n for n in inside if self.cells[n].cell_type == kind]
                    numbers = [n for n in numbers if n not in self.owner]
                    if len(numbers) == 1:
                        self.take(places[0], numbers[0], "its place")

    def gaps(self):
        """Yield runs of missing cells, and the submitted cells between which they should stand."""
        gap, start = [], -1
        for place in [*self.places, None]:
            if place is not None and place.taken is None:
                gap.append(place)
                continue
            end = len(self.cells) if place is None else place.taken
            if gap and start < end:
                yield gap, start, end
            gap, start = [], end

    def note_order(self):
        order = [self.owner[n].number for n in sorted(self.owner) if self.owner[n].marked]
        if any(second < first for first, second in pairwise(order)):
            self.note(None, "Some cells stood in another order. The original order is used.")
        if self.places and not order:
            self.note(
                None,
                "No cell of this assignment was found in the notebook. Is it the right file?",
            )
