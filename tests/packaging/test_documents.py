"""The documents say what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(ROOT.glob("*.md"))
SOURCES = sorted(
    path
    for folder in ("facealign", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
LONGEST_FILE = 500


def _links(document: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_document_links_to_files_that_exist(document: Path) -> None:
    targets = list(_links(document))

    missing = [target for target in targets if not (document.parent / target).exists()]

    assert missing == []


def test_documents_are_all_there() -> None:
    names = {path.name for path in DOCUMENTS}

    assert names >= {
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file_is_short_enough_to_read(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")

    assert lines <= LONGEST_FILE


def test_architecture_names_every_folder_of_the_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = {
        path.name for path in (ROOT / "facealign").iterdir() if (path / "__init__.py").exists()
    }

    missing = {name for name in folders if f"`{name}/`" not in text}

    assert missing == set()
