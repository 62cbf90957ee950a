"""Keeps of a submitted notebook's cells what grading needs, whatever format they have."""

import re

from nbformat.notebooknode import NotebookNode

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
NO_TEXT = re.compile("[\ud800-\udfff\0]")


def cell_list(content):
    """Return the list of raw cells of any notebook format, or None if there is none."""
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("cells"), list):
        return content["cells"]
    sheets = content.get("worksheets")
    if not isinstance(sheets, list):
        return None
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    return [cell for cells in lists if isinstance(cells, list) for cell in cells]


def cleaned(cells):
    """Keep of raw cells what grading needs. What comes out may go in again and stays the same."""
    clean = []
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        kind = cell.get("cell_type")
        source = _text(cell.get("source", cell.get("input")))
        if kind not in ("code", "markdown", "raw"):
            kind = "raw"
        node = NotebookNode(cell_type=kind, metadata=NotebookNode(), source=source)
        if isinstance(cell.get("id"), str):
            node.id = cell["id"]
        grade_id = _inner(cell, "metadata", "nbgrader", "grade_id")
        if isinstance(grade_id, str):
            node.metadata.nbgrader = NotebookNode(grade_id=grade_id)
        pictures = _pictures(cell.get("attachments"))
        if pictures and kind != "code":
            node.attachments = pictures
        clean.append(node)
    return clean


def _inner(value, *keys):
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(source):
    """Return the text of a cell: one string or a list of lines; anything else is no text."""
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        ended = any(line.endswith("\n") for line in lines)
        source = ("" if ended else "\n").join(lines)
    if not isinstance(source, str):
        return ""
    return NO_TEXT.sub("\ufffd", source.replace("\r\n", "\n").replace("\r", "\n"))


def _pictures(attachments):
    """Return of a cell's attachments the pictures, which a written answer may show."""
    kept = NotebookNode()
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        if not isinstance(bundle, dict) or NO_TEXT.search(name):
            continue
        for kind in PICTURES:
            data = bundle.get(kind)
            if isinstance(data, str) and BASE64.fullmatch(data):
                kept[name] = NotebookNode({kind: data})
    return kept
