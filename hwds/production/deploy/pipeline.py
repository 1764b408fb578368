"""Definition of a pipeline of SageMaker that trains, evaluates, gates, registers and deploys, as its own JSON of 2020-12-01.

The steps are those that SageMaker's SDK v3 writes for the same pipeline, without that SDK. See the developer guide, "Pipeline
definition JSON schema".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from hwds.core.errors import ConfigError
from hwds.production.deploy.plan import APPROVAL, ARCHIVE, BUNDLE, Deployment, package_of

ROOT, CHANNEL, KEYS = "/opt/ml", "train", "key"
"""The folder of a container, and its channels: the rows, and the pair of keys."""

KEY = "signing.pem"
"""The private key in its channel; the public one lies beside it, under the same name with `.pub` behind."""

EVALUATION, OUTCOME = "evaluation.json", "outcome"
"""What the second step writes, and the name of the word in it that the condition reads."""

DISK, LONGEST, TEXT = 30, 86_400, 2500
"""GB of a machine's disk, seconds that a step may take, and characters of a hyperparameter."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Retraining:
    """The settings of a pipeline.

    Attributes:
        deployment: Of the endpoint; its group is the one of the model registry.
        hyperparameters: Overrides of an experiment by path, and `card.` with a field of the card.
        data: s3://BUCKET/PREFIX of the rows; another one can be given to each execution.
        key: s3://BUCKET/PREFIX of the pair of keys.
        gate: The rules of `conf/gate` that the run must pass.
        instance: The type of the machines that train and evaluate.
    """

    deployment: Deployment
    hyperparameters: Mapping[str, str]
    data: str
    key: str
    gate: str
    instance: str = "ml.m5.xlarge"

    def __post_init__(self) -> None:
        """Refuse what would fail after the training.

        Raises:
            ConfigError: There is no group, a place is not in S3, or a hyperparameter is too long.
        """
        if not self.deployment.group:
            raise ConfigError("--group: must be given: the group of the model registry.")
        for option, place in (("--data", self.data), ("--key", self.key)):
            if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", place):
                raise ConfigError(f"{option}: must be s3://BUCKET/PREFIX, got {place!r}.")
        for name, text in self.hyperparameters.items():
            if len(text) > TEXT:
                raise ConfigError(f"{name}: must have at most {TEXT} characters, which SageMaker takes, got {len(text)}.")


def hyperparameters_of(words: list[str]) -> dict[str, str]:
    """Return the overrides of an experiment as hyperparameters.

    Raises:
        ConfigError: A word is none.
    """
    pairs = [word.lstrip("+").partition("=") for word in words]
    for word, (name, sign, _) in zip(words, pairs, strict=True):
        if not name or not sign:
            raise ConfigError(f"'{word}': must be path.to.key=value.")
    return {name: text for name, _, text in pairs}


def definition_of(settings: Retraining) -> Json:
    """Return the definition."""
    output = f"{settings.deployment.bucket.rstrip('/')}/pipelines/{settings.deployment.name}"
    steps = [_train(settings, output), _evaluate(settings, output), _gate(settings)]
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [{"Name": "Data", "Type": "String", "DefaultValue": settings.data}],
        "PipelineExperimentConfig": {
            "ExperimentName": {"Get": "Execution.PipelineName"},
            "TrialName": {"Get": "Execution.PipelineExecutionId"},
        },
        "Steps": steps,
    }


def _train(settings: Retraining, output: str) -> Json:
    arguments = {
        "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": settings.deployment.image},
        "HyperParameters": dict(settings.hyperparameters),
        "InputDataConfig": [_channel(CHANNEL, {"Get": "Parameters.Data"}), _channel(KEYS, settings.key)],
        "ResourceConfig": _machine(settings),
        "RoleArn": settings.deployment.role,
        "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST},
        "OutputDataConfig": {"S3OutputPath": output, "CompressionType": "GZIP"},
        "Environment": {"HWDS_SIGNING_KEY": f"{ROOT}/input/data/{KEYS}/{KEY}"},
    }
    return {"Name": "Train", "Type": "Training", "Arguments": arguments}


