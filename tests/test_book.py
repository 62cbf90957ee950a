"""The site builds without warnings, has alternative texts, and fits a phone."""

import copy
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, content_pages

from tools import book
from web.search import CJK

PHONE = {"width": 390, "height": 844}
# Formulas that a line break parts from the punctuation at their sides.
TORN = """() => [...document.querySelectorAll("span.math")].filter((formula) => {
  const boxes = formula.querySelectorAll(".katex-html > .base");
  const parted = (text, place, box) => {
    const range = document.createRange();
    range.setStart(text, place);
    range.setEnd(text, place + 1);
    const [a, b] = [range.getBoundingClientRect(), box.getBoundingClientRect()];
    return a.bottom <= b.top || b.bottom <= a.top;
  };
  const [before, after] = [formula.previousSibling, formula.nextSibling];
  const closes = after?.nodeType === 3 && /^[.,;:!?)\\]%’”]/.test(after.data);
  const opens = before?.nodeType === 3 && /[(\\[“‘]$/.test(before.data);
  return (
    (closes && parted(after, 0, boxes[boxes.length - 1])) ||
    (opens && parted(before, before.length - 1, boxes[0]))
  );
}).map((formula) => formula.parentElement.textContent.slice(0, 60))"""
# Formulas that their own number lies on.
COVERED = """() => [...document.querySelectorAll(".katex-display .tag")].filter((number) => {
  const bases = [...number.parentElement.querySelectorAll(":scope > .base")];
  const right = Math.max(...bases.map((base) => base.getBoundingClientRect().right));
  const text = number.querySelector(".mord").getBoundingClientRect();
  return text.left < right + 8;
}).map((number) => number.textContent)"""


def test_every_chapter_is_a_page(site):
    chapters = {path.stem for path in (ROOT / "chapters").iterdir() if path.is_file()}
    assert {path.stem for path in (site / "chapters").glob("*.html")} == chapters


def test_a_warning_fails_the_build_each_time(tmp_path, monkeypatch):
    (tmp_path / "index.md").write_text("# Title\n\n[nowhere](absent.md)\n", encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    (tmp_path / "_config.yml").write_text("title: A book\n", encoding="utf-8")
    monkeypatch.setattr(book, "ROOT", tmp_path)
    for _ in range(2):
        assert "absent.md" in book.build(tmp_path / "build" / "html")


def test_a_page_that_is_added_stands_in_the_menu_of_all_pages(tmp_path, monkeypatch):
    (tmp_path / "web").symlink_to(book.ROOT / "web")
    shutil.copy(book.ROOT / "_config.yml", tmp_path)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    names = []
    for name in ("first", "second"):
        names.append(name)
        (tmp_path / f"{name}.md").write_text(f"# The {name} page\n", encoding="utf-8")
        chapters = "".join(f"  - file: {name}\n" for name in names)
        (tmp_path / "index.md").write_text("# Title\n", encoding="utf-8")
        contents = f"format: jb-book\nroot: index\nchapters:\n{chapters}"
        (tmp_path / "_toc.yml").write_text(contents, encoding="utf-8")
        assert book.build(tmp_path / "build" / "html") == ""
    menu = (tmp_path / "build" / "html" / "first.html").read_text(encoding="utf-8")
    assert 'href="second.html"' in menu


def test_every_picture_of_the_text_has_an_alternative_text_that_is_no_file_name(site, soups):
    for page in content_pages(site):
        for image in soups[page].select("main article img"):
            text = image.get("alt", "")
            assert len(text) >= 25 and not re.search(r"\.(png|svg|jpe?g|webp)$", text), (page, text)


def test_the_text_shows_no_markup_that_was_not_understood(site, soups):
    for page in content_pages(site):
        article = copy.copy(soups[page].select_one("main article"))
        for hidden in article.select("pre, code, .math, script"):
            hidden.decompose()
        text = article.get_text()
        assert not re.search(r"\]\(|\*\*|^#+ |\$\$|<details", text, flags=re.M), page.name


def test_words_of_another_language_say_which(site, soups):
    found = set()
    for page in content_pages(site):
        for text in soups[page].select_one("main article").find_all(string=re.compile(f"[{CJK}]")):
            if not text.find_parent(["pre", "code", "script"]):
                place = text.find_parent(lang=True)
                assert place and place["lang"] in ("ja", "zh-Hans"), (page.name, text)
                found.add(place["lang"])
    assert found == {"ja", "zh-Hans"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone_and_every_formula_is_drawn(site, address, browser, scheme):
    context = browser.new_context(viewport=PHONE, color_scheme=scheme)
    page = context.new_page()
    failures = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    for path in content_pages(site):
        page.goto(f"{address}{path.relative_to(site)}")
        # Laid out whole: a section that is not drawn yet would be cut off instead of being wide.
        page.add_style_tag(content="* { content-visibility: visible !important }")
        width = page.evaluate("() => document.scrollingElement.scrollWidth")
        assert width <= PHONE["width"], f"{path.name} is {width} pixels wide"
        formulas = page.locator(".math")
        assert formulas.count() == page.locator(".math > .katex, .math > .katex-display").count()
        assert page.evaluate(TORN) == [], path.name
        assert page.evaluate(COVERED) == [], path.name
    assert not failures
    context.close()


def test_a_page_shows_in_the_theme_that_the_reader_chose(site, address, browser):
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"{address}index.html")
        assert page.evaluate("() => document.documentElement.dataset.theme") == scheme
        page.close()


def test_the_book_has_no_page_of_solutions_or_of_the_environment(site):
    names = {Path(path).name for path in site.rglob("*.html")}
    sets = {f"{path.stem}.html" for path in ROOT.glob("solutions/*/*.ipynb")}
    assert sets and not names & (sets | {"README.html", "CONTRIBUTING.html"})
