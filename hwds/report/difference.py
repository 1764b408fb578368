"""The difference of two runs, as tables and in words."""

from __future__ import annotations

from collections.abc import Iterator

from hwds.report.grid import Grid, grid_of
from hwds.results.difference import NO_NUMBERS, Change, Difference, ScoreChange, as_text
from hwds.results.formatting import brief, counted, decimals, fixed

MOST = 20
"""The most scores that are shown; the others are in `--json`."""

LONGEST = 28
"""The most letters of a value in the terminal."""

CALLED = {"settings": "settings", "data": "the data", "code": "the code", "versions": "versions", "machine": "the machine"}


def grids(diff: Difference) -> Iterator[Grid]:
    """Yield the tables of settings, then of provenance, then of scores; each only where something differs."""
    settings, origin = diff.of("settings"), diff.of("data", "code", "versions", "machine")
    if settings:
        yield _table(diff, settings, "Settings:", [_setting(each) for each in settings])
    if origin:
        yield _table(diff, origin, "Data, code, versions, machine:", [f"{each.group}: {each.name}" for each in origin])
    if diff.scores:
        yield _scores(diff)


def _setting(each: Change) -> str:
    return f"{each.name} (no score depends on it)" if each.name.partition(".")[0] in NO_NUMBERS else each.name


def _table(diff: Difference, changes: tuple[Change, ...], caption: str, names: list[str]) -> Grid:
    rows = [[name, _short(each.first), _short(each.second)] for name, each in zip(names, changes, strict=True)]
    return grid_of([("", " "), *_titles(diff)], rows, names=3, caption=caption)


def _titles(diff: Difference) -> list[tuple[str, str]]:
    return [(title, title.replace("/", "/\n", 1)) for title in (diff.first, diff.second)]


def _short(value: str | float | None) -> str:
    text = as_text(value) or "none"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _scores(diff: Difference) -> Grid:
    rows = [_score(each) for each in diff.scores[:MOST]]
    more = f", {MOST} of {len(diff.scores)}" if len(diff.scores) > MOST else ""
    titles = [("model", "model"), ("metric", "metric"), *_titles(diff), ("change", "change"), ("", " ")]
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


def words(diff: Difference) -> str:
    """Return in words what differs and what does not, and what that means for the scores."""
    if not diff.changes and not diff.scores and not diff.unfinished:
        return f"Nothing differs between {diff.first} and {diff.second}: settings, data, code, versions, machine and scores."
    groups = [group for group in CALLED if diff.of(group)]
    same = [called for group, called in CALLED.items() if group not in groups]
    clauses = [f"{_listed([CALLED[group] for group in groups])} differ" if groups else "nothing but scores differs"]
    clauses += [f"{_listed(same)} {'is' if same == ['the data'] else 'are'} the same"] if same else []
    lines = [f"{'; '.join(clauses).capitalize()}."]
    lines += [f"Run {title} is not finished: it has no scores." for title in diff.unfinished]
    return "\n".join([*lines, *_of_scores(diff)])


def _of_scores(diff: Difference) -> Iterator[str]:
    if diff.unfinished:
        return
    if not diff.scores:
        yield f"All {counted(diff.same_scores, 'scores')} are the same to the last bit."
        return
    first = next((each for each in diff.scores if each.metric == diff.headline and each.change is not None), None)
    if first is not None and first.change is not None and first.first is not None and first.second is not None:
        scores = brief(first.first, first.first_stderr), brief(first.second, first.second_stderr)
        side = f": {_side(first)}, if it is no chance" if _side(first) and diff.comparable else ""
        yield f"{first.metric} of {first.model}: {scores[0]}, then {scores[1]}{side}."
    if diff.comparable:
        yield f"How sure that is says `hwds compare {diff.first} {diff.second}`."
    else:
        yield "The scores are of other data or another protocol: they answer different questions and do not compare."


def _listed(parts: list[str]) -> str:
    *front, last = parts
    return f"{', '.join(front)} and {last}" if front else last
