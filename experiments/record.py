"""What every experiment shares: its command line, its record, and the hash of its sources.

An experiment is a set of recipes, each run with every seed:

    python -m experiments.NAME                          run everything, write results/NAME.json
    python -m experiments.NAME --recipe R --seed S      run one again, print it, write nothing
    python -m experiments.NAME --quick                  run all recipes in a few seconds, as below

The quick figures belong to much smaller trainings, one a recipe. They are stored too, so that a
test can run them again and find out whether the stored figures still describe the code.
"""

import argparse
import ast
import datetime
import hashlib
import json
import os
import platform
import re
import sys
from pathlib import Path

import numpy as np
import torch

from tools.determinism import ENVIRONMENT, environment

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"


def main(name, question, sources, recipes, seeds, run):
    """Be the command line of an experiment.

    Parameters
    ----------
    name, question : str
    sources : sequence of str
        The files, relative to the root, that the figures depend on. Their hashes are stored.
    recipes : dict
        From the name of each recipe to its settings (plain data).
    seeds : sequence of int
    run : callable
        `run(settings, seed, quick)` returns a dict of plain data.
    """
    _restart_with_fixed_settings()
    parser = argparse.ArgumentParser(prog=f"python -m experiments.{name}", description=question)
    parser.add_argument("--recipe", choices=recipes, help="run this one only; write nothing")
    parser.add_argument("--seed", type=int, help="of the one to run")
    parser.add_argument("--quick", action="store_true", help="run the small version of all")
    options = parser.parse_args()
    if (options.recipe is None) != (options.seed is None) or (options.quick and options.recipe):
        parser.error("--recipe and --seed go together, and --quick goes alone")
    if options.recipe:
        print(json.dumps(run(recipes[options.recipe], options.seed, False)))
        return

    def run_quick(recipe):
        return {"recipe": recipe, "seed": seeds[0], **run(recipes[recipe], seeds[0], True)}

    if options.quick:
        print(json.dumps([run_quick(recipe) for recipe in recipes]))
        return

    hashes = {path: source_hash((ROOT / path).read_text("utf-8")) for path in sources}
    runs, quick = [], []
    for recipe, settings in recipes.items():
        quick.append(run_quick(recipe))
        for seed in seeds:
            runs.append({"recipe": recipe, "seed": seed, **run(settings, seed, False)})
            print(name, recipe, f"seed {seed}", flush=True)
    result = {
        "question": question,
        "command": f"python -m experiments.{name}",
        "date": datetime.date.today().isoformat(),
        "device": f"{_processor()}, one thread",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "environment": ENVIRONMENT,
        "sources": hashes,
        "recipes": recipes,
        "seeds": list(seeds),
        "runs": runs,
        "quick": quick,
    }
    path = RESULTS / f"{name}.json"
    path.write_text(_one_line_lists(json.dumps(result, indent=1)) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT))


def source_hash(text):
    """Return the SHA-256 of what a Python source does: comments, layout and docstrings left out.

    The tree is written out by `_canonical` rather than by `ast.dump`, whose form differs between
    versions of Python.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()


def _canonical(node):
    if isinstance(node, list):
        return "[" + ",".join(_canonical(item) for item in node) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    inside = ",".join(f"{name}={_canonical(value)}" for name, value in fields)
    return f"{type(node).__name__}({inside})"


def _restart_with_fixed_settings():
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, sys.orig_argv, environment())


def _processor():
    information = Path("/proc/cpuinfo")
    found = information.exists() and re.search(r"model name\s*: (.+)", information.read_text())
    return found[1] if found else platform.processor() or platform.machine()


def _one_line_lists(text):
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
