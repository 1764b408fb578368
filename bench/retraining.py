"""Retraining's expected gain against the truth: `python -m bench.retraining [worlds=20]
[rows=3000]`.

A bundle's own probabilities are the true ones until a third of the rows has come; then the effect
of a column turns by so many log odds a standard deviation (0 is a world that does not change). The
monitor's proposal sees captured rows and drawn labels of 30 days. The truth is the gain of the
model that is refitted on all of them, on 20,000 new rows after the change, by their true
probabilities. Beside how often a refit was proposed stands how often it truly gains, and the mean
of both gains.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.serving import COLUMNS, made
from hwds.detection.serving import ServedClassifier
from hwds.evaluation.protocol import RunContext
from hwds.serve.monitor.retraining import propose_refit, table_of
from hwds.serve.monitor.watch import Captured
from hwds.serve.services.opening import Bundle

TURNED, NEW, DAYS, PART = "visits", 20_000, 30, 500


@dataclass(frozen=True)
class Rows:
    """Rows with the serving model's answers, and their true probabilities."""

    captured: list[Captured]
    chance: np.ndarray

    def labels(self, rng: np.random.Generator) -> np.ndarray:
        """Return drawn labels."""
        return (rng.random(len(self.chance)) < self.chance).astype(float)


def drawn(
    service: Any, rows: pl.DataFrame, rng: np.random.Generator, size: int, turned: np.ndarray
) -> Rows:
    """Return rows drawn from a table; `turned` is the change of the effect by row."""
    chosen = rows[rng.integers(0, rows.height, size)].to_dicts()
    questions = [{"id": str(place), **row} for place, row in enumerate(chosen)]
    answers = [
        answer
        for at in range(0, size, PART)
        for answer in service.answer(questions[at : at + PART])
    ]
    days = np.datetime64("2026-01-01") + np.arange(size) * DAYS // size
    captured = [
        Captured(f"{day}T00:00:00Z", question, answer)
        for day, question, answer in zip(days, questions, answers, strict=True)
    ]
    served = np.array([answer["probability"] for answer in answers])
    column = np.array([row[TURNED] for row in chosen])
    odds = np.log(served / (1 - served)) + turned * (column - column.mean()) / column.std()
    return Rows(captured, 1 / (1 + np.exp(-odds)))


def expected_loss(probability: np.ndarray, chance: np.ndarray) -> float:
    """Return the mean log loss of probabilities where the true ones are known."""
    held = np.clip(probability, 1e-7, 1 - 1e-7)
    return float(-(chance * np.log(held) + (1 - chance) * np.log(1 - held)).mean())


def true_gain(bundle: Bundle, past: Rows, label: np.ndarray, new: Rows) -> float:
    """Return the gain on new rows of the model that is refitted on all captured ones."""
    model = bundle.experiment().model
    table = table_of(bundle, past.captured, label)
    fitted = ServedClassifier.refit(model, table, np.arange(table.height), RunContext(0))
    again = fitted.score(table_of(bundle, new.captured, np.zeros(len(new.chance)))).probability
    served = np.array([each.answer["probability"] for each in new.captured])
    return expected_loss(served, new.chance) - expected_loss(again, new.chance)


def main(words: list[str]) -> int:
    """Print a line for each size of the change."""
    sizes = {name: int(value) for name, value in (word.split("=") for word in words)}
    worlds, rows = sizes.get("worlds", 20), sizes.get("rows", 3000)
    with tempfile.TemporaryDirectory() as beside:
        made(Path(beside))
        bundle = Bundle.open(Path(beside) / "bundle", str(Path(beside) / "key.pem.pub"))
        table = pl.read_csv(Path(beside) / "rows.csv").select(COLUMNS).drop_nulls()
        service = bundle.service()
        for change in (0.0, 0.5, 1.0, 2.0):
            gains = []
            for seed in range(worlds):
                rng = np.random.default_rng([seed, int(10 * change)])
                past = drawn(
                    service, table, rng, rows, np.where(np.arange(rows) >= rows // 3, change, 0.0)
                )
                label = past.labels(rng)
                proposal = propose_refit(
                    bundle, past.captured, {str(place): value for place, value in enumerate(label)}
                )
                new = drawn(service, table, rng, NEW, np.full(NEW, change))
                gains.append(
                    (proposal.low or 0.0, proposal.gain or 0.0, true_gain(bundle, past, label, new))
                )
            low, gain, truth = np.array(gains).T
            shown = (
                f"proposed {(low > 0).sum()} of {worlds}, of which "
                f"{((low > 0) & (truth > 0)).sum()} truly gain"
            )
            sys.stdout.write(f"change {change:g}: {shown}; {(truth > 0).sum()} of all do; ")
            sys.stdout.write(f"expected gain {gain.mean():+.4f}, true gain {truth.mean():+.4f}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
