"""The two commands say in one line what is missing."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

from tools import environment


@pytest.fixture
def copy(tmp_path):
    """Return a folder that holds what making the environment needs."""
    names = ("Makefile", "requirements.txt", "requirements-keras.txt", "pyproject.toml")
    for name in (*names, "tools/environment.py"):
        target = tmp_path / "course" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "course"


def programs(folder, *names):
    """Make a folder for PATH that holds these programs and no other."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name))
    return {"PATH": str(folder)}


def make(folder, settings, *goals):
    """Call make as a person would, also where this test itself was called by make."""
    settings = {name: value for name, value in settings.items() if not name.startswith("MAKE")}
    return subprocess.run(
        [shutil.which("make"), *goals], cwd=folder, env=settings, capture_output=True, text=True
    )


def message(result):
    """Return the one line that a failed call of make says, beside make's own."""
    lines = (result.stdout + result.stderr).splitlines()
    said = [line for line in lines if line.startswith("make: ") and "***" not in line]
    assert result.returncode != 0
    assert not any("Traceback" in line for line in lines)
    assert len(said) == 1, lines
    return said[0]


def test_make_alone_lists_every_target_with_a_line(copy):
    listed = make(copy, dict(os.environ)).stdout.splitlines()
    names = {line.split()[1] for line in listed}
    assert names >= {"book", "serve", "lab", "exercises", "notebooks", "class", "test", "bench"}
    assert "clean" in names and all(len(line.split()) > 4 for line in listed)


def test_keras_is_installed_for_tests_and_notebooks_and_not_for_the_book(copy):
    for goal, wanted in (("book", False), ("test", True), ("notebooks", True)):
        planned = make(copy, dict(os.environ), "--dry-run", goal).stdout
        assert ("--keras" in planned) == wanted, goal


def test_no_python_is_named(copy, tmp_path):
    settings = programs(tmp_path / "bin", "sh", "sed")
    assert "there is no python3" in message(make(copy, settings, "book"))


def test_an_old_python_is_named(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "OLDEST", (3, 99))
    monkeypatch.setattr(environment, "READY", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match=r"Python 3\.99 or newer .* python3 here is 3\.\d+"):
        environment.main()


def test_an_absent_network_is_named(copy):
    settings = {
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    assert "no network?" in message(make(copy, settings, "book"))


def test_a_full_disk_is_named(copy, tmp_path, monkeypatch):
    full = shutil._ntuple_diskusage(10**12, 10**12 - 1, 1)
    monkeypatch.setattr(environment, "ROOT", str(copy))
    monkeypatch.setattr(environment, "READY", str(tmp_path / "absent"))
    monkeypatch.setattr(environment, "PYTHON", str(tmp_path / "absent"))
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda path: full)
    with pytest.raises(SystemExit, match="GB of free disk are needed"):
        environment.main()


def test_an_unknown_part_is_named_with_the_parts_there_are():
    result = subprocess.run(
        [sys.executable, "-m", "tools.test", "absent"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "no part 'absent'" in result.stdout and "data" in result.stdout
