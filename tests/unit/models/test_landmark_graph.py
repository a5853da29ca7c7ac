"""The landmark graph from every kind of file that a user may have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.landmark_graph import graph_asset, made_up_graph, read_graph
from tests.reference import REFERENCE, needs_reference

N = 4
EDGES = np.array([[0, 1], [1, 2], [3, 1]])
GRAPH = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0], [0, 1, 0, 1]], np.float32)
BY_ROWS = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 0, 1]], np.float32)


def write(path: Path, array: NDArray[np.float64]) -> Path:
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, graph=array, other=array[:1])
    elif path.suffix == ".json":
        path.write_text(json.dumps(array.tolist()))
    else:
        np.savetxt(path, array, delimiter="," if path.suffix == ".csv" else " ")
    return path


def read(path: Path, *, edge_count: int = 10, is_symmetric: bool = True) -> NDArray[np.float32]:
    return read_graph(path, landmark_count=N, edge_count=edge_count, is_symmetric=is_symmetric)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".json", ".csv", ".txt"])
@pytest.mark.parametrize(
    "array",
    [
        pytest.param(EDGES, id="edges"),
        pytest.param(np.column_stack([EDGES, [0.5, 1, 0.9]]), id="weighted edges"),
        pytest.param(np.concatenate([EDGES, EDGES[:, ::-1]]), id="edges both ways"),
        pytest.param(GRAPH, id="matrix"),
        pytest.param(np.triu(0.5 * GRAPH, 1), id="upper half"),
    ],
)
def test_read_graph_reads(tmp_path: Path, ending: str, array: NDArray[np.float64]) -> None:
    path = write(tmp_path / f"graph{ending}", array)

    graph = read(path)

    assert graph.dtype == np.float32
    np.testing.assert_array_equal(graph, GRAPH)


def test_read_graph_keeps_direction_by_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "graph.npy", EDGES)

    graph = read(path, edge_count=7, is_symmetric=False)

    np.testing.assert_array_equal(graph, BY_ROWS)


def test_read_graph_takes_no_edge_of_weight_zero(tmp_path: Path) -> None:
    path = write(
        tmp_path / "graph.txt", np.array([[0, 1, 1.0], [1, 2, 1.0], [1, 3, 0.5], [0, 3, 0]])
    )

    np.testing.assert_array_equal(read(path), GRAPH)


def test_read_graph_says_how_many_edges_each_side_has(tmp_path: Path) -> None:
    path = write(tmp_path / "graph.npy", EDGES)

    with pytest.raises(
        AssetError,
        match=r"graph `graph.npy` has 10 edges.*\(expected 12, as the checkpoint has\).*98pts_top3",
    ):
        read(path, edge_count=12)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        pytest.param(EDGES + 1, r"names a landmark 4 .*0 to 3\); subtract 1", id="from 1"),
        pytest.param(EDGES + 9, "names a landmark 9 .*same landmark scheme", id="other scheme"),
        pytest.param(EDGES - 1, "names a landmark -1 .*same landmark scheme", id="negative"),
        pytest.param(EDGES + 0.5, "names a landmark 0.5 .*whole numbers", id="fraction"),
        pytest.param(np.eye(5), r"has shape \(5, 5\) \(expected \(4, 4\)", id="larger matrix"),
        pytest.param(EDGES[0], r"has shape \(2,\)", id="one axis"),
        pytest.param(-GRAPH, "has negative weights .smallest -1", id="negative weights"),
    ],
)
def test_read_graph_refuses(tmp_path: Path, array: NDArray[np.float64], message: str) -> None:
    path = write(tmp_path / "graph.npy", array)

    with pytest.raises(AssetError, match=message):
        read(path)


def face_lines(count: int) -> list[str]:
    """Return faces of 6 landmarks: two pairs that move together, and two corners of the face."""
    rng = np.random.default_rng(0)
    mean = np.array([[30, 30], [40, 30], [60, 70], [70, 70], [0, 0], [100, 100]])
    moves = np.zeros((count, 6, 2))
    moves[:, :4] = np.repeat(rng.normal(size=(count, 2, 2)), 2, axis=1)
    moves[:, :4] += 0.2 * rng.normal(size=(count, 4, 2))
    faces = (mean + 3 * moves) * rng.uniform(1, 9, (count, 1, 1)) + rng.uniform(
        0, 900, (count, 1, 2)
    )
    return [" ".join(f"{value:.3f}" for value in face.ravel()) + " a.jpg" for face in faces]


@pytest.fixture
def face_list(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(face_lines(300)))
    return path


def test_read_graph_correlates_landmarks_of_annotation_list(face_list: Path) -> None:
    graph = read_graph(face_list, landmark_count=6, edge_count=12, is_symmetric=False)

    np.testing.assert_array_equal(graph[:4, :4], np.kron(np.eye(2), np.ones((2, 2))))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_read_graph_takes_as_many_neighbours_as_checkpoint_has(face_list: Path, k: int) -> None:
    graph = read_graph(face_list, landmark_count=6, edge_count=6 * (k + 1), is_symmetric=False)

    assert graph.sum(axis=1).tolist() == [k + 1.0] * 6


def test_read_graph_of_annotation_list_is_symmetric_where_it_must_be(face_list: Path) -> None:
    by_rows = read_graph(face_list, landmark_count=6, edge_count=18, is_symmetric=False)
    expected = np.maximum(by_rows, by_rows.T)

    graph = read_graph(face_list, landmark_count=6, edge_count=int(expected.sum()))

    np.testing.assert_array_equal(graph, expected)


def test_read_graph_says_what_neighbours_give_if_none_fit(face_list: Path) -> None:
    with pytest.raises(AssetError, match=r"no graph of 17 edges.*12 with 1, 18 with 2\); pass"):
        read_graph(face_list, landmark_count=6, edge_count=17, is_symmetric=False)


def test_read_graph_refuses_annotation_list_of_few_faces(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join(face_lines(2)))

    with pytest.raises(AssetError, match=r"has 2 faces \(expected hundreds"):
        read_graph(path, landmark_count=6, edge_count=12)


@pytest.mark.parametrize(("landmarks", "edges"), [(98, 470), (98, 388), (68, 266), (29, 133)])
def test_made_up_graph_has_edges_of_authors_and_is_symmetric(landmarks: int, edges: int) -> None:
    graph = made_up_graph(landmarks, edges)

    assert graph.sum() == edges
    np.testing.assert_array_equal(graph, graph.T)
    assert (np.diag(graph) == 1).all()


def test_made_up_graph_by_rows_has_k_neighbours_each() -> None:
    graph = made_up_graph(98, 392, is_symmetric=False)

    assert (graph.sum(axis=1) == 4).all()
    assert not np.array_equal(graph, graph.T)


def test_graph_asset_reads_with_its_own_sizes(tmp_path: Path) -> None:
    path = write(tmp_path / "graph.npy", EDGES)

    spec = graph_asset(N, 7, is_symmetric=False)

    assert spec.name == "graph"
    np.testing.assert_array_equal(spec.read(path, None), BY_ROWS)


@needs_reference
@pytest.mark.parametrize(
    ("name", "landmarks", "edges", "is_symmetric"),
    [
        pytest.param("98pts_top3.txt", 98, 470, True, id="98 top 3"),
        pytest.param("98pts_top3.txt", 98, 392, False, id="98 top 3 by rows"),
        pytest.param("68pts.txt", 68, 266, True, id="68"),
        pytest.param("29pts.txt", 29, 133, True, id="29"),
    ],
)
def test_read_graph_finds_edges_of_authors_files(
    name: str, landmarks: int, edges: int, *, is_symmetric: bool
) -> None:
    graph = read_graph(
        REFERENCE / "data" / name,
        landmark_count=landmarks,
        edge_count=edges,
        is_symmetric=is_symmetric,
    )

    assert graph.sum() == edges


@needs_reference
def test_pattern_of_authors_file_is_that_of_their_matrix() -> None:
    with np.load(REFERENCE / "golden" / "sdfl_resnet34_lgrl.npz") as golden:
        expected = golden["adj_static"] > 0

    graph = read_graph(REFERENCE / "data" / "98pts_top3.txt", landmark_count=98, edge_count=470)

    np.testing.assert_array_equal(graph > 0, expected)
