"""Where a graph leaves its module, on a graph of five nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.divergence import Divergence, first_divergence
from facealign.export.graph import bytes_from_graph

NAMES = ("early", "late", "landmarks")
TEXT = """
g (float[B, 4] image) => (float[B, 2, 2] landmarks)
<float[4] bias = {1, 2, 3, 4}, int64[3] shape = {-1, 2, 2}>
{
  early = Relu(image)
  scaled = Add(early, bias)
  squashed = Tanh(scaled)
  late = Add(squashed, bias)
  landmarks = Reshape(late, shape)
}
"""


@pytest.fixture
def graph(model_from_text: Callable[[str], ir.Model]) -> bytes:
    return bytes_from_graph(model_from_text(TEXT))


@pytest.fixture
def expected(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    shapes = {"early": (3, 4), "late": (3, 4), "landmarks": (3, 2, 2)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def changed(
    points: dict[str, NDArray[np.float32]], *names: str, factor: float = 1.01
) -> dict[str, NDArray[np.float32]]:
    return points | {name: np.float32(factor) * points[name] for name in names}


def test_first_divergence_finds_none_where_all_agree(
    graph: bytes, expected: dict[str, NDArray[np.float32]]
) -> None:
    found = changed(expected, *NAMES, factor=1 + 1e-6)

    assert first_divergence(graph, expected=expected, found=found, names=NAMES) is None


@pytest.mark.parametrize(
    ("spoiled", "point", "after"),
    [
        pytest.param(("early", "late", "landmarks"), "early", "image", id="first"),
        pytest.param(("late", "landmarks"), "late", "early", id="middle"),
        pytest.param(("landmarks",), "landmarks", "late", id="last"),
    ],
)
def test_first_divergence_names_first_point_and_the_one_before(
    graph: bytes,
    expected: dict[str, NDArray[np.float32]],
    spoiled: tuple[str, ...],
    point: str,
    after: str,
) -> None:
    found = changed(expected, *spoiled)

    divergence = first_divergence(graph, expected=expected, found=found, names=NAMES)

    assert divergence is not None
    assert (divergence.point, divergence.after) == (point, after)
    assert divergence.relative == pytest.approx(0.01, rel=1e-3)


def test_first_divergence_counts_operators_between_the_points(
    graph: bytes, expected: dict[str, NDArray[np.float32]]
) -> None:
    found = changed(expected, "late")

    divergence = first_divergence(graph, expected=expected, found=found, names=NAMES)

    assert divergence is not None
    assert divergence.operators == {"Add": 2, "Tanh": 1}


@pytest.mark.parametrize("lacking", ["expected", "found"])
def test_first_divergence_passes_over_point_that_one_side_lacks(
    graph: bytes, expected: dict[str, NDArray[np.float32]], lacking: str
) -> None:
    sides = {"expected": expected, "found": changed(expected, "early", "landmarks")}
    sides[lacking] = {name: sides[lacking][name] for name in ("late", "landmarks")}

    divergence = first_divergence(graph, **sides, names=NAMES)

    assert divergence is not None
    assert (divergence.point, divergence.after) == ("landmarks", "late")


def test_first_divergence_takes_rows_of_another_shape(
    graph: bytes, expected: dict[str, NDArray[np.float32]]
) -> None:
    found = expected | {"landmarks": expected["landmarks"].reshape(6, 2)}

    assert first_divergence(graph, expected=expected, found=found, names=NAMES) is None


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(np.full((3, 4), np.nan, np.float32), id="nan"),
        pytest.param(np.full((3, 4), np.inf, np.float32), id="infinite"),
        pytest.param(np.zeros((2, 4), np.float32), id="other-size"),
    ],
)
def test_first_divergence_is_infinite_at_what_cannot_be_compared(
    graph: bytes, expected: dict[str, NDArray[np.float32]], spoiled: NDArray[np.float32]
) -> None:
    found = expected | {"early": spoiled}

    divergence = first_divergence(graph, expected=expected, found=found, names=NAMES)

    assert divergence is not None
    assert (divergence.point, divergence.relative) == ("early", np.inf)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_first_divergence_is_infinite_where_the_module_alone_gives_no_number(
    graph: bytes, expected: dict[str, NDArray[np.float32]], bad: float
) -> None:
    found = dict(expected)
    expected["early"] = np.where([True, False, False, False], np.float32(bad), expected["early"])

    divergence = first_divergence(graph, expected=expected, found=found, names=NAMES)

    assert divergence is not None
    assert (divergence.point, divergence.relative) == ("early", np.inf)


def test_first_divergence_compares_point_of_zeros(
    graph: bytes, expected: dict[str, NDArray[np.float32]]
) -> None:
    expected["early"] = np.zeros((3, 4), np.float32)
    found = expected | {"early": np.full((3, 4), 0.5, np.float32)}

    divergence = first_divergence(graph, expected=expected, found=found, names=NAMES)

    assert divergence is not None
    assert divergence.relative == 0.5


def test_divergence_reads_as_one_line() -> None:
    divergence = Divergence("late", "early", 0.0123, {"Add": 2, "Tanh": 1})

    assert str(divergence) == (
        "first difference at `late` (0.012 of its range); `early` still agrees; "
        "between them: 2 Add, 1 Tanh"
    )
