"""The bandwidth is of memory, not of a cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.bench.bandwidth import bandwidth_gb_s, last_cache_bytes, stream_bytes

MIB = 2**20


@pytest.mark.parametrize("threads", [1, 2])
def test_bandwidth_is_a_rate_that_memory_can_have(threads: int) -> None:
    rate = bandwidth_gb_s(threads=threads, seconds=0.0, array_bytes=4 * MIB)

    assert 0.01 < rate < 10_000  # GB/s; measured 14 to 46 on a shared AMD EPYC


@pytest.mark.parametrize(
    ("cache_bytes", "array_bytes"),
    [(None, 64 * MIB), (4 * MIB, 64 * MIB), (32 * MIB, 128 * MIB), (1024 * MIB, 256 * MIB)],
    ids=["unknown", "small", "usual", "huge"],
)
def test_stream_bytes_are_far_beyond_the_cache(cache_bytes: int | None, array_bytes: int) -> None:
    assert stream_bytes(cache_bytes) == array_bytes


def test_last_cache_bytes_reads_the_largest(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu/cpu0/cache"
    for name, size in (("index0", "32K"), ("index3", "32768K"), ("index2", "1M")):
        (folder / name).mkdir(parents=True)
        (folder / name / "size").write_text(f"{size}\n", encoding="ascii")

    assert last_cache_bytes(tmp_path) == 32 * MIB


def test_last_cache_bytes_is_unknown_where_linux_does_not_say(tmp_path: Path) -> None:
    assert last_cache_bytes(tmp_path) is None
