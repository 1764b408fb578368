"""Deployments on SageMaker: the plan, and its calls against moto's server, which keeps real state
but runs no container.
"""

import json
import tarfile

import pytest

from hwds.core.errors import ConfigError, HwdsError
from hwds.serve.bundle.manifest import read_bundle, trusted_keys
from hwds.serve.deploy import Deployment, carry_out, plan_of, write_archive

ROLE = "arn:aws:iam::123456789012:role/hwds"


def wanted(**changes):
    known = {
        "name": "orders",
        "image": "registry/hwds:1",
        "role": ROLE,
        "bucket": "s3://models/hwds",
    }
    return Deployment(**known | changes)


def test_a_plan_names_each_version_and_puts_a_canary_first():
    plan = plan_of(wanted(canary=20, bake=300), "0123456789abcdef", "model.tar.gz")
    assert [call.operation for call in plan] == [
        "upload_file",
        "create_model",
        "create_endpoint_config",
        "put_metric_alarm",
        "put_metric_alarm",
        "create_endpoint",
        "update_endpoint",
    ]
    assert plan[0].parameters == {
        "Filename": "model.tar.gz",
        "Bucket": "models",
        "Key": "hwds/0123456789abcdef/model.tar.gz",
    }
    update = plan[-1].parameters["DeploymentConfig"]
    routing = update["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
        "WaitIntervalInSeconds": 300,
    }
    alarms = [call.parameters["AlarmName"] for call in plan if call.operation == "put_metric_alarm"]
    assert [each["AlarmName"] for each in update["AutoRollbackConfiguration"]["Alarms"]] == alarms
    again = plan_of(wanted(canary=20, bake=300), "0123456789abcdef", "model.tar.gz")
    other = plan_of(wanted(image="registry/hwds:2"), "0123456789abcdef", "model.tar.gz")
    assert again == plan
    assert other[1].parameters["ModelName"] != plan[1].parameters["ModelName"]
    assert "capture" not in json.dumps(plan)
    assert "s3://models/hwds/captured" in json.dumps(plan_of(wanted(capture=10), "0" * 16, "a"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "a_b"}, "--name: must be up to 40"),
        ({"name": "x" * 41}, "--name: must be up to 40"),
        ({"bucket": "models"}, "--bucket: must be s3://"),
        ({"role": "hwds"}, "--role: must be arn:aws:iam"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(change, said):
    with pytest.raises(ConfigError, match=said):
        wanted(**change)


def test_a_deployment_is_made_once_and_serves_what_was_signed(bundle, home, tmp_path, aws):
    aws("s3").create_bucket(
        Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    archive, lines = tmp_path / "model.tar.gz", []
    write_archive(bundle.folder, archive)
    first = archive.read_bytes()
    write_archive(bundle.folder, archive)
    assert archive.read_bytes() == first
    plan = plan_of(wanted(), bundle.manifest.digest, str(archive))
    carry_out(plan, aws, lines.append, wait=lambda seconds: None)
    assert lines[-1] == "sagemaker.create_endpoint: made"
    lines.clear()
    carry_out(plan, aws, lines.append, wait=lambda seconds: None)
    assert lines == [
        "s3.upload_file: is there already",
        "sagemaker.create_model: is there already",
        "sagemaker.create_endpoint_config: is there already",
        "cloudwatch.put_metric_alarm: made",
        "cloudwatch.put_metric_alarm: made",
    ]
    described = aws("sagemaker").describe_endpoint(EndpointName="orders")
    config = aws("sagemaker").describe_endpoint_config(
        EndpointConfigName=described["EndpointConfigName"]
    )
    model = aws("sagemaker").describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    key = model["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://models/")
    aws("s3").download_file("models", key, str(tmp_path / "got.tar.gz"))
    with tarfile.open(tmp_path / "got.tar.gz") as got:
        got.extractall(tmp_path / "got", filter="data")
    assert (
        read_bundle(tmp_path / "got", trusted_keys(str(home / "key.pem.pub")))[0].digest
        == bundle.manifest.digest
    )


def test_a_bundle_is_one_version_of_the_registry_with_the_last_word_of_its_gates(aws, tmp_path):
    aws("s3").create_bucket(
        Bucket="registered", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"x")
    settings, sagemaker = (
        wanted(name="registered", bucket="s3://registered", group="registered"),
        aws("sagemaker"),
    )

    def deployed(digest, said):
        carry_out(
            plan_of(settings, digest, str(archive), said),
            aws,
            lambda line: None,
            wait=lambda seconds: None,
        )
        packages = sagemaker.list_model_packages(ModelPackageGroupName="registered")[
            "ModelPackageSummaryList"
        ]
        described = [
            sagemaker.describe_model_package(ModelPackageName=each["ModelPackageArn"])
            for each in packages
        ]
        return {each["CustomerMetadataProperties"]["hwds.bundle"]: each for each in described}

    first = deployed(
        "c" * 16, {"gate.validation": "passed", "approval_status": "PendingManualApproval"}
    )
    assert first["c" * 16]["ModelApprovalStatus"] == "PendingManualApproval"
    again = deployed(
        "c" * 16,
        {"gate.approval": "passed", "approval_status": "Approved", "approver": "A. Person"},
    )
    assert len(again) == 1
    assert again["c" * 16]["ModelApprovalStatus"] == "Approved"
    assert again["c" * 16]["CustomerMetadataProperties"]["gate.approval"] == "passed"
    (container,) = again["c" * 16]["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == "s3://registered/cccccccccccccccc/model.tar.gz"


class Moving:
    """A client of SageMaker in front of moto's, whose endpoint moves as AWS' does."""

    def __init__(self, client, ends):
        self._client, self._ends, self.updated = client, ends, False

    def __getattr__(self, name):
        return getattr(self._client, name)

    def update_endpoint(self, **parameters):
        self.updated = True

    def describe_endpoint(self, **parameters):
        described = self._client.describe_endpoint(**parameters)
        return described | (next(self._ends) if self.updated else {})


def test_a_canary_that_raises_an_alarm_goes_back_and_is_said(aws, tmp_path):
    aws("s3").create_bucket(
        Bucket="others", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"x")
    settings = wanted(name="rolling", bucket="s3://others")
    carry_out(
        plan_of(settings, "a" * 16, str(archive)), aws, lambda line: None, wait=lambda seconds: None
    )

    def deployed(*states):
        moving = Moving(aws("sagemaker"), iter(states))
        plan = plan_of(settings, "b" * 16, str(archive))
        carry_out(
            plan,
            lambda name: moving if name == "sagemaker" else aws(name),
            lambda line: None,
            wait=lambda seconds: None,
        )
        return plan

    with pytest.raises(HwdsError, match="endpoint 'rolling' went back to rolling-aaaaaaaa-"):
        deployed({"EndpointStatus": "Updating"}, {"EndpointStatus": "RollingBack"}, {})
    with pytest.raises(HwdsError, match="endpoint 'rolling' is Failed: no capacity"):
        deployed({"EndpointStatus": "Failed", "FailureReason": "no capacity"})
    version = plan_of(settings, "b" * 16, str(archive))[-1].parameters["EndpointConfigName"]
    deployed({"EndpointStatus": "Updating"}, {"EndpointConfigName": version})


def test_what_aws_refuses_is_said_in_a_line(aws, tmp_path):
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"x")
    plan = plan_of(wanted(name="none", bucket="s3://no-such-bucket"), "a" * 16, str(archive))
    lines = []
    with pytest.raises(HwdsError, match=r"deploy: .*NoSuchBucket"):
        carry_out(plan, aws, lines.append)
    assert not lines, "nothing was made"
