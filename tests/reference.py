"""Where the authors' own files lie, beside the checkout; most machines have none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["REFERENCE", "needs_reference"]

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"the authors' files are not at {REFERENCE}"
)
