"""A page needs nothing from another host, works as a file, and is small."""

import contextlib

import pytest
from conftest import settle

from tools import audit

LIMIT = 150_000  # bytes: the 150 KB that a first load may take without figures
MILLISECONDS = 60_000  # on a busy machine
STAYS = ("file:", "data:", "blob:", "about:")
SEARCHES = "search.html?q=convolution"
LAZY = """async () => Promise.allSettled([...document.images].map((image) => {
  image.loading = "eager";
  return image.decode();
}))"""
THEME = "() => document.documentElement.dataset.theme"


class Log:
    """What a browser asked for, got and complained about on one page."""

    def __init__(self, context, own):
        self.own = own
        self.clear()
        context.on("request", self.asked)
        context.on("requestfailed", lambda request: self.note("failed", request.url))
        context.on("response", self.answered)
        context.on("weberror", lambda error: self.note("error", error.error.message))
        context.on("console", self.said)

    def clear(self):
        self.requests, self.problems = [], []

    def note(self, kind, text):
        self.problems.append(f"{kind}: {text}")

    def asked(self, request):
        self.requests.append(request)
        if not request.url.startswith((self.own, *STAYS)):
            self.note("another host", request.url)

    def answered(self, response):
        if response.status >= 400:
            self.note(f"status {response.status}", response.url)

    def said(self, message):
        if message.type in ("error", "warning"):
            self.note(f"console {message.type}", f"{message.text} ({message.location['url']})")


@contextlib.contextmanager
def window(browser, base, **options):
    """Yield a function that opens one page with an empty cache; it returns it with its log."""
    context = browser.new_context(**options)
    context.set_default_timeout(MILLISECONDS)
    log = Log(context, base)
    page = context.new_page()
    tools = context.new_cdp_session(page)

    def show(name):
        tools.send("Network.clearBrowserCache")
        page.goto("about:blank")  # or the last page's icon might still be on its way
        log.clear()
        page.goto(base + name, wait_until="networkidle")
        return page, log

    yield show
    context.close()


@contextlib.contextmanager
def visit(browser, base, name, **options):
    """Open one page in a window of its own; yield it and the log of its network."""
    with window(browser, base, **options) as show:
        yield show(name)


@pytest.fixture(scope="module", params=["server", "files"])
def base(request, site):
    """Return the address of the book: under a sub-path of a server, and as a folder of files."""
    if request.param == "files":
        yield f"{site.as_uri()}/"
    else:
        with audit.serve(site) as address:
            yield address


def walk(browser, base, names):
    """Return for each page the bytes of its first load by address, and what went wrong."""
    found = {}
    # A new window costs more than the page that it shows.
    with window(browser, base) as show:
        for name in names:
            page, log = show(name)
            sizes = {
                request.url.removeprefix(base): request.sizes()["responseBodySize"]
                for request in log.requests
                if not request.url.startswith(STAYS) and not request.failure
            }
            page.evaluate(LAZY)
            assert log.requests[0].url == base + name
            found[name] = (sizes, log.problems)
    return found


@pytest.fixture(scope="module")
def walks(site, browser):
    """Return what a walk over all pages finds, by where the book lies."""
    names = audit.pages(site)
    with audit.serve(site) as address:
        served = walk(browser, address, names)
    return {"server": served, "files": walk(browser, f"{site.as_uri()}/", names)}


@pytest.fixture(scope="module")
def loads(walks, site, soups):
    """Return the bytes of the first load of each page from a server, by address.

    Playwright does not report the icon that a browser fetches for its tab: it is added. The page's
    picture of the same name may come from the cache then, and nothing else.
    """
    result = {}
    for name, (sizes, _) in walks["server"].items():
        links = soups[site / name].select("link[rel~=icon]")
        files = [((site / name).parent / link["href"]).resolve() for link in links]
        cached = [url for url, size in sizes.items() if size <= 0]
        assert {(site / url).resolve() for url in cached} <= {*files}, f"{name}: {cached}"
        result[name] = sizes | {str(file): file.stat().st_size for file in files}
    return result


@pytest.mark.parametrize("where", ["server", "files"])
def test_no_page_asks_another_host_or_fails_at_anything(walks, where):
    problems = [f"{name}: {said}" for name, (_, log) in walks[where].items() for said in log]
    assert not problems, "\n".join(problems)


def test_every_formula_is_drawn_at_build_and_none_is_an_error(site, soups):
    drawn, problems = 0, []
    for path, soup in soups.items():
        for formula in soup.select(".math"):
            drawn += 1
            if not formula.select_one(".katex .katex-html"):
                problems.append(f"{path.name}: not drawn: {formula.get_text()[:80]}")
        for error in soup.select(".katex-error"):
            problems.append(f"{path.name}: {error.get('title')}")
    assert drawn > 0 and not problems, "\n".join(problems)


def test_formulas_are_drawn_with_fonts_of_the_book(base, browser):
    with visit(browser, base, "chapters/21-one-dimension.html") as (page, _):
        fonts = page.evaluate(
            "() => [...document.fonts].filter(f => f.status == 'loaded').map(f => f.family)"
        )
        assert any("KaTeX_Main" in font for font in fonts), fonts
        assert any("KaTeX_Math" in font for font in fonts), fonts


def test_the_theme_button_works_and_is_remembered(base, browser):
    with visit(browser, base, "index.html", color_scheme="light") as (page, log):
        settle(page)
        assert page.evaluate(THEME) == "light"
        seen = []
        for _ in range(3):
            page.locator(".theme-switch-button:visible").first.click()
            seen.append(page.evaluate(THEME))
        assert {"light", "dark"} <= set(seen), seen
        while page.evaluate(THEME) != "dark":
            page.locator(".theme-switch-button:visible").first.click()
        page.goto(base + "chapters/a4-glossary.html")
        assert page.evaluate(THEME) == "dark"
        assert not log.problems, "\n".join(log.problems)


def test_search_finds_pages_and_its_links_lead_there(base, browser):
    with visit(browser, base, SEARCHES) as (page, log):
        hits = page.locator("#search-results a")
        hits.first.wait_for()
        page.wait_for_load_state("networkidle")
        assert hits.count() > 1
        hits.first.click()
        page.locator("main article h1").first.wait_for()
        assert page.url.startswith(base) and "search.html" not in page.url
        assert not log.problems, "\n".join(log.problems)


def test_a_first_load_without_figures_fits_in_150_kilobytes(loads):
    sizes = {
        name: sum(size for url, size in load.items() if not audit.is_figure(f"/{url}"))
        for name, load in loads.items()
    }
    heaviest = sorted(sizes, key=sizes.get, reverse=True)
    for name in heaviest[:3]:
        print(f"{name}: {sizes[name]:,} bytes in {len(loads[name])} requests")
    heavy = {
        name: (sizes[name], sorted(loads[name].items(), key=lambda item: -item[1])[:5])
        for name in heaviest
        if sizes[name] > LIMIT
    }
    assert not heavy, "\n".join(f"{name}: {parts}" for name, parts in heavy.items())


def test_a_page_loads_only_what_it_uses(loads, soups, site):
    surplus = []
    for name, load in loads.items():
        soup = soups[site / name]
        for url in load:
            if "katex" in url.lower() and not soup.select_one(".katex"):
                surplus.append(f"{name} has no formula and loads {url}")
            if "searchindex" in url and name != "search.html":
                surplus.append(f"{name} is not the search page and loads {url}")
    assert not surplus, "\n".join(surplus)
