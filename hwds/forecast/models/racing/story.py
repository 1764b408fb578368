"""The story of a search: the candidates that it tried, those that it dropped and why, and those that more time would try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from hwds.forecast.models.racing.budget import AFTER, in_units
from hwds.forecast.models.racing.candidates import Look
from hwds.forecast.models.racing.notes import CLOCK
from hwds.forecast.models.racing.race import Race, Rung, Standing


def story_of(race: Race, look: Look, budget: str, left_out: int = 0) -> str:
    """Return the story of a race that has ended, in a few sentences.

    Args:
        race: The race.
        look: The traits of the panel.
        budget: The setting.
        left_out: How many candidates `most` kept from the race.
    """
    if race.blind:
        kept = "no series is long enough for a window before the cutoff, so that nothing could be tried"
        return f"{look}; {kept}; the answer is the seasonal naive, its intervals not calibrated."
    parts = [
        str(look),
        tried(race.standings, race.team.rung),
        *_dropped(race),
        _answer(race, look),
        _more(race, budget, left_out),
    ]
    return f"{'; '.join(part for part in parts if part)}{'' if in_units(budget) else CLOCK}."


def tried(standings: Mapping[str, Standing], rung: Rung) -> str:
    """Return the errors of the candidates on the last rung, and apart those of candidates that did not come so far."""
    shown = sorted((s.losses[-1], name, len(s.losses)) for name, s in standings.items() if s.losses)
    series, windows = rung
    if not shown or not series:
        return "nothing could be tried: no window before the cutoff, or no budget for one"
    rungs = max(ran for _, _, ran in shown)
    whole, part = (
        ", ".join(f"{name} {_loss(loss)}" for loss, name, ran in shown if (ran == rungs) is last) for last in (True, False)
    )
    fewer = f"; on fewer of them, and so not comparable: {part}" if part else ""
    most = f"up to {windows} windows" if windows > 1 else "one window"
    return f"tried on {most} of {series:,} series (mean absolute scaled error): {whole}{fewer}"


def _loss(value: float) -> str:
    return f"{value:.3f}" if value < 1e4 else f"{value:.0e}"


def _dropped(race: Race) -> Iterator[str]:
    dropped = [f"{name} ({s.dropped})" for name, s in race.standings.items() if s.dropped]
    if dropped:
        yield f"dropped: {', '.join(dropped)}"


def _answer(race: Race, look: Look) -> str:
    young, weights = race.team.young, race.team.weights
    own = ""
    if look.young and young is not None and not np.allclose(young, weights):
        own = f" (for series with no season behind them {_mixed(race, young)})"
    untried = "" if race.team.rung.series else ", what usually answers well on such panels, untried"
    return f"the answer is {_mixed(race, weights)}{own}{untried}"


def _mixed(race: Race, weights: np.ndarray) -> str:
    shares = sorted(zip(weights.tolist(), [member.name for member in race.team.members], strict=True), reverse=True)
    return ", ".join(f"{100 * weight:.0f} % {name}" for weight, name in shares if weight >= 0.005)


def _more(race: Race, budget: str, left_out: int) -> str:
    """Return what a larger budget, or a larger bound on candidates, would try."""
    unit = "u" if in_units(budget) else "s"
    share = 1.0 if in_units(budget) else AFTER
    waiting = sorted(
        (s.price, name, s.kept) for name, s in race.standings.items() if not s.dropped and s.price and len(s.losses) == 0
    )
    bound = f"model.most, 1 under size=small, kept {left_out} more from the race" if left_out else ""
    if not waiting:
        rest = f"{max(race.allowance.left, 0):.0f}{unit} left"
        return f"{bound}, {rest}" if bound else f"all that may change it was tried with {rest}: more time would buy little"
    listed = ", ".join(f"{name} ({max(price, 1):.0f}{unit} more)" for price, name, _ in waiting)
    # One is only begun where the final fits of the best so far fit in, too; heavier forms are asked for once these are tried.
    need = sum(price for price, _, _ in waiting) + max(kept for _, _, kept in waiting)
    enough = math.ceil((race.allowance.used + need) / share)
    more = f"not tried for lack of time: {listed}; a budget of some {enough}{unit} would try these"
    return f"{more}; {bound}" if bound else more
