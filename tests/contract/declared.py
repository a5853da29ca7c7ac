"""What the contract check must be told, because our code says `Any`; and what may be absent.

Every line here is checked: one that nothing needs, or that is not so, fails the suite.
"""

from __future__ import annotations

from tests.contract.uses import Declared

__all__ = ["DECLARED", "OPTIONAL"]

DECLARED = Declared()
# Members that our code asks for by hasattr or getattr, and the versions that lack them.
OPTIONAL: dict[str, tuple[str, ...]] = {}
