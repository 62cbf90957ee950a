"""The page "Notation and index": its symbols stand where it says, and no name is missing."""

import ast
import importlib
import inspect
import pkgutil
import re
from functools import cache

import nbformat
import pytest
import yaml
from conftest import ROOT
from test_links import CODE, MARKDOWN_LINK, anchors
from test_shown_code import definitions

import cnnbook

PAGE = ROOT / "chapters" / "a5-notation.md"
TEXT = PAGE.read_text(encoding="utf-8")
LIBRARY_ONLY = "library only"
HEADING = re.compile(r"^(#+) +(.+?)\s*$", re.MULTILINE)
MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
# Words that are set among the letters of a formula; none of their letters is a symbol.
WORDS = re.compile(r"\\text(?:bf)?\{[^}]*\}")
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+|\S")
NO_SYMBOLS = {"{", "}", "\\,", "\\;", "\\!", "\\ ", "\\big", "\\Big", "\\bigl", "\\bigr", "\\Bigl"}
NO_SYMBOLS |= {"\\Bigr", "\\left", "\\right", "\\dfrac", "\\quad", "\\qquad"}


# Reading the page


def tables():
    """Return the tables of the page: for each the cells of its head, and those of its rows."""
    found, rows = [], []
    for line in [*TEXT.splitlines(), ""]:
        if line.startswith("|"):
            # A stroke within a formula is written \vert, so each one here parts two cells.
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            found.append((rows[0], rows[2:]))
            rows = []
    return found


def rows(name):
    """Return the rows of all tables whose first column has this name."""
    return [row for head, body in tables() if head[0] == name for row in body]


def links(text):
    return MARKDOWN_LINK.findall(text)


def formulas(text):
    return [double or single for double, single in MATH.findall(text)]


def claims():
    """Return what the page says about symbols: for each place a symbol, and where it should be."""
    found = [(row[0], link) for row in rows("symbol") for link in links(row[2])]
    for line in TEXT.splitlines():
        if line.startswith("- $"):
            found += [(line.split(":")[0], link) for link in links(line)]
    return [(symbol, link) for cell, link in found for symbol in formulas(cell)]


# Reading the chapters


