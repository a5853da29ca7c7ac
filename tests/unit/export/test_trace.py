"""The exporter on a module of one product, with a batch that must stay dynamic."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.export.trace import trace

Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SIZE_PX = 8
ROUNDING = 1e-4  # max measured 1.6e-5: grey levels up to 255, float32 sums of 192 products


class Product(nn.Module):
    """uint8 crops in; two landmarks and their mean out."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(SIZE_PX * SIZE_PX * 3, 4, generator=generator) / 99)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        landmarks = self.norm(image.to(torch.float32).flatten(1) @ self.weight).reshape(-1, 2, 2)
        return landmarks, landmarks.mean(dim=1)


@pytest.fixture(scope="module")
def module() -> Product:
    return Product()


@pytest.fixture(scope="module")
def traced(module: Product) -> ir.Model:
    return trace(module, size_px=SIZE_PX, output_names=("landmarks", "mean"))


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (5, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_trace_keeps_batch_dynamic(
    module: Product, traced: ir.Model, run: Run, crops: NDArray[np.uint8], batch: int
) -> None:
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(crops[:batch]))[0].numpy()

    landmarks = run(traced, {"image": crops[:batch]})["landmarks"]

    assert np.abs(landmarks - expected).max() <= ROUNDING


def test_trace_names_input_and_outputs(traced: ir.Model) -> None:
    assert [value.name for value in traced.graph.inputs] == ["image"]
    assert [value.name for value in traced.graph.outputs] == ["landmarks", "mean"]


def test_trace_takes_uint8_crops(traced: ir.Model) -> None:
    image = traced.graph.inputs[0]

    assert image.dtype == ir.DataType.UINT8
    assert image.shape is not None
    assert list(image.shape)[1:] == [SIZE_PX, SIZE_PX, 3]
    assert not isinstance(image.shape[0], int)


def test_trace_writes_opset_19(traced: ir.Model) -> None:
    assert traced.opset_imports[""] == 19


def test_trace_switches_to_evaluation(run: Run, crops: NDArray[np.uint8]) -> None:
    module = Product().train()

    traced = trace(module, size_px=SIZE_PX, output_names=("landmarks", "mean"))

    alone, together = run(traced, {"image": crops[:1]}), run(traced, {"image": crops})
    np.testing.assert_allclose(alone["landmarks"], together["landmarks"][:1], atol=ROUNDING, rtol=0)


def test_trace_says_nothing(module: Product, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace(module, size_px=SIZE_PX, output_names=("landmarks", "mean"))

    assert capfd.readouterr() == ("", "")


def test_trace_leaves_the_exporters_log_and_the_collector_as_they_were(module: Product) -> None:
    logger = logging.getLogger("torch.onnx")
    before = (logger.level, gc.get_threshold())

    trace(module, size_px=SIZE_PX, output_names=("landmarks", "mean"))

    assert (logger.level, gc.get_threshold()) == before
