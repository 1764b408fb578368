"""Recipe: a frozen, checked dataclass, the typed config; its constrained types and refusals."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from operator import attrgetter
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    TypeVar,
    dataclass_transform,
    get_args,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from hwds.core.errors import ConfigError, nearest
from hwds.core.extras import missing_modules
from hwds.core.secrets import without_secrets
from hwds.core.settings import as_yaml

# Refusals by pydantic as one line: the path, the requirement, and the value.

SHAPES = {
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "literal_error": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} item(s)",
    "value_error": "{error}",
}


def refusal_of(cls: type, path: str, error: ValidationError) -> ConfigError:
    """Return the first error of a refusal, as one line.

    Args:
        cls: The recipe that was built.
        path: The path of its node in the config.
        error: The error of pydantic.
    """
    first = error.errors()[0]
    location = [part for part in first["loc"] if not _is_branch(part)]
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        *parents, last = location
        where = _path(path, parents)
        return ConfigError(
            f"{where + ': ' if where else ''}no key "
            f"'{last}'{nearest(str(last), _fields_at(cls, parents))}"
        )
    where = _path(path, location)
    if first["type"] in ("missing", "missing_keyword_only_argument", "missing_argument"):
        return ConfigError(f"{where}: must be given.")
    branches = error.errors() if first["type"] == "literal_error" else [first]
    required = dict.fromkeys(
        _requirement(each)
        for each in branches
        if [p for p in each["loc"] if not _is_branch(p)] == location
    )
    either = " or ".join(
        text.removeprefix("must be ") if place else text for place, text in enumerate(required)
    )
    return ConfigError(f"{where}: {either}, got {show_value(first['input'])}.")


def _requirement(error: Any) -> str:
    text = SHAPES.get(error["type"], error["msg"][0].lower() + error["msg"][1:])
    return text.format(**error.get("ctx", {}))


def _path(start: str, parts: list[Any]) -> str:
    """Return the path of a value: `dataset.join[0].run`."""
    return (
        start + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    ).lstrip(".")


def _is_branch(part: Any) -> bool:
    """Return whether a part is pydantic's name of a branch of a union, which no user wrote."""
    return isinstance(part, str) and (
        part in ("int", "str", "float", "bool", "none") or "[" in part or "(" in part
    )


def _fields_at(cls: type, parents: list[Any]) -> list[str]:
    for key in parents:
        hint = get_type_hints(cls).get(str(key))
        inner = [arg for arg in (hint, *get_args(hint)) if is_dataclass(arg)]
        if inner:
            cls = inner[0]  # type: ignore[assignment]
    return [
        field.name.rstrip("_") for field in fields(cls) if field.name != "name"
    ]  # `as_` is written `as`