@cache
def book():
    """Return the names of the pages in the order of the book."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [
        entry["file"].split("/")[-1] for part in contents["parts"] for entry in part["chapters"]
    ]


@cache
def cells(chapter):
    return nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", as_version=4).cells


@cache
def prose(chapter):
    return "\n\n".join(cell.source for cell in cells(chapter) if cell.cell_type == "markdown")


def title(chapter):
    return HEADING.search(prose(chapter))[2]


def anchor(heading):
    (name,) = anchors(f"# {heading}")
    return name


def section(text, place):
    """Return the text below a heading, up to the next one of its level or above it."""
    # What stands in code is no heading; the text keeps its length.
    plain = CODE.sub(lambda match: re.sub(r"[#$]", "x", match[0]), text)
    found = [(match.start(), len(match[1]), match[2]) for match in HEADING.finditer(plain)]
    for number, (start, level, _) in enumerate(found):
        heading = text[start:].splitlines()[0].lstrip("#")
        if anchor(heading) == place:
            ends = [end for end, other, _ in found[number + 1 :] if other <= level]
            return plain[start : ends[0] if ends else None]
    return None


def tokens(formula):
    """Return the pieces of a formula, without what only spaces it or holds it together."""
    formula = formula.replace("\\top", "\\mathsf T").replace("\\epsilon", "\\varepsilon")
    return [token for token in TOKEN.findall(WORDS.sub(" ", formula)) if token not in NO_SYMBOLS]


def holds(text, symbol):
    """Return whether a formula of the text holds a symbol, such as x, \\hat x, or K_1."""
    wanted = tokens(symbol)
    for formula in formulas(text):
        pieces = tokens(formula)
        for start in range(len(pieces) - len(wanted) + 1):
            if pieces[start : start + len(wanted)] == wanted:
                return True
    return False


# Symbols


def test_every_link_of_the_page_leads_to_a_heading_that_exists():
    dead = []
    for link in links(TEXT):
        file, _, place = link.partition("#")
        path = PAGE.parent / file if file else PAGE
        text = prose(path.stem) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        if place and place not in anchors(text):
            dead.append(link)
    assert dead == []
    assert len(links(TEXT)) > 200


def test_every_symbol_stands_in_the_section_that_its_row_links_to():
    wrong = []
    for symbol, link in claims():
        file, _, place = link.partition("#")
        text = section(prose(file.removesuffix(".ipynb")), place) if place else None
        if text is None or not holds(text, symbol):
            wrong.append((symbol, link))
    assert wrong == []
    assert len(claims()) > 100


def test_every_row_of_symbols_has_a_symbol_a_meaning_and_a_link():
    for row in rows("symbol"):
        assert len(row) == 3 and formulas(row[0]) and row[1] and links(row[2]), row
        # What is left beside the formulas of the first cell parts them.
        assert not MATH.sub("", row[0]).strip(" ,"), row


def test_no_symbol_has_two_rows_with_one_meaning_only_in_the_list_of_several():
    """A letter that stands in two rows has more than one meaning: then the list must hold it."""
    places = [symbol for row in rows("symbol") for symbol in formulas(row[0])]
    twice = {symbol for symbol in places if places.count(symbol) > 1}
    listed = re.findall(r"^- \$(.+?)\$:", TEXT, flags=re.MULTILINE)
    assert twice - set(listed) == set()
    assert listed == sorted(set(listed), key=listed.index) and len(listed) > 20


@pytest.mark.parametrize(
    ("symbol", "formula", "found"),
    [
        ("K", r"\lfloor K/2 \rfloor", True),
        ("K", r"K_1 K_2", True),
        ("K_1", r"\sum_{p=0}^{K_1-1}", True),
        ("K_1", r"K_2 + K", False),
        ("k", r"y_k", True),
        ("n", r"\ln p", False),
        ("t", r"\text{output size} = 3", False),
        (r"\hat x", r"y = \gamma \hat{x} + \beta", True),
        (r"\hat x", r"\hat y - x", False),
        (r"A^\mathsf{T}", r"\langle x, A^\mathsf{T} y \rangle", True),
        (r"\Delta^\mathsf{T}", r"\Delta^\top", True),
    ],
)
def test_a_symbol_is_found_as_a_piece_of_a_formula_and_not_as_a_letter_of_a_word(
    symbol, formula, found
):
    assert holds(f"Some text, ${formula}$, and more.", symbol) == found
    assert holds(f"Some text.\n\n$$\n{formula}\n$$", symbol) == found
    assert not holds(f"Some text, {formula}, and more.", symbol)


def test_a_section_ends_where_the_next_of_its_level_begins():
    text = "# A\n\n$a$\n\n## B\n\n$b$\n\n```\n## No $x$\n```\n\n### C `d`\n\n$c$\n\n## E\n\n$e$"
    assert [formulas(section(text, place)) for place in ("b", "c-d", "e")] == [
        ["b", "c"],
        ["c"],
        ["e"],
    ]
    assert section(text, "no-x") is None


# Names in code


@cache
def public():
    """Return {name: (where it is imported from, the object)} of the library.

    Public are the functions and classes of all modules but those that check arguments.
    """
    found = {}
    for info in pkgutil.walk_packages(cnnbook.__path__, "cnnbook."):
        module = importlib.import_module(info.name)
        last = info.name.split(".")[-1]
        if info.ispkg or last == "checks" or last.endswith("_checks"):
            continue
        package = importlib.import_module(info.name.rpartition(".")[0])
        exported = getattr(package, "__all__", ())
        for name in definitions(inspect.getsource(module)):
            if not name.startswith("_"):
                assert name not in found, f"{name} is in {info.name} and {found[name][0]}"
                home = package if name in exported else module
                found[name] = (home.__name__.removeprefix("cnnbook."), getattr(module, name))
    return found


def uses(source, known, modules):
    """Return what a cell writes out, and what it takes from the library and uses.

    `known` and `modules` are the names imported from the library so far; the cell's are added.
    """
    tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cnnbook":
            known |= {alias.name for alias in node.names}
            modules |= {alias.name for alias in node.names if node.module == "cnnbook"}
    taken = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in known:
            taken.add(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            taken |= {node.attr} if node.value.id in modules else set()
    written = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return written, taken


@cache
def places():
    """Return where names are written out, and where they are first used from the library."""
    written, taken = {}, {}
    for chapter in book():
        if not (ROOT / "chapters" / f"{chapter}.ipynb").exists():
            continue
        place, known, modules = "", set(), set()
        for cell in cells(chapter):
            if cell.cell_type == "markdown":
                headings = [heading for _, heading in HEADING.findall(cell.source)]
                place = anchor(headings[-1]) if headings else place
                continue
            shown, used = uses(cell.source, known, modules)
            for name in shown:
                written.setdefault(name, (chapter, place))
            for name in used:
                taken.setdefault(name, (chapter, place))
    return written, taken


def row(name):
    """Return the row that a name of the library must have."""
    written, taken = places()
    chapter, place = written.get(name) or taken.get(name) or (None, None)
    link = f"[{title(chapter)}]({chapter}.ipynb#{place})" if chapter else LIBRARY_ONLY
    return f"| `{name}` from `{public()[name][0]}` | {link} |"


def index():
    """Return the rows of the index of code, as they stand on the page."""
    return [f"| {' | '.join(cells)} |" for cells in rows("name")]


def test_every_public_name_stands_in_the_index_with_the_chapter_that_introduces_it():
    """It is the first that writes the name out, or else the first that uses it."""
    missing = [row(name) for name in sorted(public(), key=str.lower) if row(name) not in index()]
    assert not missing, f"put these rows into {PAGE.name}:\n" + "\n".join(missing)


def test_nothing_stands_in_the_index_that_does_not_exist_and_nothing_twice():
    wanted = {row(name) for name in public()}
    superfluous = [line for line in index() if line not in wanted]
    assert not superfluous, f"take these rows out of {PAGE.name}:\n" + "\n".join(superfluous)
    assert len(set(index())) == len(index()) > 150


def test_the_index_is_in_alphabetical_order():
    names = [re.match(r"`(\w+)`", cells[0])[1] for cells in rows("name")]
    assert names == sorted(names, key=str.lower)


def test_each_argument_belongs_to_the_functions_that_its_row_names():
    listed = rows("argument")
    assert len(listed) > 10
    for arguments, symbols, functions in listed:
        assert formulas(symbols) or symbols.startswith("none: ")
        for argument in re.findall(r"`(\w+)`", arguments):
            for function in re.findall(r"`(\w+)`", functions):
                parameters = inspect.signature(public()[function][1]).parameters
                assert argument in parameters, (argument, function)
        assert re.findall(r"`(\w+)`", functions), arguments


def test_what_a_cell_writes_out_and_what_it_uses_are_told_apart():
    known, modules = set(), set()
    first = (
        "%matplotlib inline\nfrom cnnbook import figures\nfrom cnnbook.layers import dense, relu"
    )
    assert uses(first, known, modules) == (set(), set())
    second = "figures.use_style()\ntorch.relu(dense(1))\n\n\ndef fit(x):\n    return x.predict"
    assert uses(second, known, modules) == ({"fit"}, {"figures", "use_style", "dense"})
    assert uses(second, set(), set()) == ({"fit"}, set())
