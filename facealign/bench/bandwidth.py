"""How fast this machine reads and writes memory far beyond its last cache."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

__all__ = ["bandwidth_gb_s", "last_cache_bytes", "stream_bytes"]

_TIMES_CACHE = 4  # as STREAM asks for
_LEAST_BYTES, _MOST_BYTES = 64 * 2**20, 256 * 2**20  # three arrays must fit beside a network
_ARRAYS = 3
_LEAST_STRIPS = 4
# Each strip is timed for itself: 2 ms, of which some pass undisturbed on a busy machine. It is cold
# whenever its turn comes, as all the others were read since.
_STRIP_BYTES = 16 * 2**20
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def bandwidth_gb_s(*, threads: int, seconds: float, array_bytes: int | None = None) -> float:
    """Return the best rate of STREAM's Add, ``a = b + c``, in GB of 10^9 bytes a second.

    It is numpy's, with a part of the arrays for each thread: the same traffic as STREAM's Triad, in
    one pass where numpy would take two. As in STREAM, what the cache reads before it writes is not
    counted.

    Args:
        threads: That take part.
        seconds: For how long it is repeated, at least for 4 of its strips.
        array_bytes: Of each array; if None, `stream_bytes` of this machine.

    Source: McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance Computers",
    IEEE TCCA 1995.
    """
    length = (array_bytes or stream_bytes(last_cache_bytes())) // np.dtype(np.float32).itemsize
    a, b, c = (np.ones(length, np.float32) for _ in range(_ARRAYS))
    strips = _cut(0, length, max(1, a.nbytes // _STRIP_BYTES))
    best, end = 0.0, time.perf_counter() + seconds
    with ThreadPoolExecutor(threads) as pool:
        number = 0
        while number < _LEAST_STRIPS or time.perf_counter() < end:
            strip = strips[number % len(strips)]
            parts = _cut(strip.start, strip.stop, threads)
            started = time.perf_counter()
            list(pool.map(lambda part: np.add(b[part], c[part], out=a[part]), parts))
            elapsed_s = time.perf_counter() - started
            best = max(best, _ARRAYS * a[strip].nbytes / elapsed_s / 1e9)
            number += 1
    return best


def _cut(start: int, stop: int, count: int) -> list[slice]:
    edges = np.linspace(start, stop, count + 1).astype(int).tolist()
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def stream_bytes(cache_bytes: int | None) -> int:
    """Return how large each array should be beside a last cache, if its size is known."""
    return min(_MOST_BYTES, max(_LEAST_BYTES, _TIMES_CACHE * (cache_bytes or 0)))


def last_cache_bytes(root: Path = Path("/")) -> int | None:
    """Return the size of the largest cache of the first core; None where Linux does not say.

    Not `sysconf`: on an AMD EPYC guest it says 320 MiB of a cache of which the guest has 32.
    """
    files = (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    return max((_bytes(file.read_text(encoding="ascii").strip()) for file in files), default=None)


def _bytes(text: str) -> int:
    """Return a size such as ``32768K``."""
    unit = _UNITS.get(text[-1:])
    return int(text) if unit is None else int(text[:-1]) * unit
