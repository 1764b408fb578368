"""Settings proposed by Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from hwds.core.recipe import Trials
from hwds.core.search_space import Leaf
from hwds.core.seeds import stream_key
from hwds.search.sweeps.base import Searching, TrialScores, has_value, round_within


class Optuna(Searching):
    """Propose settings near good earlier ones: the tree-structured Parzen estimator of Optuna.

    Bergstra et al. (2011), "Algorithms for hyper-parameter optimization"; Akiba et al. (2019),
    "Optuna". Every trial is asked all windows. Settings are proposed `batch` at a time, from the
    scores of all earlier trials and a random stream that is named by their number. Trials of a
    narrower space are not in that number, so a widened sweep draws as a fresh one does. So the same
    trials are tried on any executor, and by a sweep that was killed and goes on: no state of
    Optuna's is kept, because it follows from the cell cache. A trial that came to nothing counts as
    the worst.

    Attributes:
        startup: Trials before the first proposal, among them the experiment as it stands and those
            of earlier sweeps whose space holds this one; the others are drawn at random. The best
            trials of a narrower space are learned from, too, half as many as there are others.
        batch: Settings proposed at once. With 1, each learns from all earlier trials, but trials do
            not run in parallel.
    """

    imports = ("optuna",)
    learns: ClassVar[bool] = True

    startup: Trials = 10
    batch: Trials = 4

    def at_first(self, earlier: int) -> int:
        """Return the number of trials before the first proposal.

        Those of earlier sweeps in all of the space count.
        """
        return min(max(self.startup - earlier, int(self.baseline)), self.trials)

    @property
    def at_once(self) -> int:
        """The batch."""
        return self.batch

    def proposals(
        self, leaves: Sequence[Leaf], scored: Sequence[TrialScores], folds: int
    ) -> Iterator[dict[str, Any]]:
        """Yield settings one after the other, each as if the trials of those before it were
        running.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        spread = sum(each.covers for each in scored)
        seed = stream_key(self.seed, "sweep", "optuna", spread) % 2**32
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, constant_liar=True)
        study = optuna.create_study(sampler=sampler)
        rung = self.learned_at(scored, folds, len(leaves))
        worst = max((each.rungs[rung] for each in scored if rung in each.rungs), default=0.0)
        for each in learned_from(
            scored, rung
        ):  # but the experiment as it stands, which may lie outside of the space
            if each.settings and (rung in each.rungs or not each.rungs):
                study.add_trial(_finished_trial(each.settings, leaves, each.rungs.get(rung, worst)))
        while True:
            yield _proposed_settings(study.ask(), leaves)

    def learned_at(self, scored: Sequence[TrialScores], folds: int, settings: int) -> int:
        """Return the rung whose scores are learned from, here the last.

        `settings` is the number of leaves.
        """
        return folds


def learned_from(scored: Sequence[TrialScores], rung: int) -> list[TrialScores]:
    """Return the trials to learn from: of those drawn from a narrower space the best, half as many
    as there are others.

    They are no sample of the space, and many of them in a corner of it would tell the estimator of
    that corner alone.
    """
    spread = [each for each in scored if each.covers]
    narrow = sorted(
        (each for each in scored if not each.covers and rung in each.rungs),
        key=lambda each: each.rungs[rung],
    )
    return [*spread, *narrow[: len(spread) // 2]]


def _name(leaf: Leaf) -> str:
    """Return the name of a leaf, unique although a path may stand below several choices."""
    return f"{leaf.path} {leaf.when}" if leaf.when else leaf.path


def _finished_trial(settings: Mapping[str, Any], leaves: Sequence[Leaf], score: float) -> Any:
    """Return a trial that has ended, as Optuna represents it."""
    import optuna

    params, distributions = {}, {}
    for leaf in _leaves_with_value(settings, leaves):
        value = settings[leaf.path]
        params[_name(leaf)] = leaf.values.index(value) if leaf.listed else _step_of(leaf, value)
        distributions[_name(leaf)] = _distribution(leaf)
    return optuna.trial.create_trial(params=params, distributions=distributions, value=score)


def _leaves_with_value(settings: Mapping[str, Any], leaves: Sequence[Leaf]) -> Iterator[Leaf]:
    """Yield the leaves that have a value in settings."""
    places: dict[str, int] = {}
    for leaf in leaves:
        if has_value(leaf, places) and leaf.path in settings:
            if leaf.listed:
                places[leaf.path] = leaf.values.index(settings[leaf.path])
            yield leaf


def _proposed_settings(trial: Any, leaves: Sequence[Leaf]) -> dict[str, Any]:
    """Return the settings that Optuna proposes."""
    settings: dict[str, Any] = {}
    places: dict[str, int] = {}
    for leaf in leaves:
        if has_value(leaf, places):
            scored = _suggest_value(trial, leaf)
            settings[leaf.path] = _value(leaf, scored)
            if leaf.listed:
                places[leaf.path] = scored
    return settings


def _suggest_value(trial: Any, leaf: Leaf) -> Any:
    where, name = _distribution(leaf), _name(leaf)
    if leaf.listed:
        return trial.suggest_categorical(name, where.choices)
    if isinstance(where.low, int):
        return trial.suggest_int(name, where.low, where.high)
    return trial.suggest_float(name, where.low, where.high, log=where.log)


def _distribution(leaf: Leaf) -> Any:
    """Return the distribution that Optuna draws from: indices of lists, steps of `quniform`,
    numbers of other ranges.
    """
    from optuna import distributions as known

    if leaf.listed:
        return known.CategoricalDistribution(tuple(range(len(leaf.values))))
    lower, upper, *step = leaf.values
    if leaf.kind == "randint":
        return known.IntDistribution(lower, upper - 1)
    if step:
        return known.IntDistribution(0, int((upper - lower) / step[0] + 1e-9))
    return known.FloatDistribution(float(lower), float(upper), log=leaf.kind == "loguniform")


def _value(leaf: Leaf, scored: Any) -> Any:
    """Return the setting of a number that Optuna has drawn."""
    if leaf.listed:
        return leaf.values[scored]
    if leaf.kind == "randint":
        return scored
    lower, upper, *step = leaf.values
    value = lower + step[0] * scored if step else scored
    return round_within(value, lower, upper) if isinstance(value, float) else value


def _step_of(leaf: Leaf, value: Any) -> Any:
    """Return Optuna's number for a setting of a range."""
    return round((value - leaf.values[0]) / leaf.values[2]) if leaf.kind == "quniform" else value
