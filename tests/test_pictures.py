"""Plots can be read in both themes and on a phone, and what is drawn by code is current."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, content_pages
from PIL import Image
from test_figures import LINE, contrast

from cnnbook import figures
from tools import notebooks
from web import brand, cover, palette, plots

CHAPTERS = sorted(ROOT.glob("chapters/*.ipynb"))
ON_PICTURES = {figures.ON_LIGHT, figures.ON_DARK}
PHONE = 350  # CSS pixels that a picture gets on a phone
SMALLEST = 7  # CSS pixels of letters there
GLYPH_SIZE = 100  # Matplotlib draws letters at 100 points and scales them

themes = pytest.mark.parametrize("theme", ["light", "dark"])


def plots_of(path):
    for number, cell in enumerate(notebooks.read(path).cells):
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.get("data", {}):
                yield f"{path.stem}, cell {number}", output.data["image/svg+xml"]


ALL = [plot for path in CHAPTERS for plot in plots_of(path)]
ALL += [("cover", cover.PATH.read_text(encoding="utf-8"))]
each_plot = pytest.mark.parametrize("svg", [svg for _, svg in ALL], ids=[name for name, _ in ALL])


def texts(svg):
    """Yield the style and the size, in points, of each text of a plot."""
    for group in re.findall(r'<g id="text_\d+">(.*?)</g>\s*</g>', svg, flags=re.S):
        style = re.search(r'<g\b[^>]*\bstyle="([^"]*)"', group)
        scale = re.search(r"\bscale\((\d*\.?\d+) -", group)
        if scale:
            yield style[1] if style else "", GLYPH_SIZE * float(scale[1])


def test_the_plots_of_the_chapters_are_found_with_their_texts():
    assert len(ALL) > 30
    assert sum(len(list(texts(svg))) for _, svg in ALL) > 500


@each_plot
def test_a_plot_has_only_colors_that_the_dark_page_knows_how_to_turn(svg):
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg))
    assert used <= set(figures.LIGHT.values()) | ON_PICTURES


@each_plot
def test_every_label_of_a_plot_has_a_color_for_letters(svg):
    allowed = {figures.LIGHT[name] for name in figures.LABELS} | ON_PICTURES
    for style, _ in texts(svg):
        color = re.search(r"fill: (#[0-9a-f]{6})", style)
        assert color and color[1] in allowed, style


@each_plot
def test_every_label_of_a_plot_can_be_read_on_a_phone(svg):
    width, _ = plots.svg_size(svg)
    for _, size in texts(svg):
        pixels = size * plots.POINT * min(1, PHONE / width)
        assert pixels >= SMALLEST, f"{pixels:.1f} pixels: {size:.1f} points, {width} wide"


@each_plot
def test_a_stored_plot_is_light_and_only_its_copy_in_the_book_can_be_dark(svg):
    assert "prefers-color-scheme" not in svg
    dark = plots.add_dark(svg)
    assert dark.count("prefers-color-scheme") == 1
    assert plots.add_dark(dark) == dark
    assert re.sub(r"<style>@media.*?</style>", "", dark) == svg


def screenshot(element):
    return np.array(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


def hexadecimal(pixel):
    return "#" + "".join(f"{value:02x}" for value in pixel)


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_a_plot_follows_the_theme_of_the_page_whatever_the_system_prefers(
    browser, tmp_path, preferred
):
    squares = "".join(
        f'<rect x="{10 * place}" width="10" height="10" style="fill: {color}"/>'
        for place, color in enumerate([*figures.LIGHT.values(), *sorted(ON_PICTURES)])
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="10">{squares}</svg>'
    (tmp_path / "plot.svg").write_text(plots.add_dark(svg), encoding="utf-8")
    page = f'<html data-theme="light"><style>{palette.css()}</style><img src="plot.svg">'
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    page = browser.new_page(color_scheme=preferred)
    page.goto((tmp_path / "page.html").as_uri())
    for theme, colors in (("dark", figures.DARK), ("light", figures.LIGHT)):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        page.wait_for_timeout(200)
        middle = screenshot(page.locator("img"))[5, 5::10]
        seen = [hexadecimal(pixel) for pixel in middle]
        assert seen == [*colors.values(), *sorted(ON_PICTURES)]
    page.close()


@themes
def test_plots_and_page_have_one_paper(site, address, browser, theme):
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{address}chapters/21-one-dimension.html")
    picture = page.locator("article img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete", arg=picture.element_handle())
    page.wait_for_timeout(200)
    paper = {"light": figures.LIGHT, "dark": figures.DARK}[theme]["paper"]
    assert hexadecimal(screenshot(picture)[2, 2]) == paper
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert hexadecimal(map(int, re.findall(r"\d+", ground)[:3])) == paper
    page.close()


def test_pictures_have_a_size_and_wait_unless_they_stand_before_the_first_section(site, soups):
    for page in content_pages(site):
        for image in soups[page].select("main article img"):
            assert int(image["width"]) > 0 and int(image["height"]) > 0, (page.name, image["src"])
            assert image["decoding"] == "async"
            waits = len(image.find_parents("section")) > 1
            assert image.get("loading") == ("lazy" if waits else None), (page.name, image["src"])


@pytest.mark.parametrize("width", [390, 1440])
def test_a_page_does_not_move_when_its_pictures_arrive(site, address, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{address}chapters/21-one-dimension.html")
    before = page.evaluate("() => document.querySelector('article').scrollHeight")
    page.evaluate("""async () => {
        for (const image of document.querySelectorAll("article img")) {
            image.loading = "eager";
            await image.decode();
        }
    }""")
    # Sizes are whole pixels, and halves can add up to one.
    after = page.evaluate("() => document.querySelector('article').scrollHeight")
    assert abs(after - before) <= 2
    shapes = page.eval_on_selector_all(
        "article img",
        "all => all.map(i => [i.clientWidth / i.clientHeight, i.naturalWidth / i.naturalHeight])",
    )
    assert shapes and np.allclose(*zip(*shapes, strict=True), rtol=0.02)
    page.close()


CONF = """
extensions = ["web.plots"]
html_theme = "basic"
"""
PAGE = """
Title
=====

