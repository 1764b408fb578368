"""Deployment on SageMaker: its plan as plain values, and how boto3 carries it out; places in S3."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.extras import require_installed
from hwds.core.questions import Fields, Json
from hwds.core.settings import read_beside

# Places in S3, as s3://BUCKET/KEY.

SCHEME = "s3://"


def s3_place(uri: str) -> tuple[str, str]:
    """Return the bucket and the key, or its beginning, of s3://BUCKET/KEY.

    Raises:
        DataError: It names no bucket.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise DataError(f"'{uri}' must be s3://BUCKET/KEY.")
    return bucket, key


def s3_keys(s3: Any, uri: str, empty: bool = False) -> list[str]:
    """Return the keys that begin as a place in S3, without those that stand for a folder.

    Args:
        s3: The client of S3.
        uri: The place.
        empty: Whether there may be none.

    Raises:
        DataError: There is none.
    """
    bucket, prefix = s3_place(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [
        each["Key"]
        for page in pages
        for each in page.get("Contents", ())
        if not each["Key"].endswith("/")
    ]
    if not keys and not empty:
        raise DataError(f"nothing lies at {uri}.")
    return keys


# Plan of a deployment on SageMaker: the calls of AWS' API that put a bundle behind an endpoint,
# as plain values.

ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,39}")
"""An endpoint's name; SageMaker takes 63 characters, of which 23 are left for what tells its
versions apart.
"""

ARCHIVE = "model.tar.gz"


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
    parameters: Json
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
        group: The group of SageMaker's model registry in which the bundle is a version; empty for
            none.
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
        if not ENDPOINT_NAME.fullmatch(self.name):
            raise ConfigError(
                f"--name: must be up to 40 letters, digits and hyphens between them, got "
                f"{self.name!r}."
            )
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", self.bucket):
            raise ConfigError(
                f"--bucket: must be s3://BUCKET or s3://BUCKET/PREFIX, got {self.bucket!r}."
            )
        if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", self.role):
            raise ConfigError(f"--role: must be arn:aws:iam::ACCOUNT:role/NAME, got {self.role!r}.")

    def place(self, digest: str) -> tuple[str, str]:
        """Return the bucket and the key of a bundle's archive."""
        bucket, _, prefix = self.bucket.removeprefix("s3://").partition("/")
        return bucket, "/".join(part for part in (prefix.strip("/"), digest, ARCHIVE) if part)


def plan_of(
    settings: Deployment, digest: str, archive: str, verdicts: Mapping[str, str] | None = None
) -> list[Call]:
    """Return the calls, in their order.

    Names of models and configurations follow from the bundle and the settings: the same deployment
    again makes nothing new.

    Args:
        settings: The settings of the deployment.
        digest: The bundle's.
        archive: The path of the bundle's archive on this machine.
        verdicts: The verdicts of gates on its run, as `verdict_tags` returns them; None where
            nobody knows.
    """
    bucket, key = settings.place(digest)
    terms = json.dumps({**asdict(settings), "group": "", "digest": digest}, sort_keys=True)
    version = f"{settings.name}-{digest[:8]}-{hashlib.sha256(terms.encode()).hexdigest()[:8]}"
    container = {
        "Image": settings.image,
        "ModelDataUrl": f"s3://{bucket}/{key}",
        "Environment": {"HWDS_BUNDLE_DIGEST": digest},
    }
    model = {"ModelName": version, "PrimaryContainer": container, "ExecutionRoleArn": settings.role}
    named = {"EndpointName": settings.name, "EndpointConfigName": version}
    values = {
        **asdict(settings),
        "version": version,
        "captured": f"{settings.bucket.rstrip('/')}/captured",
        "errors": float(settings.errors),
        "latency": 1000 * settings.latency_ms,
        "longest": settings.bake + 1800,
        **{f"{name}_name": f"{settings.name}-{name}" for name in ("errors", "latency")},
    }
    capture = arguments("capture", values) if settings.capture else {}
    changed = {**named, "DeploymentConfig": arguments("blue_green", values)}
    return [
        Call("s3", "upload_file", {"Filename": archive, "Bucket": bucket, "Key": key}),
        *(_registration(settings, digest, container, verdicts or {}) if settings.group else ()),
        Call("sagemaker", "create_model", model),
        Call("sagemaker", "create_endpoint_config", {**arguments("config", values), **capture}),
        *(Call("cloudwatch", "put_metric_alarm", each) for each in arguments("alarms", values)),
        Call("sagemaker", "create_endpoint", named, "absent"),
        Call("sagemaker", "update_endpoint", changed, "present"),
    ]


