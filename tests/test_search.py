"""Search finds the glossary's terms in three languages and the chapters that use a name of code."""

import re
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, settle

from web import search

GLOSSARY = "chapters/a4-glossary"
ENTRY = re.compile(r"^### (?P<english>.+)\n\n(?P<line>.+)$", re.MULTILINE)

# Each with the chapter that its reader looks for.
IDENTIFIERS = {
    "sliding_window_view": "chapters/21-one-dimension",
    "window_view": "chapters/21-one-dimension",
    "np.convolve": "chapters/21-one-dimension",
    "convolve": "chapters/21-one-dimension",
    "convolve1d_fft": "chapters/21-one-dimension",
    "torch.nn.functional.conv1d": "chapters/21-one-dimension",
    "load_mnist": "chapters/12-a-first-cnn",
    "MaxPool2d": "chapters/12-a-first-cnn",
    "nn.Conv2d": "chapters/12-a-first-cnn",
    "GradScaler": "chapters/a1-colab-gpu",
    "torch.amp": "chapters/a1-colab-gpu",
    "(M-K)//S+1": "chapters/21-one-dimension",
    "np.ones": "chapters/00-before-you-start",
    "requires_grad_": "chapters/00-before-you-start",
}

FIND = """(queries) => Object.fromEntries(queries.map((query) => {
    const results = Search._performSearch(...Search._parseQuery(query)).reverse();
    return [query, results.map((result) => result[0] + result[2])];
}))"""
STEM = "(words) => words.map((word) => new Stemmer().stemWord(word))"


