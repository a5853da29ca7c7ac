from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
from facealign.runtime.tensorrt.plugins import (
    launch, patch_crop_decorated, patch_crop_v3, reference, register
)
heavy = {"cv2", "msgspec", "onnx", "onnxruntime", "pycuda", "tensorrt", "torch", "typer"}
print(sorted(heavy & set(sys.modules)))
"""


def test_import_of_the_plugins_needs_numpy_only() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True
    )

    assert result.stdout.strip() == "[]"
