"""What the contract check must be told, because our code says `Any`; and what may be absent.

Every line here is checked: one that nothing needs, or that is not so, fails the suite.
"""

from __future__ import annotations

from tests.contract.uses import Declared

__all__ = ["DECLARED", "OPTIONAL"]

DECLARED = Declared(
    variables={
        "_engine": "ICudaEngine",
        "_runtime": "Runtime",
        "context": "IExecutionContext",
    },
    plain=frozenset(
        {
            # An ErrorCodeTRT, or a number: nothing but its text is wanted.
            "facealign/runtime/tensorrt/messages.py: getattr(code, 'name', code)",
        }
    ),
)
# Members that our code asks for by hasattr or getattr, and the versions that lack them.
OPTIONAL: dict[str, tuple[str, ...]] = {}
