"""The canary: everything after a cutoff becomes rubbish, and the answers must be bit-identical."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe
from hwds.core.seeds import stream
from hwds.evaluation.abilities import LeakTestable
from hwds.evaluation.base import Evaluation
from hwds.evaluation.context import RunContext
from hwds.evaluation.corruption.rows import corrupt_rows
from hwds.evaluation.leakage.asking import Ask, Here, Question
from hwds.evaluation.leakage.corruption_checks import blind, unreached, untouched
from hwds.evaluation.leakage.leak import FILES, IMPLAUSIBLE, OWN_LABEL, STATE, Leak, compared
from hwds.evaluation.leakage.opened import Watch
from hwds.frames.panel import Panel
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from hwds.splitting.fold import Fold
from hwds.splitting.row_windows import arrivals, as_known, label_arrivals
from hwds.splitting.run_kfold import with_rubbish

AGAIN = "changed when the same was asked again: something is kept from one fit to another"
ELSEWHERE = "differ from those of a fresh process: something is kept in this one"

SEEDS = "changed under another seed with what was asked before: something is kept from one seed to another"

OWN_ROWS = 3
"""Rows whose own label is turned; each takes one more computation of all features."""


def canary(
    protocol: Evaluation[Any, Any],
    label: str,
    model: Recipe,
    frame: Any,
    context: RunContext,
    *,
    here: Ask | None = None,
    elsewhere: Ask | None = None,
) -> Iterator[Leak | None]:
    """Ask from the frame and from a poisoned one, cutoff by cutoff: None where the settled answers agree bit for bit.

    Clean folds are run first to last and poisoned ones last to first, so that a model which carries something from fold to
    fold is caught as well. What else is found follows, a leak each: files that were opened, rubbish that never reached what
    is scored, twins that were told apart, scores that are too good to be true.

    Args:
        protocol: Cuts and asks.
        label: How the model is called.
        model: The recipe.
        frame: The data.
        context: Of the run.
        here: Asks from the data as it is; in this process where it is not given.
        elsewhere: Asks from all other data, best in a process that has never seen this one; `here` where it is not given.

    Raises:
        ConfigError: The protocol is not `LeakTestable`.
    """
    if not isinstance(protocol, LeakTestable):
        raise ConfigError(f"check-leakage: protocol '{protocol.name}' predicts nothing that a later row could change.")
    here = here or Here()
    check = _Check(protocol, label, model, frame, context, here, elsewhere or here)
    alone = check.other_seed()
    for fold in reversed(check.folds):
        yield from check.of_cutoffs(fold)
    yield from check.of_seeds(alone)
    for fold in check.folds:
        yield from check.of_twins(fold)
        yield from check.of_luck(fold)
    yield from check.of_files()


class _Check:
    """The questions to one model, its answers from the data as it is, and what was opened meanwhile."""

    def __init__(
        self, protocol: Any, label: str, model: Recipe, frame: Any, context: RunContext, here: Ask, elsewhere: Ask
    ) -> None:
        self.protocol, self.label, self.model, self.frame, self.context = protocol, label, model, frame, context
        self.here, self.elsewhere = here, elsewhere
        self.opened: dict[str, str] = {}
        self.folds: list[Fold] = list(protocol.split(frame))
        self.clean = {fold.index: self.ask(here, frame, fold) for fold in self.folds}

    def ask(
        self, who: Ask, frame: Any, fold: Fold, seed: int | None = None, part: tuple[int, int] | None = None
    ) -> pl.DataFrame:
        """Return the raw rows of a fold or a part of its units, under the run's seed or another; note what was opened."""
        context = self.context if seed is None else replace(self.context, seed=seed)
        answer = who(Question(self.protocol, self.label, self.model, frame, fold, context, part))
        for what in answer.opened:
            self.opened.setdefault(what, fold.name)
        return answer.rows

    def of_cutoffs(self, fold: Fold) -> Iterator[Leak | None]:
        """Yield what each cutoff of a fold shows."""
        settled = self.settled(self.clean, fold)
        for place, cutoff in enumerate(fold.cutoffs):
            rubbish = self.protocol.corrupt_after(self.frame, cutoff, stream(self.context.seed, "canary", str(cutoff)))
            raw = {other.index: self.ask(self.elsewhere, rubbish, other) for other in reversed(self.read_by(fold))}
            wanted = self.protocol.predictions_at(settled, cutoff, self.frame)
            got = self.protocol.predictions_at(self.settled(raw, fold), cutoff, rubbish)
            leak = compared(self.label, cutoff.label, wanted, got)
            yield self.explained(leak, fold, rubbish, raw) if leak else None
            if place == 0:
                rng = stream(self.context.seed, "canary", "reference", str(cutoff))
                yield from untouched(self.protocol, self.label, self.frame, rubbish, cutoff, rng)
                yield from unreached(self.protocol, self.label, self.clean[fold.index], raw[fold.index], cutoff)
                yield from blind(self.protocol, self.label, wanted, cutoff)

    def other_seed(self) -> pl.DataFrame | None:
        """Return the answers of the first fold under another seed, from a new process."""
        if self.elsewhere is self.here or len(self.folds) < 2:  # of one fold nothing later was seen under any seed
            return None
        return self.ask(self.elsewhere, self.frame, self.folds[0], self.context.seed + 1)

    def of_seeds(self, alone: pl.DataFrame | None) -> Iterator[Leak]:
        """Yield a leak where answers under another seed depend on what was run under this one."""
        if alone is None:
            return
        now = self.ask(self.here, self.frame, self.folds[0], self.context.seed + 1)
        for cutoff in self.folds[0].cutoffs[:1]:
            before, after = (
                self.protocol.predictions_at(self.settled({self.folds[0].index: raw}, self.folds[0]), cutoff, self.frame)
                for raw in (alone, now)
            )
            leak = compared(self.label, cutoff.label, before, after, STATE, SEEDS)
            yield from [leak] if leak else []

    def explained(self, leak: Leak, fold: Fold, rubbish: Any, raw: dict[int, pl.DataFrame]) -> Leak:
        """Return the leak, as one of state where one question has two answers."""
        if not self.ask(self.here, self.frame, fold).equals(self.clean[fold.index]):
            return replace(leak, check=STATE, shows=AGAIN)
        if self.elsewhere is not self.here and not self.ask(self.here, rubbish, fold).equals(raw[fold.index]):
            return replace(leak, check=STATE, shows=ELSEWHERE)
        return leak

    def read_by(self, fold: Fold) -> list[Fold]:
        """Return the folds that settling one reads."""
        if not self.protocol.postprocess_needs_earlier_folds:
            return [fold]
        return [other for other in self.folds if other.index <= fold.index]

    def settled(self, raw: dict[int, pl.DataFrame], fold: Fold) -> pl.DataFrame:
        """Return the settled rows of a fold, from the raw ones of all that settling reads."""
        there = [raw[other.index] for other in self.read_by(fold) if raw[other.index].width]
        if not there:
            return pl.DataFrame()
        return self.protocol.postprocess(pl.concat(there)).filter(pl.col("fold") == fold.index).drop("fold")

    def of_twins(self, fold: Fold) -> Iterator[Leak]:
        """Yield twins of a fold that were told apart."""
        for twin in self.protocol.twins(self.frame, fold, self.clean[fold.index]):
            one = self.clean[fold.index] if twin.one is self.frame else self.ask(self.elsewhere, twin.one, fold, part=twin.part)
            other = self.ask(self.elsewhere, twin.other, fold, part=twin.part)
            leak = compared(self.label, twin.label, twin.answers(one), twin.answers(other), twin.check, twin.shows)
            yield from [leak] if leak else []

    def of_luck(self, fold: Fold) -> Iterator[Leak]:
        """Yield what the answers of a fold show that no choice made before can."""
        for reason in self.protocol.implausible(self.clean[fold.index]):
            yield Leak(self.label, fold.name, check=IMPLAUSIBLE, shows=reason)

    def of_files(self) -> Iterator[Leak]:
        """Yield what was opened, once each."""
        for what, where in self.opened.items():
            yield Leak(self.label, where, check=FILES, shows=what)


