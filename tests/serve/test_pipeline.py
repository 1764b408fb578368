"""Pipelines: the definition beside that of SageMaker's SDK, steps that run here against moto's
server, the judge of a run.
"""

import json
import shutil
from pathlib import Path

import pytest

from hwds.cli.judge import judge
from hwds.cli.judge import main as judged
from hwds.cli.main import dispatch
from hwds.core.errors import ConfigError, HwdsError
from hwds.results.files import read_json_mapping
from hwds.serve.deploy import put_pipeline, write_archive
from hwds.serve.pipeline import LocalPipeline, Retraining, definition_of, hyperparameters_of
from tests.serve.test_endpoint import wanted

SDK = Path(__file__).with_name("pipeline_of_sdk.json")
"""What `sagemaker` 3.27 (mlops 1.27) wrote by its own classes for the pipeline of `retraining`."""

WORDS = ["model=classify/xgboost", "model.trees=200", "dataset=table", "card.owner=Desk"]


def retraining(words=WORDS, **changes):
    known = {"data": "s3://models/data/", "key": "s3://models/keys/", "gate": "production"}
    group = changes.pop("group", "market")
    deployment = wanted(group=group, image="r/h:1", **changes.pop("deployment", {}))
    return Retraining(deployment, hyperparameters_of(list(words)), **known | changes)


def test_the_definition_is_that_of_sagemakers_sdk():
    assert definition_of(retraining()) | {"MlflowConfig": None} == json.loads(SDK.read_text())


def test_the_deployment_is_that_of_the_options():
    _, _, gate = definition_of(retraining(deployment={"canary": 25, "latency_ms": 50.0}))["Steps"]
    words = gate["Arguments"]["IfSteps"][1]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert words[words.index("--canary") + 1] == "25"
    assert words[words.index("--latency-ms") + 1] == "50.0"
    assert "--group" not in words, "the step before has registered it"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"group": ""}, "--group: must be given"),
        ({"data": "rows.csv"}, "--data: must be s3://BUCKET/PREFIX, got 'rows.csv'"),
        ({"key": "s3://"}, "--key: must be s3://"),
        ({"words": ["seed=" + "1" * 2501]}, "seed: must have at most 2500 characters"),
        ({"words": ["seed"]}, "'seed': must be path.to.key=value"),
    ],
)
def test_what_would_fail_after_the_training_is_refused_before(changes, said):
    with pytest.raises(ConfigError, match=said):
        retraining(**changes)


PIPELINE = (
    "pipeline --name orders --image r/h:1 --role arn:aws:iam::123456789012:role/x --bucket "
    "s3://models --group market"
)
PLACES = "--data s3://rows/orders/ --key s3://keys/hwds/"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("card.ownr=Desk", r"card\.ownr: the card has no such field; known: owner"),
        ("sweep=random", "sweep: must be none in a container"),
        ("model.tres=3", "no key 'tres'"),
        ("seed=x", "seed: must be a whole number, got 'x'"),
        ("model.trees=0", "model.trees: must be "),
        ("protocol=walk_forward", "protocol 'walk_forward' cuts a panel"),
        (
            "dataset.path=rows.csv",
            r"dataset\.path: must be a file of a channel \(channel:NAME\), or be left out, got "
            r"'rows",
        ),
        ("dataset.path=channel:test/rows.csv", "there is no channel 'test'; there are key, train"),
        (
            "experiment=gray_market_xgboost",
            "dataset: must read a file, which the channel brings, got 'gray_market",
        ),
    ],
)
def test_words_that_no_training_takes_are_refused(word, said):
    table = [
        "dataset=table",
        "dataset.roles.label=bad",
        "protocol=prequential",
        "model=classify/xgboost",
    ]
    words = [word] if word.startswith("experiment") else [*table, word]
    with pytest.raises(ConfigError, match=said):
        dispatch([*PIPELINE.split(), *PLACES.split(), *words])


EVALUATE = """
import json, pathlib
root = pathlib.Path("processing")
assert [path.name for path in (root / "train").iterdir()] == ["rows.csv"], "a folder of the console is no file"
assert (root / "train" / "rows.csv").read_text() == "a" and (root / "output" / "output.tar.gz").read_text() == "b"
evaluation = {"outcome": OUTCOME, "approval_status": "Approved", "bundle": "0123"}
(root / "evaluation").mkdir()
(root / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
"""
DEPLOY = "import pathlib; print(sorted(path.name for path in pathlib.Path().rglob('*.*')))"


