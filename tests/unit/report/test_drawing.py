from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from facealign.errors import MissingLibraryError
from facealign.report import check_matplotlib
from facealign.report.drawing import figures, svg_from_figure


def drawing() -> bytes:
    with figures(2, 2) as figure:
        figure.add_subplot().plot([1, 2], label="a")
        figure.legend()
        return svg_from_figure(figure)


def test_settings_of_the_user_change_nothing_and_are_kept() -> None:
    plain = drawing()
    own = {"axes.facecolor": "pink", "lines.linewidth": 9.0, "svg.fonttype": "none"}

    with mpl.rc_context(own):  # type: ignore[arg-type]  # its keys are a Literal of hundreds
        with_own = drawing()
        kept = {name: mpl.rcParams[name] for name in own}  # type: ignore[index]  # likewise

    assert with_own == plain
    assert kept == own


@pytest.mark.filterwarnings("error")
def test_letters_that_the_font_lacks_give_no_warning() -> None:
    with figures(2, 2) as figure:
        figure.suptitle("\u9854")

        assert svg_from_figure(figure).endswith(b"</svg>\n")


def test_matplotlib_that_does_not_load_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "matplotlib").mkdir()
    (tmp_path / "matplotlib" / "__init__.py").write_text(
        "raise ValueError('`x` is no\\nbackend')", "utf-8"
    )
    monkeypatch.delitem(sys.modules, "matplotlib")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(MissingLibraryError, match=r"load: `x` is no backend; .*`MPLBACKEND`"):
        check_matplotlib()
