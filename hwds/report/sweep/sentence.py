"""The conclusion of a sweep and its time, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.report.standings import Number
from hwds.report.sweep.result import SweepResult
from hwds.results.formatting import brief, counted, duration, quoted, signed


def conclusion(result: SweepResult) -> str:
    """Return the conclusion of a sweep, in a few sentences."""
    done = int((result.trials["status"] == "finished").sum())
    stopped = int((result.trials["status"] == "stopped").sum())
    reused = int((result.trials["source"] != "").sum())
    beside = [f"{reused:,} of them of earlier sweeps"] * bool(reused)
    beside += [f"{counted(stopped, 'trials')} stopped on the way"] * bool(stopped)
    also = f" ({'; '.join(beside)})" if beside else ""
    name = result.measure.short
    sentences = [
        f"Trial {result.best} is the best of {counted(done, 'trials')} on {counted(result.windows, 'inner windows')}{also}"
    ]
    sentences[0] += f": {name} {_number(result.inner)}."
    if result.final.value is not None and result.optimism is not None:
        sentences.append(
            f"On the final windows, which no trial has seen, it has {_number(result.final)}: optimism (inner less final)"
            f" {signed(result.optimism)}{_error(result)}."
        )
    if result.best == 0:
        sentences.append("It is the experiment as it stood: tuning found nothing better.")
    elif result.gain is not None:
        sentences.append(
            f"{result.model} as it stood has {_number(result.own_inner)} on the inner and {_number(result.own_final)} on the"
            f" final windows; tuned it is {_gain(result, result.gain)}."
        )
    return " ".join(sentences)


def _error(result: SweepResult) -> str:
    """Return the standard error of the optimism, and whether there is any."""
    error, optimism = result.optimism_error, result.optimism
    if not error or optimism is None:
        return ""
    return f" ± {brief(error)}{'' if abs(optimism) > 2 * error else ', which may be chance'}"


def _gain(result: SweepResult, gain: float) -> str:
    """Return by how much the tuned model is better on the final windows, and how sure that is."""
    tuned = result.tuned
    relative = tuned.effect is not None and result.own_final.value is not None and result.own_final.value > 0
    share = tuned.effect if relative and tuned.effect is not None else gain
    if not share:
        return "as good there, to the last digit"
    side = f"{100 * abs(share):.1f} % {'better' if share > 0 else 'worse'} there"
    if tuned.low is None or tuned.high is None:
        return f"{side} ({tuned.reason})" if tuned.reason else side
    chance = "" if tuned.low > 0 or tuned.high < 0 else ", which may be chance"
    ends = sorted(end if share > 0 else -end for end in (tuned.low, tuned.high))
    shown = " to ".join(f"{100 * end:.1f}" if relative else brief(end) for end in ends)
    return f"{side} (95 %: {shown}){chance}"


def _number(number: Number) -> str:
    return "none" if number.value is None else "".join(quoted(number.value, number.low, number.high))


def core_time(seconds: float, low: float, high: float) -> str:
    """Return `about 0.21 core-hours (0.1 to 0.42)`; of less than a minute in seconds."""
    if high < 100:
        return f"about {duration(seconds)} of one core ({duration(low)} to {duration(high)})"
    return f"about {hours(seconds)} core-hours ({hours(low)} to {hours(high)})"


def hours(seconds: float) -> str:
    """Return seconds as hours with two digits."""
    return f"{seconds / 3600:,.0f}" if seconds >= 360_000 else f"{seconds / 3600:.2g}"


def time_sentence(data: Mapping[str, Any]) -> str:
    """Return the time of the trials, and the quality of its estimate; empty where it is not known."""
    took, foreseen = data.get("took"), data.get("foreseen")
    if not took:
        return ""
    cells, core, clock = counted(took["cells"], "cells"), duration(took["core_seconds"]), duration(took["seconds"])
    text = f"The {cells} took {core} of one core, {clock} by the clock"
    if not foreseen:
        return f"{text}; nothing was foreseen, for a model here had never been timed on this dataset."
    span = core_time(*(foreseen[name] for name in ("core_seconds", "low", "high")))
    ratio = took["core_seconds"] / foreseen["core_seconds"] if foreseen["core_seconds"] else float("inf")
    inside = "within" if foreseen["low"] <= took["core_seconds"] <= foreseen["high"] else "outside of"
    return f"{text}; foreseen were {span}: {ratio:.2f} times the estimate, {inside} its range."