def arguments(part: str, values: Fields) -> Any:
    """Return a part of `deploy.yaml` with its values."""
    return with_values(read_beside(__file__, "deploy.yaml")[part], values)


def with_values(node: Any, values: Fields) -> Any:
    """Return plain data with a value in place of each text `$name`."""
    if isinstance(node, dict):
        return {name: with_values(each, values) for name, each in node.items()}
    if isinstance(node, list):
        return [with_values(each, values) for each in node]
    return values[node[1:]] if isinstance(node, str) and node.startswith("$") else node


def _registration(
    settings: Deployment, digest: str, container: Fields, verdicts: Mapping[str, str]
) -> list[Call]:
    """Return the calls that make a bundle a version in SageMaker's model registry, approved as the
    last gate had it.
    """
    facts = {name: value for name, value in verdicts.items() if name != APPROVAL and value}
    archive = {name: container[name] for name in ("Image", "ModelDataUrl")}
    approval, group = verdicts.get(APPROVAL, "PendingManualApproval"), settings.group
    package = package_of(group, archive, approval, {BUNDLE: digest, **facts})
    return [
        Call("sagemaker", "create_model_package_group", {"ModelPackageGroupName": group}),
        Call("sagemaker", "create_model_package", package),
    ]


def package_of(group: str, container: Fields, approval: Any, facts: Fields) -> Json:
    """Return what SageMaker's model registry keeps of a bundle: its container, its approval, and
    what is known of it.
    """
    values = {"group": group, "container": container, "approval": approval, "facts": facts}
    package: Json = arguments("package", values)
    return package


# Carrying out the plan of a deployment by boto3, and saying what became of the endpoint.

DESCRIBED = {
    "create_model": ("describe_model", "ModelName"),
    "create_endpoint_config": ("describe_endpoint_config", "EndpointConfigName"),
    "create_model_package_group": ("describe_model_package_group", "ModelPackageGroupName"),
}
"""By call the one that shows whether its work is done already, and the name that it asks by."""

Clients = Callable[[str], Any]
"""Returns boto3's client of a service."""

MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""The states of an endpoint that will be others by themselves."""

MOST_SECONDS, POLL_SECONDS = 1800.0, 15.0
"""Seconds that an endpoint may move at most beyond those that an update is given, and between two
looks at it.
"""


def write_archive(folder: Path, target: Path) -> None:
    """Write the files of a bundle as `model.tar.gz`, the same bytes for the same files."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            facts = tarfile.TarInfo(path.relative_to(folder).as_posix())
            facts.size, facts.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                archive.addfile(facts, file)


def unpack_archive(archive: Path, target: Path) -> None:
    """Unpack `model.tar.gz` or another archive of a container.

    Raises:
        DataError: It is none, or is damaged.
    """
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({type(error).__name__}: {error})."
        ) from error


def clients_of(region: str | None = None) -> Clients:
    """Return what makes the clients of boto3, by its own variables and files.

    Raises:
        ConfigError: It is not installed.
    """
    require_installed({"deploy": ("boto3",)})
    import boto3

    return boto3.session.Session(region_name=region).client


