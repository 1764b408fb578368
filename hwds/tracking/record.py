"""Record: what a tracker is told of one run, one trial or one sweep, read from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from hwds.metrics.base import Measure
from hwds.tracking.curves import Curve

OUTSIDE = ("compute", "tracker", "decision", "sweep", "experiment", "save_model")
"""Groups that are said apart from the parameters: they may differ between two executions of one run."""


@dataclass(frozen=True, eq=False)
class Record:
    """One line of a tracker's list.

    Attributes:
        id: Its name everywhere, made of the run's: the same run has the same in every mirror.
        name: How it is shown.
        kind: What it is.
        experiment: Of which.
        group: What it is put together with others under; empty for none.
        started: Milliseconds since 1970.
        ended: Likewise.
        config: The resolved config.
        labels: Short facts: task, dataset, fingerprints, versions.
        curves: Values by window and by step.
        summary: Numbers over all windows.
        measures: What each of those measures.
        tables: Tables to look at.
        pictures: PNG files.
        files: Other files.
        predictions: The file of predictions, and its digest.
        data: The dataset's name and fingerprint.
        model: The folder of the kept model.
        said: What was found, in a sentence.
    """

    id: str
    name: str
    kind: Literal["run", "trial", "sweep"]
    experiment: str
    group: str = ""
    started: int = 0
    ended: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    summary: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    pictures: Sequence[Path] = ()
    files: Sequence[Path] = ()
    predictions: tuple[Path, str] | None = None
    data: tuple[str, str] = ("", "")
    model: Path | None = None
    said: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The config's values by their paths, without what may differ between two executions of one run."""
        return dict(_flat({key: value for key, value in self.config.items() if key not in OUTSIDE}))


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(item, Mapping) for item in node):
        for place, item in enumerate(node):
            yield from _flat(item, f"{path}.{place}")
    else:
        yield path, node
