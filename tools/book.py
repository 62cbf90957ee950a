"""Build the HTML book into build/html, warnings being errors: `python -m tools.book`."""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import time
from pathlib import Path

from jupyter_book.sphinx import build_sphinx

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "html"
FRAME = {".css", ".html", ".js", ".py"}


def frame():
    """Return a digest of what goes into every page: the order of the book, and web/."""
    files = (ROOT / "web").rglob("*")
    parts = [ROOT / "_toc.yml", *(path for path in sorted(files) if path.suffix in FRAME)]
    parts = [path for path in parts if "node_modules" not in path.parts]
    return hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()


def build(output=OUTPUT):
    """Build the book and return Sphinx's warnings; empty if all is well."""
    warnings = io.StringIO()
    # Sphinx writes a page anew when its own text changed, and so would leave the others' menus.
    known, now = output.parent / "doctrees" / "frame", frame()
    changed = not known.exists() or known.read_text(encoding="utf-8") != now
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
            freshenv=changed,
            force_all=changed,
            quiet=True,
        )
    problems = warnings.getvalue().strip() or (str(result) if result else "")
    if problems:
        # Sphinx warns of a page only when it reads it: kept, it would pass the next time.
        shutil.rmtree(output.parent / "doctrees", ignore_errors=True)
    else:
        known.write_text(now, encoding="utf-8")
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
