"""What another server needs to run a bundle's graphs and plans: its configuration files."""

from __future__ import annotations

from facealign.serve.deepstream import check_deepstream, deepstream_files
from facealign.serve.served_model import ServedModel, model_name
from facealign.serve.triton import triton_files

__all__ = [
    "ServedModel",
    "check_deepstream",
    "deepstream_files",
    "model_name",
    "triton_files",
]
