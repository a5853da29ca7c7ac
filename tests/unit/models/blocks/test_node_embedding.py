"""Which channels and cells of a map belong to which landmark."""

from __future__ import annotations

import pytest
import torch

from facealign.errors import StateDictError
from facealign.models.blocks.node_embedding import (
    NodeEmbedding,
    NodeSizes,
    node_sizes_from_shapes,
)

TINY = NodeSizes(landmark_count=5, channels_per_landmark=2, map_size=3, hidden_channels=4)


@pytest.mark.parametrize(
    ("channels", "features", "expected"),
    [
        pytest.param(392, 256, (98, 4, 8), id="98 landmarks"),
        pytest.param(272, 256, (68, 4, 8), id="68 landmarks"),
        pytest.param(116, 256, (29, 4, 8), id="29 landmarks"),
        pytest.param(196, 128, (98, 2, 8), id="fewer channels"),
        pytest.param(400, 256, (100, 4, 8), id="own scheme on the authors' map"),
        pytest.param(58, 8, (29, 2, 2), id="smaller crop"),
        pytest.param(392, 1024, (98, 4, 16), id="larger crop"),
    ],
)
def test_shapes_tell_landmarks_channels_and_map(
    channels: int, features: int, expected: tuple[int, int, int]
) -> None:
    shapes = {"conv": (channels, 7, 3, 3), "W": (2, features, 128)}

    sizes = node_sizes_from_shapes(shapes, last_conv="conv", graph_weight="W")

    assert (sizes.landmark_count, sizes.channels_per_landmark, sizes.map_size) == expected
    assert sizes.hidden_channels == 7
    assert sizes.feature_count == features
    assert sizes.channel_count == channels


def test_shapes_that_do_not_fit_are_refused() -> None:
    shapes = {"conv": (391, 7, 3, 3), "W": (2, 7, 128)}

    with pytest.raises(StateDictError, match="`conv` gives 391 channels and `W` takes 7 features"):
        node_sizes_from_shapes(shapes, last_conv="conv", graph_weight="W")


def test_nodes_are_consecutive_channels_row_by_row() -> None:
    embedding = NodeEmbedding(3, TINY).eval()
    maps = torch.randn(2, 3, 3, 3)

    nodes = embedding(maps)

    node_maps = embedding.conv_to_node(embedding.conv_out(maps))
    assert nodes.shape == (2, 5, 18)
    assert torch.equal(nodes[1, 3], node_maps[1, 6:8].flatten())
