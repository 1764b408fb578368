"""Prove that nothing leaks: rubbish after each cutoff, bit-identical answers. Takes the same words as a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwds.flags import experiment_words

if TYPE_CHECKING:
    from hwds.execution.canary import Leak
    from hwds.execution.prepare import Prepared


def main(words: list[str]) -> int:
    """Run the canary over models and features, at their small size unless `size=` is given; 1 where one leaks."""
    words = experiment_words("check-leakage", words)
    from hwds.config.check import check
    from hwds.config.compose import compose
    from hwds.execution.prepare import prepare, require_asked
    from hwds.execution.threads import hold_threads

    sized = words if any(word.lstrip("+").startswith("size=") for word in words) else [*words, "size=small"]
    prepared = prepare(check(compose(sized)))
    require_asked(prepared)
    hold_threads(prepared.job.cpus)
    clean = [tell(label, list(found)) for label, found in checks(prepared).items()]
    return 0 if all(clean) else 1


def checks(prepared: Prepared) -> dict[str, Iterator[Leak | None]]:
    """What is checked by name: every model on the protocol's cutoffs, and the feature set."""
    from hwds.execution.asking import context_of
    from hwds.execution.canary import canary, features_canary, row_features_canary
    from hwds.features.base import RowFeatures
    from hwds.frames.panel import Panel
    from hwds.protocols.detection import Detection

    job, frame = prepared.job, prepared.frame
    context = context_of(job, "")
    found = {label: canary(job.protocol, label, model, frame, context) for label, model in job.models.items()}
    name = prepared.experiment.features.name
    if isinstance(frame, Panel) and name != "none":
        found[f"features {name}"] = features_canary(f"features {name}", job.features, frame, frame.horizon)
    if isinstance(job.features, RowFeatures) and isinstance(job.protocol, Detection):
        found[f"features {name}"] = row_features_canary(f"features {name}", job.features, frame, job.protocol.delay_days)
    return found


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
