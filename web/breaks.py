"""Lines break where a reader expects it: not between a formula and its comma, nor before a %.

A browser may break a line on both sides of a drawn formula, whatever stands there, since a formula
is a box of its own. Formula and punctuation become one element, which styles/formulas.css keeps
together. Notebooks stay as they are.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

NO_BREAK_SPACE = "\u00a0"
CLOSING = re.compile(r"[.,;:!?)\]%’”…]+|[-–](?=\w)| %[.,;:)]*")
OPENING = re.compile(r"(?<!\S)[(\[“‘]+$")
PERCENT = re.compile(r"(?<=\d) (?=%)")


class LineBreaks(SphinxPostTransform):
    """Join each formula in a line to the punctuation at its sides, and each number to its %."""

    default_priority = 500
    formats = ("html",)

    def run(self):
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, nodes.FixedTextElement | nodes.literal | nodes.math):
                text.parent.replace(text, nodes.Text(PERCENT.sub(NO_BREAK_SPACE, text)))
        for formula in list(self.document.findall(nodes.math)):
            join(formula)


def join(formula):
    """Put a formula and the punctuation that touches it into one element."""
    parent = formula.parent
    place = parent.index(formula)
    opening, closing = "", ""
    if place and isinstance(parent[place - 1], nodes.Text):
        before = str(parent[place - 1])
        opening = "".join(OPENING.findall(before))
        parent[place - 1] = nodes.Text(before.removesuffix(opening))
    if place + 1 < len(parent) and isinstance(parent[place + 1], nodes.Text):
        after = str(parent[place + 1])
        found = CLOSING.match(after)
        closing = found[0] if found else ""
        parent[place + 1] = nodes.Text(after.removeprefix(closing))
    if opening or closing:
        joined = nodes.inline(classes=["joined"])
        parent[place] = joined
        closing = closing.replace(" ", NO_BREAK_SPACE)
        joined += [nodes.Text(opening), formula, nodes.Text(closing)]


def setup(app):
    app.add_post_transform(LineBreaks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
