"""From a graph to TensorRT's network: typed as the graph says, every complaint with its node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from facealign.errors import GraphContractError, TargetError
from facealign.runtime.tensorrt.build_log import BuildLog, one_line
from facealign.spec import TensorSpec

__all__ = ["check_network", "network_flags", "parse_graph"]


def network_flags(trt: ModuleType, *, version: str, weakly_typed: bool) -> int:
    """Return the flags for `create_network`.

    Raises:
        TargetError: If this TensorRT cannot do what is asked for.
    """
    flags = trt.NetworkDefinitionCreationFlag
    if weakly_typed:
        if getattr(trt.BuilderFlag, "FP16", None) is None:
            raise TargetError(
                f"TensorRT {version} always takes the types of the graph; leave out "
                "`--weakly-typed`"
            )
        explicit = getattr(flags, "EXPLICIT_BATCH", None)  # 8.6 asks for it, 10 ignores it
        return 0 if explicit is None else 1 << int(explicit)
    strongly = getattr(flags, "STRONGLY_TYPED", None)
    if strongly is None:
        raise TargetError(
            f"TensorRT {version} cannot be held to the types of the graph; upgrade to 10.3, or "
            "pass `--weakly-typed` and let the self-test decide"
        )
    return 1 << int(strongly)


def parse_graph(trt: ModuleType, parser: Any, graph: bytes, log: BuildLog) -> None:  # noqa: ANN401
    """Fill the parser's network.

    Raises:
        TargetError: If TensorRT does not take a node; names it. All complaints are its `items`.
    """
    native = getattr(getattr(trt, "OnnxParserFlag", None), "NATIVE_INSTANCENORM", None)
    if native is not None:
        parser.set_flag(native)  # the default since 10.0, and what version compatibility needs
    if parser.parse(graph):
        return
    problems = list(_problems(parser)) or log.errors or ["it does not say why"]
    more = f", and {len(problems) - 1} more problems" if problems[1:] else ""
    raise TargetError(
        f"TensorRT {log.version} does not take the graph: {problems[0]}{more}; "
        "`facealign lint GRAPH --target TARGET` says what would",
        items=problems if more else (),
    )


def _problems(parser: Any) -> Iterator[str]:  # noqa: ANN401  # of TensorRT
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        if error is not None:
            yield _problem(error)


def _problem(error: Any) -> str:  # noqa: ANN401  # of TensorRT
    name, operator = (_word(error, method) for method in ("node_name", "node_operator"))
    text = one_line(error.desc())
    if not (name or operator):
        return text
    return f"node `{name or error.node()}` ({operator or 'unknown operator'}): {text}"


def _word(error: Any, method: str) -> str:  # noqa: ANN401  # of TensorRT
    ask = getattr(error, method, None)  # 8.6 has neither
    return "" if ask is None else str(ask() or "")


def check_network(
    trt: ModuleType,
    network: Any,  # noqa: ANN401  # of TensorRT
    *,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    """Check that TensorRT reads the graph's inputs and outputs as the bundle has them.

    Raises:
        GraphContractError: If not.
    """
    types = {trt.DataType.UINT8: "uint8", trt.DataType.FLOAT: "float32"}
    for kind, expected, found in (
        ("input", inputs, [network.get_input(i) for i in range(network.num_inputs)]),
        ("output", outputs, [network.get_output(i) for i in range(network.num_outputs)]),
    ):
        got = {t.name: (types.get(t.dtype, str(t.dtype)), tuple(t.shape)) for t in found}
        for spec in expected:
            if spec.name not in got or not _fits(spec, *got[spec.name]):
                raise GraphContractError(
                    f"the {kind} `{spec.name}` must be {spec.dtype} {spec.shape}, and TensorRT "
                    f"reads {got.get(spec.name, f'only {sorted(got)}')}; compile the bundle again"
                )
        if len(got) != len(expected):
            raise GraphContractError(
                f"TensorRT reads the {kind}s {sorted(got)}, the bundle has "
                f"{[spec.name for spec in expected]}; compile the bundle again"
            )


def _fits(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> bool:
    """Return whether they agree, where TensorRT knows an axis."""
    return (
        dtype == spec.dtype
        and len(shape) == len(spec.shape)
        and all(got in {-1, expected} for got, expected in zip(shape, spec.shape, strict=True))
    )
