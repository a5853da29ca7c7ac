from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from facealign.bundle import Bundle, read_bundle
from facealign.errors import UsageError
from facealign.pipeline.bench_candidates import BenchRequest, candidates_of


@pytest.fixture
def bundle(two_graphs: Path) -> Bundle:
    """Return a bundle whose INT8 is for ONNX Runtime."""
    bundle = read_bundle(two_graphs)
    graphs = dict(bundle.manifest.graphs)
    graphs["int8"] = msgspec.structs.replace(graphs["int8"], purpose="ONNX Runtime on x86")
    return Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, graphs=graphs))


def _request(bundle: Bundle, **changes: object) -> BenchRequest:
    return BenchRequest(bundle.folder, **changes)  # type: ignore[arg-type]  # fields of it


def _names(bundle: Bundle, **changes: object) -> list[tuple[str, int]]:
    candidates = candidates_of(bundle, _request(bundle, **changes))
    return [(each.name, each.batch) for each in candidates if "openvino" not in each.name]


def test_candidates_are_each_engine_with_its_graphs_at_the_smallest_and_largest_batch(
    bundle: Bundle,
) -> None:
    found = _names(bundle)

    assert found == [
        ("onnxruntime fp32", 1),
        ("onnxruntime fp32", 4),
        ("onnxruntime int8", 1),
        ("onnxruntime int8", 4),
        ("tensorrt fp32", 1),
        ("tensorrt fp32", 4),
    ]


def test_candidates_are_those_that_were_named_fp32_first(bundle: Bundle) -> None:
    found = _names(bundle, engines=("tensorrt",), precisions=("int8", "fp32"), batches=(2, 2))

    assert found == [("tensorrt fp32", 2), ("tensorrt int8", 2)]


def test_candidates_have_pytorch_when_there_is_a_checkpoint(bundle: Bundle) -> None:
    found = _names(bundle, checkpoint=Path("a.pt"), batches=(1,))

    assert found[-1] == ("pytorch fp32", 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engines": ("onnxruntme",)}, "no engine 'onnxruntme'; did you mean 'onnxruntime'?"),
        ({"engines": ("x",)}, "no engine 'x'; choose from onnxruntime, "),
        ({"engines": ("pytorch",)}, "PyTorch needs the checkpoint; pass `--checkpoint FILE`"),
        (
            {"engines": ("onnxruntime",), "checkpoint": Path("a.pt")},
            "`--checkpoint` is for PyTorch; add `pytorch` to `--engine`",
        ),
        ({"precisions": ("fp8",)}, "the bundle has no 'fp8' graph; choose from fp32, int8"),
        ({"batches": (1, 5)}, "the bundle takes batches of 1 to 4, got 5"),
        ({"seconds": 0.0}, "`seconds` must be 0.01 to 100000, got 0.0"),
        ({"seconds": float("nan")}, "`seconds` must be 0.01 to 100000, got nan"),
        ({"threads": 0}, "`threads` must be 1 to 1024, got 0"),
        ({"frames_per_s": -1.0}, "`rate` must be 0.1 to 100000, got -1.0"),
        ({"frames_per_s": 1e308}, "`rate` must be 0.1 to 100000, got 1e+308"),
        ({"faces_per_frame": 0}, "`faces` must be 1 to 10000, got 0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_candidates_that_cannot_be_are_refused(
    bundle: Bundle, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        candidates_of(bundle, _request(bundle, **changes))

    assert message in str(raised.value)
