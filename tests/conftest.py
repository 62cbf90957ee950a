"""What several test files share."""

import contextlib
import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# Random tests try the same examples each time, unless a long hunt is asked for (REFEREE_FUZZ=10).
settings.register_profile(
    "course", deadline=None, derandomize="REFEREE_FUZZ" not in os.environ, database=None
)
settings.load_profile("course")

FLAGS = (
    "--no-sandbox --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run --disable-quic"
).split()


def content_pages(site):
    """Return the pages with text of the course, without index and search."""
    return [site / "index.html", *sorted((site / "chapters").glob("*.html"))]


def settle(page):
    """Wait until a page's scripts have run: they are tasks that were put off, as this one is."""
    page.evaluate("() => new Promise((done) => setTimeout(done))")


@pytest.fixture(scope="session")
def need():
    """Return a function that skips a test where a system package is absent; in CI it fails."""

    def check(program, package):
        path = shutil.which(program)
        if path is None:
            message = f"{program} is absent (Debian: apt install {package})"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
        return path

    return check


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the book from nothing and return its folder, which no test changes.

    The parts of one run of `tools.test` share a build: it gives them an empty folder to build in.
    """
    from tools import book

    folder = Path(os.environ.get("COURSE_BOOK") or tmp_path_factory.mktemp("book"))
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder / "html", ignore_errors=True)
            assert book.build(folder / "html") == ""
            done.touch()
    return folder / "html"


@pytest.fixture(scope="session")
def soups(site):
    """Return every page of the book as parsed HTML, by its path."""
    return {
        page: BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for page in site.rglob("*.html")
        if "_static" not in page.parts
    }


@pytest.fixture(scope="session")
def address(site):
    """Serve the book on this machine, under a sub-path, and return its address, with a slash."""
    from tools import audit

    with audit.serve(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser(need):
    """Return a running Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        with contextlib.closing(
            playwright.chromium.launch(executable_path=need("chromium", "chromium"), args=FLAGS)
        ) as chromium:
            yield chromium
