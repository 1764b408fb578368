"""Training in a container keeps SageMaker's contract: hyperparameters, channels, a bundle, or the
reason in a file.
"""

import json

import pytest

from hwds.cli.train import main, overrides
from hwds.core.errors import ConfigError
from hwds.serve.bundle.manifest import read_bundle, trusted_keys
from tests.serve.conftest import CARD, WORDS


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A container's folder with a channel."""
    monkeypatch.chdir(tmp_path)
    channel = tmp_path / "ml" / "input" / "data" / "train"
    channel.mkdir(parents=True)
    (channel / "rows.parquet").write_bytes(b"")
    (tmp_path / "ml" / "input" / "config").mkdir()
    return tmp_path / "ml"


def configure(root, given):
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(given))


def test_a_run_becomes_a_bundle_where_sagemaker_takes_models_from(root, run, home, monkeypatch):
    monkeypatch.setenv("HWDS_SIGNING_KEY", str(root / "key.pem"))
    monkeypatch.setattr("hwds.serve.bundle.make._run_proof", in_this_process)
    (root / "checkpoints").symlink_to(home)  # where the run was interrupted after its last cell
    words = dict(word.split("=", 1) for word in WORDS) | {"dataset.path": str(home / "rows.csv")}
    (root / "model" / "state").mkdir(parents=True)  # of the bundle that the image serves
    (root / "model" / "state" / "events.db").write_text("another bundle's")
    configure(
        root,
        {
            **words,
            "model": '"classify/logistic"',
            **{f"card.{name}": text for name, text in CARD.items()},
        },
    )
    assert main([str(root)]) == 0
    assert not (root / "output" / "failure").exists()
    bundle, _ = read_bundle(
        root / "model", trusted_keys(str(root / "output" / "data" / "trusted.pub"))
    )
    assert bundle.model == "classify/logistic"
    assert json.loads((root / "model" / "card.json").read_text())["owner"] == CARD["owner"]
    assert bundle.run == f"{run.path.parent.name}/{run.path.name}"


def in_this_process(part):
    from hwds.serve.bundle.prove import prove_bundle
    from hwds.serve.services.opening import Bundle

    proof = prove_bundle(Bundle.of_any_signer(part))
    return proof | {"latency": proof["latency"] | {"p99_ms": 1.0}}


@pytest.mark.parametrize(
    ("given", "said", "code"),
    [
        ({"model": "classify/logistc"}, "did you mean", 2),
        ({"model": '"a"b"'}, 'model: must be a text or a JSON text, got "a"b".', 2),
        ({"card.ownr": "x"}, "card.ownr: the card has no such field", 2),
        (
            {"dataset.path": "channel:test/x.csv"},
            "dataset.path: there is no channel 'test'; there are train.",
            2,
        ),
        (["model"], "must be a JSON object of texts", 2),
        ({"seed": 1}, "must be a JSON object of texts", 2),
    ],
)
def test_a_failure_is_in_its_file(root, given, said, code):
    configure(root, given)
    assert main([str(root)]) == code
    assert said in (root / "output" / "failure").read_text()


def test_hyperparameters_and_channels_are_overrides(root):
    channel = root / "input" / "data" / "train"
    assert overrides({"experiment": "gray_market_xgboost", "model.trees": "200"}, root) == [
        "+experiment=gray_market_xgboost",
        "model.trees=200",
        f"dataset.path={channel / 'rows.parquet'}",
    ]
    assert overrides({"dataset.path": "channel:train/rows.parquet"}, root) == [
        f"dataset.path={channel / 'rows.parquet'}"
    ]
    (channel / "more.parquet").write_bytes(b"")
    assert overrides({}, root) == [f"dataset.path={channel / '**' / '*.parquet'}"]
    (channel / "odd.csv").write_text("")
    with pytest.raises(
        ConfigError, match=r"channel 'train': must have files of one kind, got \.csv, \.parquet"
    ):
        overrides({}, root)