def _channel(name: str, place: Any) -> Json:
    source = {"S3DataType": "S3Prefix", "S3Uri": place, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _machine(settings: Retraining) -> Json:
    return {"InstanceType": settings.instance, "InstanceCount": 1, "VolumeSizeInGB": DISK}


def _beside(output: str, name: str) -> Json:
    """Return the place in S3 of a file beside what was trained."""
    return {"Std:Join": {"On": "/", "Values": [output, {"Get": "Steps.Train.TrainingJobName"}, name]}}


def _evaluate(settings: Retraining, output: str) -> Json:
    inputs = {
        "model": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
        "output": _beside(output, "output/output.tar.gz"),
        CHANNEL: {"Get": "Parameters.Data"},
    }
    written = {
        "OutputName": "evaluation",
        "S3Output": {
            "S3Uri": _beside(output, "evaluation"),
            "LocalPath": f"{ROOT}/processing/evaluation",
            "S3UploadMode": "EndOfJob",
        },
    }
    step = _processing(settings, "Evaluate", ["python", "-m", "hwds.app.judge"], [settings.gate, ROOT], inputs)
    step["Arguments"]["ProcessingOutputConfig"] = {"Outputs": [written]}
    known = {"PropertyFileName": "Evaluation", "OutputName": "evaluation", "FilePath": EVALUATION}
    return {**step, "PropertyFiles": [known]}


def _processing(settings: Retraining, name: str, entry: list[str], words: list[str], inputs: Mapping[str, Any]) -> Json:
    """Return a step that runs a command of the image on files from S3."""
    arguments = {
        "ProcessingResources": {"ClusterConfig": _machine(settings)},
        "AppSpecification": {
            "ImageUri": settings.deployment.image,
            "ContainerArguments": words,
            "ContainerEntrypoint": entry,
        },
        "RoleArn": settings.deployment.role,
        "ProcessingInputs": [_input(each, place) for each, place in inputs.items()],
        "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST},
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments}


def _input(name: str, place: Any) -> Json:
    source = {
        "S3Uri": place,
        "LocalPath": f"{ROOT}/processing/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    return {"InputName": name, "S3Input": source}


def _gate(settings: Retraining) -> Json:
    """Return the condition: what was not refused is registered and deployed."""
    passed = {"Type": "Equals", "LeftValue": evaluated(OUTCOME), "RightValue": "passed"}
    refused = {"ErrorMessage": f"gate '{settings.gate}' refused the run: see {EVALUATION}"}
    arguments = {
        "Conditions": [passed],
        "IfSteps": [_register(settings.deployment), _deploy(settings)],
        "ElseSteps": [{"Name": "Refused", "Type": "Fail", "Arguments": refused}],
    }
    return {"Name": "Gate", "Type": "Condition", "Arguments": arguments}


def evaluated(path: str) -> Json:
    """Return the function of a pipeline that reads a value of the evaluation."""
    return {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"}, "Path": path}}


def _register(deployment: Deployment) -> Json:
    container = {"Image": deployment.image, "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
    package = package_of(deployment.group, container, evaluated(APPROVAL), {BUNDLE: evaluated("bundle")})
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": package}


def _deploy(settings: Retraining) -> Json:
    """Return the step that runs `hwds deploy`, whose canary and alarms no step of SageMaker's own has."""
    known = {field.name: field.default for field in fields(Deployment)} | {"group": settings.deployment.group}
    given = {name: value for name, value in asdict(settings.deployment).items() if value != known[name]}
    options = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words = ["deploy", f"{ROOT}/processing/model/{ARCHIVE}", *options]
    model = {"model": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
    return {**_processing(settings, "Deploy", ["python", "-m", "hwds"], words, model), "DependsOn": ["Register"]}
