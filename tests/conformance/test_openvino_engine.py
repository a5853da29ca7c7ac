"""Every family in OpenVINO: the landmarks of the module, in batches of every size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from facealign.export.parity import measure_parity
from facealign.export.parity_report import check_parity
from facealign.models.load import Model
from facealign.pipeline.graphs import contract
from tests.conformance.tiny import crops_of, tiny_names

pytest.importorskip(
    "openvino", reason="OpenVINO is not installed; `pip install 'facealign[openvino]'`"
)

if TYPE_CHECKING:
    from facealign.runtime.openvino_engine import OpenvinoEngine

# One variant of each family.
NAMES = list({name.partition("/")[0]: name for name in reversed(tiny_names())}.values())


@pytest.fixture(params=NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def engine(model: Model, graph: bytes) -> Iterator[OpenvinoEngine]:
    from facealign.runtime.openvino_engine import OpenvinoEngine

    image, outputs = contract(model)
    opened = OpenvinoEngine(
        graph,
        input_name=image.name,
        output_names=[output.name for output in outputs],
        max_batch=8,
        threads=1,
    )
    with closing(opened):
        yield opened


def test_openvino_gives_the_landmarks_of_the_module(model: Model, engine: OpenvinoEngine) -> None:
    crops = crops_of(model.crop.size_px)[::6]

    report = measure_parity(model.points, engine.run, crops, exact=model.exact_points)

    check_parity(report)
    assert report.passed
