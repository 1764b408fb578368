"""Source: one finished run as a comparison reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import polars as pl

from hwds.results.folder import RunFolder
from hwds.results.measure import short
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, eq=False)
class Source:
    """The tables of a run and what they were made of.

    Attributes:
        title: `<experiment>/<run id>`.
        config: Its resolved config.
        data: The fingerprint of its data.
        code: The fingerprint of the source that computed it.
        tables: What it computed.
    """

    title: str
    config: Mapping[str, Any]
    data: str
    code: str
    tables: Tables

    @classmethod
    def read(cls, folders: Sequence[RunFolder]) -> list[Self]:
        """Return the sources of runs' folders.

        Raises:
            HwdsError: One of them is not finished, or damaged.
        """
        tables = RunFolder.tables_of(folders)
        origins = [folder.read_provenance() for folder in folders]
        return [
            cls(folder.title, folder.read_config(), origin["data"], origin["code"], table)
            for folder, origin, table in zip(folders, origins, tables, strict=True)
        ]

    def asked_as(self, other: Source) -> Source:
        """Return the same answers as of the dataset and the protocol of another run, of which a sweep knows that they agree."""
        same = {part: other.config[part] for part in ("dataset", "protocol")}
        return replace(self, config={**self.config, **same}, data=other.data)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.title.rpartition("/")[2]

    @property
    def task(self) -> str:
        """The task of its protocol: `forecast`."""
        return next(iter(self.tables.scores["task"].drop_nulls()), "")

    @property
    def seed(self) -> int:
        """The experiment's seed."""
        return int(self.config["seed"])

    @property
    def model(self) -> str:
        """The label of the experiment's own model."""
        return str(self.config["model"]["name"])

    @cached_property
    def models(self) -> list[str]:
        """The labels of the models that answered anything, the truth apart."""
        predictions = self.tables.predictions
        labels = predictions["model"].unique(maintain_order=True).to_list() if "model" in predictions.columns else []
        return [label for label in labels if label != TRUTH]

    def rows(self, label: str) -> pl.DataFrame:
        """Return the predictions of one model."""
        rows = self.tables.predictions
        return rows if rows["model"].n_unique() == 1 else rows.filter(pl.col("model") == label)

    def settings(self, label: str) -> dict[str, Any]:
        """Return the config of a model; a companion of another (`stack(combine=equal)`) has that of its owner."""
        nodes = {node["name"]: node for node in (self.config["model"], *self.config.get("rivals", ()))}
        return dict(nodes.get(label) or nodes.get(label.partition("(")[0]) or {})

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The full names of what is scored."""
        return tuple(self.tables.scores["metric"].unique(maintain_order=True))

    def metric(self, name: str) -> str:
        """Return the full name of a metric (`mase[m=12]` of `mase`); the name itself where none is scored."""
        return next((full for full in self.metrics if name in (full, short(full))), name)
