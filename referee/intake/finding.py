"""Finds the notebooks in the folder of a submission, also under the names that copies get."""

import os
import re
import stat
import unicodedata
from itertools import islice
from pathlib import Path

from referee.intake.files import exists, explained, is_file
from referee.intake.notes import Note, Unreadable, quoted

MOST_FILES = 10_000
EXTENSION = re.compile(r"(?:\.ipynb|\.json|\.txt)+$")
DECORATION = re.compile(
    r"^(?:copy[ _]of|kopie[ _]von|copie[ _]de|copia[ _]de)[ _]"
    r"|[ _-]*\(\d+\)$"
    r"|[ _-]+cop(?:y|ie|ia)[ _-]?\d*$"
    r"|[ _]*のコピー$"
    r"|[ _]*副本$"
)


def find(folder, names):
    """Find the notebooks of a submission.

    An exact name wins. Else the one file whose name differs only as copies and downloads do
    (`ps1 (1).ipynb`, `Copy of ps1.ipynb`, `PS1.ipynb`, `ps1.ipynb.txt`) is taken, or, where one
    notebook is wanted and one is there that is no copy of another, that one. Several such files:
    none is taken.

    Parameters
    ----------
    folder : path of the submission
    names : names of the wanted notebooks, without `.ipynb`

    Returns
    -------
    found : dict from name to path; a name without a file is absent
    notes : list of Note

    Raises
    ------
    Unreadable
        If the folder is missing, a link, or no folder.
    """
    folder = Path(folder)
    with explained(f"The folder {quoted(folder.name)}"):
        kind = os.lstat(folder).st_mode
    if not stat.S_ISDIR(kind):
        what = "a link" if stat.S_ISLNK(kind) else "not a folder"
        raise Unreadable(f"The submission is {what}. Hand in the folder with the notebook itself.")
    found = {name: folder / f"{name}.ipynb" for name in names if exists(folder, f"{name}.ipynb")}
    with explained(f"The folder {quoted(folder.name)}"), os.scandir(folder) as entries:
        others = [entry.name for entry in islice(entries, MOST_FILES)]
    taken = {path.name for path in found.values()}
    others = sorted(name for name in others if name not in taken and is_file(folder / name))
    others = [name for name in others if not name.startswith(".")]
    wanted = [name for name in names if name not in found]
    near = {name: [other for other in others if _bare(other) == _bare(name)] for name in wanted}
    known = {_bare(name) for name in found}
    loose = [other for other in others if other.casefold().endswith(".ipynb")]
    loose = [other for other in loose if _bare(other) not in known]
    if len(wanted) == 1 and len(loose) == 1 and not near[wanted[0]]:
        near[wanted[0]] = loose
    notes = []
    for name in wanted:
        files = ", ".join(map(quoted, near[name][:5]))
        if len(near[name]) == 1:
            found[name] = folder / near[name][0]
            notes.append(
                Note(None, f"There was no file {name}.ipynb. The file {files} was graded instead.")
            )
        elif near[name]:
            notes.append(
                Note(
                    None,
                    f"There was no file {name}.ipynb, but several that could be meant: {files}. "
                    f"None was graded. Hand in one of them under the name {name}.ipynb.",
                )
            )
        else:
            notes.append(Note(None, f"There was no file {name}.ipynb. Nothing was graded for it."))
    return found, notes


def _bare(name):
    """Return what of a file's name is left without extension, case and marks of a copy."""
    name = unicodedata.normalize("NFC", name[:255]).casefold()
    before = None
    while name != before:
        before = name
        name = DECORATION.sub("", EXTENSION.sub("", name)).strip(" _-")
    return name
