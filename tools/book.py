"""Build the HTML book into build/html, warnings being errors: `python -m tools.book`."""

import contextlib
import io
import os
import shutil
import sys
import time
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "html"


def build(output=OUTPUT):
    """Build the book and return Sphinx's warnings; empty if all is well."""
    warnings = io.StringIO()
    with contextlib.redirect_stderr(warnings), contextlib.redirect_stdout(io.StringIO()):
        result = build_sphinx(
            ROOT,
            output,
            path_config=ROOT / "_config.yml",
            confoverrides={"latex_individualpages": False, "nitpicky": True},
            doctreedir=output.parent / "doctrees",
            noconfig=True,
            warningiserror=True,
            keep_going=True,
            quiet=True,
        )
    problems = warnings.getvalue().strip() or (str(result) if result else "")
    if problems:
        # Sphinx warns of a page only when it reads it: kept, it would pass the next time.
        shutil.rmtree(output.parent / "doctrees", ignore_errors=True)
    return problems


def main():
    start = time.perf_counter()
    os.chdir(ROOT)
    print("Book: building the pages", flush=True)
    problems = build()
    if problems:
        print(problems, file=sys.stderr)
        return 1
    pages = sum(1 for _ in OUTPUT.rglob("*.html"))
    print(f"Book: {pages} pages in {time.perf_counter() - start:.0f} s, no warnings")
    print(f"Open {(OUTPUT / 'index.html').relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
