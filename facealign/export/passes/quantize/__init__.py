"""INT8 as QuantizeLinear and DequantizeLinear in the graph, for TensorRT and for ONNX Runtime."""

from facealign.export.passes.quantize.blocks import Block, blocks_of
from facealign.export.passes.quantize.cpu import for_cpu
from facealign.export.passes.quantize.observed import tensors_to_observe
from facealign.export.passes.quantize.tensorrt import quantize

__all__ = ["Block", "blocks_of", "for_cpu", "quantize", "tensors_to_observe"]
