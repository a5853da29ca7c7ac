from __future__ import annotations

import re

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


def test_legend_of_many_precisions_leaves_the_axes_their_height() -> None:
    few, many = (
        re.findall(
            r'<g id="patch_2">\n *<path d="M \S+ (\S+) \nL \S+ \S+ \nL \S+ (\S+)',
            trade_off_svg(
                {f"p{i}": [trial(0.5, 0.1)] for i in range(count)}, limits={}, y_label="points"
            ).decode(),
        )[0]
        for count in (3, 31)
    )

    heights = [float(bottom) - float(top) for bottom, top in (few, many)]
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


def test_figure_without_a_trial_is_refused() -> None:
    with pytest.raises(InputError, match="needs one trial or more"):
        trade_off_svg({"int8": []}, limits={}, y_label="points")
