"""Where the authors' own files lie, beside the checkout; most machines have none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["FACTS", "REFERENCE", "needs_facts", "needs_reference"]

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
FACTS = REFERENCE.parent / "facts"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason=f"the authors' files are not at {REFERENCE}"
)
needs_facts = pytest.mark.skipif(
    not FACTS.is_dir(), reason=f"the collected facts about TensorRT are not at {FACTS}"
)
