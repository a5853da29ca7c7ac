"""VGG: the numbers of its layers tell where a pooling stands."""

from __future__ import annotations

import pytest

from facealign.models.backbones.vgg import BACKBONE, Vgg, VggHyperparameters
from tests.unit.models.networks import shapes_of


def test_vgg_numbers_of_column_d_are_those_of_the_published_checkpoints() -> None:
    column_d = VggHyperparameters(((2, 2), (3, 3), (4, 4, 4), (5, 5, 5), (5, 5, 5)))

    numbers = [
        int(key.split(".")[1]) for key, shape in shapes_of(Vgg(column_d)).items() if len(shape) == 4
    ]

    assert numbers == [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]


def test_vgg_with_two_gaps_in_a_row_is_not_read() -> None:
    with pytest.raises(KeyError, match=r"features\.4\.weight"):
        BACKBONE.read_hyperparameters({"features.0.weight": (4, 3, 3, 3)})
