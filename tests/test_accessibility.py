"""Everybody can use the pages: with a screen reader, by keyboard, without motion, in both themes.

axe judges what it can compute, the Nu Html Checker the markup, and a keyboard the rest.
"""

import contextlib
import json
import re
import subprocess
from collections import defaultdict

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from conftest import settle

from tools import audit

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
CHAPTER = "chapters/21-one-dimension.html"
SHORT_CHAPTER = "chapters/a1-colab-gpu.html"
KEYBOARD_PAGES = ["index.html", CHAPTER, "search.html?q=kernel"]
SEARCH_INPUT = ".search-button__search-container input"
# Most elements of a page are tokens of code and pieces of formulas, over which axe takes six times
# as long. One token of each kind is judged, and of a formula that it has the color of its text.
THIN = """() => {
  const seen = new Set(), colored = [];
  for (const token of document.querySelectorAll(".highlight span[class]")) {
    const kind = token.className + (token.closest(".cell_output") ? " output" : "");
    if (seen.has(kind)) token.replaceWith(...token.childNodes);
    seen.add(kind);
  }
  const color = (element) => getComputedStyle(element).color;
  for (const formula of document.querySelectorAll(".katex-html")) {
    const text = color(formula.closest(".math").parentElement);
    const other = [...formula.querySelectorAll("*")].find((piece) => color(piece) !== text);
    if (other) colored.push(`formula of another color: ${other.outerHTML.slice(0, 120)}`);
    formula.replaceChildren();
  }
  document.normalize();
  return colored;
}"""
# axe leaves it to people to judge contrast on pictures and under other elements: here that is a
# finding. It also leaves to them every text of a single character or sign, and a link that wraps
# over the edge of its box: those have the color of their neighbors.
AXE = """async () => {
  const options = {preload: false, resultTypes: ["violations", "incomplete"]};
  const {violations, incomplete} = await axe.run(options);
  const small = ["shortTextContent", "nonBmp", "elmPartiallyObscuring"];
  const isJudged = (node) => !node.any.some((check) => small.includes(check.data?.messageKey));
  for (const rule of incomplete) rule.nodes = rule.nodes.filter(isJudged);
  return [...violations, ...incomplete.filter((rule) => rule.id === "color-contrast")].flatMap(
    (rule) => rule.nodes.slice(0, 4).map((node) => {
      const reason = node.failureSummary.split("\\n").at(-1).trim();
      return `${rule.id} (${rule.nodes.length}): ${node.target.join(" ")}: ${reason}`;
    })
  );
}"""
# What Tab can reach and a reader can see; a closed menu or a folded cell hides what is in it.
REACHABLE = """() => [...document.querySelectorAll(
  "a[href], button, input, select, textarea, summary, [tabindex]"
)].filter((element) => element.tabIndex >= 0 && !element.disabled
  && element.type !== "hidden" && element.checkVisibility({visibilityProperty: true})
  && element.getClientRects().length > 0)"""
NUMBER = f"""() => {{
  const all = ({REACHABLE})();
  const look = (element) => {{
    const style = getComputedStyle(element);
    return [style.boxShadow, style.backgroundColor, style.borderColor].join();
  }};
  window.before = new Map(all.map((element) => [element, look(element)]));
  window.look = look;
  return all.length;
}}"""
FOCUS = """() => {
  // Even a transition of a millisecond shows its end only in a later frame.
  for (const animation of document.getAnimations()) animation.finish();
  const element = document.activeElement;
  if (element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  let opacity = 1;
  for (let e = element; e; e = e.parentElement) opacity *= getComputedStyle(e).opacity;
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
    && !/^rgba.*, 0\\)$|transparent/.test(style.outlineColor);
  const spots = [...element.getClientRects()].flatMap(
    (r) => [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.1], [0.5, 0.9]].map(
      ([x, y]) => document.elementFromPoint(r.x + x * r.width, r.y + y * r.height)
    )
  );
  const known = window.before.has(element);
  const first = window.before.keys().next().value === element;
  const changed = known && window.before.get(element) !== window.look(element);
  const name = element.outerHTML.slice(0, 120).replace(/\\s+/g, " ");
  element.visited = (element.visited || 0) + 1;
  return {
    name, first, known, again: element.visited > 1,
    shown: (outlined || changed) && opacity > 0.4,
    uncovered: spots.some((spot) => spot && (element.contains(spot) || spot.contains(element))),
  };
}"""
UNVISITED = f"""() => ({REACHABLE})().filter((element) => !element.visited)
  .map((element) => element.outerHTML.slice(0, 120).replace(/\\s+/g, " "))"""
