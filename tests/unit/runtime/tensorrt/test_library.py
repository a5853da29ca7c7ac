from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.library import import_tensorrt


def test_import_tensorrt_refuses_a_folder_that_happens_to_have_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))

    with pytest.raises(BackendError, match=r"is not NVIDIA's, but <module 'tensorrt'>; rename its"):
        import_tensorrt()


def test_import_tensorrt_says_in_one_line_why_it_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = "libnvinfer.so.10: cannot open\\nshared object file"
    (tmp_path / "tensorrt.py").write_text(f'raise ImportError("{words}")\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)

    with pytest.raises(
        BackendError,
        match=r"does not load: libnvinfer\.so\.10: cannot open shared object file; inst",
    ):
        import_tensorrt()
