"""The files around the course are true to each other."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import ROOT

import cnnbook

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BINARY = {".npz", ".png", ".woff2"}


def tool(*arguments):
    command = [sys.executable, "-m", *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def tracked():
    """Return the text files that git knows or would add."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in BINARY:
            yield path, path.read_text(encoding="utf-8")


def test_the_code_is_formatted_and_linted():
    tool("ruff", "format", "--check", "--quiet", ".")
    tool("ruff", "check", ".")


@pytest.mark.parametrize(
    "schema, pattern",
    [
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/*.yml"),
        ("vendor.citation-file-format", "CITATION.cff"),
    ],
)
def test_workflows_and_citation_follow_their_schemas(schema, pattern):
    files = [str(path) for path in ROOT.glob(pattern)]
    assert files
    tool("check_jsonschema", "--builtin-schema", schema, *files)


def test_the_configuration_of_pre_commit_is_valid():
    tool("pre_commit", "validate-config", ".pre-commit-config.yaml")


def test_the_version_is_the_same_wherever_it_stands():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert PROJECT["version"] == cnnbook.__version__ == citation["version"]
    assert re.search(r"^## ([\d.]+)", changelog, flags=re.M).group(1) == PROJECT["version"]


def pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_requirements_pin_every_package_exactly():
    everything, extra = pins("requirements.txt"), pins("requirements-keras.txt")
    assert len(everything) > 100 and any(line.startswith("keras==") for line in extra)
    for line in everything + extra:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line
    names = [re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in everything + extra]
    assert len(names) == len(set(names))


def test_nothing_but_its_chapter_needs_keras():
    pattern = re.compile(r"^[\s\"]*(?:import|from) keras\b", flags=re.M)
    users = {path.relative_to(ROOT).as_posix() for path, text in tracked() if pattern.search(text)}
    assert users == {"chapters/a2-keras.ipynb"}


def test_the_packages_ask_for_lower_bounds_only():
    extras = PROJECT["optional-dependencies"].values()
    for bound in [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", bound)


def test_files_named_in_the_documents_exist():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{name}: {target}"


def test_targets_of_make_named_in_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.M))
    for name in ("README.md", "CONTRIBUTING.md", "index.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"`make ([a-z]+)", text)) | set(
            re.findall(r"^make (\w+)", text, re.M)
        )
        assert named <= targets, f"{name}: {named - targets}"


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    pattern = re.compile(r"(?<![\w./~-])/(home|root|Users|work)/\w")
    for path, text in tracked():
        if path.name != "test_notebooks.py":
            found = pattern.search(text)
            assert not found, f"{path}: {found.group()}"


def test_the_two_packages_do_not_import_each_other():
    for package, other in (("cnnbook", "referee"), ("referee", "cnnbook")):
        for path in ROOT.glob(f"{package}/**/*.py"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(rf"^\s*(from|import) {other}\b", text, flags=re.M), path