def executed(client, folder, name, outcome):
    """Run the steps after the training, their commands replaced, and return what was said."""
    known = {"Model": f"s3://{name}/m/model.tar.gz", "Job": "t"}
    text = json.dumps(
        definition_of(
            retraining(
                group=name,
                data=f"s3://{name}/rows",
                deployment={"bucket": f"s3://{name}", "name": name},
            )
        )
    )
    for step, parameter in (
        ("Steps.Train.ModelArtifacts.S3ModelArtifacts", "Model"),
        ("Steps.Train.TrainingJobName", "Job"),
    ):
        text = text.replace(step, f"Parameters.{parameter}")
    definition = json.loads(text)
    definition["Parameters"] += [
        {"Name": each, "DefaultValue": value} for each, value in known.items()
    ]
    _, evaluate, gate = definition["Steps"]
    for step, script in (
        (evaluate, EVALUATE.replace("OUTCOME", repr(outcome))),
        (gate["Arguments"]["IfSteps"][1], DEPLOY),
    ):
        step["Arguments"]["AppSpecification"] |= {
            "ContainerEntrypoint": ["python", "-c"],
            "ContainerArguments": [script],
        }
    s3 = client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, body in (
        ("rows/", b""),
        ("rows/rows.csv", b"a"),
        (f"pipelines/{name}/t/output/output.tar.gz", b"b"),
        ("m/model.tar.gz", b"c"),
    ):
        s3.put_object(Bucket=name, Key=key, Body=body)
    lines = []
    LocalPipeline(
        name, definition | {"Steps": [evaluate, gate]}, client, folder, lines.append
    ).run()
    return lines


def test_what_passes_the_gate_is_registered_and_then_deployed(aws, tmp_path):
    lines = executed(aws, tmp_path / "local", "passing", "passed")
    assert [line for line in lines if not line.startswith(" ")] == [
        "Evaluate (Processing)",
        "Gate (Condition)",
        "Register (RegisterModel)",
        "Deploy (Processing)",
    ]
    assert lines[-1].strip() == "['model.tar.gz']", "a step sees nothing of another but through S3"
    sagemaker = aws("sagemaker")
    (package,) = sagemaker.list_model_packages(ModelPackageGroupName="passing")[
        "ModelPackageSummaryList"
    ]
    described = sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["CustomerMetadataProperties"] == {"hwds.bundle": "0123"}
    kept = aws("s3").get_object(
        Bucket="passing", Key="pipelines/passing/t/evaluation/evaluation.json"
    )
    assert json.loads(kept["Body"].read())["outcome"] == "passed"


def test_what_the_gate_refuses_ends_the_pipeline(aws, tmp_path):
    with pytest.raises(
        HwdsError,
        match=r"pipeline: Refused: gate 'production' refused the run: see evaluation\.json\.",
    ):
        executed(aws, tmp_path / "local", "refusing", "refused")
    assert not aws("sagemaker").list_processing_jobs(NameContains="refusing-Deploy")[
        "ProcessingJobSummaries"
    ]


def test_a_folder_of_somebody_else_is_not_emptied(aws, tmp_path):
    (tmp_path / "ml").mkdir()
    with pytest.raises(ConfigError, match="holds other files; name a new folder"):
        LocalPipeline("orders", definition_of(retraining()), aws, tmp_path, print)


def test_a_pipeline_is_made_once_and_brought_up_to_date(aws):
    sagemaker, definition = aws("sagemaker"), definition_of(retraining())
    arn = put_pipeline("orders", wanted().role, definition, sagemaker)
    assert (
        put_pipeline("orders", wanted().role, definition | {"Metadata": {"a": "b"}}, sagemaker)
        == arn
    )
    stored = sagemaker.describe_pipeline(PipelineName="orders")["PipelineDefinition"]
    assert json.loads(stored)["Metadata"] == {"a": "b"}


@pytest.fixture
def trained(bundle, run, home, tmp_path, monkeypatch):
    """The folder of a container with what a training has left."""
    files = tmp_path / "ml" / "processing"
    for folder in ("model", "output", "train"):
        (files / folder).mkdir(parents=True)
    write_archive(bundle.folder, files / "model" / "model.tar.gz")
    shutil.copytree(run.path, tmp_path / "data" / "outputs" / "runs" / run.title)
    write_archive(tmp_path / "data", files / "output" / "output.tar.gz")
    monkeypatch.setenv("HWDS_TRUSTED_KEYS", str(home / "key.pem.pub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ml"


def test_a_trained_bundle_is_judged_by_its_own_run(trained, bundle, run):
    evaluation = judge("ongoing", trained)
    assert (
        read_json_mapping(trained / "processing" / "evaluation" / "evaluation.json") == evaluation
    )
    assert (trained / "input" / "data" / "train").is_dir(), (
        "the run's rows are where the training had them"
    )
    assert evaluation["bundle"] == bundle.manifest.digest
    headline = run.read_tables().headline(evaluation["metric"], "classify/logistic")
    assert evaluation["value"] == headline["value"]
    failed = [check for check in evaluation["checks"] if not check["passed"]]
    assert evaluation["outcome"] == ("refused" if failed else "passed")


def test_a_changed_bundle_is_not_judged(trained, capsys):
    (trained / "processing" / "model" / "model.tar.gz").write_bytes(b"x")
    assert judged(["development", str(trained)]) == 2
    assert "cannot be unpacked" in capsys.readouterr().err
    assert not (trained / "processing" / "evaluation").exists()
