"""What an application on plans alone must not have to install."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"torch", "onnx", "onnxruntime", "cv2", "msgspec", "typer", "rich", "tensorrt", "pycuda"}
LOADED = """
import json, sys
import facealign.runtime.tensorrt.device, facealign.runtime.tensorrt.kernels
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_import_of_devices_and_kernels_needs_numpy_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )

    assert not HEAVY & set(json.loads(done.stdout))