def show_value(value: Any) -> str:
    """Return a value as the user would write it, truncated where it is long.

    Of a recipe its name, or its class.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = getattr(value, "name", "") or type(value).__name__
    text = without_secrets(as_yaml(value) if isinstance(value, bool | None) else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


# Recipe: a frozen, checked dataclass, the typed config; and the constrained types that its
# fields are written with.


class Small(NamedTuple):
    """The maximum of a field under `size=small`: `epochs: Annotated[PositiveInt, Small(2)] = 20`.

    With `zero` it takes the place of 0, too, where that stands for as many as there are.
    """

    most: int
    zero: bool = False

    def of(self, value: int) -> int:
        """Return a value as it is under `size=small`."""
        return self.most if self.zero and value == 0 else min(value, self.most)


class Written(NamedTuple):
    """Marks a field that may be the name of a file in which its value is written:
    `conf/rules/gray_desk.yaml`.
    """

    group: str


MOST = 1e12
"""The greatest amount, price, weight or ratio: its square and that of a million of them are still
numbers.
"""

LEAST = 1e-12
"""The least amount above zero: its reciprocal is still a number."""


def _check_not_tiny(value: float) -> float:
    if 0 < value < LEAST:
        raise ValueError(f"must be >= {LEAST:g}")
    return value


PositiveInt = Annotated[int, Ge(1), Le(10**9)]
"""A count of anything: what 32 bits hold."""

NonNegativeInt = Annotated[int, Ge(0), Le(10**9)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Steps = Annotated[int, Ge(1), Le(100_000)]
"""Steps along a series: 270 years of days, 11 years of hours."""

ZeroSteps = Annotated[int, Ge(0), Le(100_000)]
Days = Annotated[int, Ge(1), Le(36_525)]
"""A century at most."""

ZeroDays = Annotated[int, Ge(0), Le(36_525)]
Folds = Annotated[int, Ge(1), Le(10_000)]
"""Folds, windows, origins, launches: each is a fit or an answer of its own."""

ZeroFolds = Annotated[int, Ge(0), Le(10_000)]
Rows = Annotated[int, Ge(1), Le(10_000_000)]
"""Simulated rows or customers, or rows that one fit is given: what memory holds."""

Draws = Annotated[int, Ge(1), Le(1_000_000)]
"""Random repetitions: replications, resamples, paths."""

ZeroDraws = Annotated[int, Ge(0), Le(1_000_000)]
Width = Annotated[int, Ge(1), Le(65_536)]
"""Units, trees or columns of a model."""

Depth = Annotated[int, Ge(1), Le(100)]
"""Layers of a network, or splits of a tree below each other."""

ZeroRows = Annotated[int, Ge(0), Le(10_000_000)]
Trials = Annotated[int, Ge(1), Le(10_000)]
Looks = Annotated[int, Ge(1), Le(1_000)]
"""Looks at the numbers of a test that runs."""

Workers = Annotated[int, Ge(1), Le(10_000)]
"""Cores, or processes."""

ZeroWorkers = Annotated[int, Ge(0), Le(10_000)]
Positive = Annotated[float, Gt(0), Le(MOST), AfterValidator(_check_not_tiny)]
NonNegative = Annotated[float, Ge(0), Le(MOST)]
Amount = Annotated[float, Ge(-MOST), Le(MOST)]
UnitInterval = Annotated[float, Ge(0), Le(1)]
Level = Annotated[float, Gt(0), Lt(1), AfterValidator(_check_not_tiny)]


def _check_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    repeated = next((value for value in values if values.count(value) > 1), None)
    if repeated is not None:
        raise ValueError(f"must not repeat {repeated!r}")
    return values


Once = AfterValidator(_check_once)
"""Marks a list without duplicates."""

Names = Annotated[tuple[str, ...], Once]


def _check_rising(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must rise")
    return values


Rising = AfterValidator(_check_rising)
"""Marks a list of numbers, each above the one before."""


def _check_refit(value: str) -> str:
    every, _, count = value.partition("_")
    if value not in ("always", "never") and not (
        every == "every" and count.isdigit() and int(count) > 0
    ):
        raise ValueError("must be always, never or every_K, such as every_3")
    return value


Refit = Annotated[str, AfterValidator(_check_refit)]
"""When there is a new fit: at every cutoff (`always`), at the first alone (`never`), or at every
K-th (`every_K`).
"""


def cutoffs_per_fit(refit: str, cutoffs: int) -> int:
    """Return how many of so many cutoffs one fit serves."""
    return {"always": 1, "never": cutoffs}.get(refit) or int(refit.partition("_")[2])


FROZEN = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Recipe:
    """The typed form of a YAML node: its keys are the fields, their types and ranges are the check.

    A subclass becomes a frozen pydantic dataclass by itself. The first sentence of its docstring is
    what `hwds list` shows; `Attributes:` documents the fields. A wrong value is a `ConfigError` in
    one line, as in YAML. A method that subclasses must have raises `NotImplementedError` with its
    name: what a class of a user's own lacks is then a line when it is tried on toys, where an
    abstract method would be a `TypeError` of the constructor. Other bases are `ABC`s.

    Attributes:
        name: The option's name, the label in every table; never part of a random stream or of a
            cell's key.
    """

    search_space: ClassVar[Mapping[str, Any]] = {}
    """The default search space below this node, which `sweep=random` searches where no space is
    given.
    """

    toys: ClassVar[bool] = True
    """True where a class of a user's own is tried on two toy cells before a run; False for one that
    needs more data to work.
    """

    comparable: ClassVar[tuple[str, ...]] = ()
    """The fields of a dataset or a protocol that a sweep may search: scores under other values of
    them can be compared.
    """

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that a later version added. At their defaults they are in no key, so that a run keeps
    its folder.
    """

    imports: ClassVar[tuple[str, ...]] = ()
    """The modules beyond hwds' own requirements that its methods import, as a literal: `hwds list`
    reads it without importing the class.
    """

    may_import: ClassVar[tuple[str, ...]] = ()
    """The modules beyond these that it does without, and says so, where they are not installed."""

    name: str = ""

    def needed_imports(self) -> dict[str, tuple[str, ...]]:
        """Return the modules that it needs beyond hwds' own requirements, by the key that asks for
        them: `recipe` for `imports`, or a setting.
        """
        return {"recipe": self.imports}

    def lacking(self) -> tuple[str, ...]:
        """Return the modules of `may_import` that it would use and that are not installed."""
        return missing_modules(self.may_import)

    def companions(self) -> tuple[Recipe, ...]:
        """Return variants of the recipe that are always scored with it, under labels of their
        own.
        """
        return ()

    def why_unrepeatable(self) -> str:
        """Return why the same config may give other numbers, as `field: must be ..., got ...`.

        Empty where it never does.
        """
        return ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        methods = {
            name
            for base in cls.__mro__
            for name, value in vars(base).items()
            if inspect.isroutine(value)
        }
        clash = methods & set(inspect.get_annotations(cls))
        if clash:
            raise TypeError(f"{cls.__name__}: field '{min(clash)}' bears the name of a method")
        dataclass(frozen=True, kw_only=True, config=FROZEN)(cls)
        cls.__init__ = _init  # type: ignore[method-assign, assignment]


