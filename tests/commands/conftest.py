"""A command line in this process, from an empty folder, as a user gives it."""

import shlex
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from hwds import registry
from tests.chromium import chromium


class Said(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of a refusal."""
        assert self.code == 2 or self.code == 1, self
        assert self.err.count("\n") == 1, self
        return self.err.strip()


def forget() -> None:
    """The registry reads conf folders once a process; a test changes them."""
    for cached in (registry.conf_dirs, registry.options, registry.resolve):
        cached.cache_clear()


@pytest.fixture
def hwds(monkeypatch, capsys, tmp_path) -> Callable[..., Said]:
    """Run `hwds LINE` in an empty folder."""
    from hydra.core.global_hydra import GlobalHydra

    from hwds import cli

    for name in ("HWDS_CONF", "HYDRA_FULL_ERROR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwds.app_run.draw", lambda *_: None)  # pictures have tests of their own, and take a second
    monkeypatch.setattr("hwds.report.progress.PLAIN", 3600.0)  # what a command says depends on no clock
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget()

    def run(line: str) -> Said:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["hwds", *shlex.split(line)])
        capsys.readouterr()
        code = cli.main()
        return Said(code, *capsys.readouterr())

    yield run
    GlobalHydra.instance().clear()
    forget()


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
    luck = np.random.default_rng(0)
    parts, plans = [], []
    for shop in "ab":
        for region in ("y", "é"):
            key = {"shop": shop, "region": region}
            past, ahead = months(date(2021, 1, 1), 36), months(date(2024, 1, 1), 6)
            columns = {"units": luck.normal(100, 5, 36).round(2), "promo": luck.integers(0, 2, 36)}
            parts.append(pl.DataFrame({**key, "month": past, **columns}))
            plans.append(pl.DataFrame({**key, "month": ahead, "promo": luck.integers(0, 2, 6)}))
    rows, plan = pl.concat(parts), pl.concat(plans)
    rows.write_csv(tmp_path / "sales.csv")
    plan.write_csv(tmp_path / "plan.csv")
    return rows, plan


def months(first: date, count: int) -> pl.Series:
    """Month after month."""
    return pl.date_range(first, date(2040, 1, 1), "1mo", eager=True)[:count]


def run_id(folder: Path) -> str:
    """The latest run of a folder."""
    return max(folder.glob("outputs/runs/*/*/config.yaml"), key=lambda path: path.stat().st_mtime_ns).parent.name


def future(folder: Path) -> pl.DataFrame:
    """What the latest `predict` wrote."""
    return pl.read_parquet(max(folder.glob("outputs/runs/*/*/future.parquet"), key=lambda path: path.stat().st_mtime_ns))


@pytest.fixture
def own_home(monkeypatch, tmp_path) -> pytest.MonkeyPatch:
    """Trackers see nothing of the user's own W&B and MLflow, and leave nothing in the environment."""
    kept = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ARTIFACT_DIR", "WANDB_ERROR_REPORTING", "MLFLOW_TRACKING_URI")
    for name in (*kept, "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no.netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb_config"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    return monkeypatch


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """The file of an MLflow store without runs: making its tables takes seconds, once."""
    from hwds.tracking.mlflow_store import opened

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    opened(f"sqlite:///{path}")
    return path
