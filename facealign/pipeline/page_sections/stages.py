"""How far each graph is from PyTorch, and each stage of the network from that of FP32."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle, Manifest
from facealign.errors import BackendError
from facealign.pipeline.evaluation_result import REFERENCE
from facealign.pipeline.page_sections.golden_face import golden_face_crops
from facealign.pipeline.page_sections.order import reference_first
from facealign.report.page import Block, Cell, Note, Section, Table
from facealign.report.page.numbers import NONE, short

__all__ = ["stage_section"]

_CROPS = 4  # inner values of a full-size network are some MB a crop


def stage_section(bundle: Bundle) -> Section:
    """Return parity of each graph with PyTorch, and each named point's deviation from FP32."""
    manifest = bundle.manifest
    blocks: list[Block] = [_parity_table(manifest)]
    if len(manifest.graphs) > 1 and manifest.probes and REFERENCE in manifest.graphs:
        blocks.append(_point_block(bundle))
    return Section("stages", "Parity, stage by stage", tuple(blocks))


def _parity_table(manifest: Manifest) -> Table:
    rows = []
    for name, graph in reference_first(manifest.graphs):
        parity = graph.parity
        bar = "none" if parity.bar_px is None else short(parity.bar_px)
        golden = max(graph.golden_px) if graph.golden_px else None
        verdict = graph.verdict
        rows.append(
            (
                name,
                str(parity.crop_count),
                short(parity.p99_px),
                short(parity.max_px),
                bar,
                str(parity.undecided_count),
                short(golden),
                Cell(NONE) if verdict is None else Cell(short(verdict.p99_px), verdict.faces),
            )
        )
    caption = (
        "Distance to the PyTorch module, pixels of the crop, when the bundle was compiled. These "
        "crops try to tell the two apart, many of them no faces, so only FP32 has a bar there; the "
        "others are judged on faces, in the last column, by their distance to FP32. Golden crops: "
        "the largest distance on those of the self-test, which a machine may not exceed by much."
    )
    columns = ("graph", "crops", "p99", "largest", "bar", "ties passed over", "golden crops")
    return Table(caption, (*columns, "faces, p99"), tuple(rows))


def _point_block(bundle: Bundle) -> Block:
    """Return the table of points, or what is missing for it."""
    try:
        found = _points(bundle)
    except ImportError as error:
        text = (
            f"`{error.name}` is not installed here. With `facealign[compile]` the deviation of "
            "every stage of the network from FP32 would be here."
        )
        return Note(text, is_missing=True)
    except BackendError as error:
        return Note(f"The stages could not be run here: {error}", is_missing=True)
    precisions = [name for name in bundle.manifest.graphs if name != REFERENCE]
    size_px = bundle.manifest.crop.size_px
    names = dict.fromkeys([*bundle.manifest.probes, "landmarks"])
    rows = tuple(
        (name, *(_deviation(found[each], found[REFERENCE], name, size_px) for each in precisions))
        for name in names
        if name in found[REFERENCE]
    )
    caption = (
        f"Largest deviation from FP32 at each named point of the network, in the order of the "
        f"computation, over {_CROPS} crops of the face of the self-test in ONNX Runtime: in "
        "pixels of the crop for landmarks, else in percent of the largest value there."
    )
    return Table(caption, ("point", *precisions), rows)


def _points(bundle: Bundle) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Return the values of every named point, by precision.

    Raises `ImportError` if onnx or ONNX Runtime is absent, and `BackendError` if it cannot run a
    graph.
    """
    from facealign.export.graph import expose_values
    from facealign.runtime.ort_engine import run_graph

    manifest = bundle.manifest
    crops = golden_face_crops(bundle, bundle.golden(), count=_CROPS)
    return {
        name: run_graph(expose_values(bundle.read_file(graph.file), manifest.probes), crops)
        for name, graph in manifest.graphs.items()
    }


def _deviation(
    found: Mapping[str, NDArray[np.float32]],
    reference: Mapping[str, NDArray[np.float32]],
    name: str,
    size_px: int,
) -> str:
    own, expected = found.get(name), reference[name]
    if own is None or own.shape != expected.shape:
        return NONE
    difference = np.asarray(own, np.float64) - expected
    if name.endswith("landmarks") and own.ndim == 3 and own.shape[2] == 2:
        return f"{short(size_px * float(np.linalg.norm(difference, axis=2).max()))} px"
    scale = float(np.abs(expected).max()) or 1.0
    return f"{short(100 * float(np.abs(difference).max()) / scale)} %"
