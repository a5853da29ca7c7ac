from __future__ import annotations

import pytest

from facealign.errors import UsageError
from facealign.runtime.tensorrt.build_options import BuildOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BuildOptions(max_batch=0), "`max_batch` must be at least 1, got 0"),
        (BuildOptions(max_batch=4, opt_batch=5), "from 1 to `max_batch` 4, got 5"),
        (BuildOptions(max_batch=4, opt_batch=0), "from 1 to `max_batch` 4, got 0"),
        (BuildOptions(max_batch=4, workspace_mib=0), "`workspace_mib` must be at least 1, got 0"),
        (BuildOptions(max_batch=4, level=6), "`level` must be from 0 to 5, got 6"),
        (BuildOptions(max_batch=4, level=-1), "`level` must be from 0 to 5, got -1"),
    ],
)
def test_a_number_out_of_range_is_an_error(options: BuildOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.check()


def test_the_defaults_keep_what_was_verified() -> None:
    options = BuildOptions(max_batch=8)

    options.check()

    assert (options.tf32, options.weakly_typed, options.workspace_mib) == (False, False, 1024)
