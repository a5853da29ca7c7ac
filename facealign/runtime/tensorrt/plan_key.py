"""The key that plans are signed with, where someone wants to know who made them."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from facealign.errors import IntegrityError, UsageError

__all__ = ["KEY_VARIABLE", "check_signature", "key_from_file", "signature"]

KEY_VARIABLE = "FACEALIGN_PLAN_KEY"
_MIN_KEY_BYTES = 16
_MAX_KEY_BYTES = 2**16
# So that a signature of this key for anything else is none of a plan.
_DOMAIN = b"facealign plan record\n"


def key_from_file(path: Path | None = None) -> bytes | None:
    """Return the key in `path`, or in the file that ``FACEALIGN_PLAN_KEY`` names; None without.

    The key is every byte of the file, such as `openssl rand -out plan.key 32` makes it.

    Raises:
        UsageError: If the file cannot be read, or is no key.
    """
    named = os.environ.get(KEY_VARIABLE)
    if path is None and not named:
        return None
    path = path or Path(named or "")
    try:
        with path.open("rb") as file:
            key = file.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the plan key `{path}`: {error.strerror}") from error
    if not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
        raise UsageError(
            f"the plan key `{path}` must have {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} bytes; make one "
            "with `openssl rand -out plan.key 32`"
        )
    return key


def signature(record_json: bytes, key: bytes | None) -> str | None:
    """Return the HMAC-SHA-256 of a record, lower-case hex; None without a key."""
    if key is None:
        return None
    return hmac.new(key, _DOMAIN + record_json, hashlib.sha256).hexdigest()


def check_signature(record_json: bytes, found: str | None, *, key: bytes | None, name: str) -> None:
    """Check that a record was signed with `key`, or, without a key, that it is not signed.

    A signed plan on a machine without the key is refused, as somebody meant it to be checked.

    Raises:
        IntegrityError: If not.
    """
    expected = signature(record_json, key)
    if expected is None and found is None:
        return
    if expected is None:
        raise IntegrityError(
            f"`{name}` is signed and there is no key to check it with; set `{KEY_VARIABLE}` to the "
            "key's file"
        )
    if found is None:
        raise IntegrityError(
            f"`{name}` is not signed, and with a key only signed plans run; run `facealign build`"
        )
    if not hmac.compare_digest(expected.encode(), found.encode("utf-8", "replace")):
        raise IntegrityError(
            f"`{name}` was signed with another key, or forged; it is not loaded. "
            "Check the key, or run `facealign build` again"
        )
