"""The page of references and the references of the chapters name the same works."""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

import nbformat
import pytest
import yaml
from conftest import ROOT

from tools import links

PAGE = "a8-references.md"
OTHERS = ("Documentation", "The five teaching texts")
LINK = re.compile(r"\[([^\[\]]*)\]\(((?:[^()\s]|\([^()\s]*\))+)\)")
ENTRY = re.compile(r"- (?P<who>[^(]+) \((?P<year>[^)]+)\)\. (?P<text>.+) Cited in (?P<where>.+)\.")
NIPS = "https://papers.nips.cc/paper/"
# An address that a chapter gives, and the one that the page has for the same work.
SAME = {
    f"{NIPS}4824-imagenet-classification-with-deep-convolutional-neural-networks": (
        f"{NIPS}2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html"
    ),
}
# The teaching texts have no address, and the chapters name them in more than one way.
TEXTS = {
    "5.1 Introduction to convolutional neural networks": r"5\.1 Introduction",
    "A blog post on convolutional networks": r"blog post on convolutional",
    "Convolutional neural networks": r"lab rotation course|slides of a university lab course",
    "Machine learning, lecture 11": r"machine learning, (lecture|session) 11",
    "Study notes on a Chinese textbook of machine learning": r"study notes",
}


@dataclass(frozen=True)
class Entry:
    """One line of the page: `- who (year). text. Cited in [a chapter](…), …`."""

    section: str
    who: str
    year: str
    title: str
    addresses: tuple
    chapters: tuple  # pairs of the shown title and the target
    name: str

    def is_cited_by(self, bullet):
        """Return whether a reference of a chapter is to this work.

        Known by its address, or by first author and title where the chapter gives no address.
        """
        if self.section == OTHERS[1]:
            return bool(re.search(TEXTS[self.title], bullet, re.I))
        if given := addresses(bullet):
            return not {SAME.get(address, address) for address in given}.isdisjoint(self.addresses)
        surname = self.who.split(",")[0]
        return plain(surname) in plain(bullet) and plain(self.title) in plain(bullet)

    def names(self, chapter):
        return chapter in {target.partition("#")[0] for _, target in self.chapters}


def plain(text):
    """Return a text without accents, case, and line breaks."""
    letters = unicodedata.normalize("NFD", text)
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(kept.casefold().split())


def addresses(text):
    return [target for _, target in LINK.findall(text) if target.startswith("http")]


