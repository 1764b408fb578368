"""Study: a question with everything that is decided before it is answered, read from its
`study.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Gt, Lt, MinLen
from pydantic import BeforeValidator

from hwds.core.errors import ConfigError, nearest
from hwds.core.files import digest
from hwds.core.recipe import Once, Recipe, Seed, canonical, construct, show_value
from hwds.core.settings import read_yaml

FOLDER = Path("experiments")
"""The folder of studies, below the current folder."""

AGAINST = " (against "
"""The text between experiment and rival in the name of a contrast, where there are several rivals.
"""

VERDICTS = ("better", "worse", "alike", "unsure")
"""The possible verdicts of a contrast."""

PLACE = r"{(\w+)}"
"""A placeholder in an answer, for the names of the contrasts with a verdict."""


def _as_list(value: Any) -> Any:
    """Return a single value as a list of one."""
    return value if isinstance(value, list | tuple) or value is None else (value,)


Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Verdicts = Annotated[
    tuple[Literal["better", "worse", "alike", "unsure"], ...], BeforeValidator(_as_list)
]


class Clause(Recipe):
    """A line of the decision rule: the first whose conditions all hold is the answer.

    Attributes:
        all: The verdicts that every contrast must be among.
        some: The verdicts that at least one contrast must be among.
        none: The verdicts that no contrast may have.
        then: The answer; `{better}`, `{worse}`, `{alike}` and `{unsure}` list the contrasts with
            that verdict.
    """

    all: Verdicts = ()
    some: Verdicts = ()
    none: Verdicts = ()
    then: Annotated[str, MinLen(1)]

    @property
    def bare(self) -> bool:
        """True where it holds unconditionally."""
        return not (self.all or self.some or self.none)

    def holds(self, verdicts: Mapping[str, str]) -> bool:
        """Return whether its conditions hold for verdicts by contrast."""
        found = list(verdicts.values())
        return (
            all(verdict in self.all for verdict in found if self.all)
            and (not self.some or any(verdict in self.some for verdict in found))
            and not any(verdict in self.none for verdict in found)
        )

    def answer(self, verdicts: Mapping[str, str]) -> str:
        """Return the answer with the contrasts filled in.

        A part after a semicolon that would name none of them is left out.
        """
        lists = {
            kind: [name for name, verdict in verdicts.items() if verdict == kind]
            for kind in VERDICTS
        }
        first, *others = self.then.removesuffix(".").split("; ")
        placeholders = ((part, re.findall(PLACE, part)) for part in others)
        parts = [
            first,
            *(
                part
                for part, kinds in placeholders
                if not kinds or any(lists[kind] for kind in kinds)
            ),
        ]
        answer = re.sub(
            PLACE, lambda match: _enumerate(_join_rivals(lists[match[1]])), "; ".join(parts)
        )
        return answer + "." * self.then.endswith(".")


class Study(Recipe):
    """A question, the experiments that answer it, and the rule that reads the answer from the
    numbers, all fixed in advance.

    Attributes:
        question: The question, in a sentence.
        metric: The metric that models are compared by.
        model: The model that the question is about.
        rivals: The models that it is compared with.
        margin: A difference that does not matter: a share (0.02 for 2 %), or an amount where a mean
            is not above 0.
        seeds: The seeds of each experiment's runs; `{seed}` in its words is the seed.
        words: The overrides of every experiment, before its own.
        experiments: The overrides of each experiment by its name, or the name of an experiment
            option.
        rule: The decision rule; the last clause has no condition.
    """

    question: Annotated[str, MinLen(1)]
    metric: Annotated[str, MinLen(1)]
    model: Annotated[str, MinLen(1)]
    rivals: Annotated[tuple[str, ...], MinLen(1), Once]
    margin: Annotated[float, Gt(0), Lt(float("inf"))]
    seeds: Annotated[tuple[Seed, ...], MinLen(1), Once]
    words: Words = ()
    experiments: Annotated[dict[str, Words], MinLen(1)]
    rule: Annotated[tuple[Clause, ...], MinLen(1)]

    @classmethod
    def find(cls, name: str) -> tuple[Self, Path]:
        """Return the study of a folder, by its path or its name below `experiments/`, and that
        folder.

        Raises:
            ConfigError: There is none, or a key, a type or a name in its `study.yaml` is wrong.
        """
        folder = _folder(name)
        if folder is None:
            raise ConfigError(
                f"study: no '{name}/study.yaml' here or below {FOLDER}{nearest(name, studies())}"
            )
        return cls.read(folder / "study.yaml"), folder.resolve()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the study of a file.

        Raises:
            ConfigError: A key, a type or a name is wrong.
        """
        where = f"{path.parent.name}/{path.name}"
        try:
            data = read_yaml(path.read_text(encoding="utf-8"), where)
        except ValueError as error:
            raise ConfigError(f"{error}.") from error
        if not isinstance(data, dict):
            raise ConfigError(f"{where}: must be a mapping, got {show_value(data)}.")
        if "name" in data:
            raise ConfigError(f"{where}: no key 'name'; the folder is the study's name.")
        study = construct(
            cls, where, {**data, "name": path.resolve().parent.name} | _experiments_by_name(data)
        )
        study._check_rule(where)
        return study

    @property
    def plan(self) -> dict[str, Any]:
        """All decisions made in advance, as plain data."""
        fields = {
            key: value for key, value in canonical(self).items() if key not in ("recipe", "rule")
        }
        clauses = [
            {key: value for key, value in clause.items() if key != "recipe" and value}
            for clause in canonical(self)["rule"]
        ]
        return fields | {"rule": clauses}

    @property
    def plan_hash(self) -> str:
        """The digest of the plan."""
        return digest(self.plan)

    def words_of(self, experiment: str, seed: int) -> list[str]:
        """Return the overrides of one run."""
        words = [
            word.replace("{seed}", str(seed))
            for word in (*self.words, *self.experiments[experiment])
        ]
        named = [
            word if "=" in word or word.startswith("~") else f"+experiment={word}" for word in words
        ]
        return (
            named if any(word.startswith("seed=") for word in named) else [*named, f"seed={seed}"]
        )

    def answer(self, verdicts: Mapping[str, str]) -> str:
        """Return the answer of the rule to verdicts by contrast."""
        return next(clause for clause in self.rule if clause.holds(verdicts)).answer(verdicts)

    def _check_rule(self, where: str) -> None:
        for place, clause in enumerate(self.rule):
            if clause.bare != (place == len(self.rule) - 1):
                raise ConfigError(
                    f"{where}.rule[{place}]: the last clause, and no other, must be without all, "
                    f"some and none,"
                    " so every result has an answer."
                )
            wrong = next(
                (word for word in re.findall(r"{(\w*)}", clause.then) if word not in VERDICTS), None
            )
            if wrong is not None:
                raise ConfigError(
                    f"{where}.rule[{place}].then: no list '{{{wrong}}}'{nearest(wrong, VERDICTS)}"
                )


