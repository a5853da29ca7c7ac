"""The table of JetPacks."""

from __future__ import annotations

import re

import pytest

from facealign.machine.jetpack import JETPACKS, jetpack_from_l4t, jetpack_from_package
from tests.unit.machine.machines import JETSONS, RELEASES


@pytest.mark.parametrize("jetpack", JETSONS)
def test_jetpack_from_l4t_knows_the_release_of_every_fixture(jetpack: str) -> None:
    l4t = RELEASES[JETSONS[jetpack].release][1]

    found = jetpack_from_l4t(l4t)

    assert found is not None
    assert found.version == jetpack


@pytest.mark.parametrize("l4t", ["36.4.9", "40.1.0", "36", "", "garbage"])
def test_jetpack_from_l4t_does_not_guess(l4t: str) -> None:
    assert jetpack_from_l4t(l4t) is None


def test_jetpack_from_l4t_reads_a_revision_of_one_number() -> None:
    assert jetpack_from_l4t("36.3") == JETPACKS["36.3.0"]


def test_previews_are_told_from_releases() -> None:
    previews = {l4t for l4t, jetpack in JETPACKS.items() if jetpack.is_preview}

    assert previews == {"34.1.0", "34.1.1", "36.2.0"}


@pytest.mark.parametrize("l4t", JETPACKS)
def test_every_row_is_a_release_with_its_source(l4t: str) -> None:
    jetpack = JETPACKS[l4t]

    assert re.fullmatch(r"\d+\.\d+\.\d+", l4t)
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", jetpack.version)
    assert jetpack.source


@pytest.mark.parametrize(
    ("package", "expected"),
    [("6.2+b77", "6.2"), ("5.1.2-b104", "5.1.2"), ("7.2.1-b49", "7.2.1"), ("nightly", None)],
)
def test_jetpack_from_package_reads_its_version(package: str, expected: str | None) -> None:
    found = jetpack_from_package(package)

    assert (found.version if found else None) == expected