.. image:: flat.png
   :alt: one tone

A section
---------

.. image:: plot.svg
   :alt: a plot
   :align: center

Text with |small| inside.

.. |small| image:: noise.png
   :alt: noise
   :width: 20px

.. image:: photograph.jpg
   :alt: a photograph
"""


@pytest.fixture
def book(tmp_path):
    """Return a folder with a small book, and a function that builds it into `out`."""
    random = np.random.default_rng(0)
    source = tmp_path / "source"
    source.mkdir()
    flat = np.full((30, 50, 3), 200, np.uint8)
    Image.fromarray(flat).save(source / "flat.png")
    Image.fromarray(random.integers(0, 256, (8, 6), np.uint8)).save(source / "noise.png")
    Image.fromarray(flat).save(source / "photograph.jpg")
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"></svg>'
    (source / "plot.svg").write_text(svg, encoding="utf-8")
    (source / "conf.py").write_text(CONF, encoding="utf-8")
    (source / "index.rst").write_text(PAGE, encoding="utf-8")

    def build(out="out"):
        command = [sys.executable, "-m", "sphinx", "-q", "-W", str(source), str(tmp_path / out)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        text = (tmp_path / out / "index.html").read_text(encoding="utf-8")
        return [
            dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall("<img [^>]*>", text)
        ]

    return tmp_path, build


def test_pictures_keep_what_their_author_said_and_get_what_a_browser_needs(book):
    _, build = book
    flat, plot, small, photograph = build()
    assert (flat["width"], flat["height"], flat.get("loading")) == ("50", "30", None)
    assert (plot["width"], plot["height"], plot["loading"]) == ("96", "48", "lazy")
    assert plot["class"] == "align-center"
    assert "width" not in small and "width: 20px" in small["style"]
    assert (photograph["width"], photograph["height"]) == ("50", "30")
    assert [image["alt"] for image in (flat, plot, small)] == ["one tone", "a plot", "noise"]
    assert photograph["src"].endswith(".jpg")


def test_a_png_becomes_webp_without_loss_only_where_that_is_smaller(book, monkeypatch):
    folder, build = book
    flat, *_ = build()
    before = folder / "source" / "flat.png"
    after = folder / "out" / flat["src"]
    assert after.suffix == ".webp" and after.stat().st_size < before.stat().st_size
    with Image.open(before) as one, Image.open(after) as other:
        assert np.array_equal(np.array(one), np.array(other.convert("RGB")))
    monkeypatch.setattr(
        Image.Image, "save", lambda _, stream, *kind, **how: stream.write(bytes(9_999))
    )
    assert plots.smaller_bitmap(before.read_bytes()) == (before.read_bytes(), ".png")


def test_a_second_build_gives_the_same_pictures_also_of_a_changed_page(book):
    folder, build = book
    first = build()
    assert build() == first == build("elsewhere")
    page = folder / "source" / "index.rst"
    page.write_text(page.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    assert build() == first
    for image in first:
        one, other = (folder / out / image["src"] for out in ("out", "elsewhere"))
        assert one.read_bytes() == other.read_bytes()


def test_a_changed_plot_is_seen_by_the_next_build(book):
    folder, build = book
    before = build()
    svg = (folder / "source" / "plot.svg").read_text(encoding="utf-8")
    (folder / "source" / "plot.svg").write_text(svg.replace("72pt", "144pt"), encoding="utf-8")
    after = build()
    assert after[1]["width"] == "192" and after[1]["src"] != before[1]["src"]


def test_logo_card_and_cover_are_as_the_code_draws_them(tmp_path):
    new = [tmp_path / name for name in ("logo.svg", "card.png", "cover.svg")]
    brand.save(*new)
    for path, stored in zip(new, (brand.LOGO, brand.CARD, cover.PATH), strict=True):
        if path.suffix == ".png":  # another zlib packs the same pixels into other bytes
            one, other = (np.array(Image.open(picture)) for picture in (path, stored))
            assert np.array_equal(one, other)
        else:
            assert path.read_bytes() == stored.read_bytes(), path.name


def test_the_mark_stands_out_on_both_papers():
    for paper in (figures.LIGHT["paper"], figures.DARK["paper"]):
        for color in (brand.STROKE, brand.FRAME):
            assert contrast(color, paper) >= LINE
            assert color in brand.LOGO.read_text(encoding="utf-8")


def test_the_card_has_the_size_that_other_sites_expect_and_loads_fast():
    with Image.open(brand.CARD) as card:
        assert card.size == (1200, 630)
    assert brand.CARD.stat().st_size <= 150_000


def test_the_cover_shows_the_digit_that_its_text_names():
    from cnnbook.data import load_mnist

    assert load_mnist().test_labels[cover.DIGIT] == 7
    assert "handwritten seven" in (ROOT / "index.md").read_text(encoding="utf-8")