def entries():
    """Return each term of the glossary as its place, its names, and their readings."""
    text = (ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8")
    for english, line in ENTRY.findall(text):
        parts = [part.removesuffix(")").split(" (") for part in line.split(" · ")]
        names = [english, *(name for name, *_ in parts)]
        readings = [reading for _, *more in parts for reading in more]
        anchor = re.sub("[^a-z0-9]+", "-", english.lower())
        yield f"{GLOSSARY}#{anchor}", names, readings


@pytest.fixture(params=["server", "file"])
def place(request, site, address):
    return address if request.param == "server" else f"{site.as_uri()}/"


@pytest.fixture
def page(browser):
    """Return a page that fails the test if its scripts fail."""
    failures = []
    page = browser.new_page()
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    page.close()
    assert not failures


def ask(page, place, query):
    """Open the search page as the form does and wait until it is done."""
    page.goto(f"{place}search.html?q={quote(query)}")
    page.wait_for_function("() => document.querySelector('.search-summary')?.innerText")
    return page.locator(".search-summary").inner_text()


def find(page, place, queries):
    ask(page, place, "convolution")
    return page.evaluate(FIND, list(queries))


def test_each_term_leads_to_its_entry_under_its_names_in_three_languages(page, place):
    terms = {}
    for target, names, _ in entries():
        assert len(names) == 3
        for name in names:
            terms.setdefault(name, set()).add(target)
    assert len(terms) > 200
    found = find(page, place, terms)
    # Two terms may have one name; no other place comes before theirs.
    missed = {
        name: found[name] for name in terms if set(found[name][: len(terms[name])]) != terms[name]
    }
    assert missed == {}


def test_the_index_holds_each_term_once_in_each_language(site):
    index = BeautifulSoup((site / "genindex.html").read_text(encoding="utf-8"), "html.parser")
    targets = sorted(target.replace("#", ".html#") for target, _, _ in entries())
    for language in ("日本語", "中文"):
        (heading,) = [title for title in index.select("h2") if title.get_text() == language]
        links = heading.find_next("table").select("a")
        assert sorted(link["href"] for link in links) == targets


def test_each_reading_is_found_and_pinyin_without_its_tones_too(page, place):
    readings = {reading for _, _, more in entries() for reading in more}
    assert len(readings) > 120
    found = find(page, place, readings | set(map(search.fold, readings)))
    assert [query for query, places in found.items() if not touches(places, GLOSSARY)] == []


def touches(places, page):
    return any(place.partition("#")[0] == page for place in places)


def test_a_name_of_code_finds_the_chapter_that_uses_it(page, place):
    found = find(page, place, IDENTIFIERS)
    for query, chapter in IDENTIFIERS.items():
        assert touches(found[query], chapter), (query, found[query])


def test_a_name_with_a_dot_is_ranked_before_its_words(page, place):
    found = find(page, place, ["np.linalg", "np.convolve"])
    assert touches(found["np.convolve"][:1], "chapters/21-one-dimension")


@pytest.mark.parametrize(
    "query", ["軸", "層", "勾配", "こうばい", "カーネル", "ＣＮＮ", "ﾊﾟﾃﾞｨﾝｸﾞ", "learning rate 学習"]
)
def test_forms_that_people_type_find_something(page, place, query):
    assert re.fullmatch(r"Places found: [1-9]\d*", ask(page, place, query))
    assert page.locator("#search-results li a").count()


@pytest.mark.parametrize(
    "query", ["qqqzzz", "constructor", "__proto__", "np qqqzzz", "畳層", "gradient 鯨"]
)
def test_what_no_page_has_is_not_found_and_the_page_says_so(page, place, query):
    assert ask(page, place, query) == "No page has all of these words."
    assert page.locator("#search-results li").count() == 0


def test_markup_in_a_query_is_text(page, place):
    query = '<img src=x onerror="document.title=1"> softmax'
    ask(page, place, query)
    assert page.locator("#search-results img, .search-summary img").count() == 0
    assert page.title() != "1"
    assert query in [field.input_value() for field in page.locator("input[name=q]").all()]


def test_the_form_of_any_page_leads_to_the_results(page, place):
    page.goto(f"{place}chapters/21-one-dimension.html")
    settle(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("畳み込み層")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.search-summary')?.innerText")
    first = page.locator("#search-results li a").first
    assert first.inner_text() == "Glossary › convolution layer"
    first.click()
    page.wait_for_url("**/chapters/a4-glossary.html#convolution-layer")


def test_an_excerpt_has_each_formula_once_and_no_buttons(page, address):
    ask(page, address, "softmax function")
    result = page.locator("#search-results li", has_text="Glossary › softmax").last
    excerpt = result.locator("p.context").inner_text()
    assert "scores z into probabilities e^(z_i)/∑_j e^(z_j)." in excerpt
    assert not re.search(r"\\sum|[#¶]$|Copy", excerpt)


def test_a_page_that_uses_a_word_opens_at_the_section_with_it(page, address):
    ask(page, address, "sliding_window_view")
    link = page.locator("#search-results li a[href*='21-one-dimension']")
    link.wait_for()
    target = link.get_attribute("href").partition("#")[2]
    page.goto(f"{address}chapters/21-one-dimension.html")
    assert "sliding_window_view" in page.locator(f"[id='{target}']").text_content()


def test_results_over_file_stand_there_without_excerpts(page, site):
    ask(page, f"{site.as_uri()}/", "kernel")
    assert page.locator("#search-results li a").count() > 3
    assert page.locator("#search-results p.context").count() == 0


def test_without_a_query_the_index_stays_away(page, address):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}search.html")
    assert not [url for url in asked if "searchindex" in url]


def test_queries_and_index_stem_alike(page, address, site):
    ask(page, address, "kernel")
    text = " ".join(
        BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").get_text(" ")
        for path in sorted((site / "chapters").glob("*.html"))
    )
    language = search.Search({})
    words = sorted({word.lower() for word in language.split(text)})
    assert len(words) > 2000
    stems = page.evaluate(STEM, words)
    differing = [w for w, stem in zip(words, stems, strict=True) if language.stem(w) != stem]
    assert differing == []


def test_a_glossary_entry_without_names_fails_the_build(tmp_path, monkeypatch):
    from tools import book

    (tmp_path / "chapters").mkdir()
    (tmp_path / f"{GLOSSARY}.md").write_text(
        "# Glossary\n\nTerms.\n\n## K\n\n### kernel\n\nカーネル, 卷积核\n\nWeights.\n",
        encoding="utf-8",
    )
    (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: {GLOSSARY}\n", encoding="utf-8")
    (tmp_path / "_config.yml").write_text(
        "title: A book\nsphinx:\n  extra_extensions: [web.search]\n", encoding="utf-8"
    )
    monkeypatch.setattr(book, "ROOT", tmp_path)
    assert "Japanese (reading) · Chinese (pinyin)" in book.build(tmp_path / "build" / "html")


def test_a_changed_script_of_sphinx_fails_the_build(tmp_path, monkeypatch):
    script = tmp_path / "searchtools.js"
    script.write_text(search.SEARCHTOOLS.read_text(encoding="utf-8").replace("setIndex", "newName"))
    monkeypatch.setattr(search, "SEARCHTOOLS", script)
    with pytest.raises(Exception, match=r"no longer fits Sphinx's searchtools\.js"):
        search.setup(None)
