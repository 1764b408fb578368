"""The best trial of a sweep against the experiment as it stood, on windows that chose nothing."""

from __future__ import annotations

from hwds.app.run import RunResult
from hwds.core.errors import HwdsError
from hwds.report.sweep.result import TunedEffect


def tuned_effect(run: RunResult, untuned: RunResult, metric: str) -> TunedEffect:
    """Return by how much the best trial is better, as `hwds compare --sweep` says it.

    Args:
        run: The best trial's.
        untuned: That of the experiment as it stood.
        metric: The short name of the metric that trials were compared by.

    Returns:
        The reason in place of numbers where the two cannot be compared.
    """
    from hwds.compare.labels import model_labels
    from hwds.compare.models import compare
    from hwds.compare.source import Source

    try:
        tuned, stood_run = Source.read([each.prepared.folder for each in (run, untuned)])
        sources = [tuned.asked_as(stood_run), stood_run]
        best, stood = (labels[source.model] for labels, source in zip(model_labels(sources), sources, strict=True))
        pairs = compare(sources, metric=metric, model=best).pairs
    except HwdsError as error:
        return TunedEffect(reason=str(error))
    row = next(row for row in pairs.iter_rows(named=True) if row["rival"] == stood)
    reason = row["method"] if row["low"] is None else ""
    return TunedEffect(row["effect"], row["low"], row["high"], row["p_value"], reason)
