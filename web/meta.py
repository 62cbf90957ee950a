"""What a page says of itself outside its text: description, address, and where to report an error.

- Descriptions for search engines and shared links come from sphinxext.opengraph. It would take the
  first paragraph, which in a chapter says what the chapter presumes: here it gets the next one.
- Addresses need to know where the book lives. `make stamp` writes the repository into _config.yml,
  and GitHub serves its pages at https://OWNER.github.io/NAME/; `html: baseurl:` names another
  place. Then pages get canonical addresses, and the book a sitemap and a page for addresses where
  nothing stands. A copy without an address has none of these, and no Open Graph tags, which must
  be absolute.
- Docutils and the layout each declare the viewport; once is enough.
- The theme's own issues button needs a repository too: Jupyter Book refuses to build without one.
  The link to report an error is a template of ours, below each article.
"""

import html
import re
from urllib.parse import urlsplit

from docutils import nodes

LONGEST = 160
WITHOUT_TEXT = {
    "search": "Search the course for words, names of code, and terms in three languages.",
    "404": "Nothing stands at this address of the course.",
    "genindex": "The terms of the course in English, Japanese, and Chinese, with their entries.",
}
NOT_FOUND = {
    "title": "Page not found",
    "body": "<h1>Page not found</h1><p>Nothing stands at this address. The chapters are listed in "
    "the sidebar, and the search looks through all of them.</p>",
}
REPOSITORY = re.compile(r"https://github\.com/(?P<owner>[^/]+)/(?P<name>[^/]+)")
GRAPH_TAG = re.compile(r'<meta property="og:[^>]*>\n?')
VIEWPORT_TAG = re.compile(r'<meta name="viewport"[^>]*>\n?')


def home(config):
    """Return the address of the book's first page with a closing slash; empty if unknown."""
    if config.html_baseurl:
        return config.html_baseurl.rstrip("/") + "/"
    match = REPOSITORY.fullmatch(config.html_theme_options.get("repository_url", ""))
    return f"https://{match['owner'].lower()}.github.io/{match['name']}/" if match else ""


def configure(app, config):
    config.html_theme_options["article_footer_items"] = ["report-error.html"]
    config.html_baseurl = config.ogp_site_url = home(config)
    config.ogp_site_name = config.html_title
    if config.html_baseurl:
        # Without an address this extension warns.
        app.setup_extension("sphinx_sitemap")
        config.sitemap_url_scheme = "{link}"
        config.sitemap_excludes = ["search.html", "genindex.html", "404.html"]
        # GitHub shows it at any address, so its links must be absolute.
        app.setup_extension("notfound.extension")
        config.notfound_urls_prefix = urlsplit(config.html_baseurl).path
        config.notfound_context = NOT_FOUND


def description(doctree):
    """Return the first paragraph that says what the page is about, cut between words."""
    for paragraph in doctree.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if not text.startswith("Presumes:"):
            return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
    return ""


def describe(app, pagename, templatename, context, doctree):
    text = description(doctree) if doctree else WITHOUT_TEXT.get(pagename, "")
    if text:
        text = html.escape(text)
        tag = f'<meta name="description" content="{text}" />\n'
        context["metatags"] = context.get("metatags", "") + tag
        context["meta"] = {**(context.get("meta") or {}), "og:description": text}


def leave_out(app, pagename, templatename, context, doctree):
    """Drop the second viewport and, where the book has no address, what needs one."""
    tags = VIEWPORT_TAG.sub("", context.get("metatags", ""))
    context["metatags"] = tags if app.config.html_baseurl else GRAPH_TAG.sub("", tags)


def setup(app):
    app.setup_extension("sphinxext.opengraph")
    app.connect("config-inited", configure)
    # opengraph does its part between the two, at 500.
    app.connect("html-page-context", describe, priority=400)
    app.connect("html-page-context", leave_out, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
