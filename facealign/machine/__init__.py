"""What this machine is, read from its files and libraries; the standard library alone."""

from __future__ import annotations

from pathlib import Path

from facealign.machine.files import ROOT

__all__ = ["machine_facts"]


def machine_facts(root: Path = ROOT) -> dict[str, str]:
    """Return facts about this machine for people, by name; only those that there are.

    Nothing is imported and no GPU is opened. Versions of packages and of Python are this process's.

    Args:
        root: Where ``etc``, ``proc`` and the others are.
    """
    from facealign.machine import facts  # an engine that reads one fact does not load all readers

    return facts.machine_texts(root)
