"""Test for leaks: random values after each cutoff must not change a forecast.

It takes the words of a run, and its small size unless they have `size=`. `size=full` checks the run
itself. Every model runs behind walls: in one process with the real data, and in fresh processes
with random values. The command also checks opened files, and columns that reveal the target. The
last lines list its checks, and the leaks that no check can see.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwds.cli.words import OVERRIDES, command

if TYPE_CHECKING:
    from hwds.evaluation.protocol import Leak


@command(help=__doc__)
@OVERRIDES
def main(overrides: tuple[str, ...]) -> int:
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
        clean = [tell(label, leaks) for label, leaks in sealed.checks()]
    clean.append(tell_giveaways(sealed.dataset, protocol, frame))
    say_what_was_tried(protocol, frame, sealed.lacking)
    if not sized:
        print("size=small: a leak in what it caps is seen by size=full alone.")
    return 0 if all(clean) else 1


def tell(label: str, results: list[Leak | None]) -> bool:
    """Print one line, and one for each leak; whether there is none."""
    from hwds.evaluation.protocol import FUTURE_LEAK, STATE_LEAK

    if not results:
        print(
            f"{label}: nothing to check; the protocol has no moment after which anything is unknown"
        )
        return True
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
    return not leaks


def tell_giveaways(dataset: Any, protocol: Any, frame: Any) -> bool:
    """Print a line for each column that gives away what is predicted, over the protocol's horizon,
    and for each that likely does.

    Whether there is none of the first.
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
    return not found


def say_what_was_tried(protocol: Any, frame: Any, lacking: tuple[str, ...]) -> None:
    """Print what was tried of this protocol and frame, the walls that it was tried behind, and what
    no check sees.
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
