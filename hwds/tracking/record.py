"""Record: the input of a tracker for one run, one trial or one sweep, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from hwds.core.settings import OUTSIDE_NUMBERS, flatten
from hwds.results.measure import Measure
from hwds.tracking.curves import Curve


@dataclass(frozen=True, eq=False)
class Record:
    """One run in a tracker.

    Attributes:
        id: The id in every mirror, made of the run's id.
        name: The displayed name.
        kind: The kind of record.
        experiment: The name of the experiment.
        group: The group of records that it belongs to; empty for none.
        started: The start, in milliseconds since 1970.
        ended: The end, in milliseconds since 1970.
        config: The resolved config.
        labels: Short facts: task, dataset, fingerprints, versions.
        curves: Values by window and by step, and losses by epoch and by round.
        summary: Numbers over all windows.
        measures: The measure of each of those.
        tables: Tables to look at.
        pictures: PNG files.
        files: Other files.
        predictions: The file of predictions, and its digest.
        data: The dataset's name and fingerprint.
        model: The folder of the saved model.
        conclusion: The conclusion, in a sentence.
        tags: The user's tags.
        note: The user's note.
        page: A page to look at, as HTML.
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
    conclusion: str = ""
    tags: Sequence[str] = ()
    note: str = ""
    page: Path | None = None

    @property
    def notes(self) -> str:
        """The user's note, and the conclusion below it."""
        return "\n\n".join(filter(None, (self.note, self.conclusion)))

    @property
    def parameters(self) -> dict[str, Any]:
        """The config's values by path, without those on which no number depends, and without the results of a sweep."""
        known = {key: value for key, value in self.config.items() if key not in (*OUTSIDE_NUMBERS, "best")}
        return dict(flatten(known, items=True))
