"""Time ways to convolve: `python -m benchmarks.convolution`.

In one dimension all ways compute the wide convolution of the same float64 numbers and are compared
with np.convolve before they are timed. A time is the median of several runs; a run repeats the
call until a clock can measure it. Then come the layers, as `python -m benchmarks.layers` has them.
"""

import time

import numpy as np
import scipy
import scipy.signal
import torch

from benchmarks import layers
from benchmarks.timing import RUNS, machine, seconds
from cnnbook.convolution import convolve1d, convolve1d_fft

LONGEST_CALL = 0.5  # seconds; a way that needs more is left out from there on
LARGEST_ERROR = 1e-9
LONG = 2**14


def loop(signal, kernel):
    """Convolve as the definition says, one product at a time."""
    outputs = np.zeros(len(signal) + len(kernel) - 1)
    for n in range(len(outputs)):
        for k in range(len(kernel)):
            if 0 <= n - k < len(signal):
                outputs[n] += kernel[k] * signal[n - k]
    return outputs


WAYS = {
    "np.convolve": np.convolve,
    "loop": loop,
    "convolve1d": convolve1d,
    "convolve1d_fft": convolve1d_fft,
    "scipy fftconvolve": scipy.signal.fftconvolve,
}


def compare(lengths):
    """Return {(signal length, kernel length): {way: seconds}}, ways left out from too slow on."""
    random = np.random.default_rng(0)
    table, ways = {}, dict(WAYS)
    for pair in lengths:
        signal, kernel = (random.normal(size=length) for length in pair)
        expected = np.convolve(signal, kernel)
        for name, function in list(ways.items()):
            start = time.perf_counter()
            error = np.abs(function(signal, kernel) - expected).max()
            if error > LARGEST_ERROR:
                raise ArithmeticError(f"{name} is wrong by {error} for lengths {pair}")
            if time.perf_counter() - start > LONGEST_CALL:
                del ways[name]
        table[pair] = seconds(ways, signal, kernel)
    return table


def show(title, table):
    """Print a table: the time of np.convolve, and of the others as multiples of it."""
    others = [name for name in WAYS if name != "np.convolve"]
    print(f"\n{title}")
    print(f"{'signal':>7} {'kernel':>7} {'np.convolve':>14}", *(f"{name:>17}" for name in others))
    for (signal_length, kernel_length), row in table.items():
        base = row["np.convolve"]
        ratios = [f"{row[name] / base:16.2f}×" if name in row else f"{'–':>17}" for name in others]
        print(f"{signal_length:7} {kernel_length:7} {1e6 * base:11.1f} µs", *ratios)
    for name in ("convolve1d_fft", "scipy fftconvolve"):
        slower = [row[name] >= row["np.convolve"] for row in table.values()]
        crossed = len(slower) - slower[::-1].index(True) if True in slower else 0
        kernels = [kernel_length for _, kernel_length in table]
        where = f"from {kernels[crossed]} taps on" if crossed < len(kernels) else "nowhere here"
        print(f"{name} is faster than np.convolve {where}")


def main():
    torch.set_num_threads(1)
    print(machine(np, scipy, torch))
    print(f"mode 'full', float64, median of {RUNS} runs; × is a multiple of np.convolve's time")
    show("Signal and kernel equally long", compare([(2**n, 2**n) for n in range(3, 15)]))
    kernels = [3, 5, 7, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095]
    show(f"A signal of {LONG} samples", compare([(LONG, kernel) for kernel in kernels]))
    layers.show()


if __name__ == "__main__":
    main()