def _init(self: Recipe, *args: Any, **values: Any) -> None:
    """Do what the constructor of pydantic does, and refuse as `construct` does: `XGBoost: no key
    'tres'; did you mean ...`.
    """
    try:
        self.__pydantic_validator__.validate_python(ArgsKwargs(args, values), self_instance=self)  # type: ignore[attr-defined]
    except ValidationError as error:
        raise refusal_of(type(self), type(self).__name__, error) from error


RecipeT = TypeVar("RecipeT", bound=Recipe)


def construct(cls: type[RecipeT], path: str, values: Mapping[str, Any]) -> RecipeT:
    """Return `cls(**values)`, refused under the path of its node in a config.

    Raises:
        ConfigError: A key, type or range is wrong.
    """
    validator: Any = cls.__pydantic_validator__  # type: ignore[attr-defined]
    try:
        recipe: RecipeT = validator.validate_python(ArgsKwargs((), dict(values)))
    except ValidationError as error:
        raise refusal_of(cls, path, error) from error
    return recipe


dataclass(frozen=True, kw_only=True, config=FROZEN)(
    Recipe
)  # so that a field may be `tuple[Recipe, ...]`


def canonical(value: Any) -> Any:
    """Return a recipe as plain data after validation: 1 and 1.0, (3,) and [3] are equal.

    Names are left out.

    Recipes with equal data compute the same numbers: cache keys and run folders are made of it.
    """
    if isinstance(value, Recipe):
        values = {
            field.name: canonical(getattr(value, field.name))
            for field in fields(value)  # type: ignore[arg-type]
            if field.name != "name" and not _is_later(value, field.name)
        }
        return {"recipe": f"{type(value).__module__}:{type(value).__qualname__}"} | values
    if isinstance(value, dict):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def _is_later(recipe: Recipe, name: str) -> bool:
    """Return whether a field of a later version has its default."""
    return name in recipe.later and getattr(recipe, name) == getattr(type(recipe), name, {})


def rebuild(value: Any) -> Any:
    """Return what `canonical` has made plain, without names; anything else as it is.

    The classes are imported: this is for a process that may run their code.

    Raises:
        ConfigError: A value is wrong.
    """
    if isinstance(value, list):
        return [rebuild(item) for item in value]
    if not isinstance(value, dict):
        return value
    values = {key: rebuild(item) for key, item in value.items() if key != "recipe"}
    if "recipe" not in value:
        return values
    module, _, name = value["recipe"].partition(":")
    return construct(attrgetter(name)(import_module(module)), value["recipe"], values)


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts of plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts_in(part)


def inner_recipes(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Yield the recipes that are fields of a recipe, each with its path below it: `members[0]`."""
    for name, value in vars(recipe).items():
        if isinstance(value, Recipe):
            yield name, value
        elif isinstance(value, tuple):
            items = enumerate(value)
            yield from ((f"{name}[{i}]", item) for i, item in items if isinstance(item, Recipe))


def uses_features(model: Recipe) -> bool:
    """Return whether a model, or a model inside it, reads the feature set."""
    return bool(getattr(model, "uses_features", False)) or any(
        uses_features(member) for _, member in inner_recipes(model)
    )


def package_needs(path: str, recipe: Recipe) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each key of a recipe, and of those inside it, that asks for packages, as `model.recipe:
    'forecast/xgboost'`, with the modules.
    """
    for key, modules in recipe.needed_imports().items():
        value = recipe if key == "recipe" else getattr(recipe, key)
        yield f"{path}.{key}: {show_value(value)}", modules
    for below, inner in inner_recipes(recipe):
        yield from package_needs(f"{path}.{below}", inner)


def label_with(name: str, change: str) -> str:
    """Return the label of an option with one more change."""
    return f"{name[:-1]},{change})" if name.endswith(")") else f"{name}({change})"
