"""One light and one dark palette serve plots and pages, and color-blind readers can use both."""

import io
import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.color import rgb2lab

from cnnbook import figures
from web import palette

PALETTES = {"light": figures.LIGHT, "dark": figures.DARK}
# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 15(6), 2009: severity 1.0, for linear RGB.
VISION = {
    "common": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
APART = 15  # in CIELAB, where 2.3 is just noticeable; the original palette comes down to 9
LINE, TEXT = 3, 4.5  # WCAG 2.2, success criteria 1.4.11 and 1.4.3

themes = pytest.mark.parametrize("theme", ["light", "dark"])


def channels(color):
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encoded(values):
    values = np.clip(values, 0, 1)
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1 / 2.4) - 0.055)


def contrast(one, other):
    """Return the contrast of two colors, 1 to 21, as WCAG 2.2 defines it."""
    lights = sorted(
        float(linear(channels(color)) @ [0.2126, 0.7152, 0.0722]) for color in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def nearest(colors, vision):
    """Return the smallest distance in CIELAB of two colors as somebody sees them, with names."""
    seen = {
        name: rgb2lab(encoded(np.array(VISION[vision]) @ linear(channels(color))))
        for name, color in colors.items()
    }
    pairs = itertools.combinations(seen, 2)
    return min((float(np.linalg.norm(seen[a] - seen[b])), a, b) for a, b in pairs)


def test_the_contrast_of_known_pairs_is_the_one_that_wcag_gives():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_the_simulation_confuses_what_color_blind_readers_confuse():
    alike = {"red": "#c00000", "green": "#6a6a00"}
    assert nearest(alike, "common")[0] > 60
    assert nearest(alike, "protanopia")[0] < nearest(alike, "common")[0] / 3
    for vision in VISION:  # a gray stays gray: each row sums to 1
        assert np.allclose(np.sum(VISION[vision], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("vision", VISION)
@themes
def test_any_two_line_colors_look_different_to_every_reader(theme, vision):
    names = (*figures.LINES, "gray", "ink")
    distance, one, other = nearest({name: PALETTES[theme][name] for name in names}, vision)
    assert distance >= APART, (one, other)


@themes
def test_every_line_stands_out_from_its_paper_and_every_label_can_be_read(theme):
    colors = PALETTES[theme]
    for name in figures.LINES:
        assert contrast(colors[name], colors["paper"]) >= LINE, name
    for name in figures.LABELS:
        assert contrast(colors[name], colors["paper"]) >= TEXT, name


def test_both_palettes_have_the_same_names_and_no_tone_stands_for_two():
    assert list(figures.LIGHT) == list(figures.DARK)
    assert len(set(figures.LIGHT.values())) == len(figures.LIGHT)
    assert not {figures.ON_LIGHT, figures.ON_DARK} & set(figures.LIGHT.values())


def test_letters_on_a_picture_can_be_read_on_every_tone_of_their_half():
    for gray in range(0, 256, 5):
        tone = f"#{gray:02x}{gray:02x}{gray:02x}"
        best = max(contrast(tone, figures.ON_LIGHT), contrast(tone, figures.ON_DARK))
        assert best >= TEXT, tone


def test_a_plot_in_the_house_style_has_no_color_outside_the_palette():
    figures.use_style()
    drawing, axes = plt.subplots()
    for height in range(len(figures.LINES)):
        axes.plot([0, 1], [height, height + 1], "o-", label="line")
    axes.set(title="title", xlabel="x", ylabel="y")
    axes.legend(title="legend")
    stream = io.StringIO()
    drawing.savefig(stream, format="svg")
    plt.close(drawing)
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", stream.getvalue()))
    outside = used - set(figures.LIGHT.values())
    assert not outside and {figures.LIGHT[name] for name in figures.LINES} <= used


GROUNDS = ("background", "on-background", "surface", "table-row-hover-bg")
LETTERS = ("text-base", "text-muted", "link", "link-hover", "inline-code", "primary", "secondary")
LETTERS += ("heading-color", "on-surface", "table", "inline-code-links", "success", "danger")


def pairs():
    """Return the pairs of letters and ground that the theme's rules make."""
    found = [pair for pair in itertools.product(LETTERS, GROUNDS)]
    found += [("text-base", "target")]
    for role in palette.ROLES:
        found += [(f"{role}-text", role), ("text-base", f"{role}-bg")]
    return found


@pytest.mark.parametrize("letters, ground", pairs())
@themes
def test_letters_of_a_page_can_be_read_on_their_ground(theme, letters, ground):
    colors = palette.properties(theme)
    one, other = (colors[f"--pst-color-{name}"] for name in (letters, ground))
    assert contrast(one, other) >= TEXT, (one, other)


@themes
def test_the_focus_ring_stands_out_from_every_ground(theme):
    colors = palette.properties(theme)
    for ground in GROUNDS:
        one, other = colors["--pst-color-accent"], colors[f"--pst-color-{ground}"]
        assert contrast(one, other) >= LINE, ground


@themes
def test_the_style_sheet_gives_each_theme_its_colors(theme):
    block = re.search(rf"html\[data-theme={theme}\] {{([^}}]*)}}", palette.css())[1]
    given = dict(re.findall(r"(--[\w-]+): ([^;]+);", block))
    assert given == palette.properties(theme)
    assert f"color-scheme: {theme};" in block


@themes
def test_code_can_be_read(site, theme):
    css = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    rules = re.findall(rf'html\[data-theme="{theme}"\] \.highlight ([^{{]*){{([^}}]*)}}', css)
    ground = palette.properties(theme)["--pst-color-surface"]
    colors = {}
    for name, rule in rules:
        found = re.search(r"(?<![-\w])color: (#[0-9A-Fa-f]{6})", rule)
        if found and "linenos" not in name:
            colors[name] = found[1].lower()
    assert len(colors) > 20
    for name, color in colors.items():
        if "background-color" not in dict(rules)[name]:
            assert contrast(color, ground) >= TEXT, (name, color)
