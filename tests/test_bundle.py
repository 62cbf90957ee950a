"""The book loads one style sheet, one script, and fonts that hold what its pages show."""

import io
import re

import pytest
from bs4 import BeautifulSoup
from conftest import content_pages
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

from tools import book
from web import bundle, fonts

PAGE = '<p>A sum: <span class="katex-html"><span>∑</span><span>x&lt;</span></span> and words.</p>'


def characters_of(data):
    return set(map(chr, TTFont(io.BytesIO(data)).getBestCmap()))


def test_each_page_loads_one_style_sheet_and_one_script(site, soups):
    for page, soup in soups.items():
        assert len(soup.select("link[rel=stylesheet]")) == 1, page
        scripts = [script["src"] for script in soup.select("script[src]")]
        others = [name for name in scripts if not name.endswith("_static/book.js")]
        assert len(scripts) - len(others) == 1, page
        assert all(script.has_attr("defer") for script in soup.select("script[src]")), page
        assert not others or page.name == "search.html", (page, others)


def test_classes_that_no_page_and_no_script_names_are_dropped():
    css = ".used{color:red}.unused{color:blue}.by-script{color:green}.used .unused{color:tan}"
    kept = bundle.without_unused(css, '<p class="used"> element.classList.add("by-script")')
    assert ".used{" in kept and ".by-script{" in kept and "unused" not in kept


def test_custom_properties_that_nothing_reads_are_left_out():
    css = (
        ":root{--seen:red;--by-other:tan;--way:var(--by-other);--in-script:1px;--unread:blue;"
        "--only-by-unread:2px;--unread-too:var(--only-by-unread)}"
        "p{color:var(--seen);background:var(--way,var(--spare))}b{--spare:3px}.a--unread:hover{top:0}"
    )
    kept = bundle.without_unused(css, '<p class="a--unread"> style.getPropertyValue("--in-script")')
    for name in ("--seen", "--by-other", "--way", "--in-script", "--spare"):
        assert f"{name}:" in kept
    for name in ("--unread:", "--only-by-unread", "--unread-too"):
        assert name not in kept.replace("a--unread:hover", "")


def test_classes_that_scripts_set_keep_their_rules(site):
    css = (site / "_static" / "book.css").read_text(encoding="utf-8")
    for name in ("show", "dropdown-menu", "active", "scrolled"):
        assert f".{name}" in css, name


def test_code_has_no_element_without_a_color_of_its_own(soups):
    for page, soup in soups.items():
        classes = {name for span in soup.select(".highlight span[class]") for name in span["class"]}
        assert not classes & {"n", "nn", "nx", "o", "p", "w", "mi", "s2"}, page
        if page.name == "12-a-first-cnn.html":
            assert classes >= {"k", "m", "nb", "s"}


def test_a_theme_that_measures_other_blocks_stops_the_build(site, tmp_path):
    script = tmp_path / bundle.THEME_SCRIPT
    script.parent.mkdir()
    script.write_text('document.querySelectorAll("pre, .else")')
    with pytest.raises(ExtensionError, match=r"theme.js does something else"):
        bundle.read_scripts(tmp_path, [])


def test_only_the_characters_of_formulas_are_counted():
    assert fonts.characters_of_formulas(PAGE) == {"∑", "x", "<"}


def test_a_font_is_cut_to_the_wanted_characters_and_is_the_same_each_time():
    path = fonts.KATEX / "fonts" / "KaTeX_Main-Regular.woff2"
    data = fonts.cut(path, "x+")
    assert characters_of(data) == {"x", "+"}
    assert len(data) < path.stat().st_size / 10
    assert data == fonts.cut(path, "+x")
    assert fonts.cut(path, "語") is None


def test_every_character_of_a_formula_is_in_a_font_of_the_book(site, soups):
    drawn = {
        character
        for path in (site / "_static" / "katex").glob("*.woff2")
        for character in characters_of(path.read_bytes())
    }
    for page in content_pages(site):
        needed = set("".join(span.get_text() for span in soups[page].select(".katex-html")))
        missing = {c for c in needed - drawn if not c.isspace() and c not in "\u200b\u2061"}
        assert not missing, (page.name, missing)


def test_every_icon_of_a_page_is_in_the_style_sheet(site, soups):
    css = (site / "_static" / "book.css").read_text(encoding="utf-8")
    for page, soup in soups.items():
        for icon in soup.select("i[class*=fa-], span[class*=fa-]"):
            names = [name for name in icon["class"] if name.startswith("fa-")]
            drawn = [re.search(rf"\.{name}:before[^{{}}]*{{content:", css) for name in names]
            assert any(drawn), (page.name, names)


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """Return a function that builds a book of one page with this text and gives its warnings."""
    config = (book.ROOT / "_config.yml").read_text(encoding="utf-8")
    (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    (tmp_path / "web").symlink_to(book.ROOT / "web")
    monkeypatch.setattr(book, "ROOT", tmp_path)

    def build(text):
        (tmp_path / "index.md").write_text(text, encoding="utf-8")
        return book.build(tmp_path / "build" / "html")

    return build


def test_a_formula_that_cannot_be_read_is_named_with_its_place(small_book):
    warnings = small_book("# Title\n\nA formula:\n\n$$\\frac{1}$$\n")
    assert "index.md" in warnings and "\\frac{1}" in warnings and "KaTeX parse error" in warnings


def test_a_formula_is_html_when_the_page_arrives(small_book, tmp_path):
    assert small_book("# Title\n\nHere $x^2$ and\n\n$$\\sum_k w_k x_{n-k}$$\n") == ""
    soup = BeautifulSoup((tmp_path / "build/html/index.html").read_text("utf-8"), "html.parser")
    assert len(soup.select(".math .katex .katex-mathml math")) == 2
    assert len(soup.select(".math .katex .katex-html")) == 2
    assert not soup.select(".katex-error")


def test_building_twice_gives_the_same_files(site, tmp_path):
    assert book.build(tmp_path / "html") == ""
    for path in sorted(site.rglob("*")):
        if path.is_file() and path.suffix in {".html", ".css", ".js", ".woff2", ".svg", ".webp"}:
            again = tmp_path / "html" / path.relative_to(site)
            assert again.read_bytes() == path.read_bytes(), path.relative_to(site)
