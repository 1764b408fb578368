"""Plan of a deployment on SageMaker: the calls of AWS' API that put a bundle behind an endpoint, as plain values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from hwds.core.errors import ConfigError

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,39}")
"""An endpoint's name; SageMaker takes 63 characters, of which 23 are left for what tells its versions apart."""

VARIANT, ARCHIVE = "main", "model.tar.gz"

APPROVAL, BUNDLE = "approval_status", "hwds.bundle"
"""The names under which gates' last word and a bundle's digest stand in a registry."""

When = Literal["always", "absent", "present"]


class Call(NamedTuple):
    """One call of an API.

    Attributes:
        service: The name of boto3's client.
        operation: Its method.
        parameters: Its arguments.
        when: Whether it depends on the endpoint being there.
    """

    service: str
    operation: str
    parameters: dict[str, Any]
    when: When = "always"


@dataclass(frozen=True)
class Deployment:
    """The settings of a deployment.

    Attributes:
        name: The endpoint.
        image: The URI of the image that serves (`deploy/Dockerfile`).
        role: The ARN of the role that SageMaker runs it as.
        bucket: Where the bundle is laid: s3://BUCKET/PREFIX.
        instance: The type of the machines.
        count: How many.
        canary: Percent of the capacity that a new version gets first.
        bake: Seconds for which it is watched there.
        errors: Answers of 500 and above in a minute that bring the old version back.
        latency_ms: Milliseconds of the median answer that do so.
        capture: Percent of requests that SageMaker keeps beside the bundle.
        group: The group of SageMaker's model registry in which the bundle is a version; empty for none.
    """

    name: str
    image: str
    role: str
    bucket: str
    instance: str = "ml.m5.large"
    count: int = 2
    canary: int = 10
    bake: int = 600
    errors: int = 5
    latency_ms: float = 1000.0
    capture: int = 0
    group: str = ""

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse after minutes.

        Raises:
            ConfigError: The name, the bucket or the role is none.
        """
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"--name: must be up to 40 letters, digits and hyphens between them, got {self.name!r}.")
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", self.bucket):
            raise ConfigError(f"--bucket: must be s3://BUCKET or s3://BUCKET/PREFIX, got {self.bucket!r}.")
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", self.role):
            raise ConfigError(f"--role: must be arn:aws:iam::ACCOUNT:role/NAME, got {self.role!r}.")

    def place(self, digest: str) -> tuple[str, str]:
        """Return the bucket and the key of a bundle's archive."""
        bucket, _, prefix = self.bucket.removeprefix("s3://").partition("/")
        return bucket, "/".join(part for part in (prefix.strip("/"), digest, ARCHIVE) if part)


def plan_of(settings: Deployment, digest: str, archive: str, said: Mapping[str, str] | None = None) -> list[Call]:
    """Return the calls, in their order.

    Names of models and configurations follow from the bundle and the settings: the same deployment again makes nothing new.

    Args:
        settings: Of the deployment.
        digest: The bundle's.
        archive: The path of the bundle's archive on this machine.
        said: The gates' verdicts on its run, as `registry.verdict_tags`; None where nobody knows.
    """
    bucket, key = settings.place(digest)
    terms = json.dumps({**asdict(settings), "group": "", "digest": digest}, sort_keys=True)
    version = f"{settings.name}-{digest[:8]}-{hashlib.sha256(terms.encode()).hexdigest()[:8]}"
    container = {"Image": settings.image, "ModelDataUrl": f"s3://{bucket}/{key}", "Environment": {"HWDS_BUNDLE_DIGEST": digest}}
    model = {"ModelName": version, "PrimaryContainer": container, "ExecutionRoleArn": settings.role}
    named = {"EndpointName": settings.name, "EndpointConfigName": version}
    alarms = [_alarm(settings, *each) for each in _watched(settings)]
    return [
        Call("s3", "upload_file", {"Filename": archive, "Bucket": bucket, "Key": key}),
        *(_registered(settings.group, digest, container, said or {}) if settings.group else ()),
        Call("sagemaker", "create_model", model),
        Call("sagemaker", "create_endpoint_config", _config(settings, version)),
        *(Call("cloudwatch", "put_metric_alarm", alarm) for alarm in alarms),
        Call("sagemaker", "create_endpoint", named, "absent"),
        Call("sagemaker", "update_endpoint", named | {"DeploymentConfig": _blue_green(settings, alarms)}, "present"),
    ]


def _registered(group: str, digest: str, container: Mapping[str, Any], said: Mapping[str, str]) -> list[Call]:
    """Return the calls that make a bundle a version in SageMaker's model registry, approved as the last gate had it."""
    facts = {name: value for name, value in said.items() if name != APPROVAL and value}
    archive = {name: container[name] for name in ("Image", "ModelDataUrl")}
    package = package_of(group, archive, said.get(APPROVAL, "PendingManualApproval"), {BUNDLE: digest, **facts})
    return [
        Call("sagemaker", "create_model_package_group", {"ModelPackageGroupName": group}),
        Call("sagemaker", "create_model_package", package),
    ]


def package_of(group: str, container: Mapping[str, Any], approval: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what SageMaker's model registry keeps of a bundle: its container, its approval, and what is known of it."""
    served = ("application/json", "application/jsonlines", "text/csv")
    return {
        "ModelPackageGroupName": group,
        "ModelApprovalStatus": approval,
        "InferenceSpecification": {
            "Containers": [dict(container)],
            "SupportedContentTypes": [*served],
            "SupportedResponseMIMETypes": [*served],
        },
        "CustomerMetadataProperties": dict(facts),
    }


def _config(settings: Deployment, version: str) -> dict[str, Any]:
    variant = {
        "VariantName": VARIANT,
        "ModelName": version,
        "InstanceType": settings.instance,
        "InitialInstanceCount": settings.count,
        "InitialVariantWeight": 1.0,
    }
    config: dict[str, Any] = {"EndpointConfigName": version, "ProductionVariants": [variant]}
    if settings.capture:
        config["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": settings.capture,
            "DestinationS3Uri": f"{settings.bucket.rstrip('/')}/captured",
            "CaptureOptions": [{"CaptureMode": mode} for mode in ("Input", "Output")],
        }
    return config


def _watched(settings: Deployment) -> list[tuple[str, str, dict[str, str], float]]:
    """Return the metrics of an endpoint that bring its old version back: name, metric, how it is summed up, and limit."""
    return [
        ("errors", "Invocation5XXErrors", {"Statistic": "Sum"}, float(settings.errors)),
        ("latency", "ModelLatency", {"ExtendedStatistic": "p50"}, 1000 * settings.latency_ms),  # in microseconds
    ]


def _alarm(settings: Deployment, name: str, metric: str, statistic: dict[str, str], limit: float) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": settings.name}, {"Name": "VariantName", "Value": VARIANT}]
    return {
        "AlarmName": f"{settings.name}-{name}",
        "Namespace": "AWS/SageMaker",
        "MetricName": metric,
        "Dimensions": dimensions,
        **statistic,
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": limit,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }


def _blue_green(settings: Deployment, alarms: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how traffic goes over: a canary first, all of it after the bake, back again where an alarm is raised."""
    routing = {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": settings.canary},
        "WaitIntervalInSeconds": settings.bake,
    }
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 60,
            "MaximumExecutionTimeoutInSeconds": settings.bake + 1800,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm["AlarmName"]} for alarm in alarms]},
    }
