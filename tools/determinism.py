"""The settings under which notebooks and experiments give the same bits on every run.

One thread, because sums change with the number of threads; one instruction set, because they
change with that too.
"""

import os

ENVIRONMENT = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}


def environment():
    """Return the environment of this process with the settings put in."""
    return {**os.environ, **ENVIRONMENT}
