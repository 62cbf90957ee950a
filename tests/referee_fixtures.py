"""Fixtures of the tests that attack courses."""

import pytest
import torch
from referee_targets import listening, make_targets, open_folder

from referee import grade

torch.set_num_threads(1)  # a fork after torch has used two threads hangs


@pytest.fixture(scope="module")
def targets():
    """Courses to be attacked, by name."""
    with open_folder() as folder:
        yield make_targets(folder)
        grade.close()


@pytest.fixture(scope="module")
def service():
    """A service of this machine that no attack may reach."""
    with listening() as service:
        yield service
