"""Code with a third of the elements: what has no color of its own is not wrapped.

Pygments puts each name, blank, bracket and operator into a span, thousands on a page, and strings
and numbers under many names of one color. The browser makes a box for each.
"""

from pygments.formatters import HtmlFormatter
from pygments.token import Name, Number, Operator, Punctuation, String, Text
from sphinx.highlighting import PygmentsBridge

PLAIN = {
    Name,
    Name.Namespace,
    Name.Other,
    Operator,
    Punctuation,
    Punctuation.Marker,
    Text,
    Text.Whitespace,
}
ONE_COLOR = (Number, String)


class Formatter(HtmlFormatter):
    """Wraps neighbors of one color together, and plain ones not at all."""

    def _get_css_classes(self, ttype):
        if ttype in PLAIN:
            return ""
        kind = next((kind for kind in ONE_COLOR if ttype in kind), ttype)
        return super()._get_css_classes(kind)


def setup(app):
    PygmentsBridge.html_formatter = Formatter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
