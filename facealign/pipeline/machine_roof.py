"""The roof of this machine: the best matrix products of ONNX Runtime, and the memory."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facealign.bench.bandwidth import bandwidth_gb_s
from facealign.bench.result import Roof
from facealign.errors import BackendError
from facealign.runtime.ort_profile import best_ms, profile_graph
from facealign.runtime.threads import session_threads

__all__ = ["best_gflops", "measure_roof", "roof_note"]

_logger = logging.getLogger(__name__)
# The small one takes a millisecond, so that some runs of it pass undisturbed on a busy machine; the
# large one is there for many cores. An AMD EPYC reaches the same with both when it is idle.
_SIZES = (512, 1024)
_SMALL = 64
_FP32_SECONDS, _INT8_SECONDS, _MEMORY_SECONDS = 1.0, 0.3, 0.7
_SEED = 0
_OPSET = 19


@dataclass(frozen=True, slots=True)
class _Product:
    """A square matrix product with a constant right factor, and its left factor."""

    name: str
    graph: bytes
    left: NDArray[np.generic]


def measure_roof(*, threads: int | None) -> Roof:
    """Return what ONNX Runtime reaches at most here, and the bandwidth; it takes some 3 seconds.

    Peaks are of matrix products of 512 and 1024 cubed: ``fp32``; ``int8`` by whichever of
    QLinearMatMul, MatMulInteger and DynamicQuantizeMatMul is the fastest, with unsigned activations
    and signed weights; ``fp16`` only if there is a kernel for it. Bandwidth is numpy's, see
    `bandwidth_gb_s`. Under 1.5 s of CPU time with two cores.

    Args:
        threads: As in `session_threads`.

    Raises:
        BackendError: If ONNX Runtime cannot run a product in FP32.
    """
    count = session_threads(threads) or os.cpu_count() or 1
    peaks = {"fp32": best_gflops(threads=count, seconds=_FP32_SECONDS)}
    int8 = _int8_gflops(count)
    if int8:
        best = max(int8, key=lambda name: int8[name])
        _logger.info("INT8 peak by %s, of %s", best, int8)
        peaks["int8"] = int8[best]
    if _has_fp16():
        peaks["fp16"] = _best_float(np.float16, count, _INT8_SECONDS)
    bandwidth = bandwidth_gb_s(threads=count, seconds=_MEMORY_SECONDS)
    return Roof(peak_gflops=peaks, bandwidth_gb_s=bandwidth, threads=count)


def best_gflops(*, threads: int, seconds: float) -> float:
    """Return the best rate of FP32 products in ONNX Runtime, in GFLOP/s."""
    return _best_float(np.float32, threads, seconds)


def roof_note(roof: Roof) -> str | None:
    """Return what the roof lacks, as a sentence for people; None if nothing."""
    absent = [name for name in ("fp16", "int8") if name not in roof.peak_gflops]
    if not absent:
        return None
    names = " and ".join(name.upper() for name in absent)
    return (
        f"there is no roof for {names}: ONNX Runtime has no such matrix product on this CPU, so "
        "that graphs of that type are held to the peak of FP32"
    )


def _best_float(dtype: type[np.floating], threads: int, seconds: float) -> float:
    share = seconds / len(_SIZES)
    return max(_gflops(_float_product(dtype, size), threads, share) for size in _SIZES)


def _int8_gflops(threads: int) -> dict[str, float]:
    """Return the best rate of every integer product that ONNX Runtime has, by name."""
    best: dict[str, float] = {}
    for product in itertools.chain.from_iterable(map(_integer_products, _SIZES)):
        gflops = _gflops_if_any(product, threads)
        if gflops is not None:
            best[product.name] = max(gflops, best.get(product.name, 0.0))
    return best


def _gflops_if_any(product: _Product, threads: int) -> float | None:
    try:
        return _gflops(product, threads, _INT8_SECONDS / len(_SIZES))
    except BackendError as error:
        _logger.info("no roof by %s: %s", product.name, error)
        return None


def _has_fp16() -> bool:
    """Return whether a product in FP16 is run as one; else ONNX Runtime casts and runs FP32."""
    product = _float_product(np.float16, _SMALL)
    try:
        kernels = profile_graph(product.graph, product.left, threads=1, seconds=0.0).kernels
    except BackendError:
        return False
    return any(k.operator == "MatMul" and k.input_types[:1] == ("float16",) for k in kernels)


def _gflops(product: _Product, threads: int, seconds: float) -> float:
    feeds = {"x": product.left}
    fastest_ms = best_ms(product.graph, feeds, threads=threads, seconds=seconds)
    return 2 * len(product.left) ** 3 / fastest_ms / 1e6


def _float_product(dtype: type[np.floating], size: int) -> _Product:
    rng = np.random.default_rng(_SEED)
    left, right = (rng.normal(size=(size, size)).astype(dtype) for _ in range(2))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return _product(node, left, {"w": right}, left.dtype)


def _integer_products(size: int) -> Iterator[_Product]:
    rng = np.random.default_rng(_SEED)
    left = rng.integers(0, 255, (size, size), dtype=np.uint8)
    constants = {
        "w": rng.integers(-127, 127, (size, size), dtype=np.int8),
        "scale": np.float32(0.01),
        "zero_left": np.uint8(128),
        "zero": np.int8(0),
    }
    quantized = ["x", "scale", "zero_left", "w", "scale", "zero", "scale", "zero_left"]
    node = helper.make_node("QLinearMatMul", quantized, ["y"])
    yield _product(node, left, constants, np.dtype(np.uint8))
    node = helper.make_node("MatMulInteger", ["x", "w", "zero_left", "zero"], ["y"])
    yield _product(node, left, constants, np.dtype(np.int32))
    node = helper.make_node(
        "DynamicQuantizeMatMul", ["x", "w", "scale", "zero"], ["y"], domain="com.microsoft"
    )
    yield _product(node, left.astype(np.float32), constants, np.dtype(np.float32))


def _product(
    node: onnx.NodeProto,
    left: NDArray[np.generic],
    constants: dict[str, NDArray[np.generic] | np.generic],
    gives: np.dtype[np.generic],
) -> _Product:
    used = {name: np.asarray(constants[name]) for name in node.input if name in constants}
    graph = helper.make_graph(
        [node],
        "peak",
        [_value("x", left.dtype, left.shape)],
        [_value("y", gives, left.shape)],
        [numpy_helper.from_array(value, name) for name, value in used.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return _Product(node.op_type, model.SerializeToString(), left)


def _value(name: str, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    kind: TensorProto.DataType = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_value_info(name, kind, shape)
