"""The experiment, typed: one recipe of each group, and the check that they go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from itertools import chain, starmap
from typing import Any, ClassVar, Literal

from hwds.core.config import BASES, build, check_types, missing_paths, recipe_kind, shrink_to_small
from hwds.core.errors import ConfigError, with_article
from hwds.core.extras import require_installed
from hwds.core.recipe import (
    Recipe,
    Seed,
    construct,
    package_needs,
    show_value,
    uses_features,
)
from hwds.core.registry import GROUPS, options
from hwds.datasets.base import Dataset
from hwds.evaluation.compute.base import Compute
from hwds.evaluation.decisions.base import Decision
from hwds.evaluation.protocol import Evaluation
from hwds.frames.features.base import FeatureSet
from hwds.results.records import Labels
from hwds.track.trackers.base import Tracker

# The experiment, typed: one recipe of each config group.


class Sweep(Recipe):
    """The recipe of a search over configs, chosen by `sweep=`: which other settings of an
    experiment are tried.

    Attributes:
        space: The search space: a tree like the config's, with one-key mappings as leaves: `{model:
            {units: {choice: [32, 64]}, learning_rate: {loguniform: [1e-4, 1e-2]}}}`. Kinds:
            `choice`, `grid` (each of a list), `uniform`, `loguniform`, `randint` (the upper bound
            excluded), `quniform` ([lower, upper, step]). A value may bring others that make sense
            with it alone: `objective: {choice: [quantile, {tweedie: {power: {uniform: [1.1,
            1.9]}}}]}`. So may a whole option: `model: {choice: [forecast/theta, {forecast/xgboost:
            {depth: {randint: [2, 9]}}}]}`; one without a space takes the space of its class. The
            tunable settings of the model's class are searched, too: `learning_rate: [0.001, 0.3]`
            changes the bounds or values of one of its settings, and `depth: null` leaves one out.
    """

    searches: ClassVar[bool] = False
    """True where it tries other settings; False for `none`."""

    space: Mapping[str, Any] = field(default_factory=dict)

    def check(self, data: Mapping[str, Any], experiment: Experiment) -> None:
        """Refuse an experiment that it cannot search; called before the data is loaded.

        Args:
            data: The composed config.
            experiment: The same as typed settings.

        Raises:
            ConfigError: With the path, the value and the nearest right name.
        """
        if self.space:
            raise ConfigError(
                f"sweep.space: needs a search, such as sweep=random; sweep={self.name} tries "
                f"nothing."
            )


class Experiment(Recipe):
    """A composed config.

    Attributes:
        experiment: The name of the run and of its folder below outputs/runs; by default the
            experiment's name, or `adhoc`.
        dataset: What is loaded.
        features: What is computed from it.
        model: What is evaluated.
        protocol: How it is evaluated and scored.
        compute: Where cells are computed.
        decision: What follows from the results.
        sweep: Which other settings are tried.
        tracker: Where results are mirrored to.
        rivals: Other models that are scored on the same cells: `[forecast/naive, {forecast/xgboost:
            {trees: 500}}]`.
        seed: Names every random stream; the same seed has the same draws.
        size: `small` caps what makes a run long, for a quick try; what is typed wins.
        uncapped: The paths of fields that it leaves as they are, for they were typed.
        inputs: Files and folders that your own code reads, apart from the data and the files that
            settings name: `[tables/, prices.csv]`. Their content, and the names in a folder, are a
            part of its keys.
        save_model: `final` fits the model on all rows at the end and keeps it in the run's folder.
        tags: Single words for finding the run again.
        note: A line that is shown with the run.
        decision_pack: The page and workbook of the decision that are written with the results, by
            the name of the pack.
        pictures: When pictures are drawn: `true` with the run, `false` when `hwds report` or the
            page of `hwds ui` asks for them. `auto` is `false` of a run of `size=small` that no
            tracker mirrors, and `true` of any other.
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
    inputs: tuple[str, ...] = ()
    save_model: Literal["none", "final"] = "none"
    decision_pack: str = "none"
    pictures: Literal["auto"] | bool = "auto"
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def draws(self) -> bool:
        """Whether pictures are drawn with the run."""
        return (
            self.size == "full" or bool(self.tracker.parts())
            if self.pictures == "auto"
            else self.pictures
        )

    @property
    def models(self) -> dict[str, Recipe]:
        """The model and its rivals by label, the model first, the companions that a model brings
        itself last.
        """
        named = {recipe.name: recipe for recipe in (self.model, *self.rivals)}
        companions = {
            recipe.name: recipe for model in named.values() for recipe in model.companions()
        }
        return named | companions | named


# From composed plain data to the typed experiment, whose parts can go together.


def check(data: dict[str, Any]) -> Experiment:
    """Return the typed experiment of composed plain data, which can be run here.

    Raises:
        ConfigError: A key, type, range or name is wrong, the parts cannot go together, or a package
            is not installed.
    """
    experiment = check_stored(data)
    parts = {group: getattr(experiment, group) for group in GROUPS}
    _require_packages(parts | {f"rivals[{i}]": each for i, each in enumerate(experiment.rivals)})
    experiment.sweep.check(data, experiment)
    return experiment


def check_asked(data: dict[str, Any]) -> Experiment:
    """Return the typed experiment of a run's config, whose model can be asked again here.

    Raises:
        ConfigError: As `check`, but that the packages of rivals, compute and tracker do not matter.
    """
    experiment = check_stored(data)
    _require_packages(
        {part: getattr(experiment, part) for part in ("dataset", "features", "model")}
    )
    return experiment


def check_stored(data: dict[str, Any]) -> Experiment:
    """Return the typed experiment of a run's config, whose packages need not be installed to show
    its results.

    Raises:
        ConfigError: A key, type, range or name is wrong, or the parts cannot go together.
    """
    for group in GROUPS:
        if not isinstance(data.get(group), dict):
            raise ConfigError(
                f"{group}: must be an option, got {show_value(data.get(group))}; options: "
                f"{', '.join(options(group))}."
            )
    missing = next(
        missing_paths({key: value for key, value in data.items() if key not in GROUPS}), None
    )
    if missing:
        raise ConfigError(f"{missing}: must be given.")
    data = shrink_to_small(data) if data.get("size") == "small" else data
    recipes = {group: build(group, group, data[group]) for group in GROUPS}
    _check_kinds(recipes)
    rivals = tuple(build("model", f"rivals[{i}]", node) for i, node in enumerate(data["rivals"]))
    experiment = construct(Experiment, "", data | recipes | {"rivals": rivals})
    check_types(data, experiment, "")
    _check_parts(experiment)
    return experiment


def _require_packages(parts: Mapping[str, Recipe]) -> None:
    """Refuse recipes, each by its path, whose packages are not installed."""
    require_installed(dict(chain.from_iterable(starmap(package_needs, parts.items()))))


def _check_parts(experiment: Experiment) -> None:
    """Refuse parts that cannot be one experiment, in words."""
    protocol, decision = experiment.protocol, experiment.decision
    _check_frame(experiment)
    for place, recipe in enumerate((experiment.model, *experiment.rivals)):
        _check_model(f"rivals[{place - 1}]" if place else "model", recipe, experiment)
    if experiment.save_model == "final":
        protocol.check_save_model()
    decision.check_protocol(protocol)
    decision.check_model(experiment.model)
    decision.check_pack(experiment.decision_pack)
    Labels().with_tags(experiment.tags)
    protocol.check_names()


def _check_kinds(recipes: dict[str, Recipe]) -> None:
    """Refuse a recipe that is not of its group."""
    for group, base in BASES.items():
        cls = type(recipes[group])
        if recipe_kind(cls) != base:
            raise ConfigError(
                f"{group}: '{cls.__name__}' is {with_article(recipe_kind(cls))}, not "
                f"{with_article(base)}."
            )


def _check_frame(experiment: Experiment) -> None:
    """Refuse a dataset that gives another frame than the protocol cuts, or than features that a
    model uses are computed for.
    """
    dataset, protocol, features = experiment.dataset, experiment.protocol, experiment.features
    given = f"dataset '{dataset.name}' gives {_frame(dataset.gives)}."
    if not issubclass(dataset.gives, protocol.frame_type):
        raise ConfigError(
            f"dataset: protocol '{protocol.name}' cuts {_frame(protocol.frame_type)}, {given}"
        )
    if not issubclass(dataset.gives, features.of) and any(
        map(uses_features, experiment.models.values())
    ):
        raise ConfigError(
            f"features: '{features.name}' are computed for {_frame(features.of)}, {given}"
        )


def _frame(kind: type) -> str:
    """Return a kind of frame in words: `a panel`, `runs`."""
    word = kind.__name__.lower()
    return word if word.endswith("s") else with_article(word)


def _check_model(path: str, recipe: Recipe, experiment: Experiment) -> None:
    """Refuse a model that the protocol cannot evaluate, or whose label another one bears."""
    protocol = experiment.protocol
    if not isinstance(recipe, protocol.accepts):
        wanted, got = (
            with_article(word)
            for word in (protocol.accepts.__name__.lower(), recipe_kind(type(recipe)))
        )
        raise ConfigError(
            f"{path}: protocol '{protocol.name}' asks {wanted}, '{recipe.name}' is {got}."
        )
    if [other.name for other in (experiment.model, *experiment.rivals)].count(recipe.name) > 1:
        raise ConfigError(f"{path}: '{recipe.name}' is there twice.")
