"""Prove that nothing leaks: rubbish after each cutoff, bit-identical answers.

It takes the words of a run, and its small size unless they say `size=`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwds.cli.experiment import OVERRIDES
from hwds.cli.words import command

if TYPE_CHECKING:
    from hwds.evaluation.canary import Leak
    from hwds.experiment.prepare import Prepared


@command(help=__doc__)
@OVERRIDES
def main(overrides: tuple[str, ...]) -> int:
    """Run the canary over models and features, at their small size unless `size=` is given; 1 where one leaks."""
    from hwds.config.compose import compose
    from hwds.execution.threads import hold_threads
    from hwds.experiment.check import check
    from hwds.experiment.prepare import prepare, require_asked

    sized = any(word.lstrip("+").startswith("size=") for word in overrides)
    prepared = prepare(check(compose([*overrides, *([] if sized else ["size=small"])])))
    require_asked(prepared)
    hold_threads(prepared.job.cpus)
    clean = [tell(label, list(leaks)) for label, leaks in checks(prepared).items()]
    return 0 if all(clean) else 1


def checks(prepared: Prepared) -> dict[str, Iterator[Leak | None]]:
    """Return the checks by name: every model on the protocol's cutoffs, and the feature set."""
    from hwds.detection.protocols.base import Detection
    from hwds.evaluation.canary import canary, features_canary, row_features_canary
    from hwds.execution.compute_cell import context_of
    from hwds.features.base import RowFeatures
    from hwds.frames.panel import Panel

    job, frame = prepared.job, prepared.frame
    context = context_of(job, "")
    by_name = {label: canary(job.protocol, label, model, frame, context) for label, model in job.models.items()}
    name = prepared.experiment.features.name
    if isinstance(frame, Panel) and name != "none":
        by_name[f"features {name}"] = features_canary(f"features {name}", job.features, frame, frame.horizon)
    if isinstance(job.features, RowFeatures) and isinstance(job.protocol, Detection):
        by_name[f"features {name}"] = row_features_canary(f"features {name}", job.features, frame, job.protocol.delay_days)
    return by_name


def tell(label: str, results: list[Leak | None]) -> bool:
    """Print one line, and one for each leak; whether there is none."""
    if not results:
        print(f"{label}: nothing to check; the protocol has no moment after which anything is unknown")
        return True
    leaks = [leak for leak in results if leak is not None]
    cutoffs = f"{len(results)} cutoff{'s' * (len(results) != 1)}"
    if not leaks:
        print(f"{label}: no leak (bit-identical answers at {cutoffs})")
    else:
        print(f"{label}: LEAKS (answers differ at {len(leaks)} of {cutoffs})")
    for leak in leaks:
        print(f"  {leak}")
    return not leaks
