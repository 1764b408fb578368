"""Prove that nothing leaks: rubbish after each cutoff, bit-identical answers; and try what a cheat
would.

It takes the words of a run, and its small size unless they say `size=`. Every model is tested in
this process, from the data as it is, and in a fresh one, from rubbish. What is opened meanwhile,
columns that give away what is predicted and more are looked at, too; the last lines say what was
tried, and what no check sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwds.cli.words import OVERRIDES, command

if TYPE_CHECKING:
    from hwds.evaluation.leak_check import Ask, FileWatch
    from hwds.evaluation.protocol import Leak
    from hwds.experiment.prepare import Prepared


@command(help=__doc__)
@OVERRIDES
def main(overrides: tuple[str, ...]) -> int:
    """Run the leak check over models and features, at their small size unless `size=` is given.

    1 where one leaks.
    """
    from hwds.core.cache import opened_files
    from hwds.core.compose import compose
    from hwds.evaluation.leak_check import AskElsewhere, FileWatch
    from hwds.evaluation.workers import hold_threads, thread_variables
    from hwds.experiment.prepare import prepare, require_asked
    from hwds.experiment.spec import check

    sized = any(word.lstrip("+").startswith("size=") for word in overrides)
    experiment = check(compose([*overrides, *([] if sized else ["size=small"])]))
    with opened_files() as opened:
        prepared = prepare(experiment)
    require_asked(prepared)
    require_repeatable(prepared)
    hold_threads(prepared.job.cpus)
    watch = FileWatch(
        frozenset(path for path in opened.data_read() if not path.endswith((".py", ".yaml")))
    )
    with AskElsewhere(watch, thread_variables(prepared.job.cpus)) as elsewhere:
        clean = [
            tell(label, list(leaks)) for label, leaks in checks(prepared, watch, elsewhere).items()
        ]
    clean.append(tell_giveaways(prepared.experiment.dataset, prepared.job.protocol, prepared.frame))
    say_what_was_tried(prepared.job.protocol, prepared.frame)
    return 0 if all(clean) else 1


def require_repeatable(prepared: Prepared) -> None:
    """Refuse a model whose answers depend on the clock: a leak is seen by answers that differ in a
    bit.

    Raises:
        ConfigError: With the field and its value.
    """
    from hwds.core.errors import ConfigError

    for recipe in prepared.job.models.values():
        if why := recipe.why_unrepeatable():
            raise ConfigError(f"model.{why}: the leak test compares answers to the bit.")


def checks(
    prepared: Prepared, watch: FileWatch, elsewhere: Ask
) -> dict[str, Iterator[Leak | None]]:
    """Return the checks by name: every model on the protocol's cutoffs, and the feature set."""
    from hwds.evaluation.cells import context_of_fold
    from hwds.evaluation.leak_check import (
        AskHere,
        MemoryCache,
        check_leaks,
        check_row_features,
        check_run_features,
        check_series_features,
        with_opened_files,
    )
    from hwds.frames.features.base import RowFeatures
    from hwds.frames.panel import Panel
    from hwds.frames.runs import Runs
    from hwds.frames.signals import RunFeatures

    job, frame = prepared.job, prepared.frame
    context = replace(context_of_fold(job, ""), cache=MemoryCache.empty())
    by_name = {
        label: check_leaks(
            job.protocol, label, model, frame, context, here=AskHere(watch), elsewhere=elsewhere
        )
        for label, model in job.models.items()
    }
    features, name = job.features, f"features {prepared.experiment.features.name}"
    if isinstance(frame, Panel) and prepared.experiment.features.name != "none":
        by_name[name] = with_opened_files(
            name, features, check_series_features(name, features, frame, frame.horizon), watch
        )
    if isinstance(features, RowFeatures):
        rows = check_row_features(name, features, frame, getattr(job.protocol, "delay_days", 0))
        by_name[name] = with_opened_files(name, features, rows, watch)
    if isinstance(features, RunFeatures) and isinstance(frame, Runs):
        by_name[name] = with_opened_files(
            name, features, check_run_features(name, features, frame.learnable), watch
        )
    return by_name


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
    else:
        print(f"{label}: LEAKS (answers differ at {differ} of {cutoffs})")
    for leak in leaks:
        print(f"  {leak}")
    return not leaks


def tell_giveaways(dataset: Any, protocol: Any, frame: Any) -> bool:
    """Print a line for each column that gives away what is predicted, over the protocol's horizon.

    Whether there is none.
    """
    from hwds.datasets.reading.leakage import giveaways
    from hwds.evaluation.panel_folds import PanelSplitting

    if isinstance(protocol, PanelSplitting):
        frame = replace(frame, horizon=protocol.steps(frame))
    found = list(giveaways(frame, getattr(dataset, "trust", ())))
    for reason in found:
        print(f"dataset {dataset.name}: LEAKS: {reason}")
    return not found


def say_what_was_tried(protocol: Any, frame: Any) -> None:
    """Print what was tried of this protocol and frame, and what no check sees."""
    from hwds.evaluation.protocol import (
        GIVEAWAY_LEAK,
        IMPLAUSIBLE_LEAK,
        LEAK_CHECKS,
        OWN_LABEL_LEAK,
        TWIN_LEAK,
        UNSEEN_LEAKS,
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
    print(f"not seen: {UNSEEN_LEAKS}.")
