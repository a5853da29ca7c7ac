"""In which operators the graphs of a bundle are written: what their targets need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from facealign.errors import TargetError
from facealign.export.graph import OPSET
from facealign.export.passes.lower import LayerNormalizationForm, Opset, lower
from facealign.export.precision_rules import Precision
from facealign.pipeline.targets import check_targets
from facealign.targets import Target, targets_from_names

__all__ = ["STANDARD", "FormRequest", "Lowering", "PortableForm", "lowering_of"]

PortableForm = Literal["standard", "function", "gather"]
"""The forms that ONNX Runtime runs too, so that parity can judge them."""

_GRID_SAMPLE_SINCE = (8, 5)
_LAYER_NORMALIZATION_SINCE = (8, 6)
_OPSETS: tuple[Opset, ...] = (17, 19)


@dataclass(frozen=True, slots=True)
class FormRequest:
    """Where graphs are to run, and in which operators.

    Attributes:
        targets: Names of those that must take every graph that is for their engine.
        patch_crop: In which form the graphs sample patches; a target may need another.
        graph_convolution: In which form they sum over neighbouring landmarks.
    """

    targets: tuple[str, ...] = ()
    patch_crop: PortableForm = "standard"
    graph_convolution: PortableForm = "standard"


@dataclass(frozen=True, slots=True)
class Lowering:
    """The form of every graph of a bundle, see `lower`, and who must take it.

    What is measured is the form that ships.
    """

    targets: tuple[Target, ...] = ()
    patch_crop: PortableForm = "standard"
    graph_convolution: PortableForm = "standard"
    layer_normalization: LayerNormalizationForm = "standard"
    opset: Opset = 19

    @property
    def options(self) -> dict[str, str]:
        """What was asked for and what came of it, by name; nothing for the standard form."""
        chosen = {
            "targets": " ".join(target.name for target in self.targets),
            "patch-crop": self.patch_crop.removeprefix("standard"),
            "graph-convolution": self.graph_convolution.removeprefix("standard"),
            "layer-normalization": self.layer_normalization.removeprefix("standard"),
            "opset": "" if self.opset == OPSET else str(self.opset),
        }
        return {name: text for name, text in chosen.items() if text}

    @property
    def text(self) -> str:
        """Return which operators the graphs have, for people."""
        forms = {name: text for name, text in self.options.items() if name != "targets"}
        if not forms:
            return "standard operators only"
        return ", ".join(f"{name} {text}" for name, text in forms.items())

    def apply(self, graph: ir.Model, precision: Precision) -> ir.Model:
        """Return a graph in this form; the same one if there is nothing to change.

        Raises:
            GraphContractError: If the graph cannot be written that way; it names the node.
            TargetError: If a target refuses it.
        """
        lowered = lower(
            graph,
            patch_crop=self.patch_crop,
            graph_convolution=self.graph_convolution,
            layer_normalization=self.layer_normalization,
            opset=self.opset,
        )
        check_targets({precision: lowered}, self.targets)
        return lowered


STANDARD = Lowering()


def lowering_of(request: FormRequest, precisions: Sequence[str]) -> Lowering:
    """Return the form that all targets can read.

    Raises:
        UsageError: If there is no such target.
        TargetError: If one cannot take one of `precisions`, before hours of work depend on it.
    """
    targets = targets_from_names(request.targets)
    _check_precisions(precisions, targets)
    releases = [target.oldest for target in targets if target.engine == "tensorrt"]
    oldest = min(releases, default=_LAYER_NORMALIZATION_SINCE)
    wanted = min((target.export_opset.value for target in targets), default=OPSET)
    return Lowering(
        targets,
        patch_crop="gather" if oldest < _GRID_SAMPLE_SINCE else request.patch_crop,
        graph_convolution=request.graph_convolution,
        layer_normalization="decomposed" if oldest < _LAYER_NORMALIZATION_SINCE else "standard",
        opset=next(opset for opset in _OPSETS if opset >= wanted),
    )


def _check_precisions(precisions: Sequence[str], targets: Sequence[Target]) -> None:
    loose = [target for target in targets if not target.strong_typing.value]
    if "fp16" in precisions and loose:
        raise TargetError(
            f"{loose[0].name} ({loose[0].engine_text}) takes types for hints, so an FP16 graph "
            "would not keep its FP32 islands; leave fp16 out of `--precision`"
        )
