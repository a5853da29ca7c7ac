"""The on-disk format: a folder whose manifest names, sizes and hashes every file."""

from __future__ import annotations

from facealign.bundle.golden import (
    Golden,
    files_from_golden,
    golden_from_files,
    npy_from_array,
)
from facealign.bundle.manifest import (
    CALIBRATION_FACES,
    SCHEMA_VERSION,
    CardEntry,
    FileEntry,
    Fingerprint,
    GoldenEntry,
    GraphEntry,
    Manifest,
    ParityEntry,
    PlainValue,
    VerdictEntry,
    json_from_manifest,
    manifest_from_json,
)
from facealign.bundle.read import Bundle, read_bundle
from facealign.bundle.write import check_replaceable, write_bundle, write_folder

__all__ = [
    "CALIBRATION_FACES",
    "SCHEMA_VERSION",
    "Bundle",
    "CardEntry",
    "FileEntry",
    "Fingerprint",
    "Golden",
    "GoldenEntry",
    "GraphEntry",
    "Manifest",
    "ParityEntry",
    "PlainValue",
    "VerdictEntry",
    "check_replaceable",
    "files_from_golden",
    "golden_from_files",
    "json_from_manifest",
    "manifest_from_json",
    "npy_from_array",
    "read_bundle",
    "write_bundle",
    "write_folder",
]
