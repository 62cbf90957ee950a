"""One style sheet and one script for the whole book, holding only what its pages use.

The theme and the extensions bring a dozen files, most of them unused rules and glyphs: 1.4 MB on
every page. After the pages are written, this extension joins the style sheets, drops the classes
that neither a page nor a script names and the custom properties that nothing reads, cuts the fonts
down to the characters that occur, and joins the scripts. The templates load the results,
`_static/book.css` and `_static/book.js`.
"""

import re
from pathlib import Path

import lightningcss
import rjsmin
from sphinx.errors import ExtensionError

from web import fonts, palette

HERE = Path(__file__).parent
BROWSERS = ["chrome >= 109", "firefox >= 115", "safari >= 16"]
THEME_STYLES = ("basic.css", "styles/bootstrap.css", "styles/pydata-sphinx-theme.css")
THEME_SCRIPT = "scripts/pydata-sphinx-theme.js"
ICONS = "vendor/fontawesome/*/css/all.min.css"
# Lines that go through a whole page when it loads, in the script of that name, and what is put in
# their place. What the theme measures, scripts/scrollers.js measures block by block; a button to
# copy is made when its code comes near (scripts/nearby.js).
PUT_OFF = {
    "pydata-sphinx-theme.js": (
        '"pre, .nboutput > .output_area, .cell_output > .output, .jp-RenderedHTMLCommon"',
        '":not(*)"',
    ),
    "copybutton.js": ("codeCells.forEach((", "nearby(codeCells, ("),
}
# Scripts whose names others use. Each of the rest is a task of its own, not to hold up the reader.
SHARED = ("documentation_options.js", "doctools.js", "nearby.js", "sphinx_highlight.js")
TASK = "setTimeout(() => {\n%s\n});"
FONT_FACE = re.compile(r"@font-face\s*{[^}]*}")
CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
NAME = re.compile(r"[\w-]+")
DEFINITION = re.compile(r"(?<![\w-])(--[\w-]+)\s*:([^;}]*)")
PROPERTY = re.compile(r"(?<![\w-])--[\w-]+")


def assets(builder, kind):
    """Return the files that Sphinx puts on every page, without those of the page written last."""
    return getattr(builder, f"_orig_{kind}_files", getattr(builder, f"_{kind}_files"))


def local_names(assets):
    """Return the names of the files in `_static` among Sphinx's assets, each once."""
    names = dict.fromkeys(str(asset.filename) for asset in assets if asset.filename)
    return [name.removeprefix("_static/") for name in names if "://" not in name]


def read_styles(static, names):
    """Return the style sheets in the order in which the theme would load them, without fonts."""
    files = [static / name for name in (*THEME_STYLES, *names)]
    files += [*static.glob(ICONS), HERE / "katex" / "katex.min.css"]
    files += sorted((HERE / "styles").glob("*.css"))
    text = "\n".join([*(file.read_text(encoding="utf-8") for file in files), palette.css()])
    return FONT_FACE.sub("", re.sub(r"@charset[^;]*;", "", text))


def unread_properties(css, text):
    """Return the custom properties that neither the text nor a rule reads, not even by others."""
    read_by = {}
    for name, value in DEFINITION.findall(css):
        read_by.setdefault(name, set()).update(PROPERTY.findall(value))
    waiting = set(PROPERTY.findall(DEFINITION.sub("", css) + text))
    unread = set(read_by)
    while waiting:
        name = waiting.pop()
        if name in unread:
            unread.remove(name)
            waiting |= read_by[name]
    return unread


def without_unused(css, text):
    """Return minified CSS without the classes and custom properties that nothing uses.

    The text holds all pages and scripts.
    """
    classes = set(CLASS.findall(css)) - set(NAME.findall(text))
    return lightningcss.process_stylesheet(
        css,
        filename="book.css",
        error_recovery=True,
        unused_symbols=classes | unread_properties(css, text),
        browsers_list=BROWSERS,
    )


def read_scripts(static, scripts):
    """Return the scripts of the extensions, ours, and the theme's as one minified text.

    Bootstrap's script is not among them: 80 kB, of which pages need a menu and a mark, done by
    scripts/menus.js and on-this-page.js.
    """
    inline = [script.attributes["body"] for script in scripts if "body" in script.attributes]
    files = [static / name for name in local_names(scripts)]
    files += sorted((HERE / "scripts").glob("*.js"))
    files.append(static / THEME_SCRIPT)
    parts = {file.name: file.read_text(encoding="utf-8") for file in files}
    for name, (line, instead) in PUT_OFF.items():
        if parts.get(name, "").count(line) != 1:
            raise ExtensionError(f"{name} does something else than web/bundle.py knows of")
        parts[name] = parts[name].replace(line, instead)
    texts = inline + [text if name in SHARED else TASK % text for name, text in parts.items()]
    return rjsmin.jsmin(
        "\n;\n".join(re.sub(r"//# sourceMappingURL=.*", "", text) for text in texts)
    )


def bundle(app, exception):
    if exception or app.builder.format != "html":
        return
    output = Path(app.outdir)
    static = output / "_static"
    scripts = read_scripts(static, assets(app.builder, "js"))
    pages = [
        page.read_text(encoding="utf-8")
        for page in sorted(output.rglob("*.html"))
        if static not in page.parents
    ]
    css = without_unused(
        read_styles(static, local_names(assets(app.builder, "css"))), scripts + "".join(pages)
    )
    css += fonts.icons(css, static) + fonts.formulas(pages, static / "katex")
    (static / "book.css").write_text(css, encoding="utf-8")
    (static / "book.js").write_text(scripts, encoding="utf-8")


def setup(app):
    # Late, for the theme writes the colors of code at the same event.
    app.connect("build-finished", bundle, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
