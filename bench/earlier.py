"""A forecaster beside itself as it was: CPU seconds and MASE of the last horizon, on the same
panels, paired.

`git worktree add ../before 29fb8048^`, then `python -m bench.earlier ../before forecast/xgboost
hardware_demand 800 80` for the 80 worlds from seed 800 on, or `... m3_monthly` for a dataset of
files (HWDS_DATA); `model.budget=60u` and the like change the forecaster. Each world is played by
each tree in a process of its own, by turns; the interval is Student's t over worlds, or over series
where there is one. Series of two horizons and fewer are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).parents[1]
LEVELS = (0.1, 0.5, 0.9)
PLAY = "--play"


def main(words: Sequence[str]) -> int:
    """Print both trees' seconds and MASE, world by world and together."""
    if words[:1] == [PLAY]:
        return _play(*words[1:])
    changes = [word for word in words if word.startswith("model.")]
    words = [word for word in words if word not in changes]
    if len(words) not in (3, 5):
        sys.stderr.write(
            "bench.earlier: TREE MODEL DATASET [FIRST_SEED WORLDS] [model.SETTING=VALUE ...]\n"
        )
        return 2
    tree, model, dataset = words[:3]
    seeds = (
        [str(int(words[3]) + world) for world in range(int(words[4]))] if len(words) == 5 else [""]
    )
    errors, seconds = [], np.zeros(2)
    for seed in seeds:
        played = [
            _played(Path(root).resolve(), model, dataset, seed, *changes) for root in (tree, HERE)
        ]
        seconds += [took for _, took in played]
        errors.append(np.stack([scaled for scaled, _ in played]))
        line = ", ".join(f"{np.nanmean(scaled):.4f} in {took:.2f} s" for scaled, took in played)
        sys.stdout.write(f"{dataset} {seed}: MASE then, now {line}\n")
        sys.stdout.flush()
    pairs = errors[0].T if len(seeds) == 1 else np.array([np.nanmean(world, 1) for world in errors])
    change, width = _change(pairs[~np.isnan(pairs).any(1)])
    ratio = seconds[0] / seconds[1]
    sys.stdout.write(
        f"now for then: MASE {change:+.2f} ± {width:.2f} %, CPU {seconds[1]:.1f} for "
        f"{seconds[0]:.1f} s, {ratio:.2f} x\n"
    )
    return 0


def _change(pairs: np.ndarray) -> tuple[float, float]:
    """Return the change of the mean and half its 95 % interval in per cent, of rows (then, now), by
    the delta method.
    """
    from scipy.stats import t

    then, now = pairs.T
    ratio = now.sum() / then.sum()
    parts, count = (now - ratio * then) / then.mean(), len(pairs)
    return 100 * (ratio - 1), float(
        100 * t.ppf(0.975, count - 1) * parts.std(ddof=1) / np.sqrt(count)
    )


def _played(
    tree: Path, model: str, dataset: str, seed: str, *changes: str
) -> tuple[np.ndarray, float]:
    """Return each series' scaled error, shape (series,), and the CPU seconds of fit and forecast,
    by the code of a tree.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "played.npz"
        command = [sys.executable, __file__, PLAY, model, dataset, seed, str(file), *changes]
        subprocess.run(command, check=True, cwd=tree, env=os.environ | {"PYTHONPATH": str(tree)})
        with np.load(file) as played:
            return played["scaled"], float(played["seconds"])


def _play(model: str, dataset: str, seed: str, file: str, *changes: str) -> int:
    from hwds.core.cache import Cache
    from hwds.core.compose import option
    from hwds.core.config import build
    from hwds.evaluation.panel_folds import future_of
    from hwds.forecast.models.base import ForecastContext
    from hwds.forecast.predictions import InnerBacktests

    given = {"seed": int(seed)} if seed else {}
    source: Any = build("dataset", "dataset", {**option("dataset", "dataset", dataset), **given})
    panel = source.load()
    long = np.flatnonzero(panel.lengths > 2 * panel.horizon)
    ends = np.zeros_like(panel.lengths)
    ends[long] = panel.lengths[long] - panel.horizon
    history, future = panel.until(ends), future_of(panel, long, ends, panel.horizon)
    words = (word.removeprefix("model.").partition("=") for word in changes)
    changed = {name: yaml.safe_load(value) for name, _, value in words}
    forecaster: Any = build("model", "model", option("model", "model", model) | changed)
    inner = InnerBacktests(Cache(Path(file).parent / "inner"))
    context = ForecastContext(0, levels=LEVELS, season=panel.season, backtests=inner)
    few = np.where(np.arange(history.n_series) < 2, history.lengths, 0)
    forecaster.learn(
        history.until(few), horizon=panel.horizon, context=context
    )  # libraries are loaded before it is timed
    began = process_time()
    answer = forecaster.learn(history, horizon=panel.horizon, context=context).predict(
        history, future
    )
    seconds = process_time() - began
    actual = np.stack([panel.series(series)[ends[series] :] for series in long.tolist()])
    error = np.abs(answer.quantiles[..., 1] - actual)
    scale = np.array(
        [_scale(history.series(series), panel.season) for series in range(history.n_series)]
    )
    known = ~np.isnan(error).all(1)
    scaled = np.full(len(error), np.nan)
    scaled[known] = np.nanmean(error[known], 1) / scale[known]
    np.savez(file, scaled=scaled, seconds=seconds)
    return 0


def _scale(values: np.ndarray, season: int) -> float:
    """Return the mean seasonal change.

    Of a series without one that of neighbours, and NaN where there is none either.
    """
    for lag in (season, 1):
        change = np.abs(values[lag:] - values[:-lag])
        if (change > 0).any():
            return float(np.nanmean(change))
    return float("nan")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
