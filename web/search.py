"""Search that finds code identifiers and the glossary's Japanese and Chinese terms.

Sphinx's English search takes an unbroken run of Japanese or Chinese for one word, so that only the
whole run finds it; it finds `sliding_window_view` but not by `window`; and it loses `ones`, whose
stem is a stop word. Here the index gets

- of a Japanese or Chinese run each character and each pair of neighbors (the query asks for the
  pairs);
- of an identifier the whole and its parts, with dots and without;
- nothing for stop words and bare numbers, which a query drops as well; this is decided before
  stemming, as in the query.

Each entry of the glossary also goes into the general index, under its names in the three languages,
so that a term leads to its entry and not to the top of the page. `search.js`, which Sphinx appends
to `language_data.js`, does the same to queries and mends how results are shown.
"""

import functools
import hashlib
import re
import unicodedata
from pathlib import Path

import sphinx
from docutils import nodes
from py_mini_racer import MiniRacer
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

GLOSSARY = "chapters/a4-glossary"
SCRIPT = Path(__file__).with_name("search.js")
SEARCHTOOLS = Path(sphinx.package_dir) / "themes/basic/static/searchtools.js"
# What search.js replaces or calls, as Sphinx's script writes it.
REPLACED = (
    "\n  setIndex: (index) => {",
    "\n  _parseQuery: (query) => {",
    "\n    return [query, searchTerms, excludedTerms, highlightTerms, objectTerms];",
    "\n  _performSearch: (query, searchTerms, excludedTerms, highlightTerms, objectTerms) => {",
    "\n  performTermsSearch: (searchTerms, excludedTerms) => {",
    "\n  makeSearchSummary: (htmlText, keywords, anchor) => {",
    "\n  loadIndex: (url) =>",
    "DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY;",
    '"Search finished, found ${resultCount} page(s) matching the search query."',
    "Your search did not match any documents.",
)

# Kana without the middle dot, which separates words; ideographs and their repetition mark.
CJK = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
WORD = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
ZERO_WIDTH_SPACE = "\u200b"
NAMES = re.compile(r"(?P<japanese>[^·(]+?)(?: \([^·]+\))? · (?P<chinese>[^·(]+?) \([^·]+\)")

logger = logging.getLogger(__name__)


def fold(text):
    """Return `text` without full-width forms, ligatures, and accents on Latin letters."""
    plain = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", plain)


class Search(SearchEnglish):
    """English with identifiers, and with words of Japanese and Chinese among it."""

    js_splitter_code = SCRIPT.read_text(encoding="utf-8").replace("CJK_RANGES", CJK)

    def split(self, input):
        text = fold(input)
        words = DOTTED.findall(text)
        for word in WORD.findall(text):
            if re.match(f"[{CJK}]", word):
                words += [*word, *(word[i : i + 2] for i in range(len(word) - 1))]
            else:
                words += [word, *(part for part in PART.findall(word) if len(part) > 2)]
        return [word for word in words if self.is_sought(word.lower())]

    def is_sought(self, word):
        """Return whether a query asks for this word: what search.js does before it stems."""
        return word not in self.stopwords and not word.isdecimal() and word.strip("_") != ""

    def stem(self, word):
        # By the script that stems queries: Sphinx's stemmer in Python differs, as for "semilogy".
        return stemmer(self.js_stemmer_code).call("stemmer.stemWord", word.lower())

    def word_filter(self, word):
        return True


@functools.cache
def stemmer(code):
    context = MiniRacer()
    context.eval(f"{code}\nconst stemmer = new Stemmer();")
    return context


class IndexOfTerms(SphinxTransform):
    """Enter each term of the glossary into the general index, in three languages."""

    default_priority = 700  # before the index reads its entries from the document, at 850

    def apply(self):
        if self.env.docname != GLOSSARY:
            return
        for letter in self.document[0].findall(nodes.section, include_self=False):
            for section in letter.children:
                if isinstance(section, nodes.section):
                    self.enter(section)

    def enter(self, section):
        title, names, *_ = section.children
        match = NAMES.fullmatch(names.astext())
        if not match:
            logger.warning(
                "the line below the glossary's term %r was %r; it must be "
                "'Japanese (reading) · Chinese (pinyin)'",
                title.astext(),
                names.astext(),
                location=names,
            )
            return
        anchor = section["ids"][0]
        entries, taken = [], set()
        for name, group in (
            (title.astext(), None),
            (match["japanese"], "日本語"),
            (match["chinese"], "中文"),
        ):
            # The index would enter equal names once, in one group: unseen spaces make them differ.
            while name in taken:
                name += ZERO_WIDTH_SPACE
            taken.add(name)
            entries.append(("single", name, anchor, "main", group))
        section.insert(1, addnodes.index(entries=entries))


def setup(app):
    script = SEARCHTOOLS.read_text(encoding="utf-8")
    absent = [text for text in REPLACED if text not in script]
    if absent:
        raise ExtensionError(f"web/search.js no longer fits Sphinx's searchtools.js: {absent}")
    app.add_search_language(Search)
    app.add_transform(IndexOfTerms)
    # A value that differs makes Sphinx read all pages again.
    source = Path(__file__).read_bytes() + SCRIPT.read_bytes()
    app.add_config_value("search_source", hashlib.sha256(source).hexdigest(), "env")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
