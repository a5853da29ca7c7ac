"""The device half: a bundle and a frame in, landmarks out; numpy, OpenCV and one engine library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facealign.spec import Landmarks

if TYPE_CHECKING:
    from facealign.runtime.session import Session, open_session

__all__ = ["Landmarks", "Session", "open_session"]


def __getattr__(name: str) -> object:
    """Import the session when it is asked for: an application on plans alone needs no OpenCV."""
    if name in __all__:
        from facealign.runtime import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
