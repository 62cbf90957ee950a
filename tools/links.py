"""List the links of the built book that leave it: `python -m tools.links`.

Nothing is asked of the network: the list is for a person to follow, and `problem` checks each
address for its form.
"""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from tools import book

OUTPUT = book.ROOT / "build" / "links.txt"
DOI = re.compile(r"/10\.\d{4,9}/[!-~]+")
ARXIV = re.compile(r"/(?:abs|pdf)/(?:\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?")
# Hosts that answer with a redirect, and where to.
MOVED = {
    "dx.doi.org": "doi.org",
    "www.doi.org": "doi.org",
    "www.arxiv.org": "arxiv.org",
    "export.arxiv.org": "arxiv.org",
    "www.github.com": "github.com",
    "colab.sandbox.google.com": "colab.research.google.com",
}


def problem(url):
    """Return what is wrong with the form of an external address; empty if nothing is."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "it must begin with https://"
    if parts.hostname in MOVED:
        return f"its host redirects to {MOVED[parts.hostname]}"
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc):
        return "its host is not a plain name"
    if re.search(r"[.,;:!?'\"…]$", url) or url.count("(") != url.count(")"):
        return "it ends in punctuation of the sentence around it"
    if re.search(r"[\s<>\"{}|\\^`]", url):
        return "it has characters that must be percent-encoded"
    if parts.hostname == "doi.org" and not DOI.fullmatch(parts.path):
        return "it is no DOI (https://doi.org/10.…/…)"
    if parts.hostname == "arxiv.org" and not ARXIV.fullmatch(parts.path):
        return "it is no arXiv identifier (https://arxiv.org/abs/1603.07285)"
    return ""


def same_place(url):
    """Return a form that two addresses share if they differ by a slash or by case alone."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.rstrip('/')}?{parts.query}#{parts.fragment}".lower()


def external(soups):
    """Return each address outside the book with the pages that link to it."""
    pages = {}
    for page, soup in soups.items():
        for link in soup.select("main a[href]"):
            if urlsplit(link["href"]).netloc:
                pages.setdefault(link["href"], set()).add(page)
    return dict(sorted(pages.items()))


def read(site):
    """Return every page of a built book as parsed HTML, by its path inside the book."""
    return {
        page.relative_to(site).as_posix(): BeautifulSoup(
            page.read_text(encoding="utf-8"), "html.parser"
        )
        for page in sorted(Path(site).rglob("*.html"))
        if "_static" not in page.parts
    }


def main():
    if not book.OUTPUT.is_dir():
        sys.exit("links: there is no built book; run `make book` first")
    lines = []
    for url, pages in external(read(book.OUTPUT)).items():
        wrong = problem(url)
        lines.append(f"{url}  {' '.join(sorted(pages))}{f'  ({wrong})' if wrong else ''}")
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    print(f"{len(lines)} addresses, in {OUTPUT.relative_to(book.ROOT)} too")
    return 0


if __name__ == "__main__":
    sys.exit(main())
