"""The difference of two runs: settings, data, code, versions, machine and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hwds.core.errors import HwdsError
from hwds.core.settings import OUTSIDE_NUMBERS
from hwds.results.folder import RunFolder
from hwds.results.measure import short
from hwds.results.runs.fields import Value, exact, flat
from hwds.results.score_totals import Total, Totals, totals_of

GROUPS = ("settings", "data", "code", "versions", "machine")
"""The groups of facts that are compared beside the scores."""

OWN = "the own model"
"""The common label of the runs' models, where these are two."""

NO_NUMBERS = {*OUTSIDE_NUMBERS, "report"} - {"experiment", "sweep", "uncapped"}
"""Groups of settings that no score depends on and that do not say what was asked."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: its group (of `GROUPS`), its name, and the value in each run; None where it has none."""

    group: str
    name: str
    first: Value
    second: Value


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A total of a model that differs.

    Attributes:
        model, metric: The model (`OWN` where the runs have different ones) and the metric; `better` says which way is
            good (`low`, `high`, `none`).
        first, second: The scores; None where a run has none.
        first_stderr, second_stderr: Their standard errors.
    """

    model: str
    metric: str
    better: str
    first: float | None
    second: float | None
    first_stderr: float | None
    second_stderr: float | None

    @property
    def change(self) -> float | None:
        """The second less the first."""
        return None if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of a second run from a first.

    Attributes:
        first, second: Their titles.
        changes: All but scores, in the order of `GROUPS`.
        scores: Totals that differ, the headline's first.
        same_scores: The number of totals that are equal to the last bit.
        headline: The full name of the metric that orders the models.
        unfinished: The titles of runs without scores.
    """

    first: str
    second: str
    changes: tuple[Change, ...]
    scores: tuple[ScoreChange, ...]
    same_scores: int
    headline: str
    unfinished: tuple[str, ...]

    def of(self, *groups: str) -> tuple[Change, ...]:
        """Return the changes of some groups."""
        return tuple(each for each in self.changes if each.group in groups)

    @property
    def comparable(self) -> bool:
        """True where the scores can be compared: the same data under the same protocol."""
        different = [each for each in self.of("settings") if each.name.partition(".")[0] in ("dataset", "protocol")]
        return not different and not self.of("data")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        scores = [asdict(each) | {"change": each.change} for each in self.scores]
        plain = {"first": self.first, "second": self.second, "changes": [asdict(each) for each in self.changes]}
        rest = {"same_scores": self.same_scores, "headline": self.headline, "unfinished": list(self.unfinished)}
        return plain | {"scores": scores, "comparable": self.comparable} | rest


def difference(first: RunFolder, second: RunFolder) -> Difference:
    """Return the difference of two runs.

    Raises:
        HwdsError: A folder is damaged.
    """
    folders = (first, second)
    configs = [folder.read_config() for folder in folders]
    origins = [_origin(folder) for folder in folders]
    changes = list(_options(_changes("settings", *(dict(flat(_settings(config))) for config in configs))))
    for group in GROUPS[1:]:
        changes += _changes(group, *(_facts(group, origin) for origin in origins))
    finished = [folder.path for folder in folders if (folder.path / "scores.parquet").is_file()]
    totals = totals_of(finished)
    damaged = next((f"{path}: is damaged: {each.error}." for path, each in totals.items() if each.error), "")
    if damaged:
        raise HwdsError(damaged)
    both = [totals.get(folder.path, Totals()) for folder in folders]
    headline = str(configs[0]["protocol"].get("headline", ""))
    scores, same = _scores(*_aligned(both, [str(config["model"]["name"]) for config in configs]), headline)
    unfinished = tuple(folder.title for folder in folders if folder.path not in finished)
    full = next((each.metric for each in scores if _is(each.metric, headline)), headline)
    return Difference(first.title, second.title, tuple(changes), scores, same, full, unfinished)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "experiment"}


def _origin(folder: RunFolder) -> dict[str, Any]:
    return folder.read_provenance() if (folder.path / "provenance.json").is_file() else {}


def _facts(group: str, origin: Mapping[str, Any]) -> dict[str, Value]:
    """Return the facts of a group from the provenance."""
    git = origin.get("git") or {}
    if group == "data":
        return {
            "fingerprint": origin.get("data"),
            **{f"joined {key}": detail for key, detail in origin.get("joined", {}).items()},
        }
    if group == "code":
        changed = str(bool(git["changed"])).lower() if "changed" in git else None
        return {"fingerprint": origin.get("code"), "commit": git.get("commit"), "uncommitted changes": changed}
    if group == "versions":
        return dict(flat(origin.get("versions", {})))
    return {**dict(flat(origin.get("machine", {}))), "threads a cell": origin.get("threads"), "device": origin.get("device")}


def _changes(group: str, first: Mapping[str, Value], second: Mapping[str, Value]) -> Iterator[Change]:
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            yield Change(group, name, first.get(name), second.get(name))


def _options(changes: Iterator[Change]) -> Iterator[Change]:
    """Yield the changes; of an option that was swapped for another only its name and the settings that both have."""
    known = list(changes)
    swapped = {each.name for each in known if "." not in each.name}
    for each in known:
        group, _, rest = each.name.partition(".")
        apart = each.first is None or each.second is None or rest == "recipe"
        if not (rest and group in swapped and apart):
            yield each


def _aligned(both: Sequence[Totals], own: Sequence[str]) -> tuple[Totals, Totals]:
    """Return the totals with the models of both runs under one label, where these are two."""
    if own[0] == own[1]:
        return both[0], both[1]
    shared = {model for model in own if all(model in totals.scores for totals in both)}
    aligned = []
    for totals, model in zip(both, own, strict=True):
        others = {name: scores for name, scores in totals.scores.items() if name != model or name in shared}
        aligned.append(replace(totals, scores={OWN: totals.scores.get(model, {}), **others}))
    return aligned[0], aligned[1]


def _scores(first: Totals, second: Totals, headline: str) -> tuple[tuple[ScoreChange, ...], int]:
    """Return the totals that differ, the headline's first, and the number of equal ones."""
    changes, same = [], 0
    for model in dict.fromkeys((*first.scores, *second.scores)):
        ours, theirs = first.scores.get(model, {}), second.scores.get(model, {})
        for metric in dict.fromkeys((*ours, *theirs)):
            one, two = ours.get(metric), theirs.get(metric)
            if one == two:
                same += 1
                continue
            better = first.better.get(metric) or second.better.get(metric) or "none"
            changes.append(ScoreChange(model, metric, better, *_pair(one, two)))
    return tuple(sorted(changes, key=lambda each: not _is(each.metric, headline))), same


def _pair(one: Total | None, two: Total | None) -> tuple[float | None, float | None, float | None, float | None]:
    first, second = one or (None, None), two or (None, None)
    return first[0], second[0], first[1], second[1]


def _is(metric: str, headline: str) -> bool:
    return headline in (metric, short(metric))


def as_text(value: Value) -> str:
    """Return a value as in the config; empty for None."""
    if value is None:
        return ""
    return exact(value) if isinstance(value, float) else value or '""'
