"""Recipe: frozen, closed, checked; and its canonical form."""

from dataclasses import FrozenInstanceError, fields
from typing import Annotated

import pytest

from hwds.core.errors import ConfigError
from hwds.core.recipe import (
    Level,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Recipe,
    Small,
    UnitInterval,
    canonical,
    construct,
)


class Inner(Recipe):
    size: PositiveInt = 2


class Outer(Recipe):
    rate: Positive = 0.5
    share: UnitInterval = 0.5
    level: Level = 0.5
    many: NonNegativeInt = 0
    steps: tuple[PositiveInt, ...] = (1, 2)
    inner: Inner = Inner()
    members: tuple[Recipe, ...] = ()
    epochs: Annotated[PositiveInt, Small(2)] = 20


def test_a_subclass_is_a_frozen_dataclass():
    recipe = Outer(rate=2)
    assert [field.name for field in fields(recipe)][:3] == ["name", "rate", "share"]
    with pytest.raises(FrozenInstanceError):
        recipe.rate = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "bad",
    [
        {"rate": 0}, {"rate": float("inf")}, {"rate": float("nan")}, {"share": 1.1}, {"level": 1}, {"level": 0},
        {"many": -1}, {"many": 1.5}, {"steps": [1, 0]}, {"steps": 3}, {"inner": {"sise": 2}}, {"unit": 1}, {"epochs": 0},
    ],
)  # fmt: skip
def test_types_and_ranges_are_refused(bad):
    with pytest.raises(ConfigError):
        Outer(**bad)


def test_positional_values_are_refused():
    with pytest.raises(ConfigError):
        Outer("name", 0.5)  # type: ignore[misc]


def test_a_field_may_not_bear_the_name_of_a_method():
    class Base(Recipe):
        def fit(self) -> None:
            """Fit."""

    with pytest.raises(TypeError, match="field 'fit' bears the name of a method"):
        type("Bad", (Base,), {"__annotations__": {"fit": int}, "fit": 3, "__module__": __name__})


def test_canonical_settles_types_and_leaves_names_out():
    one = Outer(name="a", rate=1, steps=[1, 2])  # type: ignore[arg-type]
    other = Outer(name="b", rate=1.0, steps=(1.0, 2))  # type: ignore[arg-type]
    assert canonical(one) == canonical(other)
    assert "name" not in canonical(one)
    assert canonical(one)["steps"] == [1, 2]
    assert canonical(one)["inner"]["size"] == 2


def test_canonical_tells_values_and_classes_apart():
    class Inner2(Recipe):
        size: PositiveInt = 2

    assert canonical(Inner(size=3)) != canonical(Inner())
    assert canonical(Inner2()) != canonical(Inner())
    assert canonical(Outer(members=(Inner(), Inner(size=3)))) != canonical(
        Outer(members=(Inner(size=3), Inner()))
    )


def test_members_keep_their_class():
    assert isinstance(Outer(members=(Inner(size=3),)).members[0], Inner)


def test_the_constructor_refuses_in_one_line_as_yaml_does():
    with pytest.raises(ConfigError) as refusal:
        Outer(lvel=0.5)
    assert str(refusal.value) == "Outer: no key 'lvel'; did you mean 'level'?"
    with pytest.raises(ConfigError) as refusal:
        Outer(inner={"size": 0})
    assert str(refusal.value) == "Outer.inner.size: must be >= 1, got 0."
    with pytest.raises(ConfigError) as refusal:
        construct(Outer, "model", {"steps": (1, "x")})
    assert str(refusal.value) == "model.steps[1]: must be a whole number, got 'x'."
