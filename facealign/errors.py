"""Every error that facealign raises on purpose, and the exit code each one means.

::

    FacealignError                 1   internal
    +-- UsageError                 2   the caller's arguments or files
    |   +-- InputError                 an image, a box or an array that cannot be used
    |   |   +-- ShapeError             an array of the wrong shape or type
    |   +-- DatasetError               a data set of another layout, broken, or not whole
    |   +-- OutputError                a place that cannot be written
    |   +-- CalibrationError           ranges, a state file or faces that do not fit
    +-- CheckpointError            3   the checkpoint, or a side file that belongs to it
    |   +-- UnsafeCheckpointError      loading it would run code
    |   +-- UnknownFamilyError         no family fits
    |   +-- StateDictError             keys, shapes or values that do not fit the family
    |   +-- AssetError                 a side file that is missing or wrong
    +-- VerificationError          4   the graph is not what the module computes
    |   +-- TraceError                   the module cannot be traced at all
    |   +-- ParityError                landmarks differ
    |   +-- GraphContractError         names, types, operators or shapes differ from the contract
    |   +-- SelfTestError              a bundle does not give its golden landmarks here
    +-- BudgetError                5   a reduced precision costs more accuracy than it may
    +-- TargetError                6   what a target cannot take, or a plan of another device
    +-- BackendError               7   an engine library that is absent or unusable
    |   +-- MissingLibraryError        another library, of an extra that is not installed
    +-- IntegrityError             8   a bundle that is corrupt, forged or from a newer facealign
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

__all__ = [
    "AssetError",
    "BackendError",
    "BudgetError",
    "CalibrationError",
    "CheckpointError",
    "DatasetError",
    "FacealignError",
    "GraphContractError",
    "InputError",
    "IntegrityError",
    "MissingLibraryError",
    "OutputError",
    "ParityError",
    "SelfTestError",
    "ShapeError",
    "StateDictError",
    "TargetError",
    "TraceError",
    "UnknownFamilyError",
    "UnsafeCheckpointError",
    "UsageError",
    "VerificationError",
    "first_of",
]

_NAMED = 3


class FacealignError(Exception):
    """Base of every error raised on purpose; its text is one line for the user.

    Attributes:
        items: Everything that the one line abbreviates, such as the names of all missing images;
            empty if the line says it all.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, items: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.items = tuple(items)


class UsageError(FacealignError):
    """The caller asked for something that cannot be done."""

    exit_code = 2


class InputError(UsageError):
    """An image, a box or an array that cannot be used."""


class ShapeError(InputError):
    """An array of the wrong shape or type."""


class DatasetError(UsageError):
    """A data set that has another layout, a broken line, or not all of its images."""


class OutputError(UsageError):
    """A place that cannot be written: no permission, no room, or something else is there."""


class CalibrationError(UsageError):
    """Ranges, a state or faces of a calibration that do not fit what they are used with."""


class CheckpointError(FacealignError):
    """The checkpoint file cannot be read as one."""

    exit_code = 3


class UnsafeCheckpointError(CheckpointError):
    """Loading the checkpoint would run code, or unpack to far more than its size."""


class UnknownFamilyError(CheckpointError):
    """No family, or more than one, fits the state dict."""


class StateDictError(CheckpointError):
    """Keys, shapes or values of the state dict do not fit its family."""


class AssetError(CheckpointError):
    """A side file that the family needs is missing, unreadable or of the wrong shape."""


class VerificationError(FacealignError):
    """The graph is not what the module computes."""

    exit_code = 4


class TraceError(VerificationError):
    """The module cannot be traced with a dynamic batch."""


class ParityError(VerificationError):
    """The landmarks of the graph and of the module differ by more than the bar."""


class GraphContractError(VerificationError):
    """The graph breaks the contract: names, types, operators or shapes."""


class SelfTestError(VerificationError):
    """A bundle does not give its golden landmarks on this machine."""


class BudgetError(FacealignError):
    """A reduced precision that was asked for by name costs more accuracy than it may."""

    exit_code = 5


class TargetError(FacealignError):
    """A graph that a target cannot take, or a plan that was built for another device."""

    exit_code = 6


class BackendError(FacealignError):
    """An engine library is absent or unusable; there is never a silent fallback."""

    exit_code = 7


class MissingLibraryError(BackendError):
    """A library that an optional extra brings is not installed."""


class IntegrityError(FacealignError):
    """A bundle is corrupt, forged or from a newer facealign."""

    exit_code = 8


def first_of(items: Sequence[str]) -> str:
    """Return the first few as a message names them, and how many more there are."""
    named = ", ".join(f"`{item}`" for item in items[:_NAMED])
    return f"{named} and {len(items) - _NAMED} more" if len(items) > _NAMED else named
