"""hwds' server beside MLflow's and BentoML's, one XGBoost model: `python -m bench.serving
[seconds=10] [bentoml=PYTHON]`.

wrk (Debian: apt-get install wrk) loads each with one client and with sixteen, one small JSON row a
request, two workers each; they take turns, and their answers must be equal. Beside requests and
latency stand the CPU milliseconds of a request in all processes of the server, which other work on
the machine does not lengthen. Answers of hwds bear the decision too.

BentoML is asked where `bentoml=` names the Python of an environment that has `bentoml` and
`xgboost` (`python -m venv V && V/bin/pip install bentoml xgboost`). The targets: one client p99
below 5 ms, sixteen clients 2,000 requests a second and p99 below 15 ms, on two cores that do
nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xgboost

from bench.http_server import free_port, loaded, served, started
from hwds.cli.run import run_experiment
from hwds.core.compose import compose
from hwds.core.serialization import load_fitted
from hwds.experiment.spec import check
from hwds.serve.bundle.make import make_bundle
from hwds.serve.bundle.manifest import KEY_VARIABLE
from hwds.serve.bundle.prove import prove_bundle
from tests.support.rows import toy_rows

COLUMNS = ("spent", "quantity", "visits", "promoted")
WORDS = [
    "dataset=table",
    "dataset.roles.label=bad",
    "dataset.roles.time=time",
    "dataset.roles.amount=spent",
    f"dataset.roles.covariate=[{','.join(COLUMNS)}]",
    "model=classify/xgboost",
    "model.trees=200",
    "model.calibration=none",
    "protocol=prequential",
    "protocol.train_days=30",
    "protocol.test_days=10",
    "protocol.stop_days=0",
    "protocol.delay_days=1",
    "protocol.decide_days=10",
    "protocol.calibrate_days=10",
    "protocol.resamples=20",
    "protocol.wrong_block=100",
    "decision=alert_policy",
    "decision.resamples=20",
    "compute=serial",
    "save_model=final",
    "pictures=false",
]
BENTO = """
import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=2)
class Rows:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file="booster.ubj")
        self.booster.set_param({"nthread": 1})

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=60000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.booster.inplace_predict(rows)
"""


@dataclass(frozen=True)
class Contestant:
    """A server: where it answers, the process of it, a body, and how an answer is read."""

    name: str
    url: str
    process: int
    body: dict[str, Any]

    def probability(self) -> float:
        """Return the probability that it answers to its body."""
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(self.url, json.dumps(self.body).encode(), headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            said = json.loads(answer.read())
        said = said.get("predictions", said) if isinstance(said, dict) else said
        return float(said["probability"] if isinstance(said, dict) else said[0])


def made(folder: Path) -> Any:
    """Write the bundle of a run on simulated rows, and the booster alone beside it.

    Return the booster.
    """
    rows = toy_rows(8000, days=100).data.select(
        "time", "bad", *(pl.col(name).cast(pl.Float64) for name in COLUMNS)
    )
    rows.with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%S")).write_csv(
        folder / "rows.csv"
    )
    with chdir(folder), redirect_stdout(StringIO()):
        data = compose([*WORDS, f"dataset.path={folder / 'rows.csv'}"])
        run = run_experiment(check(data), data).prepared.folder
        key = folder / "key.pem"
        bundle = make_bundle(
            str(run.path), folder / "bundle", key=key, fields={}, budget=5000, prove=prove_bundle
        )
    (folder / "booster.ubj").write_bytes(load_fitted(bundle.folder / "model").scorer.booster)
    return xgboost.Booster(model_file=folder / "booster.ubj")


@contextmanager
def of_hwds(folder: Path, row: dict[str, float]) -> Iterator[Contestant]:
    """Serve the bundle."""
    os.environ[KEY_VARIABLE] = str(folder / "key.pem")
    with served(str(folder / "bundle"), "--workers", "2") as (port, process):
        yield Contestant("hwds", f"http://127.0.0.1:{port}/invocations", process, row)


@contextmanager
def of_mlflow(folder: Path, booster: Any, row: dict[str, float]) -> Iterator[Contestant]:
    """Serve the booster by MLflow's model server."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import mlflow.xgboost

    mlflow.xgboost.save_model(booster, folder / "mlflow", input_example=np.zeros((1, len(row))))
    port = free_port()
    words = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(folder / "mlflow"),
        "--env-manager",
        "local",
    ]
    variables = {
        "MLFLOW_MODELS_WORKERS": "2",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with started([*words, "--port", str(port)], port, "/ping", variables) as process:
        body = {"inputs": [list(row.values())]}
        yield Contestant("mlflow", f"http://127.0.0.1:{port}/invocations", process, body)


@contextmanager
def of_bentoml(folder: Path, python: str, row: dict[str, float]) -> Iterator[Contestant]:
    """Serve the booster by BentoML."""
    (folder / "rows_service.py").write_text(BENTO)
    port = free_port()
    words = [python, "-m", "bentoml", "serve", "rows_service:Rows", "--port", str(port)]
    with (
        chdir(folder),
        started(
            words, port, "/readyz", {"BENTOML_DO_NOT_TRACK": "true", "PYTHONPATH": ""}
        ) as process,
    ):
        yield Contestant(
            "bentoml", f"http://127.0.0.1:{port}/predict", process, {"rows": [list(row.values())]}
        )


def main(words: list[str]) -> int:
    """Print a line for each server and number of clients, and the ratios.

    1 where answers differ.
    """
    given = dict(word.split("=", 1) for word in words)
    seconds, python = int(given.get("seconds", 10)), given.get("bentoml")
    if shutil.which("wrk") is None:
        sys.stderr.write("bench: wrk is not installed.\n")
        return 2
    with tempfile.TemporaryDirectory() as beside, ExitStack() as stack:
        folder = Path(beside)
        booster = made(folder)
        row = dict(zip(COLUMNS, (80.5, 3.0, 0.2, 1.0), strict=True))
        servers = [
            stack.enter_context(of_hwds(folder, row)),
            stack.enter_context(of_mlflow(folder, booster, row)),
        ]
        if python:
            servers.append(stack.enter_context(of_bentoml(folder, python, row)))
        else:
            sys.stdout.write(
                "bentoml is left out: name the Python of an environment that has it, "
                "bentoml=PYTHON.\n"
            )
        said = {each.name: each.probability() for each in servers}
        sys.stdout.write(f"probabilities of one row: {said}\n")
        for clients in (1, 16):
            _compare(servers, clients, seconds)
    return int(np.ptp(list(said.values())) > 1e-6)


def _compare(servers: list[Contestant], clients: int, seconds: int) -> None:
    """Print what each server does under so many clients, and how often hwds' requests a second are
    a rival's.
    """
    rates, cpu = {}, {}
    for each in servers:
        loaded(each.url, each.body, each.process, clients, 2)  # so that each is warm
        measured = loaded(each.url, each.body, each.process, clients, seconds)
        rates[each.name], cpu[each.name] = measured["requests/s"], measured["cpu_ms"]
        sys.stdout.write(f"{each.name:<8} {measured}\n")
    for name in list(rates)[1:]:
        by_cpu = cpu[name] / cpu["hwds"]
        sys.stdout.write(
            f"  {clients} clients: hwds {rates['hwds'] / rates[name]:.1f} x {name}, by CPU "
            f"{by_cpu:.1f} x\n"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
