"""Test for leaks: random values after each cutoff must not change a forecast.

It takes the words of a run, and its small size unless they have `size=`. `size=full` checks the run
itself. Every model runs behind walls: in one process with the real data, and in fresh processes
with random values. The command also checks opened files, and columns that reveal the target. The
last lines list its checks, and the leaks that no check can see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwds.cli.words import JSON_ALONE, OVERRIDES, QUIET, command, print_json

if TYPE_CHECKING:
    from hwds.evaluation.protocol import Leak
    from hwds.experiment.leaks import SealedExperiment


@command(help=__doc__)
@OVERRIDES
@JSON_ALONE
@QUIET
def main(overrides: tuple[str, ...], as_json: bool) -> int:
    """Run the leak check over models and features, at their small size unless `size=` is given.

    1 where one leaks.
    """
    from hwds.core.errors import DataError
    from hwds.experiment.leaks import sealed_experiment

    sized = any(word.lstrip("+").startswith("size=") for word in overrides)
    words = [*overrides, *([] if sized else ["size=small"])]
    with sealed_experiment(words) as sealed:
        protocol, frame = sealed.protocol, sealed.frame
        if not list(protocol.split(frame)):
            raise DataError("protocol: the data gives it nothing to ask.")
        rows = [tell(label, leaks) for label, leaks in with_progress(sealed)]
    rows.append(tell_giveaways(sealed.dataset, protocol, frame))
    tried = say_what_was_tried(protocol, frame, sealed.lacking)
    if not sized:
        print("size=small: a leak in what it caps is seen by size=full alone.")
    if as_json:
        print_json({"checks": rows, "tried": tried, "not_closed": sealed.lacking})
    return 1 if any(row["leaks"] for row in rows) else 0


def with_progress(sealed: SealedExperiment) -> Iterator[tuple[str, list[Leak | None]]]:
    """Yield what is found in each model and in the features, and show the time left meanwhile."""
    from hwds.report.progress import ProgressLine

    line = ProgressLine("checks")
    line.begin(len(sealed.settings["models"] | sealed.truths) + 1, 0)
    try:
        for found in sealed.checks():
            line.clear()
            yield found
            line.finish_cell("")
    finally:
        line.end()


def tell(label: str, results: list[Leak | None]) -> dict[str, Any]:
    """Print one line, and one for each leak, and return them as a row."""
    from hwds.evaluation.protocol import FUTURE_LEAK, STATE_LEAK

    if not results:
        print(
            f"{label}: nothing to check; the protocol has no moment after which anything is unknown"
        )
        return {"subject": label, "cutoffs": 0, "leaks": []}
    leaks = [leak for leak in results if leak is not None]
    compared = [leak for leak in results if leak is None or leak.check in (FUTURE_LEAK, STATE_LEAK)]
    cutoffs = f"{len(compared)} cutoff{'s' * (len(compared) != 1)}"
    differ = sum(leak is not None for leak in compared)
    if not leaks:
        print(f"{label}: no leak (bit-identical answers at {cutoffs})")
    elif compared:
        print(f"{label}: LEAKS (answers differ at {differ} of {cutoffs})")
    else:
        print(f"{label}: LEAKS (it has no answer without what it may not read)")
    for leak in leaks:
        print(f"  {leak}")
    return {"subject": label, "cutoffs": len(compared), "leaks": [*map(str, leaks)]}


def tell_giveaways(dataset: Any, protocol: Any, frame: Any) -> dict[str, Any]:
    """Print a line for each column that gives away what is predicted, over the protocol's horizon,
    and for each that likely does.

    The first are the leaks of the row that is returned.
    """
    from hwds.datasets.reading.leakage import giveaways
    from hwds.evaluation.panel_folds import PanelSplitting
    from hwds.experiment.prepare import likely_giveaways

    if isinstance(protocol, PanelSplitting):
        frame = replace(frame, horizon=protocol.steps(frame))
    trusted = getattr(dataset, "trust", ())
    found = list(giveaways(frame, trusted))
    for reason in found:
        print(f"dataset {dataset.name}: LEAKS: {reason}")
    for remark in likely_giveaways(frame, trusted):
        print(f"dataset {dataset.name}: {remark}")
    return {"subject": f"dataset {dataset.name}", "cutoffs": 0, "leaks": found}


def say_what_was_tried(protocol: Any, frame: Any, lacking: tuple[str, ...]) -> list[str]:
    """Print what was tried of this protocol and frame, the walls that it was tried behind, and what
    no check sees; return the first.
    """
    from hwds.evaluation.protocol import (
        GIVEAWAY_LEAK,
        IMPLAUSIBLE_LEAK,
        LEAK_CHECKS,
        OWN_LABEL_LEAK,
        TWIN_LEAK,
        UNSEEN_LEAKS,
        UNSEEN_WITHOUT_WALLS,
        LeakTestable,
    )
    from hwds.frames.panel import Panel
    from hwds.frames.runs import Runs
    from hwds.frames.table import Table

    labelled = isinstance(frame, Table) and bool(frame.roles.get("label"))
    has = {
        TWIN_LEAK: type(protocol).implausible is not LeakTestable.implausible,
        IMPLAUSIBLE_LEAK: type(protocol).implausible is not LeakTestable.implausible,
        OWN_LABEL_LEAK: labelled,
        GIVEAWAY_LEAK: labelled or isinstance(frame, Panel | Runs),
    }
    tried = [reason for check, reason in LEAK_CHECKS.items() if has.get(check, True)]
    print(f"tried: {'; '.join(tried)}.")
    if lacking:
        print(
            f"walls: this kernel does not close {', '.join(lacking)}; what is opened was watched."
        )
    print(f"not seen: {UNSEEN_WITHOUT_WALLS if lacking else UNSEEN_LEAKS}.")
    return tried
