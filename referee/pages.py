"""What formgrader's pages and feedback pages show of students' texts, made safe.

nbgrader's templates turn a written answer into HTML as it stands, scripts included, and an
instructor's browser would run them with the instructor's rights. And they show hidden tests in
the feedback. `referee.enable` puts these two things between.
"""

import re

import bleach
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbgrader.preprocessors import ClearHiddenTests
from nbgrader.utils import is_grade, is_locked
from traitlets.config import LoggingConfigurable

TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt"),
    *("em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li", "ol", "p", "pre"),
    *("s", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr"),
    *("u", "ul"),
}
WORDS = {"align", "alt", "class", "colspan", "height", "id", "rowspan", "start", "title", "width"}
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,")
# In formulas, what makes a link, and what spells a command's name in parts.
ACTING = re.compile(r"\\(href|csname)(?![a-zA-Z])")


class SafeMarkdown(LoggingConfigurable):
    """The filter `markdown2html` of nbconvert, with nothing in its result that acts."""

    def __init__(self, **options):
        super().__init__(**options)
        pass_context(self)

    def __call__(self, context, source):
        html = HTMLExporter.markdown2html(self.parent, context, source)
        html = bleach.clean(
            html,
            tags=TAGS,
            attributes=_is_allowed,
            protocols={"http", "https", "mailto", "data"},
        )
        return ACTING.sub(r"\\text{\1}", html)


def _is_allowed(tag, name, value):
    if name == "src":
        return tag == "img" and (not value.startswith("data:") or bool(PICTURE.match(value)))
    if name == "href":
        return tag == "a" and not value.lstrip().lower().startswith("data:")
    return name in WORDS


class HideTests(ClearHiddenTests):
    """Leaves hidden tests out, and looks at the instructor's cells only."""

    def preprocess_cell(self, cell, resources, cell_index):
        if is_grade(cell) and is_locked(cell):
            return super().preprocess_cell(cell, resources, cell_index)
        return cell, resources
