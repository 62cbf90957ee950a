"""Pictures of the built site: dark plots for the dark theme, sizes, loading when needed.

Why: a plot is stored once, as an SVG in the light palette, and shown through <img>, which no style
of the page reaches. But a browser passes the page's color scheme on to the picture (Chromium and
Firefox do; elsewhere the light plate remains), so a copy of each SVG gets a media query that
turns every color of the light palette into its partner of the dark one. Bitmaps, also those inside
an SVG, keep their tones. Width and height let the browser keep the place free, and pictures below
the first load when the reader comes near. A PNG becomes a lossless WebP where that is smaller.
"""

import hashlib
import io
import json
import re
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.transforms.post_transforms import SphinxPostTransform

from cnnbook import figures

POINT = 4 / 3  # CSS pixels
SVG_TAG = re.compile(r"<svg\b[^>]*>")
LENGTH = r'\b{}="([\d.]+)(pt|px)?"'


def dark_rules():
    """Return CSS that repaints what Matplotlib draws in the light palette; `!important` because
    Matplotlib writes its colors into `style` attributes."""
    rules = (
        f'[style*="{use}: {color}"]{{{use}:{figures.DARK[name]}!important}}'
        for name, color in figures.LIGHT.items()
        for use in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def add_dark(text):
    """Return the SVG with the dark palette for dark pages; one with an own media query as it is."""
    if "prefers-color-scheme" in text:
        return text
    return SVG_TAG.sub(lambda tag: f"{tag[0]}<style>{dark_rules()}</style>", text, count=1)


def svg_size(text):
    """Return width and height of an SVG in CSS pixels, None where it names none."""
    tag = SVG_TAG.search(text)
    lengths = [re.search(LENGTH.format(side), tag[0]) for side in ("width", "height")]
    if not all(lengths):
        return None
    return tuple(
        round(float(length[1]) * (POINT if length[2] == "pt" else 1)) for length in lengths
    )


def smaller_bitmap(content):
    """Return a PNG's content as lossless WebP if that is smaller, with the suffix it gets."""
    webp = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(webp, "webp", lossless=True, method=6, exact=True)
    return (webp.getvalue(), ".webp") if webp.tell() < len(content) else (content, ".png")


def ancestors(node):
    while node := node.parent:
        yield node


class Pictures(SphinxPostTransform):
    """Put the pictures' web copies in their place and note what the <img> needs."""

    default_priority = 210
    formats = ("html",)

    def run(self, **_):
        found = [node for node in self.document.findall(nodes.image) if self.is_local(node)]
        for node in found:
            self.prepare(node)
            node["lazy"] = self.is_below_a_heading(node)

    def is_local(self, node):
        return "?" not in node.get("candidates", "?")

    def is_below_a_heading(self, node):
        """Tell whether a picture stands in a section: on a phone, not on the first screen."""
        return sum(isinstance(parent, nodes.section) for parent in ancestors(node)) > 1

    def prepare(self, node):
        source = Path(self.app.srcdir, node["uri"])
        content, suffix, size = source.read_bytes(), source.suffix, None
        if suffix == ".svg":
            text = content.decode()
            content, size = add_dark(text).encode(), svg_size(text)
        else:
            with Image.open(source) as image:
                size = image.size
            if suffix == ".png":
                content, suffix = smaller_bitmap(content)
        node["size"] = size
        folder = Path(self.app.doctreedir, "pictures")
        folder.mkdir(exist_ok=True)
        copy = folder / (hashlib.sha256(content).hexdigest()[:16] + suffix)
        if not copy.exists():
            copy.write_bytes(content)
        node["uri"] = str(copy)
        node["candidates"] = {"*": node["uri"]}
        self.env.original_image_uri[node["uri"]] = str(source)
        self.env.images.add_file(self.env.docname, node["uri"])


def visit_image(translator, node):
    """Write the <img> as Sphinx does, with the attributes that `Pictures` found."""
    if "size" not in node:
        type(translator).visit_image(translator, node)
        return
    name = translator.builder.images[node["uri"]]
    attributes = {"src": f"{translator.builder.imgpath}/{name}", "alt": node.get("alt", "")}
    if "align" in node:
        attributes["class"] = f"align-{node['align']}"
    if node["size"] and not {"width", "height", "scale"} & set(node.attributes):
        attributes["width"], attributes["height"] = node["size"]
    elif declared := translator.image_size(node):
        attributes["style"] = declared
    attributes["decoding"] = "async"
    if node["lazy"]:
        attributes["loading"] = "lazy"
    ending = "" if isinstance(node.parent, nodes.TextElement) else "\n"
    translator.body.append(translator.emptytag(node, "img", ending, **attributes))


def depart_image(translator, node):
    pass


def setup(app):
    # The pages are written anew when the palette changes.
    palette = json.dumps([figures.LIGHT, figures.DARK])
    app.add_config_value("plots_palette", palette, "html")
    app.add_post_transform(Pictures)
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
