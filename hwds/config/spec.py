"""The experiment, typed: what every layer below is handed."""

from __future__ import annotations

from typing import Literal

from hwds.recipe import Recipe, Whole


class Experiment(Recipe):
    """A composed config.

    Attributes:
        experiment: The name of the experiment option, `adhoc` where none was chosen.
        dataset: What is loaded.
        features: What is computed from it.
        model: What is asked.
        protocol: How it is asked and scored.
        compute: Where.
        decision: What follows from the results.
        sweep: Which other settings are tried.
        tracker: Where results are mirrored to.
        rivals: Other models on the same cells.
        seed: Names every random stream.
        size: `small` caps what says so.
        save_model: `final` keeps a model fitted on all rows.
    """

    experiment: str = "adhoc"
    dataset: Recipe
    features: Recipe
    model: Recipe
    protocol: Recipe
    compute: Recipe
    decision: Recipe
    sweep: Recipe
    tracker: Recipe
    rivals: tuple[Recipe, ...] = ()
    seed: Whole = 0
    size: Literal["full", "small"] = "full"
    save_model: Literal["none", "final"] = "none"

    @property
    def models(self) -> dict[str, Recipe]:
        """The model and its rivals by label, the model first, those that a model brings itself last."""
        asked = {recipe.name: recipe for recipe in (self.model, *self.rivals)}
        brought = {recipe.name: recipe for own in asked.values() for recipe in own.beside()}
        return asked | brought | asked
