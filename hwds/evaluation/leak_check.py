"""The leak check: all after a cutoff becomes rubbish, and the answers must be bit-identical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame, Series

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe
from hwds.core.seeds import stream
from hwds.evaluation.leak_questions import (
    Ask,
    AskHere,
    FeatureQuestion,
    FoldQuestion,
    note_failures,
)
from hwds.evaluation.panel_folds import corrupt_panel, with_rubbish
from hwds.evaluation.protocol import (
    FILES_LEAK,
    IMPLAUSIBLE_LEAK,
    OWN_LABEL_LEAK,
    PROTOCOL_LEAK,
    STATE_LEAK,
    Evaluation,
    Fold,
    Leak,
    LeakTestable,
    RunContext,
    compare_answers,
    differences,
)
from hwds.evaluation.row_folds import (
    Moment,
    RowSplitting,
    as_known,
    corrupt_rows,
    label_arrivals,
    row_arrivals,
)
from hwds.evaluation.run_folds import corrupt_runs
from hwds.frames.panel import Panel
from hwds.frames.roles import TARGET
from hwds.frames.runs import Runs
from hwds.frames.table import Table

# Checks of a protocol's own corruption: a canary that leaves everything as it was proves
# nothing.

ENOUGH = 0.25
"""The share of what is to become rubbish that a corruption must change; columns of few values are
often drawn as they were.
"""


def unchanged_columns(
    protocol: Any, where: str, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator
) -> Iterator[Leak]:
    """Yield what of a frame is not known at a cutoff and was not replaced by rubbish."""
    if frame.fingerprint == rubbish.fingerprint:
        yield _protocol_leak(
            where,
            cutoff,
            f"{type(protocol).__name__}.corrupt_after changes nothing, so that no leak would be "
            f"seen",
        )
        return
    left = [
        name for name, changes in _shares(protocol, frame, rubbish, cutoff, rng) if changes < ENOUGH
    ]
    if left:
        yield _protocol_leak(
            where,
            cutoff,
            f"{type(protocol).__name__}.corrupt_after leaves column {', '.join(map(repr, left))} "
            f"as it was after the cutoff, so"
            " that a model which reads it there would not be seen",
        )


def unreached_rows(
    protocol: Any, where: str, clean: DataFrame, rubbish: DataFrame, cutoff: Any
) -> Iterator[Leak]:
    """Yield a remark where the rows of a fold, outcomes included, are the same with rubbish after
    its first cutoff.
    """
    if clean.height and clean.equals(rubbish):
        yield _protocol_leak(
            where,
            cutoff,
            f"{type(protocol).__name__}.evaluate_cell gives the same rows and outcomes where all "
            f"after the cutoff is rubbish:"
            " it does not read the frame that it is given, or corrupt_after changes nothing that "
            "is scored",
        )


def empty_answers(protocol: Any, where: str, answers: DataFrame, cutoff: Any) -> Iterator[Leak]:
    """Yield a remark where what is compared holds no answer."""
    keys = {*protocol.keys, protocol.unit, "model", "fold", "cutoff", "series_id", "time", "step"}
    if not set(answers.columns) - keys:
        yield _protocol_leak(
            where,
            cutoff,
            f"{type(protocol).__name__}.predictions_at keeps no prediction, so that nothing is "
            f"compared",
        )


def _shares(
    protocol: Any, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator
) -> Iterator[tuple[str, float]]:
    """Yield each column that must become rubbish, and how much of it was changed of what hwds
    itself would change.
    """
    clean, wanted, got, names = _tables(protocol, frame, rubbish, cutoff, rng)
    if clean is None or got.height != clean.height:
        return
    for name in names:
        if name not in got.columns:
            continue
        due = clean[name].ne_missing(wanted[name])
        if due.any():
            changed = clean[name].cast(pl.String).ne_missing(got[name].cast(pl.String))
            yield name, float(changed.sum()) / float(due.sum())


def _tables(
    protocol: Any, frame: Any, rubbish: Any, cutoff: Any, rng: np.random.Generator
) -> tuple[Any, Any, Any, list[str]]:
    """Return the rows as they were, as hwds and as the protocol corrupt them, and the columns that
    are due.
    """
    if isinstance(frame, Panel) and isinstance(rubbish, Panel) and hasattr(cutoff, "ends"):
        return (
            frame.table,
            corrupt_panel(frame, cutoff, rng).table,
            rubbish.table,
            [TARGET, *frame.roles.past_only],
        )
    if (
        isinstance(frame, Table)
        and isinstance(cutoff, Moment)
        and isinstance(protocol, RowSplitting)
    ):
        flat = [name for name in frame.inputs if not frame.data.schema[name].is_nested()]
        wanted = corrupt_rows(frame, cutoff.at, protocol.delay_days, rng)
        return frame.data, wanted.data, rubbish.data, [frame.name("label"), *flat]
    return None, None, None, []


def _protocol_leak(where: str, cutoff: Any, shows: str) -> Leak:
    return Leak(where, cutoff.label, check=PROTOCOL_LEAK, shows=shows)


# The canary: everything after a cutoff becomes rubbish, and the answers must be bit-identical.

CHANGED_AGAIN = "changed when the same was asked again: something is kept from one fit to another"
CHANGED_ELSEWHERE = "differ from those of a fresh process: something is kept in this one"

CHANGED_BY_SEED = (
    "changed under another seed with what was asked before: something is kept from "
    "one seed to another"
)

OWN_ROWS = 3
"""Rows whose own label is turned; each takes one more computation of all features."""


def check_leaks(
    protocol: Evaluation[Any, Any],
    label: str,
    model: Recipe,
    frame: Any,
    context: RunContext,
    *,
    here: Ask | None = None,
    elsewhere: Ask | None = None,
) -> Iterator[Leak | None]:
    """Ask from the frame and from a poisoned one, cutoff by cutoff: None where the postprocessed
    answers agree bit for bit.

    Clean folds are run first to last and poisoned ones last to first, so that a model which carries
    something from fold to fold is caught as well. What else is found follows, a leak each: files
    that were opened, rubbish that never reached what is scored, twins that were told apart, scores
    that are too good to be true.

    Args:
        protocol: Cuts and asks.
        label: The label of the model.
        model: The recipe.
        frame: The data.
        context: The context of the run.
        here: Asks from the data as it is; in this process where it is not given.
        elsewhere: Asks from all other data, best in a process that has never seen this one; `here`
            where it is not given.

    Raises:
        ConfigError: The protocol is not `LeakTestable`.
    """
    if not isinstance(protocol, LeakTestable):
        raise ConfigError(
            f"check-leakage: protocol '{protocol.name}' predicts nothing that a later row could "
            f"change."
        )
    here = here or AskHere()
    check = _ModelCheck(protocol, label, model, frame, context, here, elsewhere or here)
    with note_failures(check.opened):
        check.clean = {fold.index: check.ask(here, frame, fold) for fold in check.folds}
        alone = check.other_seed()
        for fold in reversed(check.folds):
            yield from check.check_cutoffs(fold)
        yield from check.check_seeds(alone)
        for fold in check.folds:
            yield from check.check_twins(fold)
            yield from check.check_plausibility(fold)
    yield from check.check_files()


class _ModelCheck:
    """The questions to one model, its answers from the data as it is, and what was opened
    meanwhile.
    """

    def __init__(
        self,
        protocol: Any,
        label: str,
        model: Recipe,
        frame: Any,
        context: RunContext,
        here: Ask,
        elsewhere: Ask,
    ) -> None:
        self.protocol, self.label, self.model = protocol, label, model
        self.frame, self.context = frame, context
        self.here, self.elsewhere = here, elsewhere
        self.opened: dict[str, str] = {}
        self.folds: list[Fold] = list(protocol.split(frame))
        self.clean: dict[int, DataFrame] = {}

    def ask(
        self,
        who: Ask,
        frame: Any,
        fold: Fold,
        seed: int | None = None,
        part: tuple[int, int] | None = None,
    ) -> DataFrame:
        """Return the raw rows of a fold or a part of its units, under the run's seed or another.

        Note what was opened.
        """
        context = self.context if seed is None else replace(self.context, seed=seed)
        answer = who(
            FoldQuestion(self.protocol, self.label, self.model, frame, fold, context, part)
        )
        for what in answer.opened:
            self.opened.setdefault(what, fold.name)
        return answer.known()

    def check_cutoffs(self, fold: Fold) -> Iterator[Leak | None]:
        """Yield what each cutoff of a fold shows."""
        processed = self.postprocess_fold(self.clean, fold)
        for place, cutoff in enumerate(fold.cutoffs):
            rubbish = self.protocol.corrupt_after(
                self.frame, cutoff, stream(self.context.seed, "canary", str(cutoff))
            )
            raw = {
                other.index: self.ask(self.elsewhere, rubbish, other)
                for other in reversed(self.folds_read_for(fold))
            }
            wanted = self.protocol.predictions_at(processed, cutoff, self.frame)
            got = self.protocol.predictions_at(self.postprocess_fold(raw, fold), cutoff, rubbish)
            leak = compare_answers(self.label, cutoff.label, wanted, got)
            yield self.explain(leak, fold, rubbish, raw) if leak else None
            if place == 0:
                rng = stream(self.context.seed, "canary", "reference", str(cutoff))
                yield from unchanged_columns(
                    self.protocol, self.label, self.frame, rubbish, cutoff, rng
                )
                yield from unreached_rows(
                    self.protocol, self.label, self.clean[fold.index], raw[fold.index], cutoff
                )
                yield from empty_answers(self.protocol, self.label, wanted, cutoff)

    def other_seed(self) -> DataFrame | None:
        """Return the answers of the first fold under another seed, from a new process."""
        if (
            self.elsewhere is self.here or len(self.folds) < 2
        ):  # of one fold nothing later was seen under any seed
            return None
        return self.ask(self.elsewhere, self.frame, self.folds[0], self.context.seed + 1)

    def check_seeds(self, alone: DataFrame | None) -> Iterator[Leak]:
        """Yield a leak where answers under another seed depend on what was run under this one."""
        if alone is None:
            return
        now = self.ask(self.here, self.frame, self.folds[0], self.context.seed + 1)
        for cutoff in self.folds[0].cutoffs[:1]:
            before, after = (
                self.protocol.predictions_at(
                    self.postprocess_fold({self.folds[0].index: raw}, self.folds[0]),
                    cutoff,
                    self.frame,
                )
                for raw in (alone, now)
            )
            yield from differences(
                self.label, cutoff.label, before, after, STATE_LEAK, CHANGED_BY_SEED
            )

    def explain(self, leak: Leak, fold: Fold, rubbish: Any, raw: dict[int, DataFrame]) -> Leak:
        """Return the leak, as one of state where one question has two answers."""
        if not self.ask(self.here, self.frame, fold).equals(self.clean[fold.index]):
            return replace(leak, check=STATE_LEAK, shows=CHANGED_AGAIN)
        if self.elsewhere is not self.here and not self.ask(self.here, rubbish, fold).equals(
            raw[fold.index]
        ):
            return replace(leak, check=STATE_LEAK, shows=CHANGED_ELSEWHERE)
        return leak

    def folds_read_for(self, fold: Fold) -> list[Fold]:
        """Return the folds whose rows the postprocessing of one needs."""
        if not self.protocol.postprocess_needs_earlier_folds:
            return [fold]
        return [other for other in self.folds if other.index <= fold.index]

    def postprocess_fold(self, raw: dict[int, DataFrame], fold: Fold) -> DataFrame:
        """Return the postprocessed rows of a fold, from the raw ones of the folds they need."""
        there = [raw[other.index] for other in self.folds_read_for(fold) if raw[other.index].width]
        if not there:
            return DataFrame()
        return self.protocol.postprocess(pl.concat(there)).filter(fold=fold.index).drop("fold")

    def check_twins(self, fold: Fold) -> Iterator[Leak]:
        """Yield twins of a fold that were told apart."""
        for twin in self.protocol.twins(self.frame, fold, self.clean[fold.index]):
            one = (
                self.clean[fold.index]
                if twin.one is self.frame
                else self.ask(self.elsewhere, twin.one, fold, part=twin.part)
            )
            other = self.ask(self.elsewhere, twin.other, fold, part=twin.part)
            pair = twin.answers(one), twin.answers(other)
            yield from differences(self.label, twin.label, *pair, twin.check, twin.shows)

    def check_plausibility(self, fold: Fold) -> Iterator[Leak]:
        """Yield what the answers of a fold show that no choice made before can."""
        for reason in self.protocol.implausible(self.clean[fold.index]):
            yield Leak(self.label, fold.name, check=IMPLAUSIBLE_LEAK, shows=reason)

    def check_files(self) -> Iterator[Leak]:
        """Yield what was opened, once each."""
        for what, where in self.opened.items():
            yield Leak(self.label, where, check=FILES_LEAK, shows=what)


class _FeatureCheck:
    """The questions to one feature set, and what was opened meanwhile."""

    def __init__(
        self, label: str, features: Any, compute: Callable[..., DataFrame], here: Ask, other: Ask
    ) -> None:
        self.label, self.features, self.compute = label, features, compute
        self.here, self.other = here, other
        self.opened: dict[str, str] = {}

    def clean(self, *data: Any) -> DataFrame:
        """Return the columns of the data as it is."""
        return self._ask(self.here, data)

    def rubbish(self, *data: Any) -> DataFrame:
        """Return the columns of other data."""
        return self._ask(self.other, data)

    def _ask(self, who: Ask, data: tuple[Any, ...]) -> DataFrame:
        answer = who(FeatureQuestion(self.features, self.compute, data))
        self.opened.update(dict.fromkeys(answer.opened, "any row"))
        return answer.known()

    def again(self, clean: DataFrame, *data: Any) -> Iterator[Leak]:
        """Yield a leak where the same is computed twice and differs."""
        got = self.clean(*data)
        yield from differences(self.label, "the end", clean, got, STATE_LEAK, CHANGED_AGAIN)

    def found(self, leaks: Iterator[Leak | None]) -> Iterator[Leak | None]:
        """Yield leaks, and what was opened while they were looked for."""
        with note_failures(self.opened):
            yield from leaks
        for what, where in self.opened.items():
            yield Leak(self.label, where, check=FILES_LEAK, shows=what)


def check_series_features(
    label: str,
    features: Any,
    panel: Panel,
    horizon: int,
    *,
    here: Ask | None = None,
    elsewhere: Ask | None = None,
) -> Iterator[Leak | None]:
    """Compute features from the panel and from poisoned ones: rows up to the first one after the
    cut must agree bit for bit.

    Args:
        label: The name of the feature set.
        features: The features, or their `canonical` settings.
        panel: The data.
        horizon: Steps ahead.
        here: As in `check_leaks`.
        elsewhere: As in `check_leaks`.
    """
    here = here or AskHere()
    check = _FeatureCheck(label, features, _series_columns, here, elsewhere or here)
    return check.found(_series_leaks(check, panel, horizon))


def _series_leaks(check: _FeatureCheck, panel: Panel, horizon: int) -> Iterator[Leak | None]:
    clean = check.clean(panel, horizon)
    if not clean.width:
        return
    longest = int(panel.lengths.max())
    for back in sorted({1, longest // 3, 2 * longest // 3} - {0}, reverse=True):
        first = np.repeat(np.maximum(panel.lengths - back, 0), panel.lengths)
        rng = stream(0, "canary", back)
        late = Series(panel.positions >= first)
        table = with_rubbish(panel.table, late, (TARGET, *panel.roles.past_only), rng)
        known = Series(panel.positions <= first)
        got = check.rubbish(replace(panel, table=table), horizon)
        wanted, cut = clean.filter(known), f"end-{back}"
        yield compare_answers(check.label, cut, wanted, got.filter(known))
    yield from check.again(clean, panel, horizon)


def _series_columns(features: Any, panel: Panel, horizon: int) -> DataFrame:
    names = [feature.name for feature in features.columns(panel.roles, horizon).features]
    return features.compute(panel).table.select(names) if names else DataFrame()


def check_row_features(
    label: str,
    features: Any,
    table: Table,
    delay: int,
    *,
    here: Ask | None = None,
    elsewhere: Ask | None = None,
) -> Iterator[Leak | None]:
    """Compute features of rows, and again where all that arrived after an instant is rubbish:
    earlier rows must agree.

    The instants are the quarters of the rows. What a learner is given of its training window is
    compared as well, not only what is scored: by its end labels have arrived that a row's own
    moment did not know.

    Args:
        label: The name of the feature set.
        features: Row features, or their `canonical` settings.
        table: Rows, with labels.
        delay: Days until labels arrive, where no column tells.
        here: As in `check_leaks`.
        elsewhere: As in `check_leaks`.
    """
    here = here or AskHere()
    check = _FeatureCheck(label, features, _row_columns, here, elsewhere or here)
    return check.found(_row_leaks(check, table, delay))


def _row_leaks(check: _FeatureCheck, table: Table, delay: int) -> Iterator[Leak | None]:
    times = row_arrivals(table)
    until = max(
        value for value in (times.max(), label_arrivals(table, delay).max()) if value is not None
    )
    clean = check.clean(table, until, delay)
    for part in (1, 2, 3):
        instant = times.sort()[part * len(times) // 4]
        rubbish = corrupt_rows(table, instant, delay, stream(0, "canary", part))
        early = (times <= instant).fill_null(False)
        got = check.rubbish(rubbish, until, delay)
        wanted = clean.filter(early)
        yield compare_answers(check.label, str(instant), wanted, got.filter(early))
    yield from check.again(clean, table, until, delay)
    yield from _own_labels(check, table, clean, until, delay)


def _row_columns(features: Any, table: Table, until: Any, delay: int) -> DataFrame:
    columns: DataFrame = features.compute(as_known(table, until, delay))
    return columns


def check_run_features(
    label: str, features: Any, runs: Runs, *, here: Ask | None = None, elsewhere: Ask | None = None
) -> Iterator[Leak | None]:
    """Compute features of runs, and again where all after a cycle of each run is rubbish: rows up
    to it must agree.

    Args:
        label: The name of the feature set.
        features: Features of runs, or their `canonical` settings.
        runs: The runs; scales are learned once, from these as they are.
        here: As in `check_leaks`.
        elsewhere: As in `check_leaks`.
    """
    here = here or AskHere()
    check = _FeatureCheck(label, features, _run_columns, here, elsewhere or here)
    return check.found(_run_leaks(check, runs))


def _run_leaks(check: _FeatureCheck, runs: Runs) -> Iterator[Leak | None]:
    def early_rows(some: Runs, known: np.ndarray) -> Series:
        return Series(
            np.arange(len(some.data)) - some.offsets[:-1][some.run_of_row] < known[some.run_of_row]
        )

    clean = check.clean(runs, runs)
    for part in (1, 2, 3):
        known = runs.lengths * part // 4
        rubbish = corrupt_runs(runs, known, stream(0, "canary", part))
        wanted = clean.filter(early_rows(runs, known))
        got = check.rubbish(runs, rubbish).filter(early_rows(rubbish, known))
        yield compare_answers(check.label, f"quarter {part}", wanted, got)
    yield from check.again(clean, runs, runs)


def _run_columns(features: Any, learned_from: Runs, runs: Runs) -> DataFrame:
    learned = features.learn(learned_from)
    return DataFrame(learned.compute(runs), schema=list(learned.names))


def _own_labels(
    check: _FeatureCheck, table: Table, clean: DataFrame, until: Any, delay: int
) -> Iterator[Leak]:
    """Turn the label of one row at a time: its own features must stay, whenever its label is said
    to be known.
    """
    name = table.name("label")
    known = table.data[name].is_not_null().arg_true().to_numpy()
    spread = np.unique(np.linspace(0, len(known) - 1, OWN_ROWS).astype(int))
    for place in known[spread[: len(known)]].tolist():
        one = Series(np.arange(table.height) == place)
        values = table.data[name].cast(pl.Float64)
        turned = replace(table, data=table.data.with_columns(values.zip_with(~one, 1 - values)))
        got = check.rubbish(turned, until, delay)
        reason = "changed with the row's own label"
        pair = clean.filter(one), got.filter(one)
        yield from differences(check.label, f"row {place + 1}", *pair, OWN_LABEL_LEAK, reason)
