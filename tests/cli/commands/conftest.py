"""What commands are tried on: files of sales, trackers without a home, a browser."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hwds.report.verdict import draw_verdict
from tests.support.browser import chromium


def draw_verdict_alone(folder, experiment, frame, tables, board, verdict):
    """What stands for the drawing of a run."""
    if verdict is not None:
        draw_verdict(folder, type(experiment.decision), verdict)


@pytest.fixture
def hwds(command, monkeypatch):
    """Run `hwds LINE` in an empty folder, without pictures but a verdict's: they have tests of
    their own, and take a second.
    """
    monkeypatch.setattr("hwds.cli.run.draw", draw_verdict_alone)
    monkeypatch.setattr("hwds.cli.run.draw_missing", lambda *_: None)
    return command


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder of copies of the tests' folders."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What the functions said that filled the folders, by the names of the copies."""
    return {}


@pytest.fixture
def once(tmp_path, kept, answers):
    """Fill the test's folder by a function in the first test of a module that asks, and by a copy
    in all later ones.

    Each of them is told what the function returned.
    """

    def fill(make: Callable[[], Any], name: str = "made") -> Any:
        if name in answers:
            shutil.copytree(kept / name, tmp_path, dirs_exist_ok=True)
        else:
            answers[name] = make()
            shutil.copytree(tmp_path, kept / name)
        return answers[name]

    return fill


@pytest.fixture(scope="session")
def browser():
    """One browser for all pages that are looked at."""
    with chromium() as found:
        yield found


FILE = (
    "model=forecast/seasonal_naive dataset=file compute=serial protocol=holdout protocol.horizon=6"
    " dataset.roles.time=month dataset.roles.target=units"
)
SALES = f"{FILE} dataset.path=sales.csv 'dataset.roles.series=[shop,region]'"


@pytest.fixture
def sales(tmp_path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Four monthly series in sales.csv, and six months of plan in plan.csv."""
    rng = np.random.default_rng(0)
    parts, plans = [], []
    for shop in "ab":
        for region in ("y", "é"):
            key = {"shop": shop, "region": region}
            past, ahead = months(date(2021, 1, 1), 36), months(date(2024, 1, 1), 6)
            columns = {"units": rng.normal(100, 5, 36).round(2), "promo": rng.integers(0, 2, 36)}
            parts.append(pl.DataFrame({**key, "month": past, **columns}))
            plans.append(pl.DataFrame({**key, "month": ahead, "promo": rng.integers(0, 2, 6)}))
    rows, plan = pl.concat(parts), pl.concat(plans)
    rows.write_csv(tmp_path / "sales.csv")
    plan.write_csv(tmp_path / "plan.csv")
    return rows, plan


def months(first: date, count: int) -> pl.Series:
    """Month after month."""
    return pl.date_range(first, date(2040, 1, 1), "1mo", eager=True)[:count]


def run_ids(folder: Path) -> list[str]:
    """The runs of a folder, the latest last."""
    configs = sorted(
        folder.glob("outputs/runs/*/*/config.yaml"), key=lambda path: path.stat().st_mtime_ns
    )
    return [path.parent.name for path in configs]


def run_id(folder: Path) -> str:
    """The latest run of a folder."""
    return run_ids(folder)[-1]


def future(folder: Path) -> pl.DataFrame:
    """What the latest `predict` wrote."""
    return pl.read_parquet(
        max(
            folder.glob("outputs/runs/*/*/future.parquet"), key=lambda path: path.stat().st_mtime_ns
        )
    )


@pytest.fixture
def own_home(monkeypatch, tmp_path) -> pytest.MonkeyPatch:
    """Trackers see nothing of the user's own W&B and MLflow, and leave nothing in the
    environment.
    """
    kept = (
        "WANDB_DATA_DIR",
        "WANDB_CACHE_DIR",
        "WANDB_ARTIFACT_DIR",
        "WANDB_ERROR_REPORTING",
        "MLFLOW_TRACKING_URI",
    )
    for name in (
        *kept,
        "WANDB_API_KEY",
        "WANDB_BASE_URL",
        "WANDB_MODE",
        "WANDB_PROJECT",
        "WANDB_ENTITY",
        "WANDB_DIR",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no.netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb_config"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    return monkeypatch


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """The file of an MLflow store without runs: making its tables takes seconds, once."""
    from hwds.track.trackers.mlflow import open_store

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_store(f"sqlite:///{path}")
    return path
