"""Links lead somewhere: in the book, out of it, between the repository's files, to its authors."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, content_pages, settle

from tools import book, links, stamp

REPOSITORY = "https://github.com/Owner-1/cnn.course"
HOME = "https://owner-1.github.io/cnn.course/"
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "node_modules", "__pycache__", ".*cache"
)
WAYS = {
    "clicked": "place => document.querySelector(`a[href='#${place}']`).click()",
    "changed": "place => { location.hash = place }",
}
TOP = "place => document.getElementById(place).getBoundingClientRect().top"
MARKDOWN_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^(`{3,}).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def addresses(soup):
    """Yield every address that a page names, as the tag and the address."""
    for attribute in ("href", "src", "poster", "data"):
        for tag in soup.find_all(attrs={attribute: True}):
            yield tag.name, tag[attribute]
    for tag in soup.find_all(attrs={"srcset": True}):
        for candidate in tag["srcset"].split(","):
            yield tag.name, candidate.split()[0]


def is_dead(page, address, soups, home=None):
    """Return whether an address inside the book leads to no file or no element.

    `home`: where the book lies on its host, if addresses may begin there.
    """
    url = urlsplit(address)
    if url.scheme in ("http", "https", "mailto", "data") or url.netloc:
        return False
    if url.scheme or re.search(r"\s", address):
        return True
    path = unquote(url.path)
    if path.startswith("/"):
        if home is None or not path.startswith(home):
            return True
        target = min(soups, key=lambda page: len(page.parts)).parent / path.removeprefix(home)
    else:
        target = (page.parent / path).resolve() if path else page
    if target.is_dir():
        target /= "index.html"
    anchor = unquote(url.fragment)
    if not target.is_file():
        return True
    return bool(anchor) and (target not in soups or not soups[target].find(id=anchor))


def dead_links(soups, home=None):
    return [
        (page.name, tag, address)
        for page, soup in soups.items()
        for tag, address in addresses(soup)
        if is_dead(page, address, soups, home)
    ]


def test_no_address_inside_the_book_is_dead(soups):
    assert dead_links(soups) == []
    assert {"search.html", "genindex.html"} <= {page.name for page in soups}


@pytest.mark.parametrize(
    "markup",
    [
        '<a href="absent.html">x</a>',
        '<a href="here.html#absent">x</a>',
        '<a href="#absent">x</a>',
        '<a href="a page.html">x</a>',
        '<a href="javascript:void(0)">x</a>',
        '<img src="absent.png" alt="x">',
        '<img srcset="here.html 1x, absent.png 2x" alt="x">',
        '<script src="absent.js"></script>',
        '<link rel="stylesheet" href="absent.css">',
    ],
)
def test_the_crawl_sees_each_kind_of_dead_address(tmp_path, markup):
    page = tmp_path / "here.html"
    good = (
        '<p id="a b"></p><a href="here.html#a%20b">x</a><a href="mailto:?subject=x">y</a>'
        '<a href="a%20page.html">z</a>'
    )
    (tmp_path / "a page.html").touch()
    page.write_text(good)
    soups = {page: BeautifulSoup(good, "html.parser")}
    assert dead_links(soups) == []
    assert len(dead_links({page: BeautifulSoup(good + markup, "html.parser")})) == 1


def test_each_chapter_has_neighbors_and_long_ones_their_contents(site, soups):
    pages = content_pages(site)
    for page in pages:
        neighbors = soups[page].select(".prev-next-footer a[href]")
        assert len(neighbors) == (1 if page in (pages[0], pages[-1]) else 2), page.name
        contents = soups[page].select(".bd-sidebar-secondary nav a[href^='#']")
        assert len(contents) >= len(soups[page].select("main article h2")) > 0, page.name


@pytest.mark.parametrize("way", ["opened", "clicked", "changed"])
@pytest.mark.parametrize("width", [390, 1440])
def test_a_link_to_a_place_on_a_page_arrives_there(site, soups, address, browser, width, way):
    page = site / "chapters" / "44-a-cnn-in-numpy.html"
    url = f"{address}{page.relative_to(site)}"
    # Not the last, above which there may be no more than the end of the page.
    for heading in soups[page].select("main article h2")[:-2:3]:
        place = heading.find_parent("section")["id"]
        viewport = {"width": width, "height": 844}
        tab = browser.new_page(viewport=viewport, reduced_motion="reduce")
        if way == "opened":
            tab.goto(f"{url}#{place}")
        else:
            tab.goto(url)
            settle(tab)
            tab.evaluate(WAYS[way], place)
        tops = [tab.evaluate(TOP, place)]
        while len(tops) < 3 or tops[-1] != tops[-3]:
            tab.wait_for_timeout(300)
            tops.append(tab.evaluate(TOP, place))
        assert 0 <= tops[-1] < 100, (place, tops)
        tab.close()


def test_addresses_outside_the_book_have_the_right_form(soups):
    urls = links.external(soups)
    assert len(urls) > 20
    assert {url: links.problem(url) for url in urls if links.problem(url)} == {}


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://arxiv.org/abs/1603.07285", "https://"),
        ("ftp://example.org/", "https://"),
        ("https://dx.doi.org/10.1109/5.726791", "redirects to doi.org"),
        ("https://user@example.org/", "plain name"),
        ("https://localhost/", "plain name"),
        ("https://arxiv.org/abs/1603.07285.", "punctuation"),
        ("https://example.org/a(b", "punctuation"),
        ("https://example.org/a b", "percent-encoded"),
        ("https://doi.org/5.726791", "no DOI"),
        ("https://doi.org/", "no DOI"),
        ("https://arxiv.org/abs/160307285", "no arXiv"),
        ("https://arxiv.org/1603.07285", "no arXiv"),
    ],
)
def test_an_address_of_wrong_form_is_named(url, part):
    assert part in links.problem(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://arxiv.org/abs/1603.07285v2",
        "https://arxiv.org/abs/math.GT/0309136",
        "https://arxiv.org/abs/hep-th/9901001",
        "https://doi.org/10.1016/S0021-9991(03)00001-2",
        "https://doi.org/10.1090/S0025-5718-1965-0178586-1",
    ],
)
def test_an_address_of_right_form_passes(url):
    assert links.problem(url) == ""


def test_no_two_addresses_differ_only_by_slash_or_case(soups):
    seen = {}
    for url in links.external(soups):
        seen.setdefault(links.same_place(url), []).append(url)
    assert [urls for urls in seen.values() if len(urls) > 1] == []
    assert links.same_place("https://a.org/B/") == links.same_place("https://a.org/b")
    assert links.same_place("https://a.org/b#c") != links.same_place("https://a.org/b#d")


def markdown_files():
    """Return the Markdown that a person reads in the repository, as path and text."""
    for path in sorted(ROOT.rglob("*.md")):
        if not {".venv", "build", "node_modules", ".git"} & set(path.relative_to(ROOT).parts):
            yield path, path.read_text(encoding="utf-8")
    for folder in ("chapters", "solutions", "exercises"):
        for path in sorted((ROOT / folder).rglob("*.ipynb")):
            cells = nbformat.read(path, as_version=4).cells
            yield path, "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a Markdown text."""
    headings = re.findall(
        r"^#+ +(.+?)\s*$", CODE.sub(lambda m: m[0].strip("`"), text), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_relative_links_between_files_of_the_repository_lead_to_files_and_headings():
    texts = dict(markdown_files())
    dead, checked = [], 0
    for path, text in texts.items():
        for target in MARKDOWN_LINK.findall(CODE.sub("", text)):
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            checked += 1
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not file.exists() or (url.fragment and url.fragment not in anchors(texts[file])):
                dead.append((path.relative_to(ROOT).as_posix(), target))
    assert dead == []
    assert checked > 100


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """Return a copy of the course with an address, built into build/html."""
    root = tmp_path_factory.mktemp("stamped") / "course"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED, symlinks=True)
    assert stamp.main([REPOSITORY], root) == 0
    # In a process of its own: sphinx_sitemap forks, which hangs beside a browser's threads.
    command = [sys.executable, "-m", "tools.book"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture(scope="module")
def stamped_soups(stamped):
    return {
        stamped / "build/html" / page: soup
        for page, soup in links.read(stamped / "build/html").items()
    }


def test_each_badge_opens_a_file_of_the_repository(stamped):
    badges = []
    for path in [stamped / "README.md", *stamped.glob("*/**/*.ipynb"), *stamped.glob("chapters/*")]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        badges += re.findall(r"https://colab\.research\.google\.com/github/([^)\s\"\\]+)", text)
    names = {
        re.fullmatch(r"Owner-1/cnn\.course/blob/v[\d.]+/(.+\.ipynb)", badge)[1] for badge in badges
    }
    assert {f"chapters/{path.name}" for path in (ROOT / "chapters").glob("*.ipynb")} <= names
    assert "exercises/ps1/ps1.ipynb" in names
    assert [name for name in names if not (ROOT / name).is_file()] == []


def test_a_stamped_book_has_no_dead_link_either(stamped_soups):
    assert dead_links(stamped_soups, home="/cnn.course/") == []
    assert "404.html" in {page.name for page in stamped_soups}
    wrong = [
        url
        for url in links.external(stamped_soups)
        if "/issues/new?" not in url and links.problem(url)
    ]
    assert wrong == []


def test_each_page_of_a_stamped_book_reports_errors_to_the_repository(stamped_soups):
    for page, soup in stamped_soups.items():
        (link,) = soup.select(".report-error a")
        assert re.fullmatch(r"[!-~]+", link["href"]), page
        url = urlsplit(link["href"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{REPOSITORY}/issues/new"
        query = parse_qs(url.query, strict_parsing=True)
        assert page.name in query["body"][0] and "What it should say:" in query["body"][0]
        heading = soup.select_one("main article h1")
        if page.name != "search.html":
            title = heading.get_text().removesuffix("#")
            assert query["title"] == [f"Error on the page {title}"]


def test_each_page_without_an_address_says_whom_to_tell(soups):
    for page, soup in soups.items():
        (report,) = soup.select("details.report-error")
        assert "Tell whoever gave it to you" in report.get_text()
        url = urlsplit(report.select_one("a")["href"])
        assert re.fullmatch(r"[!-~]+", url.geturl()), page
        query = parse_qs(url.query, strict_parsing=True)
        assert url.scheme == "mailto" and page.name in query["body"][0]


def test_a_stamped_book_has_a_sitemap_and_absolute_addresses_and_others_have_neither(
    site, soups, stamped, stamped_soups
):
    tree = ElementTree.parse(stamped / "build/html/sitemap.xml")
    listed = {place.text for place in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")}
    pages = {page.relative_to(site).as_posix() for page in content_pages(site)}
    assert listed == {HOME + page for page in pages}
    for page, soup in stamped_soups.items():
        address = HOME + page.relative_to(stamped / "build/html").as_posix()
        assert soup.select_one('link[rel="canonical"]')["href"] == address
        if page.relative_to(stamped / "build/html").as_posix() in pages:
            assert soup.select_one('meta[property="og:url"]')["content"] == address
    assert not (site / "sitemap.xml").exists()
    for soup in soups.values():
        assert not soup.select('link[rel="canonical"], meta[property^="og:"]')


def test_the_list_of_links_names_each_page_that_uses_one(tmp_path, monkeypatch, capsys):
    output = tmp_path / "build" / "html"
    (output / "chapters").mkdir(parents=True)
    anchor = '<main><a href="https://example.org/a.">x</a></main>'
    for name in ("index.html", "chapters/one.html"):
        (output / name).write_text(anchor)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "OUTPUT", output)
    monkeypatch.setattr(links, "OUTPUT", Path(tmp_path / "build/links.txt"))
    assert links.main() == 0
    line = "https://example.org/a.  chapters/one.html index.html  (it ends in punctuation"
    assert capsys.readouterr().out.startswith(line)
    assert (tmp_path / "build/links.txt").read_text().startswith(line)
