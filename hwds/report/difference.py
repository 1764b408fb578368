"""What two runs do not have in common, as tables and in words."""

from __future__ import annotations

from collections.abc import Iterator

from hwds.report.grid import Grid, grid_of
from hwds.results.difference import NO_NUMBERS, Change, Difference, ScoreChange, as_text
from hwds.results.wording import brief, counted, decimals, fixed

MOST = 20
"""Scores that are shown; the others are in `--json`."""

LONGEST = 28
"""Letters of a value in the terminal."""

CALLED = {"settings": "settings", "data": "the data", "code": "the code", "versions": "versions", "machine": "the machine"}


def grids(found: Difference) -> Iterator[Grid]:
    """Settings, then where the numbers are from, then scores; each only where something differs."""
    settings, origin = found.of("settings"), found.of("data", "code", "versions", "machine")
    if settings:
        yield _table(found, settings, "Settings:", [_setting(each) for each in settings])
    if origin:
        yield _table(found, origin, "Data, code, versions, machine:", [f"{each.group}: {each.name}" for each in origin])
    if found.scores:
        yield _scores(found)


def _setting(each: Change) -> str:
    return f"{each.name} (no score depends on it)" if each.name.partition(".")[0] in NO_NUMBERS else each.name


def _table(found: Difference, changes: tuple[Change, ...], caption: str, names: list[str]) -> Grid:
    rows = [[name, _short(each.first), _short(each.second)] for name, each in zip(names, changes, strict=True)]
    return grid_of([("", " "), *_titles(found)], rows, names=3, caption=caption)


def _titles(found: Difference) -> list[tuple[str, str]]:
    return [(title, title.replace("/", "/\n", 1)) for title in (found.first, found.second)]


def _short(value: str | float | None) -> str:
    text = as_text(value) or "none"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _scores(found: Difference) -> Grid:
    rows = [_score(each) for each in found.scores[:MOST]]
    more = f", {MOST} of {len(found.scores)}" if len(found.scores) > MOST else ""
    titles = [("model", "model"), ("metric", "metric"), *_titles(found), ("change", "change"), ("", " ")]
    return grid_of(titles, rows, names=2, caption=f"Scores that differ{more}:")


def _score(each: ScoreChange) -> list[str]:
    places = min(decimals([each.first, each.second, each.change]) + 1, 9)
    change = "" if each.change is None else f"{'+' if each.change > 0 else ''}{fixed(each.change, places)}"
    return [each.model, each.metric, fixed(each.first, places), fixed(each.second, places), change, _side(each)]


def _side(each: ScoreChange) -> str:
    if each.change is None:
        return "only the first" if each.second is None else "only the second"
    if each.better == "none" or not each.change:
        return ""
    return "better" if (each.change < 0) == (each.better == "low") else "worse"


def words(found: Difference) -> str:
    """What differs and what does not, and what that means for the scores."""
    if not found.changes and not found.scores and not found.unfinished:
        return f"Nothing differs between {found.first} and {found.second}: settings, data, code, versions, machine and scores."
    groups = [group for group in CALLED if found.of(group)]
    same = [called for group, called in CALLED.items() if group not in groups]
    said = [f"{_listed([CALLED[group] for group in groups])} differ" if groups else "nothing but scores differs"]
    said += [f"{_listed(same)} {'is' if same == ['the data'] else 'are'} the same"] if same else []
    lines = [f"{'; '.join(said).capitalize()}."]
    lines += [f"Run {title} is not finished: it has no scores." for title in found.unfinished]
    return "\n".join([*lines, *_of_scores(found)])


def _of_scores(found: Difference) -> Iterator[str]:
    if found.unfinished:
        return
    if not found.scores:
        yield f"All {counted(found.same_scores, 'scores')} are the same to the last bit."
        return
    first = next((each for each in found.scores if each.metric == found.headline and each.change is not None), None)
    if first is not None and first.change is not None and first.first is not None and first.second is not None:
        told = brief(first.first, first.first_stderr), brief(first.second, first.second_stderr)
        side = f": {_side(first)}, if it is no chance" if _side(first) and found.comparable else ""
        yield f"{first.metric} of {first.model}: {told[0]}, then {told[1]}{side}."
    if found.comparable:
        yield f"How sure that is says `hwds compare {found.first} {found.second}`."
    else:
        yield "The scores are of other data or another protocol: they answer different questions and do not compare."


def _listed(parts: list[str]) -> str:
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last
