"""Recipe: a frozen, checked dataclass, the typed config; and the constrained types that its fields are written with."""

import inspect
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, dataclass_transform

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass

from hwds.hashing import digest, digest_source, package_of

PACKAGE = Path(__file__).resolve().parent


class Small(NamedTuple):
    """The most that a field may be under `size=small`: `epochs: Annotated[Count, Small(2)] = 20`."""

    most: int


Count = Annotated[int, Ge(1)]
Whole = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
Level = Annotated[float, Gt(0), Lt(1)]


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = next((value for value in values if values.count(value) > 1), None)
    if repeated is not None:
        raise ValueError(f"must not repeat {repeated!r}")
    return values


Once = AfterValidator(_once)
"""Marks a list in which nothing may stand twice."""

Names = Annotated[tuple[str, ...], Once]


def _refit(value: str) -> str:
    every, _, count = value.partition("_")
    if value not in ("always", "never") and not (every == "every" and count.isdigit() and int(count) > 0):
        raise ValueError("must be always, never or every_K, such as every_3")
    return value


Refit = Annotated[str, AfterValidator(_refit)]
"""When there is a new fit: at every cutoff (`always`), at the first alone (`never`), or at every K-th (`every_K`)."""


def served(refit: str, cutoffs: int) -> int:
    """How many cutoffs one fit serves, of so many."""
    return {"always": 1, "never": cutoffs}.get(refit) or int(refit.partition("_")[2])


FROZEN = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Recipe:
    """What a YAML node describes: its keys are the fields, their types and ranges are the check.

    A subclass becomes a frozen pydantic dataclass by itself. The first sentence of its docstring is what
    `hwds list` shows; `Attributes:` documents the fields.

    Attributes:
        name: The option's name, the label in every table; never part of a random stream or of a cell's key.
    """

    search_space: ClassVar[Mapping[str, Any]] = {}
    """What is worth tuning, a sweep's space below this node: what `sweep=random` searches where no space is given."""

    name: str = ""

    def beside(self) -> "tuple[Recipe, ...]":
        """Variants of itself that are always scored beside it, under labels of their own."""
        return ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        methods = {name for base in cls.__mro__ for name, value in vars(base).items() if inspect.isroutine(value)}
        clash = methods & set(inspect.get_annotations(cls))
        if clash:
            raise TypeError(f"{cls.__name__}: field '{min(clash)}' bears the name of a method")
        dataclass(frozen=True, kw_only=True, config=FROZEN)(cls)


dataclass(frozen=True, kw_only=True, config=FROZEN)(Recipe)  # so that a field may be `tuple[Recipe, ...]`


def canonical(value: Any) -> Any:
    """A recipe as plain data after its types were settled: 1 and 1.0, (3,) and [3] are one; names are left out.

    What is equal here computes the same numbers: cache keys and run folders are made of it.
    """
    if isinstance(value, Recipe):
        own = {field.name: canonical(getattr(value, field.name)) for field in fields(value) if field.name != "name"}  # type: ignore[arg-type]
        return {"recipe": f"{type(value).__module__}:{type(value).__qualname__}"} | own
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def uses_features(model: Recipe) -> bool:
    """Whether a model, or a model inside it, reads the feature set."""
    inner = [value for value in vars(model).values() if isinstance(value, Recipe | tuple)]
    members = [
        item for value in inner for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, Recipe)
    ]
    return bool(getattr(model, "uses_features", False)) or any(uses_features(member) for member in members)


def code_digest(recipes: list[Recipe]) -> str:
    """The digest of this package's source and of every package outside it that the recipes come from."""
    return digest(
        [
            digest_source(PACKAGE),
            *sorted({digest_source(path) for recipe in recipes for path in _outside(recipe)}),
        ]
    )


def _outside(value: Any) -> list[Path]:
    """The packages (or single modules) of recipes that are not ours, members included."""
    if isinstance(value, tuple):
        return [path for item in value for path in _outside(item)]
    if not isinstance(value, Recipe):
        return []
    inner = [path for item in vars(value).values() for path in _outside(item)]
    module = type(value).__module__
    return inner if module.partition(".")[0] == "hwds" else [package_of(module), *inner]