def carry_out(
    plan: Sequence[Call],
    client: Clients,
    say: Callable[[str], None],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Make the calls of a plan, and wait until the endpoint answers by the new version.

    Args:
        plan: The calls, as `plan_of` returns them.
        client: Returns the client of a service.
        say: A function that takes a line for each call.
        wait: Waits so many seconds.

    Raises:
        HwdsError: A call was refused, or the endpoint failed or went back to its old version.
    """
    name, version = plan[-1].parameters["EndpointName"], plan[-1].parameters["EndpointConfigName"]
    with aws_refusals("deploy"):
        sagemaker = client("sagemaker")
        before = _endpoint(sagemaker, name)
        if before and before["EndpointStatus"] in MOVING:
            raise HwdsError(
                f"deploy: endpoint '{name}' is {before['EndpointStatus']}; wait for it."
            )
        same = before is not None and before.get("EndpointConfigName") == version
        for call in plan:
            if call.when == ("absent" if before else "present") or (
                call.when == "present" and same
            ):
                continue
            service = sagemaker if call.service == "sagemaker" else client(call.service)
            done = _is_done(service, call)
            if not done:
                getattr(service, call.operation)(**call.parameters)
            say(f"{call.service}.{call.operation}: {'is there already' if done else 'made'}")
        policy = plan[-1].parameters["DeploymentConfig"]["BlueGreenUpdatePolicy"]
        after = _at_rest(
            sagemaker, name, wait, MOST_SECONDS + policy["MaximumExecutionTimeoutInSeconds"]
        )
    reason = str(after.get("FailureReason", "")).rstrip(".")
    if after["EndpointStatus"] != "InService":
        raise HwdsError(
            f"deploy: endpoint '{name}' is {after['EndpointStatus']}: {reason or 'no reason'}."
        )
    if after.get("EndpointConfigName") != version:
        raise HwdsError(
            f"deploy: endpoint '{name}' went back to {after['EndpointConfigName']}: "
            f"{reason or 'an alarm was raised'}."
        )


def _is_done(service: Any, call: Call) -> bool:
    from botocore.exceptions import ClientError

    if call.operation == "upload_file":
        place = {name: call.parameters[name] for name in ("Bucket", "Key")}
        try:
            stored: int = service.head_object(**place)["ContentLength"]
        except ClientError:
            return False
        return stored == Path(call.parameters["Filename"]).stat().st_size
    if call.operation == "create_model_package":
        return _is_registered(service, call.parameters)
    if call.operation not in DESCRIBED:
        return False
    describe, key = DESCRIBED[call.operation]
    try:
        getattr(service, describe)(**{key: call.parameters[key]})
    except ClientError:
        return False
    return True


def _is_registered(sagemaker: Any, wanted: Fields) -> bool:
    """Return whether a bundle is in the registry, and bring its gates' verdicts up to date."""
    facts, approval = wanted["CustomerMetadataProperties"], wanted["ModelApprovalStatus"]
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=wanted["ModelPackageGroupName"]
    )
    for each in (each for page in pages for each in page["ModelPackageSummaryList"]):
        arn = each["ModelPackageArn"]
        stored = sagemaker.describe_model_package(ModelPackageName=arn)
        if stored.get("CustomerMetadataProperties", {}).get(BUNDLE) == facts[BUNDLE]:
            sagemaker.update_model_package(
                ModelPackageArn=arn,
                ModelApprovalStatus=approval,
                CustomerMetadataProperties=dict(facts),
            )
            return True
    return False


def _endpoint(sagemaker: Any, name: str) -> Json | None:
    """Return the description of an endpoint, None where there is none.

    Raises:
        ClientError: It cannot be asked for.
    """
    from botocore.exceptions import ClientError

    try:
        described: Json = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ValidationError"):
            return None
        raise
    return described


def _at_rest(sagemaker: Any, name: str, wait: Callable[[float], None], longest: float) -> Json:
    """Return the description of an endpoint that moves no longer.

    Raises:
        HwdsError: It still moves after a long time, or is gone.
    """
    waited = 0.0
    while waited < longest:
        described = _endpoint(sagemaker, name)
        if described is None:
            raise HwdsError(f"deploy: endpoint '{name}' is gone.")
        if described["EndpointStatus"] not in MOVING:
            return described
        wait(POLL_SECONDS)
        waited += POLL_SECONDS
    raise HwdsError(f"deploy: endpoint '{name}' is not ready after {longest:g} s.")


@contextmanager
def aws_refusals(what: str) -> Iterator[None]:
    """Say in a line what AWS refuses a command, or why it cannot be reached."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise HwdsError(f"{what}: {' '.join(str(error).split())}") from error


def put_pipeline(name: str, role: str, definition: Fields, sagemaker: Any) -> str:
    """Give SageMaker the definition of a pipeline, in place of an older one; return its ARN.

    Raises:
        HwdsError: It was refused.
    """
    terms = {"PipelineName": name, "PipelineDefinition": json.dumps(definition), "RoleArn": role}
    with aws_refusals("pipeline"):
        names = sagemaker.list_pipelines(PipelineNamePrefix=name, MaxResults=100)[
            "PipelineSummaries"
        ]
        there = name in {each["PipelineName"] for each in names}
        return str(
            (sagemaker.update_pipeline if there else sagemaker.create_pipeline)(**terms)[
                "PipelineArn"
            ]
        )
