"""Remarks that a reader of the numbers should know before the first cell is computed."""

from __future__ import annotations

from collections.abc import Iterator

from hwds.core.recipe import uses_features
from hwds.datasets.reading.target_leakage import SUSPECT, leaking_inputs, naming_inputs
from hwds.experiment.prepare import Prepared
from hwds.features.base import RowFeatures
from hwds.frames.table import Table
from hwds.results.formatting import percent

MOST = 50_000
"""Rows, evenly spaced, that are looked at: a remark needs no more."""


def remarks_before(prepared: Prepared) -> list[str]:
    """Return remarks on features that no model reads or that the data cannot fill, on inputs, of dataset and protocol."""
    frame, data = prepared.frame, prepared.experiment.dataset.remarks(prepared.frame)
    columns = column_remarks(frame) if isinstance(frame, Table) and frame.roles.get("label") else ()
    return [*_on_features(prepared), *data, *columns, *prepared.job.protocol.warnings_before(frame, prepared.job.models)]


def _on_features(prepared: Prepared) -> Iterator[str]:
    features = prepared.experiment.features
    if features.name == "none":
        return
    if not any(uses_features(model) for model in prepared.experiment.models.values()):
        yield f"Features '{features.name}' were not used: no model here reads a feature set."
    elif isinstance(features, RowFeatures) and (names := features.absent(prepared.frame)):
        yield f"Features '{features.name}' are computed without {', '.join(names)}: the data has no column of that name."


def column_remarks(table: Table) -> Iterator[str]:
    """Yield a remark for each input that names rows, and for each that alone orders them almost as the labels do.

    The tests: 95 % of a column's values (texts or whole numbers, of 50 rows or more) are different; and its average precision
    alone, of its values rising or falling or of the mean label of others with its value, goes 60 % of the way from chance to 1.
    """
    inputs = [name for name in table.inputs if not table.data.schema[name].is_nested()]
    data = table.data.gather_every(-(-table.height // MOST))
    naming = dict(naming_inputs(data, inputs))
    for name, share in naming.items():
        yield (
            f"Input '{name}' names rows ({percent(share)} of its values are different), so that it is learned by heart: give it"
            " the role id, or ignore it (dataset.roles)."
        )
    others = [name for name in inputs if name not in naming]
    for name, how in leaking_inputs(data, table.name("label"), others, SUSPECT):
        yield (
            f"Input '{name}' alone is almost the label ({how}): if it is filled in once the label is known, ignore it"
            " (dataset.roles.ignore)."
        )
