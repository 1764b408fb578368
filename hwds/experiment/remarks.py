"""Remarks that a reader of the numbers should know before the first cell is computed."""

from __future__ import annotations

from collections.abc import Iterator

from hwds.core.recipe import uses_features
from hwds.datasets.reading.column_remarks import column_remarks
from hwds.experiment.prepare import Prepared
from hwds.features.base import RowFeatures
from hwds.frames.table import Table


def remarks_before(prepared: Prepared) -> list[str]:
    """Return remarks on features that no model reads or that the data cannot fill, on inputs, and those of the protocol."""
    frame = prepared.frame
    columns = column_remarks(frame) if isinstance(frame, Table) and frame.roles.get("label") else ()
    return [*_on_features(prepared), *columns, *prepared.job.protocol.warnings_before(frame, prepared.job.models)]


def _on_features(prepared: Prepared) -> Iterator[str]:
    features = prepared.experiment.features
    if features.name == "none":
        return
    if not any(uses_features(model) for model in prepared.experiment.models.values()):
        yield f"Features '{features.name}' were not used: no model here reads a feature set."
    elif isinstance(features, RowFeatures) and (names := features.absent(prepared.frame)):
        yield f"Features '{features.name}' are computed without {', '.join(names)}: the data has no column of that name."
