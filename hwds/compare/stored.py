"""Stored comparisons, those of earlier versions too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hwds.compare.hooks import comparison_of
from hwds.compare.source import Source
from hwds.core.outputs import OUTPUTS
from hwds.results.comparison import Comparison
from hwds.results.folder import RunFolder


def stored_comparison(folder: Path) -> tuple[Comparison, str]:
    """Return the comparison that lies in a folder, and the command that made it.

    What an earlier version did not store follows from the task of its runs; where they are gone, it stays unknown.

    Raises:
        HwdsError: A run is damaged, or its task has no comparison any more.
    """
    comparison, command = Comparison.read(folder)
    run = RunFolder((OUTPUTS / "runs" / comparison.sources[0]).resolve()) if comparison.sources else None
    if comparison.trained is None and run is not None and (run.path / "provenance.json").is_file():
        task = comparison_of(Source.read([run])[0])
        comparison = replace(comparison, conditions=task.conditions, trained=task.trained)
    return comparison, command