def markdown(path):
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def bullets(text):
    """Return the items of a chapter's section of references, each as one text."""
    section = re.search(r"^## References\s*\n(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    items = re.split(r"^- ", section[1], flags=re.M) if section else []
    return [" ".join(item.split()) for item in items if item.strip()]


def lines():
    """Return the entries of the page as they stand there, each with its section."""
    section, found = "", []
    for line in (ROOT / "chapters" / PAGE).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("- "):
            found.append((section, line))
    return found


def parse(section, line):
    parts = ENTRY.fullmatch(line)
    assert parts, f"not of the form `- who (year). text. Cited in …`: {line}"
    text = parts["text"]
    shown = LINK.match(text)
    title = shown[1] if shown else text.split(". ")[0].strip("*.")
    if section == OTHERS[1]:
        title = parts["who"].strip("*")
    return Entry(
        section=section,
        who=parts["who"],
        year=parts["year"],
        title=title,
        addresses=tuple(addresses(text)),
        chapters=tuple(LINK.findall(parts["where"])),
        name=f"{parts['who'].split(',')[0]} ({parts['year']}), {title}",
    )


@pytest.fixture(scope="module")
def book():
    """Return the text of every other page of the book in its order, by its file's name."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    paths = [next(ROOT.glob(f"{name}.*")) for name in names]
    return {path.name: markdown(path) for path in paths if path.name != PAGE}


@pytest.fixture(scope="module")
def entries():
    return [parse(section, line) for section, line in lines()]


@pytest.fixture(scope="module")
def works(entries):
    return [entry for entry in entries if entry.section not in OTHERS]


def test_each_link_in_a_chapters_references_stands_on_the_page_which_names_the_chapter(
    book, entries
):
    holders = {address: entry for entry in entries for address in entry.addresses}
    missing, checked = [], 0
    for chapter, text in book.items():
        for shown, address in LINK.findall(" ".join(bullets(text))):
            if address.startswith("http"):
                checked += 1
                entry = holders.get(SAME.get(address, address))
                if entry is None:
                    missing.append(f"{chapter}: no entry has [{shown}]({address})")
                elif not entry.names(chapter):
                    missing.append(f"{chapter}: not named by the entry {entry.name}")
    assert not missing, "\n".join(["", *missing])
    assert checked > 150


def test_each_reference_without_a_link_stands_on_the_page_which_names_the_chapter(book, entries):
    missing, checked = [], 0
    for chapter, text in book.items():
        for bullet in bullets(text):
            cited = [entry for entry in entries if entry.is_cited_by(bullet)]
            if addresses(bullet):
                cited = [entry for entry in cited if entry.section == OTHERS[1]]
            else:
                checked += 1
                if not cited:
                    missing.append(f"{chapter}: no entry for {bullet}")
            missing += [
                f"{chapter}: not named by the entry {entry.name}"
                for entry in cited
                if not entry.names(chapter)
            ]
    assert not missing, "\n".join(["", *missing])
    assert checked > 30


def test_each_chapter_that_an_entry_names_cites_it(book, entries):
    wrong = []
    for entry in entries:
        for _, target in entry.chapters:
            chapter = target.partition("#")[0]
            found = bullets(book.get(chapter, ""))
            if not any(entry.is_cited_by(bullet) for bullet in found):
                wrong.append(f"{chapter}: does not cite {entry.name}")
    assert not wrong, "\n".join(["", *wrong])


def test_an_entry_names_its_chapters_by_title_in_the_order_of_the_book(book, entries):
    order = list(book)
    titles = {chapter: re.search(r"^# (.+)", text, re.M)[1] for chapter, text in book.items()}
    for entry in entries:
        named = [target.removesuffix("#references") for _, target in entry.chapters]
        assert set(named) <= set(order), f"{entry.name}: {named}"
        assert named and named == sorted(set(named), key=order.index), entry.name
        for shown, target in entry.chapters:
            assert target.endswith("#references"), f"{entry.name}: {target}"
            assert shown == titles[target.partition("#")[0]], f"{entry.name}: {target}"


def test_works_stand_in_the_order_of_first_author_and_year_under_their_letter(works):
    def place(entry):
        return plain(",".join(entry.who.split(",")[:2])), entry.year, plain(entry.title)

    for before, after in pairwise(works):
        assert place(before) < place(after), f"{after.name} stands after {before.name}"
    for entry in works:
        assert plain(entry.who)[0].upper() == entry.section, entry.name


@pytest.mark.parametrize("section", OTHERS)
def test_documentation_and_teaching_texts_stand_in_the_order_of_the_alphabet(entries, section):
    names = [plain(entry.who.strip("*")) for entry in entries if entry.section == section]
    assert len(names) > 4 and names == sorted(names)


def test_each_work_has_a_year_and_documentation_and_teaching_texts_say_if_they_have_none(
    entries, works
):
    assert len(works) > 100
    for entry in entries:
        undated = "" if entry in works else "|undated|20[0-9]{2} or later"
        assert re.fullmatch(rf"(?:18|19|20)[0-9]{{2}}{undated}", entry.year), entry.name


def test_no_work_and_no_address_stands_on_the_page_twice(entries, works):
    titles = [plain(entry.title) for entry in works]
    assert [title for title in titles if titles.count(title) > 1] == []
    places = [links.same_place(address) for entry in entries for address in entry.addresses]
    assert [place for place in places if places.count(place) > 1] == []


def test_addresses_have_the_right_form_and_a_title_leads_to_the_doi_if_there_is_one(works):
    found = 0
    for entry in works:
        for number, address in enumerate(entry.addresses):
            assert links.problem(address) == "", f"{entry.name}: {address}"
            if "doi" in address:
                found += 1
                assert re.fullmatch(r"https://doi\.org/10\.\d{4,9}/\S+", address), entry.name
                assert number == 0, f"{entry.name}: the DOI is not the link of the title"
    assert found > 50
