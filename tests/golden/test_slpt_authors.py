"""SLPT against what its authors' own code gives with recipe weights: the module, then the graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facealign.export.graph import OPSET, graph_from_bytes, node_counts
from facealign.export.lint import check_contract
from facealign.models.load import Model, assemble
from facealign.pipeline.compile import load_model
from facealign.runtime.ort_engine import run_graph
from facealign.spec import contract_input, contract_landmarks

if TYPE_CHECKING:
    from tests.golden.conftest import FullSize

SIZE_PX = 256
MODULE_PX = 0.01  # max measured 1.2e-4 px: 3 stages, 2 pictures, torch 2.13 on CPU
GRAPH_PX = 0.01  # max measured 1.7e-4 px: batches of 1 and 2, ONNX Runtime 1.31 on CPU
LARGEST_NODE_COUNT = 1100
LARGEST_FILE_BYTES = 56_000_000  # 13.2 million weights, all three stages share them
"""tbd"""
