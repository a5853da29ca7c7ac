"""What the tests of the pipeline share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.export.graph import graph_from_bytes
from facealign.models.load import Model
from facealign.pipeline.compile import CompileRequest
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.judge import Judge
from facealign.pipeline.precision_request import PrecisionRequest
from facealign.pipeline.precisions import Reductions, reduced_graphs
from facealign.pipeline.progress import SILENT
from tests.conformance.tiny import tiny_checkpoint, tiny_detection, tiny_graph, tiny_model
from tests.unit.evaluation_data import write_faces, write_two_graphs
from tests.unit.face_folders import write_boxed
from tests.unit.pipeline.small_network import judge_of, network, ranges_of

SHIFT_NORM = 0.01
REAL = "sdfl/l-grl-vgg-bn"


@pytest.fixture
def two_graphs(tmp_path: Path, tiny_manifest: Manifest, tiny_files: dict[str, bytes]) -> Path:
    """Return a bundle whose ``int8`` finds landmarks 0.01 of the crop, 0.16 px, further right."""
    return write_two_graphs(
        tmp_path / "two.bundle", tiny_manifest, tiny_files, shift_norm=SHIFT_NORM
    )


@pytest.fixture
def faces(tmp_path: Path, two_graphs: Path, frame: NDArray[np.uint8]) -> Path:
    """Return a WFLW of 12 faces in two images."""
    return write_faces(tmp_path / "faces", two_graphs, frame)


@pytest.fixture
def boxed(tmp_path: Path, faces: Path) -> Path:
    """Return a folder of one of these images with two boxes, and no labels."""
    folder = tmp_path / "boxed"
    folder.mkdir()
    (folder / "a.png").write_bytes((faces / "WFLW_images" / "a.png").read_bytes())
    (folder / "boxes.csv").write_text("image,x,y,w,h\na.png,5.5,4,65,62\na.png,25,16,65,62\n")
    return folder


@pytest.fixture(scope="session")
def small() -> ir.Model:
    """Return a float graph of four convolutions."""
    return network()


@pytest.fixture(scope="session")
def small_ranges(small: ir.Model) -> dict[str, float]:
    return ranges_of(small)


@pytest.fixture(scope="session")
def small_judge(small: ir.Model) -> Judge:
    return judge_of(small)


@pytest.fixture(scope="session")
def hostile() -> ir.Model:
    """Return the same with a channel that INT8 cannot hold beside the others: `block-01`."""
    return network(outlier=1000)


@pytest.fixture(scope="session")
def hostile_ranges(hostile: ir.Model) -> dict[str, float]:
    return ranges_of(hostile)


@pytest.fixture(scope="session")
def hostile_judge(hostile: ir.Model) -> Judge:
    return judge_of(hostile)


@pytest.fixture(scope="session")
def boxed_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 images with a box each, and no labels."""
    return write_boxed(tmp_path_factory.mktemp("boxed") / "mine")


@pytest.fixture(scope="session")
def request_of_sdfl(tmp_path_factory: pytest.TempPathFactory) -> CompileRequest:
    """Return the request for a tiny SDFL, traced four times as fast as a tiny SLPT."""
    folder = tmp_path_factory.mktemp("sdfl")
    detection = tiny_detection(REAL)
    assets = detection.family.made_up_assets(detection.hyperparameters)
    torch.save(dict(tiny_checkpoint(REAL).state_dict), folder / "tiny.pt")
    np.save(folder / "graph.npy", assets["graph"])
    return CompileRequest(
        checkpoint=folder / "tiny.pt",
        folder=folder / "tiny.bundle",
        assets=(f"graph={folder / 'graph.npy'}",),
    )


@pytest.fixture(scope="session")
def real_model() -> Model:
    """Return a tiny SDFL on a VGG, as it is soon traced and INT8 can take two thirds of it."""
    return tiny_model(REAL)


@pytest.fixture(scope="session")
def real_graph() -> ir.Model:
    return graph_from_bytes(tiny_graph(REAL))


@pytest.fixture(scope="session")
def real_reductions(
    real_graph: ir.Model,
    real_model: Model,
    boxed_faces: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Reductions:
    """Return FP16 and INT8 of it, with a budget that all of INT8 fits into."""
    request = PrecisionRequest(
        ("fp32", "fp16", "int8"),
        faces=FaceRequest(boxed_faces),
        budget_points=100,
        observer="min_max",
    )
    folder = tmp_path_factory.mktemp("reduced") / "x.bundle"
    found = reduced_graphs(real_graph, real_model, request, folder=folder, progress=SILENT)
    assert found is not None
    return found
