"""Carrying out the plan of a deployment by boto3, and saying what became of the endpoint."""

from __future__ import annotations

import gzip
import json
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.production.deploy.plan import BUNDLE, Call

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

SECONDS, EVERY = 1800.0, 15.0
"""Seconds that an endpoint may move at most beyond those that an update is given, and between two looks at it."""


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
        raise DataError(f"{archive}: cannot be unpacked ({type(error).__name__}: {error}).") from error


def clients_of(region: str | None = None) -> Clients:
    """Return what makes the clients of boto3, by its own variables and files.

    Raises:
        ConfigError: It is not installed.
    """
    if find_spec("boto3") is None:
        raise ConfigError("deploy: needs boto3: pip install 'hwds[aws]'.")
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
        plan: Of `plan_of`.
        client: Returns the client of a service.
        say: Takes a line for each call.
        wait: Waits so many seconds.

    Raises:
        HwdsError: A call was refused, or the endpoint failed or went back to its old version.
    """
    name, version = plan[-1].parameters["EndpointName"], plan[-1].parameters["EndpointConfigName"]
    with refusals("deploy"):
        sagemaker = client("sagemaker")
        before = _endpoint(sagemaker, name)
        if before and before["EndpointStatus"] in MOVING:
            raise HwdsError(f"deploy: endpoint '{name}' is {before['EndpointStatus']}; wait for it.")
        same = before is not None and before.get("EndpointConfigName") == version
        for call in plan:
            if call.when == ("absent" if before else "present") or (call.when == "present" and same):
                continue
            service = sagemaker if call.service == "sagemaker" else client(call.service)
            done = _is_done(service, call)
            if not done:
                getattr(service, call.operation)(**call.parameters)
            say(f"{call.service}.{call.operation}: {'is there already' if done else 'made'}")
        policy = plan[-1].parameters["DeploymentConfig"]["BlueGreenUpdatePolicy"]
        after = _at_rest(sagemaker, name, wait, SECONDS + policy["MaximumExecutionTimeoutInSeconds"])
    reason = str(after.get("FailureReason", "")).rstrip(".")
    if after["EndpointStatus"] != "InService":
        raise HwdsError(f"deploy: endpoint '{name}' is {after['EndpointStatus']}: {reason or 'no reason'}.")
    if after.get("EndpointConfigName") != version:
        raise HwdsError(
            f"deploy: endpoint '{name}' went back to {after['EndpointConfigName']}: {reason or 'an alarm was raised'}."
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


def _is_registered(sagemaker: Any, wanted: Mapping[str, Any]) -> bool:
    """Return whether a bundle is in the registry, and bring its gates' verdicts up to date."""
    facts, approval = wanted["CustomerMetadataProperties"], wanted["ModelApprovalStatus"]
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=wanted["ModelPackageGroupName"])
    for each in (each for page in pages for each in page["ModelPackageSummaryList"]):
        arn = each["ModelPackageArn"]
        stored = sagemaker.describe_model_package(ModelPackageName=arn)
        if stored.get("CustomerMetadataProperties", {}).get(BUNDLE) == facts[BUNDLE]:
            sagemaker.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus=approval, CustomerMetadataProperties=dict(facts)
            )
            return True
    return False


def _endpoint(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """Return the description of an endpoint, None where there is none.

    Raises:
        ClientError: It cannot be asked for.
    """
    from botocore.exceptions import ClientError

    try:
        described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ValidationError"):
            return None
        raise
    return described


def _at_rest(sagemaker: Any, name: str, wait: Callable[[float], None], longest: float) -> dict[str, Any]:
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
        wait(EVERY)
        waited += EVERY
    raise HwdsError(f"deploy: endpoint '{name}' is not ready after {longest:g} s.")


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Say in a line what AWS refuses a command, or why it cannot be reached."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise HwdsError(f"{what}: {' '.join(str(error).split())}") from error


def put_pipeline(name: str, role: str, definition: Mapping[str, Any], sagemaker: Any) -> str:
    """Give SageMaker the definition of a pipeline, in place of an older one; return its ARN.

    Raises:
        HwdsError: It was refused.
    """
    known = {"PipelineName": name, "PipelineDefinition": json.dumps(definition), "RoleArn": role}
    with refusals("pipeline"):
        names = sagemaker.list_pipelines(PipelineNamePrefix=name, MaxResults=100)["PipelineSummaries"]
        there = name in {each["PipelineName"] for each in names}
        return str((sagemaker.update_pipeline if there else sagemaker.create_pipeline)(**known)["PipelineArn"])
