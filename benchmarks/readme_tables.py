"""Write the tables of README.md from benchmarks/results/, or check that they are those.

    python benchmarks/readme_tables.py            # rewrites what is between the markers
    python benchmarks/readme_tables.py --check    # exit code 1 if README says anything else
    python benchmarks/readme_tables.py --show crop_cost

A table stands in README between ``<!-- table: NAME -->`` and ``<!-- end: NAME -->``; the prose
around it is nobody's but the author's.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cost_tables import COST_TABLES
from landmark_tables import LANDMARK_TABLES
from latency_tables import LATENCY_TABLES
from result_file import RESULTS

__all__ = ["TABLES", "main", "with_tables"]

TABLES = {**LATENCY_TABLES, **LANDMARK_TABLES, **COST_TABLES}
_README = Path(__file__).resolve().parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end: (\S+) -->)", re.DOTALL)
_MARKER = re.compile(r"<!-- (?:table|end): \S+ -->")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--show", choices=sorted(TABLES), metavar="NAME", help="print one table")
    parser.add_argument("--readme", type=Path, default=_README)
    options = parser.parse_args(arguments)
    try:
        if options.show:
            print(TABLES[options.show](RESULTS), end="")
            return 0
        return _written(options.readme, is_check=options.check)
    except KeyError as error:
        print(f"a result has no {error}; run its script again", file=sys.stderr)
    except (FileNotFoundError, ValueError, msgspec.MsgspecError) as error:
        print(error, file=sys.stderr)
    return 1


def with_tables(text: str, *, results: Path = RESULTS) -> str:
    """Return a document with its tables made anew.

    Args:
        text: With a marker before and one behind every table.
        results: Folder of the results.

    Raises:
        ValueError: If a marker stands alone, or there is no table of that name.
        FileNotFoundError: If a table's result was not measured yet.
    """
    blocks = list(_BLOCK.finditer(text))
    if 2 * len(blocks) != len(_MARKER.findall(text)) or any(b[2] != b[5] for b in blocks):
        raise ValueError(
            "a marker stands alone; every `<!-- table: NAME -->` needs its `<!-- end: NAME -->`"
        )
    unknown = [block[2] for block in blocks if block[2] not in TABLES]
    if unknown:
        raise ValueError(f"there is no table {unknown[0]!r}; choose from {', '.join(TABLES)}")
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]](results)}{block[4]}", text)


def _written(readme: Path, *, is_check: bool) -> int:
    before = readme.read_text(encoding="utf-8")
    after = with_tables(before)
    if is_check and before != after:
        lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
        print("".join(difflib.unified_diff(*lines, str(readme), "results", n=0)), end="")
        print("README and results differ; run `python benchmarks/readme_tables.py`")
        return 1
    if before != after:
        readme.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