MOVING = """() => [...document.querySelectorAll("*")].flatMap((element) =>
  ["", "::before", "::after"].flatMap((part) => {
    const style = getComputedStyle(element, part || null);
    const longest = (list) => Math.max(...list.split(",").map(parseFloat));
    const slow = longest(style.transitionDuration) > 0.01
      || (style.animationName !== "none" && longest(style.animationDuration) > 0.01)
      || (!part && style.scrollBehavior !== "auto");
    const name = `${element.localName}.${element.getAttribute("class") || ""}${part}`;
    return slow ? [name] : [];
  }))"""
RUNNING = """() => document.getAnimations()
  .filter((animation) => animation.effect.getComputedTiming().duration > 10)
  .map((animation) => animation.effect.target.outerHTML.slice(0, 120))"""
EMPTY = re.compile(
    r"\.(png|svg|jpe?g|gif|webp)\b|_images/|^(a |an |the )?(figure|plot|image|picture|chart|graph"
    r"|diagram|photo|screenshot|logo)( \d+)?\.?$|image of|picture of|output of the code cell",
    flags=re.I,
)
WIDE_FORMULAS = """[...document.querySelectorAll(".katex-display")].filter(
  (formula) => formula.firstElementChild.scrollWidth > formula.clientWidth + 1)"""
ALT_AT_LEAST = 25
MILLISECONDS = 60_000  # on a busy machine


@contextlib.contextmanager
def window(browser, theme="light", chosen=False, viewport=DESKTOP, **options):
    """Yield a function that opens a page in one window and returns it when its scripts have run.

    It opens in a theme: the system's, or one chosen by the reader against the system's. Motion is
    off, so that nothing is judged while it is on its way.
    """
    opposite = {"light": "dark", "dark": "light"}[theme]
    context = browser.new_context(
        viewport=viewport,
        color_scheme=opposite if chosen else theme,
        reduced_motion="reduce",
        **options,
    )
    context.set_default_timeout(MILLISECONDS)
    if chosen:
        context.add_init_script(
            f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
        )
    page = context.new_page()

    def show(url):
        page.goto(url)
        settle(page)
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
        return page

    yield show
    context.close()


@contextlib.contextmanager
def visit(browser, url, *arguments, **options):
    """Open a page in a window of its own."""
    with window(browser, *arguments, **options) as show:
        yield show(url)


def unfold(page):
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true })")
    # Makes what else is made when it comes near.
    page.evaluate("() => document.dispatchEvent(new KeyboardEvent('keydown', { key: 'Tab' }))")


def judge(page, label):
    """Return up to four findings a rule of axe on a page as it now stands, all of it laid out."""
    page.add_style_tag(content="* { content-visibility: visible !important }")
    # axe cannot tell the background of what has been scrolled out of the list of chapters.
    page.evaluate("() => { document.querySelector('.bd-sidebar-primary').scrollTop = 0 }")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    page.evaluate(AXE_SCRIPT)
    return [f"{label}: {finding}" for finding in page.evaluate(THIN) + page.evaluate(AXE)]


