"""What the speed figures of the course are measured with, each run on one thread.

The settings take effect only if they are made before NumPy is loaded, hence here.
"""

import os

from tools.determinism import ENVIRONMENT

os.environ.update(ENVIRONMENT)
