"""The commands around a bundle, on the words of a user."""

import json

import pytest

from hwds.cli.main import dispatch
from hwds.core.errors import ConfigError, HwdsError
from hwds.serve.gate import VERDICTS, GateInputs, decide_gate, gate_rules, gather_evidence
from tests.serve.test_arms import until_done
from tests.serve.test_server import ROW

DEPLOY = [
    "--name",
    "orders",
    "--image",
    "r/h:1",
    "--role",
    "arn:aws:iam::123456789012:role/hwds",
    "--bucket",
    "s3://models",
]


@pytest.fixture
def trust(home, monkeypatch):
    monkeypatch.chdir(home)
    return ["--trust", str(home / "key.pem.pub")]


def test_a_dry_run_prints_the_calls_and_makes_none(bundle, trust, tmp_path, monkeypatch, capsys):
    assert dispatch(["deploy", str(bundle.folder), *DEPLOY, "--dry-run", *trust]) == 0
    calls = json.loads(capsys.readouterr().out)
    assert [call["operation"] for call in calls][-1] == "update_endpoint"
    monkeypatch.chdir(tmp_path)
    assert dispatch(["deploy", str(bundle.folder), *DEPLOY, "--dry-run", *trust]) == 0
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == len(calls)
    assert "is not here" in printed.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--store", "events.db"],
            "--store: this bundle answers rows, which remember nothing; leave it out",
        ),
        (["--capture", "/dev/null/x"], "--capture: /dev/null/x cannot be written: Not a directory"),
        (["--tls-key", "own.key"], "--tls-key: needs --tls-cert"),
        (["--power"], "--power: needs a bundle that answers events"),
        (
            ["--tls-cert", "no.pem"],
            "--tls-cert: no.pem and its key cannot be used: No such file or directory",
        ),
    ],
)
def test_a_server_that_cannot_answer_is_refused_before_a_worker_starts(bundle, trust, words, said):
    with pytest.raises(ConfigError, match=said):
        dispatch(["serve", str(bundle.folder), "--http", *words, *trust])


def test_a_run_that_a_gate_refused_is_not_deployed(bundle, run, trust):
    rules = gate_rules("ongoing")
    try:
        assert (
            decide_gate(run, rules, gather_evidence(run, rules, GateInputs()))["outcome"]
            == "refused"
        )
        with pytest.raises(
            HwdsError, match=r"deploy: gate 'ongoing' refused run .*: latency, drift"
        ):
            dispatch(["deploy", str(bundle.folder), *DEPLOY, "--dry-run", *trust])
    finally:
        (run.path / VERDICTS).unlink()


def test_a_monitor_watches_segments_and_compares_arms(serve, bundle, trust, tmp_path, capsys):
    client = serve(shadow=str(bundle.folder), capture=str(tmp_path / "cap"))
    rows = [
        ROW | {"id": f"q{place}", "channel": ("online", "retail")[place % 2]}
        for place in range(120)
    ]
    client.post("/invocations", json=rows)
    until_done(client.core._shadow)
    (tmp_path / "labels.csv").write_text(
        "id,label\n" + "".join(f"q{place},{place % 5 == 0:d}\n" for place in range(120))
    )
    words = [
        "monitor",
        str(bundle.folder),
        str(tmp_path / "cap"),
        "--out",
        str(tmp_path / "mon"),
        "--rows",
        "50",
        *trust,
    ]
    stale = tmp_path / "mon" / "retraining.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    assert dispatch([*words, "--by", "channel"]) == 0
    assert not stale.exists(), "no alarm, no proposal"
    pages = {path.parent.name for path in (tmp_path / "mon").rglob("report.html")}
    assert pages == {"mon", "channel=online", "channel=retail"}
    with pytest.raises(ConfigError, match="--challenger: needs --labels"):
        dispatch([*words, "--challenger", "shadow"])
    capsys.readouterr()
    assert (
        dispatch([*words, "--challenger", "shadow", "--labels", str(tmp_path / "labels.csv")]) == 0
    )
    assert "(120 of the same questions): 1 day cannot tell." in capsys.readouterr().out
