"""Where and with what it was measured, what was not, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping

from facealign.bench.result import BenchResult
from facealign.bundle import Manifest
from facealign.pipeline.page_sections.order import reference_first
from facealign.report.page import Block, Command, Facts, Note, Section, Table

__all__ = ["again_section", "environment_section", "skipped_section"]


def environment_section(result: BenchResult, manifest: Manifest) -> Section:
    """Return facts about the machine, the run, the versions and the bytes."""
    blocks: list[Block] = [
        Facts(name, values)
        for name, values in {
            "Machine": result.machine,
            "During the run": _state(result),
            "Settings": result.settings,
            "Versions": _versions(result, manifest),
        }.items()
        if values
    ]
    return Section("environment", "Environment", (*blocks, *_hashes(result, manifest)))


def skipped_section(skipped: tuple[str, ...]) -> Section:
    """Return what was not run."""
    blocks = tuple(Note(each) for each in skipped)
    return Section("skipped", "Not run", blocks or (Note("All that was asked for was run."),))


def again_section(command: str) -> Section:
    """Return how to make the page again."""
    note = Note("The figures are in `bench.json` beside this page; this measures them anew:")
    return Section("again", "Make this page again", (note, Command(command)))


def _state(result: BenchResult) -> Mapping[str, str]:
    state = result.state
    foreign = state.foreign_cpu_percent
    return {
        **state.clocks,
        "load before the run": f"{state.load_before:.2f}",
        "CPU time of others": "not known" if foreign is None else f"{foreign:.1f} %",
        "flags": f"{len(state.flags)}, above" if state.flags else "none",
    }


def _versions(result: BenchResult, manifest: Manifest) -> Mapping[str, str]:
    compiled = {f"{name}, at the compile": version for name, version in manifest.tools.items()}
    return {
        "facealign": result.facealign_version,
        "commit": result.commit or "not run from a working tree",
        "facealign, at the compile": manifest.facealign_version,
        **compiled,
    }


def _hashes(result: BenchResult, manifest: Manifest) -> tuple[Block, ...]:
    listed = {
        f"{result.bundle}/manifest.json": result.manifest_sha256,
        manifest.checkpoint.name: manifest.checkpoint.sha256,
        **{
            f"{result.bundle}/{graph.file}": manifest.files[graph.file].sha256
            for graph in manifest.graphs.values()
        },
    }
    sizes = {
        f"{result.bundle}/{graph.file}": f"{manifest.files[graph.file].size / 1e6:.2f} MB"
        for graph in manifest.graphs.values()
    }
    facts = Facts("SHA-256", listed, is_long=True)
    rows = tuple(
        (
            name,
            sizes[f"{result.bundle}/{graph.file}"],
            f"{graph.mac_count:,}",
            f"{graph.parameter_count:,}",
            str(graph.node_count),
            str(graph.opset),
        )
        for name, graph in reference_first(manifest.graphs)
    )
    columns = ("graph", "file", "multiply-accumulates", "parameters", "nodes", "opset")
    return (Table("The graphs; multiply-accumulates of one crop.", columns, rows), facts)
