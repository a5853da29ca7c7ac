from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from facealign.cli.verify import _settings

RunCli = Callable[..., tuple[int, str, str]]


@pytest.mark.usefixtures("workspace")
def test_verify_checks_bytes_and_golden_landmarks(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("verify", "good.bundle")

    assert (code, stdout) == (0, "bundle     good.bundle\nself-test  passed\n")
    assert re.fullmatch(
        r"\[1/2\] checksums +\d\.\d s  ok       5 files, every byte as written\n"
        r"\[2/2\] self-test +\d\.\d s  ok       fp32: crops and landmarks as golden\n",
        stderr,
    )


@pytest.mark.usefixtures("workspace")
def test_verify_prints_json(run_cli: RunCli) -> None:
    _, stdout, _ = run_cli("verify", "good.bundle", "--json")

    assert json.loads(stdout) == {"code": 0, "bundle": "good.bundle", "self_test": "passed"}


def test_verify_takes_only_numbers_of_the_options_for_settings() -> None:
    options = {"heads": "4", "patch_crop": "plugin", "targets": "jetpack-6.2 tensorrt-11"}

    assert _settings(options) == {"heads": 4}