def is_study(name: str) -> bool:
    """Return whether `Study.find` finds one."""
    return _folder(name) is not None


def _folder(name: str) -> Path | None:
    try:
        return next(
            (path for path in (Path(name), FOLDER / name) if (path / "study.yaml").is_file()), None
        )
    except (OSError, ValueError):  # a name that no file system takes
        return None


def studies() -> list[str]:
    """Return the names of all studies below the current folder."""
    return sorted(path.parent.name for path in FOLDER.glob("*/study.yaml"))


def _experiments_by_name(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return experiments given as a list of names as a mapping."""
    given = data.get("experiments")
    return (
        {"experiments": {str(name): (str(name),) for name in given}}
        if isinstance(given, list)
        else {}
    )


def _join_rivals(contrasts: list[str]) -> list[str]:
    """Return `drift (against a)` and `drift (against b)` as `drift (against a and b)`."""
    rivals: dict[str, list[str]] = {}
    for contrast in contrasts:
        experiment, against, rival = contrast.partition(AGAINST)
        rivals.setdefault(experiment, []).extend([rival.removesuffix(")")] if against else [])
    return [
        f"{name}{AGAINST}{_enumerate(names)})" if names else name for name, names in rivals.items()
    ]


def _enumerate(names: list[str]) -> str:
    """Return `a, b and c`; `a, 1; b, 2 and c, 3` where names have commas of their own.

    `none` for no names.
    """
    between = "; " if any("," in name for name in names) else ", "
    return (
        between.join(names[:-1]) + f" and {names[-1]}"
        if len(names) > 1
        else "".join(names) or "none"
    )
