"""Says which words are Japanese and which Chinese: fonts and screen readers go by it.

Shared characters have other shapes in the two, and other sounds. In the glossary the line below a
term has its Japanese and its Chinese name; elsewhere the book has Japanese only. Notebooks stay as
they are.
"""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from web.search import CJK, GLOSSARY, NAMES

RUN = re.compile(rf"[{CJK}](?:[{CJK}、。・「」（） ]*[{CJK}。」）])?")


class Languages(SphinxPostTransform):
    """Put the words of another language into elements that name it."""

    default_priority = 510  # after breaks.py, which looks at the text beside formulas
    formats = ("html",)

    def run(self):
        names = self.env.docname == GLOSSARY
        for text in list(self.document.findall(nodes.Text)):
            if names and isinstance(text.parent, nodes.paragraph) and NAMES.fullmatch(text):
                japanese, chinese = text.split(" · ")
                parts = [*marked(japanese, "ja"), nodes.Text(" · "), *marked(chinese, "zh-Hans")]
            elif isinstance(text.parent, nodes.TextElement) and RUN.search(text):
                parts = split(str(text))
            else:
                continue
            if not isinstance(text.parent, nodes.FixedTextElement | nodes.title):
                text.parent.replace(text, parts)


def split(text):
    """Return a text as nodes, each run of Japanese in an element of its own."""
    parts, end = [], 0
    for run in RUN.finditer(text):
        parts += [nodes.Text(text[end : run.start()]), *marked(run[0], "ja")]
        end = run.end()
    return [*parts, nodes.Text(text[end:])]


def marked(text, language):
    start = nodes.raw("", f'<span lang="{language}">', format="html")
    return [start, nodes.Text(text), nodes.raw("", "</span>", format="html")]


def setup(app):
    app.add_post_transform(Languages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
