"""Make `exercises/` from `solutions/`: `python -m tools.exercises [--check]`.

nbgrader's own generate_assignment does it, in a temporary course folder and without a gradebook.
The same solutions always give the same bytes.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory

from referee.assignment import read_config

ROOT = Path(__file__).resolve().parents[1]


def assignments(root=ROOT):
    """Return the names of all problem sets, in order."""
    return sorted({path.parent.name for path in (root / "solutions").glob("*/*.ipynb")})


def generate(destination, root=ROOT):
    """Write what students get of each problem set to a folder."""
    config = read_config(root)
    config.GenerateAssignment.no_database = True
    config.SaveCells.enabled = False
    with tempfile.TemporaryDirectory() as course:
        shutil.copytree(root / "solutions", Path(course, "solutions"))
        for name in assignments(root):
            directory = CourseDirectory(config=config, root=course, assignment_id=name)
            GenerateAssignment(coursedir=directory, config=config).start()
        shutil.copytree(Path(course, "exercises"), destination, dirs_exist_ok=True)


def contents(folder):
    """Return the files of a folder as a dict from relative path to bytes."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def differences(root=ROOT):
    """Return the files of `exercises/` that are not what the solutions give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, root)
        wanted = contents(folder)
    present = contents(root / "exercises")
    names = sorted(set(wanted) | set(present))
    return [name for name in names if wanted.get(name) != present.get(name)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale")
    options = parser.parse_args(arguments)
    if options.check:
        stale = differences()
        for name in stale:
            print(f"exercises/{name} is not what solutions/ gives; run make exercises")
        return int(bool(stale))
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        shutil.rmtree(ROOT / "exercises", ignore_errors=True)
        shutil.copytree(folder, ROOT / "exercises")
    for name in contents(ROOT / "exercises"):
        print(f"exercises/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
