"""How the benchmarks take times, and the line that names the machine."""

import os
import platform
import statistics
import time
from pathlib import Path

RUNS = 7
SHORTEST_RUN = 0.002  # seconds


def seconds(functions, *arguments):
    """Return {name: median time of one call, in seconds}.

    The ways take turns, so that whatever else the machine does falls on all of them.
    """
    calls, times = {}, {name: [] for name in functions}
    for name, function in functions.items():
        start = time.perf_counter()
        function(*arguments)
        calls[name] = max(1, round(SHORTEST_RUN / (time.perf_counter() - start)))
    for _ in range(RUNS):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                function(*arguments)
            times[name].append((time.perf_counter() - start) / calls[name])
    return {name: statistics.median(runs) for name, runs in times.items()}


def machine(*libraries):
    """Return a line that names the processor, the versions of Python and of libraries (modules)."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{library.__name__} {library.__version__}" for library in libraries]
    return (
        f"{processor}, {os.cpu_count()} cores, one thread used; {platform.system()}; "
        f"{', '.join(versions)}"
    )
