"""The tables of edges are those of SPEC 2.4."""

from __future__ import annotations

import pytest
import torch

from facealign.models.families.spiga.edges import edge_table, is_known_edge_table


@pytest.mark.parametrize(
    ("counts", "ones_by_edge"),
    [
        ((98, 15), [33, 5, 5, 5, 5, 4, 5, 5, 5, 5, 5, 7, 7, 5, 5, 2]),
        ((68, 13), [17, 5, 5, 4, 5, 4, 4, 4, 4, 7, 7, 5, 5, 0]),
    ],
    ids=["wflw", "300w"],
)
def test_edges_pass_as_many_landmarks_as_the_authors_have(
    counts: tuple[int, int], ones_by_edge: list[int]
) -> None:
    table = edge_table(*counts)

    assert table.sum(dim=0).tolist() == ones_by_edge
    assert set(table.flatten().tolist()) == {0, 1}


def test_every_landmark_is_on_an_edge_or_in_the_last_column() -> None:
    table = edge_table(98, 15)

    assert torch.equal(table[:, -1] == 1, table[:, :-1].sum(dim=1) == 0)
    assert table[96:, -1].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("shape", "known"), [((98, 16), True), ((68, 14), True), ((29, 14), False), ((98, 14), False)]
)
def test_only_tables_of_the_authors_are_known(shape: tuple[int, int], known: bool) -> None:
    assert is_known_edge_table(shape) is known


def test_landmarks_of_an_unknown_set_are_on_no_edge() -> None:
    table = edge_table(29, 13)

    assert table[:, -1].sum() == 29
    assert table[:, :-1].sum() == 0