@pytest.mark.parametrize(
    "theme, chosen, viewport", [("light", False, DESKTOP), ("dark", True, PHONE)]
)
def test_axe_finds_nothing_on_any_page_with_everything_unfolded(
    site, address, browser, theme, chosen, viewport
):
    problems = []
    # A new window costs as much as the page that it shows.
    with window(browser, theme, chosen, viewport) as show:
        for name in audit.pages(site):
            page = show(address + name)
            unfold(page)
            problems += judge(page, f"{name} ({theme}, {viewport['width']} px)")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_states_of_a_page(address, browser, theme):
    problems = []
    with visit(browser, address + SHORT_CHAPTER, theme, viewport=PHONE) as page:
        page.locator(".primary-toggle").click()
        page.locator(".bd-sidebar-primary a").last.wait_for()
        problems += judge(page, "phone, sidebar open")
    with visit(browser, address + SHORT_CHAPTER, theme, viewport=PHONE) as page:
        page.locator(".secondary-toggle").click()
        page.locator(".bd-sidebar-secondary a").last.wait_for()
        problems += judge(page, "phone, contents open")
    with visit(browser, address + SHORT_CHAPTER, theme) as page:
        problems += judge(page, "everything folded")
        page.keyboard.press("Control+k")
        page.locator(SEARCH_INPUT).wait_for()
        problems += judge(page, "search open")
        page.keyboard.press("Escape")
        page.locator(".theme-switch-button:visible").focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        problems += judge(page, "name of a button")
        page.locator("main article div.highlight:visible").first.hover()
        problems += judge(page, "copy button")
        page.locator(".dropdown-toggle:visible").click()
        page.locator(".dropdown-menu a").wait_for()
        problems += judge(page, "menu open")
    with visit(browser, address + "search.html?q=kernel", theme) as page:
        page.locator("#search-results a").first.wait_for()
        page.wait_for_load_state("networkidle")
        problems += judge(page, "search results")
    with visit(browser, address + "search.html?q=xyzzyxyzzy", theme) as page:
        page.wait_for_load_state("networkidle")
        problems += judge(page, "no search results")
    assert not problems, "\n".join(problems)


def test_the_markup_and_styles_are_valid(site, need):
    java = need("java", "default-jre-headless")
    jar = audit.node_package("vnu-jar") / "build" / "dist" / "vnu.jar"
    files = [site / name for name in audit.pages(site)]
    styles = [site / "_static" / "book.css"]
    options = ["--errors-only", "--also-check-css", "--format", "json"]
    result = subprocess.run(
        [java, "-jar", jar, *options, *files, *styles], capture_output=True, text=True
    )
    found = defaultdict(list)
    for message in json.loads(result.stderr)["messages"]:
        page = message["url"].removeprefix(f"file:{site}/")
        found[page, message["message"]].append((message.get("lastLine"), message.get("extract")))
    errors = [
        f"{page}: {message} ({len(places)} times, first in line {places[0][0]}: {places[0][1]!r})"
        for (page, message), places in found.items()
    ]
    assert not errors, "\n".join(errors)


def test_the_first_tab_offers_to_skip_to_the_text_and_enter_goes_there(address, browser):
    with visit(browser, address + CHAPTER) as page:
        page.keyboard.press("Tab")
        link = page.locator(":focus")
        assert link.text_content().strip() == "Skip to main content"
        page.wait_for_function(
            "() => { const box = document.activeElement.getBoundingClientRect();"
            " return box.top >= 0 && box.height > 10 }"
        )
        page.keyboard.press("Enter")
        page.wait_for_url("**#main-content")
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("theme, viewport", [("dark", DESKTOP), ("light", PHONE)])
def test_tab_reaches_everything_in_a_circle_and_shows_where_it_is(
    address, browser, theme, viewport
):
    problems = []
    for name in KEYBOARD_PAGES:
        with visit(browser, address + name, theme, viewport=viewport) as page:
            if "?" in name:
                page.locator("#search-results a").first.wait_for()
                page.wait_for_load_state("networkidle")
            unfold(page)
            count = page.evaluate(NUMBER)
            assert count > 3
            for _ in range(2 * count):
                page.keyboard.press("Tab")
                focus = page.evaluate(FOCUS)
                if focus is None or focus["again"]:
                    break
                for quality in ("shown", "uncovered"):
                    if not focus[quality]:
                        problems.append(f"{name}: not {quality}: {focus['name']}")
            if focus and not focus["first"]:
                problems.append(f"{name}: Tab does not leave {focus['name']}")
            problems += [f"{name}: never reached: {miss}" for miss in page.evaluate(UNVISITED)]
    assert not problems, "\n".join(problems)


