"""Formulas are drawn while the book is built, so that a page needs no script to show them.

KaTeX (web/katex, version 0.16.22) runs inside Python by way of the V8 engine of mini-racer. What
KaTeX cannot read becomes a warning that names the place, and a warning fails the build.
"""

import functools
import re
from pathlib import Path

from docutils import nodes
from py_mini_racer import JSEvalException, MiniRacer
from sphinx.util import logging

KATEX = Path(__file__).parent / "katex" / "katex.min.js"
# What KaTeX writes and MathML does not know: attributes; an unseen sign that makes a third child
# where two may be; operators made of several elements, by \overset and \bmod.
INVALID = [
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r' columnspacing=""|(?<=<mtd) width="50%"', ""),
        ("<mo>\u2061</mo>", ""),
        (r"<mo>(<mover>.*?</mover>)</mo>", r"<mrow>\1</mrow>"),
        (r"<mo><mo>([^<]*)</mo></mo>", r"<mo>\1</mo>"),
        (
            r'(<mo lspace="0.22em" rspace="0.22em">)<mrow>((?:<mi[^>]*>\w</mi>)+)</mrow></mo>',
            lambda found: f"{found[1]}{re.sub('<[^>]*>', '', found[2])}</mo>",
        ),
    )
]
# The formula's source: neither seen nor read aloud, and two elements more for each formula.
SOURCE = re.compile(r"</?semantics>|<annotation .*?</annotation>", re.S)
# A line may break between KaTeX's bases. Where breaks.py forbids breaks, they need a sign for it.
BETWEEN_BASES = re.compile(r'(?<=</span>)(?=<span class="base">)')
LOGGER = logging.getLogger(__name__)


@functools.cache
def engine():
    context = MiniRacer()
    context.eval(KATEX.read_text(encoding="utf-8"))
    return context


@functools.cache
def render(formula, display):
    """Return a formula as HTML for the eye and MathML for a screen reader.

    Raises ValueError with KaTeX's explanation if it cannot read the formula.
    """
    options = {"displayMode": display, "strict": "error", "throwOnError": True}
    try:
        html = engine().call("katex.renderToString", formula, options)
    except JSEvalException as error:
        explanation = str(error).splitlines()[0].partition("ParseError: ")[2]
        raise ValueError(explanation or str(error)) from None
    for pattern, instead in INVALID:
        html = pattern.sub(instead, html)
    return SOURCE.sub("", html)


def visit(tag, display):
    def append_formula(translator, node):
        formula = node.astext()
        try:
            html = render(formula, display)
        except ValueError as error:
            LOGGER.warning("%s, in the formula %s", error, formula, location=node)
            html = translator.encode(formula)
        if "joined" in node.parent.get("classes", ()):
            html = BETWEEN_BASES.sub("<wbr>", html)
        start = translator.starttag(node, tag, "", CLASS="math")
        translator.body.append(f"{start}{html}</{tag}>")
        raise nodes.SkipNode

    return append_formula


def setup(app):
    app.add_html_math_renderer(
        "katex", (visit("span", display=False), None), (visit("div", display=True), None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
