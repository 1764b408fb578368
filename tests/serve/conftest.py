"""A run of a classifier of rows that stand alone, and its bundle, made once for all tests of what
stands on them.
"""

from functools import cache
from urllib.request import urlopen

import polars as pl
import pytest

from hwds.cli.run import run_experiment
from hwds.core.compose import compose
from hwds.experiment.spec import check
from hwds.serve.bundle.make import make_bundle
from hwds.serve.bundle.prove import prove_bundle
from hwds.serve.server.app import application
from hwds.serve.server.core import Core
from hwds.serve.server.settings import ServerSettings
from tests.support.rows import toy_rows

WORDS = [
    "dataset=table",
    "dataset.path=rows.csv",
    "dataset.roles.label=bad",
    "dataset.roles.time=time",
    "dataset.roles.entity=customer",
    "dataset.roles.amount=spent",
    "dataset.roles.covariate=[spent,quantity,channel,visits]",
    "model=classify/logistic",
    "protocol=prequential",
    "protocol.train_days=12",
    "protocol.test_days=6",
    "protocol.stop_days=0",
    "protocol.delay_days=1",
    "protocol.decide_days=6",
    "protocol.resamples=20",
    "protocol.explained=5",
    "protocol.importance_rows=0",
    "protocol.wrong_block=100",
    "protocol.calibrate_days=6",
    "model.calibration=platt",
    "decision=alert_policy",
    "decision.resamples=20",
    "decision.random_reviews=0.0",
    "save_model=final",
    "pictures=false",
    "size=small",
    "compute=serial",
]
CARD = {
    "owner": "Fraud desk",
    "approver": "A. Person",
    "intended_use": "Tiers of orders",
    "out_of_scope": "Credit",
    "limits": "New shops",
    "contact": "desk@example.com",
}


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with `outputs` and the pair of keys, which is the current one while its fixtures are
    made.
    """
    pytest.importorskip("onnxruntime")
    return tmp_path_factory.mktemp("production")


@pytest.fixture(scope="session")
def run(home):
    """The folder of a finished run."""
    rows = toy_rows(900, days=40).data.select(
        "time", "customer", "bad", "spent", "quantity", "channel", "visits"
    )
    rows.with_columns(pl.col("time").dt.to_string("%Y-%m-%dT%H:%M:%S")).write_csv(home / "rows.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        data = compose([*WORDS, f"dataset.path={home / 'rows.csv'}"])
        return run_experiment(check(data), data).prepared.folder


@pytest.fixture(scope="session")
def bundle(home, run):
    """The bundle of the run, proven in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("HWDS_SIGNING_KEY", str(home / "key.pem"))
        return make_bundle(
            str(run.path),
            home / "bundle",
            key=home / "key.pem",
            fields=CARD,
            budget=5000,
            prove=prove_bundle,
        )


@pytest.fixture
def serve(request, home, tmp_path):
    """Begin a server with changed settings, in this process.

    Of the bundle of rows, unless a folder is given.
    """
    testclient = pytest.importorskip("starlette.testclient")
    clients = []

    def begin(**changes):
        folder = (
            changes["folder"]
            if "folder" in changes
            else str(request.getfixturevalue("bundle").folder)
        )
        known = {
            "folder": folder,
            "trust": str(home / "key.pem.pub"),
            "scrape": str(tmp_path / "counts"),
        }
        core = Core(ServerSettings(**known | changes))
        client = testclient.TestClient(application(core), raise_server_exceptions=False)
        client.core = core
        clients.append(client)
        client.__enter__()
        return client

    yield begin
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve):
    """A client of a server with the usual settings."""
    return serve()


@pytest.fixture(scope="module")
def aws():
    """A maker of clients of moto's server."""
    server = pytest.importorskip("moto.server")
    import boto3

    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    urlopen(
        f"http://{host}:{port}/moto-api/reset", b""
    ).close()  # its state is that of the process, not of a server
    session = boto3.session.Session("key", "secret", region_name="eu-west-1")
    yield cache(lambda service: session.client(service, endpoint_url=f"http://{host}:{port}"))
    running.stop()
