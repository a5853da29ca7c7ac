from __future__ import annotations

from pathlib import Path

import pytest

from facealign.errors import UsageError
from facealign.runtime.tensorrt.plan_key import key_from_file, signature
from tests.unit.runtime.tensorrt.made_plans import KEY


def test_there_is_no_key_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEALIGN_PLAN_KEY", raising=False)

    assert key_from_file() is None


def test_the_key_is_every_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.key"
    path.write_bytes(KEY + b"\n")

    assert key_from_file(path) == KEY + b"\n"


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.key").write_bytes(KEY)
    monkeypatch.setenv("FACEALIGN_PLAN_KEY", str(tmp_path / "plan.key"))

    assert key_from_file() == KEY


def test_the_option_counts_more_than_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan.key").write_bytes(KEY)
    monkeypatch.setenv("FACEALIGN_PLAN_KEY", "/absent")

    assert key_from_file(tmp_path / "plan.key") == KEY


@pytest.mark.parametrize("size", [0, 15, 2**16 + 1])
def test_a_file_of_another_size_is_no_key(tmp_path: Path, size: int) -> None:
    (tmp_path / "plan.key").write_bytes(b"k" * size)

    with pytest.raises(UsageError, match="must have 16 to 65536 bytes; make one with `openssl"):
        key_from_file(tmp_path / "plan.key")


def test_an_absent_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the plan key .*: No such file"):
        key_from_file(tmp_path / "absent")


def test_the_signature_is_the_hmac_of_the_record_in_its_own_domain() -> None:
    # printf 'facealign plan record\nrecord' | openssl dgst -sha256 -hmac 0123456789abcdef
    assert (
        signature(b"record", KEY)
        == "6a3b180913ee3b9323443faf9dc1702a123b64b639a634ff507f7d7d8b50c656"
    )
