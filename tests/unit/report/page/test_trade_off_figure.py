from __future__ import annotations

import pytest

from facealign.errors import InputError
from facealign.report.page import TradeOff, trade_off_svg


def trial(share: float, change: float, *, is_chosen: bool = False) -> TradeOff:
    return TradeOff(share, change, change - 0.01, change + 0.02, is_chosen)


def test_every_precision_is_named_and_limits_are_drawn_once() -> None:
    trials = {
        "fp16": [trial(0.9, 0.0, is_chosen=True)],
        "int8": [trial(0.9, 0.3), trial(0.6, 0.05, is_chosen=True)],
        "int8-cpu": [trial(0.8, 0.02)],
    }

    svg = trade_off_svg(
        trials, limits={"fp16": 0.01, "int8": 0.1, "int8-cpu": 0.1}, y_label="points"
    )

    for text in (b"fp16", b"int8", b"chosen", b"limit of fp16", b"limit of int8, int8-cpu"):
        assert svg.count(b"<!-- " + text + b" -->") == 1


def test_chosen_trials_have_a_ring_more() -> None:
    without, with_ring = (
        trade_off_svg({"int8": [trial(0.9, 0.1, is_chosen=chosen)]}, limits={}, y_label="points")
        for chosen in (False, True)
    )

    assert with_ring.count(b"<use ") == without.count(b"<use ") + 1


def test_figure_without_a_trial_is_refused() -> None:
    with pytest.raises(InputError, match="needs one trial or more"):
        trade_off_svg({"int8": []}, limits={}, y_label="points")
