"""The conclusion of a run, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.report.standings import Standing, Standings
from hwds.results.formatting import brief, counted, percent, percent_quoted, quoted
from hwds.statistics.reference_distribution import LEAST_SURE

UNTESTED = "not tested (hwds compare does)"
"""What a rank leaves open."""


def conclusion(board: Standings) -> str:
    """Return the conclusion on the experiment's model against the reference, the floor and the rivals, by the headline.

    A difference counts where its 95 % interval excludes 0. Without a skill the model's rank stands in for it.
    """
    own = board.own
    if own is None:
        return "Nothing was scored."
    if own.headline.value is None:
        return f"{_without_score(board, own)}{_best_of_others(board)}."
    ahead = [line for line in _before(board, own) if own.skill.value is None or not board.is_reference(line)]
    text = _by_rank(board, own) if own.skill.value is None else _against_reference(board, own) + _to_floor(board, own)
    return f"{text}{_rivals(board, ahead) if own.skill.value is not None else ''}{_lost(own)}."


def _against_reference(board: Standings, own: Standing) -> str:
    skill, low, high = own.skill.value or 0.0, own.skill.low, own.skill.high
    score = _score(board, own)
    if skill == 0 and not own.skill.stderr:
        return f"{own.model} scores as {board.rival} does ({score})"
    side = "better" if skill > 0 else "worse"
    if low is None or high is None:
        method = own.skill.method or ""
        few = f"; how sure that is, {method}" if method.endswith("cannot tell") else f", too few {board.units} for an interval"
        return f"{own.model} is {percent(abs(skill))} {side} than {board.rival}{few} ({score})"
    size, ends = percent_quoted(abs(skill), *((low, high) if skill > 0 else (-high, -low)))
    behind = f"{ends.removesuffix(')')}; {score})"
    if low > 0:
        return f"{own.model} beats {board.rival} by {size}{behind}"
    if high < 0:
        return f"{own.model} does not beat {board.rival}: it is worse by {size}{behind}"
    drawn = 0.0 in (low, high)  # an end that `reaching_zero` has drawn there
    unsure = f"which fewer than {LEAST_SURE} periods or {board.units} cannot make sure" if drawn else "not distinguishable"
    return f"{own.model} does not beat {board.rival}: it is {size} {side}, {unsure}{behind}"


def _score(board: Standings, own: Standing) -> str:
    """Return `mase[m=12] 0.812 against 0.921, 96 series`."""
    value, reference = own.headline.value or 0.0, own.reference
    against = f" against {_with_unit(board, reference)}" if reference is not None and own.skill.value else ""
    return f"{board.headline} {_with_unit(board, value)}{against}, {counted(own.n, board.units)}"


def _with_unit(board: Standings, value: float | None) -> str:
    return brief(value or 0.0, None, board.measure.measured_in)


def _to_floor(board: Standings, own: Standing) -> str:
    """Return the model's share of the way from the reference to the floor, in words; empty where it is worse."""
    if board.truth is None or board.truth.headline.value is None or own.to_floor is None or own.to_floor <= 0:
        return ""
    floor = _with_unit(board, board.truth.headline.value)
    if own.to_floor >= 1:
        return f", and reaches the floor ({floor})"
    return f", and goes {100 * own.to_floor:.0f} % of the way to the floor ({floor})"


def _by_rank(board: Standings, own: Standing) -> str:
    scored = [line for line in board.lines if line.headline.value is not None]
    value, ends = quoted(own.headline.value or 0.0, own.headline.low, own.headline.high, board.measure.measured_in)
    score = f"{board.headline} {value}{f'{ends[:-1]}; ' if ends else ' ('}{counted(own.n, board.units)})"
    least = board.truth.headline.value if board.truth else None
    floor = "" if least is None else f"; the floor is {_with_unit(board, least)}"
    if len(scored) == 1:
        return f"{own.model} has {score}{floor}"
    if scored[0].model == own.model:
        return f"{own.model} scores best of {len(scored)} models, {UNTESTED}: {score}{floor}"
    first = _with_unit(board, scored[0].headline.value)
    best = f"{scored[0].model} scores best of {len(scored)} models, {UNTESTED}: {board.headline} {first}"
    return f"{best}; {own.model} is number {scored.index(own) + 1}: {score}{floor}"


def _before(board: Standings, own: Standing) -> list[Standing]:
    """Return the models with a strictly better headline."""
    ranked = [line for line in board.lines if line.headline.value is not None and line.headline.value != own.headline.value]
    sign = -1 if board.better == "high" else 1
    return [line for line in ranked if sign * (line.headline.value or 0.0) < sign * (own.headline.value or 0.0)]


def _rivals(board: Standings, ahead: Sequence[Standing]) -> str:
    if not ahead:
        return ""
    score = _with_unit(board, ahead[0].headline.value)
    if len(ahead) == 1:
        return f"; the rival {ahead[0].model} scores better ({score})"
    return f"; {len(ahead)} rivals score better, best of them {ahead[0].model} ({score})"


def _without_score(board: Standings, own: Standing) -> str:
    if own.n_failed:
        return f"{own.model} has no score: {counted(own.n_failed, 'answers')} failed ({own.error})"
    if not own.n_undefined:
        return f"{own.model} has no score: there is no answer of it"
    return f"{own.model} has no {board.headline}: it is undefined for all of its {counted(own.n_undefined, board.units)}"


def _best_of_others(board: Standings) -> str:
    best = next((line for line in board.lines if line.headline.value is not None), None)
    return (
        f"; the best of its rivals is {best.model} ({board.headline} {_with_unit(board, best.headline.value)})" if best else ""
    )


def _lost(own: Standing) -> str:
    failed = f"; {counted(own.n_failed, 'answers')} failed" if own.n_failed else ""
    return failed + (f"; {counted(own.n_fallback, 'answers')} came from a fallback" if own.n_fallback else "")
