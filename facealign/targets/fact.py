"""A value that somebody else decided, with where it is written and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Certainty", "Fact"]

Certainty = Literal["measured", "documented", "issue", "third party", "unconfirmed"]
"""``measured`` is measured by us, or read in the code or the tables of a public repository.

``documented`` is in a maker's documents or changelog, ``issue`` in a thread, ``third party`` said
by others and not checked, ``unconfirmed`` general knowledge without a source that was kept.
"""

_Value_co = TypeVar("_Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fact(Generic[_Value_co]):
    """A value with its source.

    Attributes:
        value: What is so.
        source: Where it is written.
        certainty: How sure it is.
    """

    value: _Value_co
    source: str
    certainty: Certainty
