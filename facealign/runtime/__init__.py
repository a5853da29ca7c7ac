"""The device half: a bundle and a frame in, landmarks out; numpy, OpenCV and one engine library."""

from __future__ import annotations

from facealign.runtime.session import Session, open_session
from facealign.spec import Landmarks

__all__ = ["Landmarks", "Session", "open_session"]
