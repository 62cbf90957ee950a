"""Fonts cut down to the characters that the pages use: a few kilobytes in place of hundreds."""

import base64
import html
import io
import logging
import re
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

# It tells of every table that it drops.
logging.getLogger("fontTools").setLevel(logging.WARNING)

KATEX = Path(__file__).parent / "katex"
ICON_FACES = {
    "fa-solid-900": ("Font Awesome 6 Free", 900),
    "fa-regular-400": ("Font Awesome 6 Free", 400),
    "fa-brands-400": ("Font Awesome 6 Brands", 400),
}
ICON_CODE = re.compile(r'content:"\\(f[0-9a-f]{3}|e[0-9a-f]{3})"|content:"([\ue000-\uf8ff])"')
FACE = re.compile(r"@font-face{[^}]*?fonts/([\w-]+\.woff2)[^}]*}")
SOURCE = re.compile(r"src:[^;}]*")
FORMULA = '<span class="katex-html"'
TOKEN = re.compile(r"(<span\b[^>]*>)|(</span>)|<[^>]*>|([^<]+)")


def cut(path, characters):
    """Return a font with only these characters as WOFF2, or None if it has none of them."""
    font = TTFont(path, recalcTimestamp=False)
    wanted = {ord(character) for character in characters} & set(font.getBestCmap())
    if not wanted:
        return None
    options = subset.Options(flavor="woff2", hinting=False, desubroutinize=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=wanted)
    cutter.subset(font)
    font.flavor = "woff2"
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()


def icons(css, static):
    """Return the icon fonts as CSS, with the glyphs that the style sheet names, in the CSS itself.

    The dozen icons of a page are drawn at once, so they must not wait for a file of their own.
    """
    codes = {found[2] or chr(int(found[1], 16)) for found in ICON_CODE.finditer(css)}
    faces = []
    for name, (family, weight) in ICON_FACES.items():
        data = cut(next(static.glob(f"vendor/fontawesome/*/webfonts/{name}.woff2")), codes)
        if data:
            url = f"data:font/woff2;base64,{base64.b64encode(data).decode()}"
            faces.append(
                f'@font-face{{font-family:"{family}";font-weight:{weight};'
                f'font-display:block;src:url({url}) format("woff2")}}'
            )
    return "".join(faces)


def characters_of_formulas(page):
    """Return the characters that KaTeX's visible spans hold in an HTML page."""
    characters = set()
    for start in (found.start() for found in re.finditer(FORMULA, page)):
        depth = 0
        for opening, closing, text in (token.groups() for token in TOKEN.finditer(page, start)):
            depth += bool(opening) - bool(closing)
            characters.update(html.unescape(text or ""))
            if not depth:
                break
    return characters


def formulas(pages, folder):
    """Write KaTeX's fonts for the formulas of the pages into a folder; return their CSS."""
    folder.mkdir(exist_ok=True)
    characters = set().union(*map(characters_of_formulas, pages))
    faces = []
    for face in FACE.finditer((KATEX / "katex.min.css").read_text(encoding="utf-8")):
        data = cut(KATEX / "fonts" / face[1], characters)
        if data:
            (folder / face[1]).write_bytes(data)
            source = f'src:url({folder.name}/{face[1]}) format("woff2");font-display:swap'
            faces.append(SOURCE.sub(source, face[0]))
    return "".join(faces)
