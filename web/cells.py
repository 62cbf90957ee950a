"""The line that unfolds a cell, as valid HTML.

myst_nb puts paragraphs into `<summary>`, where HTML allows none, under a label that differs from
the words on the page.
"""

from html import escape

from myst_nb.sphinx_ import HideCodeCellNode


def visit(translator, node):
    classes = " ".join(["admonition", "hide", *node["classes"]])
    prompts = (("collapsed", node["prompt_show"]), ("expanded", node["prompt_hide"]))
    words = "".join(
        f'<span class="{state} admonition-title">{escape(prompt)}</span>'
        for state, prompt in prompts
    )
    translator.body.append(f'<details class="{classes}">\n<summary>{words}</summary>\n')


def depart(translator, node):
    translator.body.append("</details>\n")


def setup(app):
    app.add_node(HideCodeCellNode, override=True, html=(visit, depart))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
