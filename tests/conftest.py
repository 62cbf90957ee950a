"""What several test files share."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


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
