"""A plug-in for nbval that compares bitmaps too, and spares pictures of measured data.

nbval never compares PNG and JPEG, so a stale picture would pass. A cell tagged "measured" draws
what differs between machines: there a picture of the same kind must appear, and only its text is
compared.
"""

from nbval.plugin import IPyNbCell

PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def pictures(outputs):
    return [key for output in outputs for key in output.get("data", {}) if key.startswith("image/")]


def without_pictures(outputs):
    return [output for output in outputs if not pictures([output])]


def compare_all(cell, test, ref, skip_compare=None):
    skip = tuple(key for key in cell.parent.skip_compare if key not in PICTURES)
    if "measured" in cell.cell.metadata.get("tags", []):
        if pictures(test) != pictures(ref):
            cell.comparison_traceback = [f"pictures {pictures(ref)} became {pictures(test)}"]
            return False
        test, ref = without_pictures(test), without_pictures(ref)
    return compare_without(cell, test, ref, skip)


compare_without = IPyNbCell.compare_outputs
IPyNbCell.compare_outputs = compare_all
