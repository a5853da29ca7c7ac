"""Checkpoints as trainers write them, and content that is no state dict."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from facealign.errors import CheckpointError, StateDictError
from facealign.models.checkpoint import read_checkpoint


@pytest.fixture
def state_dict() -> dict[str, Tensor]:
    return {
        "conv.weight": torch.arange(12.0).reshape(3, 4),
        "conv.bias": torch.tensor([1.0, -2.0, 0.5]),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def _save(content: object, path: Path, *, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _assert_same(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pth.tar", "a.safetensors"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_tells_torch_format_by_content(
    tmp_path: Path, state_dict: dict[str, Tensor], name: str, legacy: bool
) -> None:
    path = _save(state_dict, tmp_path / name, legacy=legacy)

    checkpoint = read_checkpoint(path)

    _assert_same(checkpoint.state_dict, state_dict)
    assert (checkpoint.wrapper, checkpoint.prefix) == (None, "")


def test_read_checkpoint_reads_safetensors(tmp_path: Path, state_dict: dict[str, Tensor]) -> None:
    path = tmp_path / "a.pt"
    safetensors.torch.save_file(state_dict, path)

    checkpoint = read_checkpoint(path)

    _assert_same(checkpoint.state_dict, state_dict)


def test_read_checkpoint_gives_path_digest_and_shapes(
    tmp_path: Path, state_dict: dict[str, Tensor]
) -> None:
    path = _save(state_dict, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.path == path
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.shapes["conv.weight"] == (3, 4)
    assert checkpoint.shapes["norm.num_batches_tracked"] == ()


@pytest.mark.parametrize(
    "wrapper",
    [
        "state_dict",
        "model",
        "net",
        "model_state_dict",
        "network",
        "ema",
        "state_dict_ema",
        "model_ema",
        "ema_state_dict",
        "model.state_dict",
        "ema.state_dict",
    ],
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_unwraps(
    tmp_path: Path, state_dict: dict[str, Tensor], wrapper: str, legacy: bool
) -> None:
    outer, _, inner = wrapper.partition(".")
    content = {outer: {inner: state_dict} if inner else state_dict, "epoch": 3}
    path = _save(content, tmp_path / "a.pt", legacy=legacy)

    checkpoint = read_checkpoint(path)

    assert checkpoint.wrapper == wrapper
    _assert_same(checkpoint.state_dict, state_dict)


def test_read_checkpoint_ignores_training_state(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    content = {
        "epoch": 3,
        "loss": torch.tensor(0.5),
        "state_dict": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.state_dict.keys() == {"weight", "bias"}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "network.",
        "module._orig_mod.",
        "_orig_mod.module.",
    ],
)
def test_read_checkpoint_strips_prefix_of_every_key(
    tmp_path: Path, state_dict: dict[str, Tensor], prefix: str
) -> None:
    prefixed = {prefix + key: value for key, value in state_dict.items()}
    path = _save(prefixed, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.prefix == prefix
    _assert_same(checkpoint.state_dict, state_dict)


def test_read_checkpoint_keeps_prefix_that_one_key_lacks(tmp_path: Path) -> None:
    content = {"module.a": torch.ones(1), "b": torch.ones(1)}
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.prefix == ""
    assert checkpoint.state_dict.keys() == {"module.a", "b"}


def test_read_checkpoint_drops_counter_of_averaged_model(tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2))
    path = _save(averaged.state_dict(), tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.prefix == "module."
    assert checkpoint.state_dict.keys() == {"weight", "bias"}


def test_read_checkpoint_prefers_averaged_weights(tmp_path: Path) -> None:
    content = {"state_dict": {"module.a": torch.ones(1)}, "state_dict_ema": {"a": torch.zeros(1)}}
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.wrapper == "state_dict_ema"
    assert checkpoint.state_dict["a"].item() == 0


def test_read_checkpoint_takes_raw_weights_when_averaged_ones_lack_a_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = {"model": {"a": torch.ones(1), "b": torch.ones(1)}, "ema": {"a": torch.zeros(1)}}
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.wrapper == "model"
    assert "took `model`, as `ema` lacks `b`" in caplog.text


def test_read_checkpoint_ignores_averaging_settings_without_tensors(tmp_path: Path) -> None:
    content = {"model": {"a": torch.ones(1)}, "ema": {"decay": 0.99}}
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.wrapper == "model"


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_read_checkpoint_converts_to_float32(
    tmp_path: Path, dtype: torch.dtype, legacy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = _save({"a": torch.tensor([0.5, -2.0], dtype=dtype)}, tmp_path / "a.pt", legacy=legacy)

    checkpoint = read_checkpoint(path)

    assert checkpoint.state_dict["a"].dtype == torch.float32
    assert checkpoint.state_dict["a"].tolist() == [0.5, -2.0]
    assert f"converted 1 tensors from {dtype} to float32" in caplog.text


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_read_checkpoint_keeps_integers(tmp_path: Path, dtype: torch.dtype) -> None:
    path = _save({"a": torch.tensor([0, 1], dtype=dtype)}, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert checkpoint.state_dict["a"].dtype == dtype


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_read_checkpoint_makes_tied_and_transposed_tensors_contiguous(
    tmp_path: Path, legacy: bool
) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    content = {"a": weight, "tied": weight, "turned": weight.T, "row": weight[1]}
    path = _save(content, tmp_path / "a.pt", legacy=legacy)

    checkpoint = read_checkpoint(path)

    assert all(tensor.is_contiguous() for tensor in checkpoint.state_dict.values())
    _assert_same(checkpoint.state_dict, content)


def test_read_checkpoint_detaches_parameters(tmp_path: Path) -> None:
    content = OrderedDict(nn.Linear(2, 2).named_parameters())
    path = _save(content, tmp_path / "a.pt")

    checkpoint = read_checkpoint(path)

    assert not any(tensor.requires_grad for tensor in checkpoint.state_dict.values())
    assert {type(tensor) for tensor in checkpoint.state_dict.values()} == {Tensor}


def test_read_checkpoint_reads_archive_without_checksums(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    path = _save({"a": torch.ones(1)}, tmp_path / "a.pt")
    torch.serialization.set_crc32_options(True)

    checkpoint = read_checkpoint(path)

    assert checkpoint.shapes == {"a": (1,)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({"epoch": 3}, r"no tensors by name \(its keys: `epoch`", id="no-tensors"),
        pytest.param({}, r"no tensors by name \(its keys: none", id="empty-dict"),
        pytest.param({"state_dict": {}}, "no tensors by name", id="empty-wrapper"),
        pytest.param({0: torch.ones(1)}, "no tensors by name", id="keys-are-numbers"),
        pytest.param(torch.ones(1), r"holds one tensor \(expected a state dict", id="one-tensor"),
        pytest.param([torch.ones(1)], r"holds a `list` \(expected a state dict", id="list"),
        pytest.param(None, r"holds a `NoneType`", id="none"),
    ],
)
def test_read_checkpoint_refuses_content_without_state_dict(
    tmp_path: Path, content: object, message: str
) -> None:
    path = _save(content, tmp_path / "a.pt")

    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
def test_read_checkpoint_refuses_value_that_is_not_finite(tmp_path: Path, value: float) -> None:
    content = {"a": torch.ones(2), "b": torch.tensor([1, value, value]), "c": torch.tensor(value)}
    path = _save(content, tmp_path / "a.pt")

    with pytest.raises(
        StateDictError, match=r"`b` holds 2 NaN or infinite values of 3, and 1 other tensors do"
    ):
        read_checkpoint(path)


def test_read_checkpoint_refuses_double_beyond_float32(tmp_path: Path) -> None:
    path = _save({"a": torch.tensor([1e300], dtype=torch.float64)}, tmp_path / "a.pt")

    with pytest.raises(StateDictError, match="`a` holds 1 NaN or infinite values of 1"):
        read_checkpoint(path)


def test_read_checkpoint_refuses_complex_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": torch.ones(1, dtype=torch.complex64)}, path)

    with pytest.raises(StateDictError, match=r"`a` is torch\.complex64.*expected real"):
        read_checkpoint(path)


def test_read_checkpoint_suggests_name_when_file_is_missing(tmp_path: Path) -> None:
    _write(tmp_path / "WFLW_6_layer.pth", b"x")

    with pytest.raises(
        CheckpointError, match=r"does not exist.*did you mean `WFLW_6_layer\.pth`\?"
    ):
        read_checkpoint(tmp_path / "wflw_6_layers.pth")


def test_read_checkpoint_lists_folder_when_nothing_is_near(tmp_path: Path) -> None:
    _write(tmp_path / "zebra.pt", b"x")

    with pytest.raises(CheckpointError, match=r"does not exist; in `.*`: there are `zebra\.pt`"):
        read_checkpoint(tmp_path / "model.onnx")


def test_read_checkpoint_says_when_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"its folder `.*none` does not exist either"):
        read_checkpoint(tmp_path / "none" / "a.pt")


def test_read_checkpoint_refuses_folder(tmp_path: Path) -> None:
    _write(tmp_path / "a.pt", b"x")

    with pytest.raises(CheckpointError, match=r"is a folder \(expected a file\).*`a\.pt`"):
        read_checkpoint(tmp_path)


def test_read_checkpoint_refuses_device() -> None:
    with pytest.raises(CheckpointError, match="is a device, pipe or socket"):
        read_checkpoint(Path("/dev/zero"))


def test_read_checkpoint_refuses_empty_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is empty \(0 bytes\); download"):
        read_checkpoint(_write(tmp_path / "a.pt", b""))


def test_read_checkpoint_refuses_file_too_large_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with path.open("wb") as file:
        file.truncate(5 << 30)  # sparse: takes no room

    with pytest.raises(CheckpointError, match=r"has 5120 MiB \(expected at most 4096 MiB\)"):
        read_checkpoint(path)


def test_read_checkpoint_says_when_reading_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = _write(tmp_path / "a.pt", b"x")
    monkeypatch.setattr(Path, "read_bytes", forbid)  # tests may run as root, whom no mode stops

    with pytest.raises(CheckpointError, match="cannot be read: Permission denied; check its perm"):
        read_checkpoint(path)
