from __future__ import annotations

import pytest

from facealign.errors import GraphContractError
from facealign.runtime.graph_names import check_names


def test_check_names_lets_a_graph_have_more_than_it_must() -> None:
    check_names("output", ["landmarks"], ["landmarks", "pose"])


def test_check_names_names_what_is_missing_and_what_is_there() -> None:
    message = r"no output 'score', it has \['landmarks'\]; compile the bundle again"

    with pytest.raises(GraphContractError, match=message):
        check_names("output", ["landmarks", "score"], ["landmarks"])