def test_search_opens_finds_and_closes_by_keyboard(address, browser):
    with visit(browser, address + CHAPTER) as page:
        button = page.locator(".search-button__button:visible").first
        button.focus()
        page.keyboard.press("Enter")
        page.locator(f"{SEARCH_INPUT}:focus").wait_for()
        page.keyboard.press("Escape")
        page.locator(SEARCH_INPUT).wait_for(state="hidden")
        assert button.evaluate("(button) => button === document.activeElement"), "focus is lost"
        link = page.locator("main article p a[href]").first
        link.focus()
        page.keyboard.press("Control+k")
        page.locator(f"{SEARCH_INPUT}:focus").wait_for()
        page.keyboard.press("Escape")
        page.locator(SEARCH_INPUT).wait_for(state="hidden")
        assert link.evaluate("(link) => link === document.activeElement"), "focus is lost"
        page.keyboard.press("Control+k")
        page.keyboard.type("stride")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=stride**")
        page.locator("#search-results a").first.wait_for()


def test_the_sidebar_of_a_phone_opens_and_closes_by_keyboard(address, browser):
    with visit(browser, address + CHAPTER, viewport=PHONE) as page:
        inside = page.locator(".bd-sidebar-primary a[href]").last
        for toggle in (".primary-toggle", ".secondary-toggle"):
            side = toggle.strip(".").removesuffix("-toggle")
            inside = page.locator(f".bd-sidebar-{side} a[href]").last
            button = page.locator(toggle)
            assert not inside.is_visible()
            button.focus()
            page.keyboard.press("Enter")
            inside.wait_for()
            page.wait_for_function(
                "(side) => document.activeElement.closest(`.bd-sidebar-${side}`) !== null", arg=side
            )
            page.keyboard.press("Escape")
            inside.wait_for(state="hidden")
            assert button.evaluate("(button) => button === document.activeElement"), side


def test_a_menu_opens_and_closes_by_keyboard_and_by_clicks(address, browser):
    with visit(browser, address + SHORT_CHAPTER) as page:
        button = page.locator(".dropdown-toggle:visible")
        entry = page.locator(".dropdown-menu a")
        button.focus()
        page.keyboard.press("Enter")
        entry.wait_for()
        assert button.get_attribute("aria-expanded") == "true"
        page.keyboard.press("Tab")
        assert entry.evaluate("(entry) => entry === document.activeElement")
        page.keyboard.press("Escape")
        entry.wait_for(state="hidden")
        assert button.get_attribute("aria-expanded") == "false"
        assert button.evaluate("(button) => button === document.activeElement")
        button.click()
        entry.wait_for()
        page.locator("main article h1").click()
        entry.wait_for(state="hidden")


def test_the_section_that_is_read_is_marked_in_the_contents_of_the_page(address, browser):
    with visit(browser, address + SHORT_CHAPTER) as page:
        links = page.locator(".bd-toc-nav a")
        for place in (2, 4, 1):
            link = links.nth(place)
            page.goto(f"{page.url.partition('#')[0]}{link.get_attribute('href')}")
            marked = page.locator(".bd-toc-nav a[aria-current]")
            page.wait_for_function(
                "(link) => link.getAttribute('aria-current') && link.matches('.active')",
                arg=link.element_handle(),
            )
            assert marked.count() == 1


