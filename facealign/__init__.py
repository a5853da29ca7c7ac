"""Compile a trained face-alignment checkpoint into a verified edge bundle, and serve it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