def watched(label: str, recipe: Any, leaks: Iterator[Leak | None], watch: Watch) -> Iterator[Leak | None]:
    """Yield leaks as they are, and then what a recipe has opened while they were looked for."""
    with watch.watching(recipe) as opened:
        found = list(leaks)
    yield from found
    yield from (Leak(label, "any row", check=FILES, shows=what) for what in opened)


def features_canary(label: str, features: Any, panel: Panel, horizon: int) -> Iterator[Leak | None]:
    """Compute features from the panel and from poisoned ones: rows up to the first one after the cut must agree bit for bit."""
    names = [feature.name for feature in features.columns(panel.roles, horizon).features]
    if not names:
        return
    clean = features.compute(panel).table.select(names)
    longest = int(panel.lengths.max())
    for back in sorted({1, longest // 3, 2 * longest // 3} - {0}, reverse=True):
        first = np.repeat(np.maximum(panel.lengths - back, 0), panel.lengths)
        rng = stream(0, "canary", back)
        columns = ("target", *panel.roles.past_only)
        rubbish = {name: pl.Series(1e6 * rng.standard_normal(len(first))) for name in columns}
        late = pl.Series(panel.positions >= first)
        table = panel.table.with_columns(
            pl.when(late).then(values).otherwise(pl.col(name)).alias(name) for name, values in rubbish.items()
        )
        known = pl.Series(panel.positions <= first)
        got = features.compute(replace(panel, table=table)).table.select(names)
        yield compared(label, f"end-{back}", clean.filter(known), got.filter(known))
    again = compared(label, "the end", clean, features.compute(panel).table.select(names), STATE, AGAIN)
    yield from [again] if again else []


def row_features_canary(label: str, features: Any, table: Table, delay: int) -> Iterator[Leak | None]:
    """Compute features of rows, and again where all that arrived after an instant is rubbish: earlier rows must agree.

    The instants are the quarters of the rows. What a learner is given of its training window is compared as well, not only
    what is scored: by its end labels have arrived that a row's own moment did not know.

    Args:
        label: How the feature set is called.
        features: Row features.
        table: Rows, with labels.
        delay: Days until labels arrive, where no column tells.
    """
    times = arrivals(table)
    until = max(value for value in (times.max(), label_arrivals(table, delay).max()) if value is not None)
    clean = features.compute(as_known(table, until, delay))
    for part in (1, 2, 3):
        instant = times.sort()[part * len(times) // 4]
        rubbish = corrupt_rows(table, instant, delay, stream(0, "canary", part))
        early = (times <= instant).fill_null(False)
        got = features.compute(as_known(rubbish, until, delay))
        yield compared(label, str(instant), clean.filter(early), got.filter(early))
    again = compared(label, "the end", clean, features.compute(as_known(table, until, delay)), STATE, AGAIN)
    yield from [again] if again else []
    yield from _own_labels(label, features, table, clean, until, delay)


def run_features_canary(label: str, features: Any, runs: Runs) -> Iterator[Leak | None]:
    """Compute features of runs, and again where all after a cycle of each run is rubbish: rows up to it must agree.

    Args:
        label: How the feature set is called.
        features: Features of runs.
        runs: Whose scales are learned once, from the runs as they are.
    """

    def early_rows(some: Runs, known: np.ndarray) -> pl.Series:
        return pl.Series(np.arange(len(some.data)) - some.offsets[:-1][some.run_of_row] < known[some.run_of_row])

    learned = features.learn(runs)
    clean = pl.DataFrame(learned.compute(runs), schema=list(learned.names))
    for part in (1, 2, 3):
        known = runs.lengths * part // 4
        rubbish = with_rubbish(runs, known, stream(0, "canary", part))
        got = pl.DataFrame(learned.compute(rubbish), schema=list(learned.names))
        yield compared(label, f"quarter {part}", clean.filter(early_rows(runs, known)), got.filter(early_rows(rubbish, known)))
    again = compared(label, "the end", clean, pl.DataFrame(learned.compute(runs), schema=list(learned.names)), STATE, AGAIN)
    yield from [again] if again else []


def _own_labels(label: str, features: Any, table: Table, clean: pl.DataFrame, until: Any, delay: int) -> Iterator[Leak]:
    """Turn the label of one row at a time: its own features must stay, whenever its label is said to be known."""
    name = table.name("label")
    known = table.data[name].is_not_null().arg_true().to_numpy()
    for place in known[np.unique(np.linspace(0, len(known) - 1, OWN_ROWS).astype(int))].tolist() if len(known) else ():
        one = pl.Series(np.arange(table.height) == place)
        values = table.data[name].cast(pl.Float64)
        turned = replace(table, data=table.data.with_columns(values.zip_with(~one, 1 - values)))
        got = features.compute(as_known(turned, until, delay))
        reason = "changed with the row's own label"
        leak = compared(label, f"row {place + 1}", clean.filter(one), got.filter(one), OWN_LABEL, reason)
        yield from [leak] if leak else []