def test_the_theme_changes_by_keyboard(address, browser):
    with visit(browser, address + SHORT_CHAPTER) as page:
        page.locator(".theme-switch-button:visible").first.focus()
        seen = []
        for key in ("Enter", "Space", "Enter"):
            page.keyboard.press(key)
            seen.append(page.evaluate("() => document.documentElement.dataset.mode"))
        assert sorted(seen) == ["auto", "dark", "light"]


def test_every_piece_of_code_has_a_button_that_copies_it_by_keyboard(address, browser):
    with visit(browser, address + CHAPTER, permissions=["clipboard-read"]) as page:
        blocks = page.locator("main article .cell_input div.highlight")
        buttons = blocks.locator("button.copybtn")
        page.keyboard.press("Tab")
        assert buttons.count() == blocks.count() > 5
        buttons.nth(1).focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert copied.strip() == blocks.nth(1).locator("pre").text_content().strip()


def test_a_button_to_copy_is_made_when_its_code_comes_near(address, browser):
    with visit(browser, address + CHAPTER) as page:
        blocks = page.locator("main article .cell_input div.highlight")
        blocks.locator(".copybtn").first.wait_for(state="attached")
        button = blocks.last.locator(".copybtn")
        assert button.count() == 0
        blocks.last.scroll_into_view_if_needed()
        button.wait_for(state="attached")


def test_a_formula_wider_than_a_phone_takes_the_focus_and_scrolls_to_its_end(address, browser):
    url = f"{address}chapters/31-the-convolution-layer.html"
    with visit(browser, url, viewport=PHONE) as page:
        page.add_style_tag(content="* { content-visibility: visible !important }")
        page.wait_for_function(f"{WIDE_FORMULAS}.every((formula) => formula.tabIndex === 0)")
        rests = page.evaluate(f"""{WIDE_FORMULAS}.map((formula) => {{
          formula.scrollLeft = 10000;
          return formula.scrollWidth - formula.clientWidth - formula.scrollLeft;
        }})""")
        assert rests and max(map(abs, rests)) <= 1, rests


def test_nothing_moves_for_a_reader_who_asked_for_no_motion(address, browser):
    problems = []
    for name in (CHAPTER, "search.html?q=kernel"):
        with visit(browser, address + name) as page:
            problems += [f"{name}: {element}" for element in page.evaluate(MOVING)]
            for act in (
                lambda page: page.keyboard.press("Control+k"),
                lambda page: page.keyboard.press("Escape"),
                lambda page: page.locator(".theme-switch-button:visible").first.hover(),
                lambda page: page.locator(".theme-switch-button:visible").first.click(),
                lambda page: page.locator("main details summary").first.click(),
                lambda page: page.locator(".bd-toc-nav a:visible").last.click(),
            ):
                if name == CHAPTER:
                    act(page)
                    problems += [f"{name}: {element}" for element in page.evaluate(RUNNING)]
    assert not problems, "\n".join(sorted(set(problems)))


def test_every_picture_says_what_it_shows(site, soups):
    """In the text at length; elsewhere a picture has a name, or says that it is an ornament."""
    problems, pictures = [], 0
    for path, soup in soups.items():
        for picture in soup.select("img, svg, [role=img], canvas, object, embed, iframe"):
            if picture.find_parent(attrs={"aria-hidden": "true"}) or picture.find_parent("svg"):
                continue
            in_text = picture.find_parent("article") is not None
            is_ornament = not in_text and picture.get("alt") == ""
            if picture.get("aria-hidden") == "true" or is_ornament:
                continue
            pictures += 1
            text = picture.get("alt") or picture.get("aria-label") or picture.get("title") or ""
            least = ALT_AT_LEAST if in_text else 3
            label = f"{path.relative_to(site)}: {picture.get('src', picture.name)}"
            if len(text.strip()) < least:
                problems.append(f"{label}: {text!r} is shorter than {least} characters")
            if EMPTY.search(text.strip()):
                problems.append(f"{label}: {text!r} says nothing")
    assert pictures > 10 and not problems, "\n".join(problems)
