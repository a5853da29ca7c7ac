"""The graph that SDFL and SCC pass features along: the authors' files, arrays, or annotations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.annotation_list import (
    faces_from_lines,
    faces_in_own_crop,
    is_annotation_list,
)
from facealign.models.assets import read_array, read_text_lines
from facealign.models.family import AssetSpec

__all__ = ["GRAPH", "graph_asset", "graph_from_edges", "made_up_graph", "read_graph"]

GRAPH = "graph"  # as in --asset graph=FILE
_KEY = "graph"  # of an .npz with several arrays
_FEWEST_FACES = 3  # with two, every correlation is 1
_AUTHORS_FILES = (
    "98pts_top3.txt: 470 for 98 landmarks, or 392 by rows; 68pts.txt: 266 for 68; 29pts.txt: 133 "
    "for 29"
)


def graph_asset(landmark_count: int, edge_count: int, *, is_symmetric: bool = True) -> AssetSpec:
    """Return the side file of a network that has that many edges.

    Args:
        landmark_count: N.
        edge_count: Non-zeros of the graph's matrix, its diagonal among them.
        is_symmetric: As in `read_graph`.
    """
    read = partial(
        read_graph,
        landmark_count=landmark_count,
        edge_count=edge_count,
        is_symmetric=is_symmetric,
    )
    return AssetSpec(
        name=GRAPH,
        meaning="the graph of neighbouring landmarks, which must be the one of the training",
        where="utils/face_graph of the authors' repository, such as 98pts_top3.txt; for a network "
        "of your own also an annotation list, whose landmarks are then correlated",
        read=lambda path, _: read(path),
    )


def read_graph(
    path: Path, *, landmark_count: int, edge_count: int, is_symmetric: bool = True
) -> NDArray[np.float32]:
    """Return which landmark takes features from which.

    Args:
        path: The authors' ``.txt`` (rows ``i j weight``, landmarks counted from 0); an ``.npy``,
            ``.npz``, ``.csv`` or ``.json`` of such rows with or without a weight, or of an
            ``(N, N)`` matrix; or an annotation list, such as WFLW's
            ``list_98pt_rect_attr_train.txt``. An edge has a weight above 0.
        landmark_count: N.
        edge_count: Non-zeros of the graph's matrix that the checkpoint has entries for.
        is_symmetric: Whether an edge leads both ways, as in the authors' code (SPEC 4.4), and not
            as in the paper, where row i holds the neighbours of landmark i alone (SPEC 4.10).

    Returns:
        ``(N, N)`` float32 of 0 and 1; the diagonal is 1.

    Raises:
        AssetError: If the file is unreadable, is no graph of so many landmarks, or has another
            number of edges.
    """
    if path.suffix.lower() == ".txt":
        lines = read_text_lines(path)
        if is_annotation_list(lines, landmark_count):
            faces = faces_from_lines(lines, landmark_count, path.name)
            return _graph_of_faces(faces, edge_count, path.name, is_symmetric=is_symmetric)
    weights = _weights(read_array(path, key=_KEY), landmark_count, path.name)
    graph = _pattern(weights, is_symmetric=is_symmetric)
    found = int(graph.sum())
    if found != edge_count:
        raise AssetError(
            f"graph `{path.name}` has {found} edges, with those from a landmark to itself "
            f"(expected {edge_count}, as the checkpoint has); pass the graph of its training "
            f"(edges in the authors' files: {_AUTHORS_FILES})"
        )
    return graph


def graph_from_edges(
    edges: NDArray[np.int64], landmark_count: int, *, is_symmetric: bool = True
) -> NDArray[np.float32]:
    """Return the ``(N, N)`` float32 graph of ``(E, 2)`` edges, ones on its diagonal.

    Args:
        edges: Pairs of landmarks, counted from 0.
        landmark_count: N.
        is_symmetric: As in `read_graph`.
    """
    weights = np.zeros((landmark_count, landmark_count))
    weights[edges[:, 0], edges[:, 1]] = 1
    return _pattern(weights, is_symmetric=is_symmetric)


def made_up_graph(
    landmark_count: int, edge_count: int, *, is_symmetric: bool = True
) -> NDArray[np.float32]:
    """Return a graph with that many edges, between landmarks whose numbers are near.

    Args:
        landmark_count: N.
        edge_count: Non-zeros, the diagonal among them; rounded down if no such graph exists.
        is_symmetric: As in `read_graph`.
    """
    wanted = edge_count - landmark_count
    pairs = list(_near_pairs(landmark_count))[: wanted // 2 if is_symmetric else wanted]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return graph_from_edges(edges, landmark_count, is_symmetric=is_symmetric)


def _near_pairs(count: int) -> Iterator[tuple[int, int]]:
    """Yield pairs, nearest first; each only one way as long as the other way is not needed."""
    half = range(1, (count - 1) // 2 + 1)
    for step in (*half, *(-step for step in half)):
        yield from ((i, (i + step) % count) for i in range(count))


def _weights(array: NDArray[np.float64], count: int, name: str) -> NDArray[np.float64]:
    """Return the ``(N, N)`` weights of a matrix or of a list of edges."""
    if array.shape == (count, count):
        weights = array
    elif array.ndim == 2 and array.shape[1] in {2, 3}:
        _check_landmarks(array[:, :2], count, name)
        rows, columns = array[:, :2].astype(np.int64).T
        weights = np.zeros((count, count))
        weights[rows, columns] = array[:, 2] if array.shape[1] == 3 else 1
    else:
        raise AssetError(
            f"graph `{name}` has shape {array.shape} (expected ({count}, {count}), or rows of two "
            "landmarks and perhaps a weight); convert it"
        )
    if weights.min() < 0:
        raise AssetError(
            f"graph `{name}` has negative weights (smallest {weights.min():.3g}; expected 0 where "
            "there is no edge, and more where there is one); correct them"
        )
    return weights


def _check_landmarks(pairs: NDArray[np.float64], count: int, name: str) -> None:
    is_wrong = (pairs != np.round(pairs)) | (pairs < 0) | (pairs >= count)
    if is_wrong.any():
        hint = "subtract 1, as the file seems to count from 1"
        if pairs.min() < 1 or pairs.max() > count:
            hint = "pass the graph of the same landmark scheme, counted from 0"
        raise AssetError(
            f"graph `{name}` names a landmark {pairs[is_wrong][0]:g} (expected whole numbers from "
            f"0 to {count - 1}); {hint}"
        )


def _pattern(weights: NDArray[np.float64], *, is_symmetric: bool) -> NDArray[np.float32]:
    has_edge = (weights > 0) | np.eye(len(weights), dtype=bool)
    if is_symmetric:
        has_edge |= has_edge.T
    return has_edge.astype(np.float32)


def _graph_of_faces(
    faces: NDArray[np.float64], edge_count: int, name: str, *, is_symmetric: bool
) -> NDArray[np.float32]:
    """Return the graph of every landmark and those that move with it most, as many as fit.

    How two coordinates make one number is our choice: the mean of |r| of x and |r| of y, in the
    face's own crop. Over the 116 pairs in the authors' 98pts_top3.txt whose landmarks 300W has too,
    the 689 faces of its public test give correlations that are 0.057 off (root mean square), 0.093
    if x and y are one series, and 0.096 without the crop; they are other faces than the authors'.

    Raises:
        AssetError: If there are too few faces, or no number of neighbours gives so many edges.

    Source: Lin et al., IEEE TIP 2021 (SDFL), eq. 1 and 2.
    """
    if len(faces) < _FEWEST_FACES:
        raise AssetError(
            f"annotation list `{name}` has {len(faces)} faces (expected hundreds, at least "
            f"{_FEWEST_FACES}, to tell which landmarks move together); pass the whole list"
        )
    correlation = _correlation(faces_in_own_crop(faces))
    order = np.argsort(-correlation, axis=1, kind="stable")  # itself last
    counts = []
    for k in range(1, len(correlation)):
        edges = np.stack([np.arange(len(order)).repeat(k), order[:, :k].flatten()], axis=1)
        graph = graph_from_edges(edges, len(order), is_symmetric=is_symmetric)
        counts.append(int(graph.sum()))
        if counts[-1] == edge_count:
            return graph
        if counts[-1] > edge_count:
            break
    near = ", ".join(f"{count} with {k}" for k, count in enumerate(counts, start=1))
    raise AssetError(
        f"annotation list `{name}` gives no graph of {edge_count} edges, as the checkpoint has "
        f"(nearest neighbours of each landmark: {near}); pass the graph of its training"
    )


def _correlation(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(N, N)``, how much two landmarks move together, 0 to 1; -1 with itself."""
    centred = faces - faces.mean(axis=0)  # (F, N, 2)
    covariance = np.einsum("fic,fjc->cij", centred, centred)
    spread = np.sqrt(np.maximum(np.einsum("cii->ci", covariance), np.finfo(float).tiny))
    r = np.abs(covariance / (spread[:, :, None] * spread[:, None, :])).mean(axis=0)
    np.fill_diagonal(r, -1)
    return np.asarray(r, np.float64)
