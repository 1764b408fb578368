"""The experiment, typed: one recipe of each config group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from hwds.core.errors import ConfigError
from hwds.core.recipe import Recipe, Seed
from hwds.datasets.base import Dataset
from hwds.decisions.base import Decision
from hwds.evaluation.base import Evaluation
from hwds.execution.compute.base import Compute
from hwds.features.base import FeatureSet
from hwds.tracking.trackers.base import Tracker


class Sweep(Recipe):
    """The recipe of a search over configs, chosen by `sweep=`: which other settings of an experiment are tried.

    Attributes:
        space: What is searched, a tree like the config's whose leaf is a one-key mapping:
            `{model: {units: {choice: [32, 64]}, learning_rate: {loguniform: [1e-4, 1e-2]}}}`. Kinds: `choice`, `grid` (each
            of a list), `uniform`, `loguniform`, `randint` (the upper bound excluded), `quniform` ([lower, upper, step]).
            A value may bring others that make sense with it alone:
            `objective: {choice: [quantile, {tweedie: {power: {uniform: [1.1, 1.9]}}}]}`. So may a whole option:
            `model: {choice: [forecast/theta, {forecast/xgboost: {depth: {randint: [2, 9]}}}]}`; one without a space takes
            that of its class. What the model's class says to tune is searched too: `learning_rate: [0.001, 0.3]` changes the
            bounds or values of one of its settings, and `depth: null` leaves one out.
    """

    space: Mapping[str, Any] = field(default_factory=dict)

    def check(self, data: Mapping[str, Any], experiment: Experiment) -> None:
        """Refuse an experiment that it cannot search; called before the data is loaded.

        Args:
            data: The composed config.
            experiment: The same, typed.

        Raises:
            ConfigError: With the path, the value and the nearest right name.
        """
        if self.space:
            raise ConfigError(f"sweep.space: needs a search, such as sweep=random; sweep={self.name} tries nothing.")


class Experiment(Recipe):
    """A composed config.

    Attributes:
        experiment: What the run is called, as is its folder below outputs/runs; where nothing is given, the experiment's name,
            or `adhoc`.
        dataset: What is loaded.
        features: What is computed from it.
        model: What is evaluated.
        protocol: How it is evaluated and scored.
        compute: Where cells are computed.
        decision: What follows from the results.
        sweep: Which other settings are tried.
        tracker: Where results are mirrored to.
        rivals: Other models that are scored on the same cells: `[forecast/naive, {forecast/xgboost: {trees: 500}}]`.
        seed: Names every random stream; the same seed has the same draws.
        size: `small` caps what makes a run long, for a quick try; what is typed wins.
        uncapped: The paths of fields that it leaves as they are, for they were typed.
        save_model: `final` fits the model on all rows at the end and keeps it in the run's folder.
        tags: Single words for finding the run again.
        note: A line that is shown with the run.
        decision_pack: The page and workbook of the decision that are written beside the results, by the name of the pack.
        pictures: When pictures are drawn: `true` with the run, `false` when `hwds report` or the page of `hwds ui` asks for
            them. `auto` is `false` of a run of `size=small` that no tracker mirrors, and `true` of any other.
    """

    experiment: str = "adhoc"
    dataset: Dataset
    features: FeatureSet
    model: Recipe
    protocol: Evaluation[Any, Any]
    compute: Compute
    decision: Decision
    sweep: Sweep
    tracker: Tracker
    rivals: tuple[Recipe, ...] = ()
    seed: Seed = 0
    size: Literal["full", "small"] = "full"
    uncapped: tuple[str, ...] = ()
    save_model: Literal["none", "final"] = "none"
    decision_pack: str = "none"
    pictures: Literal["auto"] | bool = "auto"
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def draws(self) -> bool:
        """Whether pictures are drawn with the run."""
        return self.size == "full" or bool(self.tracker.parts()) if self.pictures == "auto" else self.pictures

    @property
    def models(self) -> dict[str, Recipe]:
        """The model and its rivals by label, the model first, the companions that a model brings itself last."""
        named = {recipe.name: recipe for recipe in (self.model, *self.rivals)}
        companions = {recipe.name: recipe for model in named.values() for recipe in model.companions()}
        return named | companions | named
