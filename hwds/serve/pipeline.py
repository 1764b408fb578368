"""Pipelines of SageMaker that retrain and deploy: their definition, and a run on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.questions import Json
from hwds.core.settings import read_beside
from hwds.serve.deploy import (
    APPROVAL,
    ARCHIVE,
    BUNDLE,
    Clients,
    Deployment,
    aws_refusals,
    package_of,
    s3_keys,
    s3_place,
    with_values,
    write_archive,
)

# Definition of a pipeline of SageMaker that trains, evaluates, gates, registers and deploys, as
# its own JSON of 2020-12-01.
# The steps are those that SageMaker's SDK v3 writes for the same pipeline, without that SDK.
# See the developer guide, "Pipeline definition JSON schema".

CONTAINER_ROOT, CHANNEL, KEYS = "/opt/ml", "train", "key"
"""The folder of a container, and its channels: the rows, and the pair of keys."""

EVALUATION, OUTCOME = "evaluation.json", "outcome"
"""What the second step writes, and the name of the word in it that the condition reads."""

TEXT = 2500
"""Characters of a hyperparameter at most."""


@dataclass(frozen=True)
class Retraining:
    """The settings of a pipeline.

    Attributes:
        deployment: The deployment of the endpoint; its group is that of the model registry.
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
                raise ConfigError(
                    f"{name}: must have at most {TEXT} characters, which SageMaker takes, got "
                    f"{len(text)}."
                )


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
    deployment = settings.deployment
    container = {
        "Image": deployment.image,
        "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
    }
    values = {
        "data": settings.data,
        "key": settings.key,
        "image": deployment.image,
        "role": deployment.role,
        "instance": settings.instance,
        "hyperparameters": dict(settings.hyperparameters),
        "output": f"{deployment.bucket.rstrip('/')}/pipelines/{deployment.name}",
        "gate": settings.gate,
        "refusal": f"gate '{settings.gate}' refused the run: see {EVALUATION}",
        "outcome": evaluation_value(OUTCOME),
        "package": package_of(
            deployment.group,
            container,
            evaluation_value(APPROVAL),
            {BUNDLE: evaluation_value("bundle")},
        ),
        "deploy": _deploy_words(deployment),
    }
    definition: Json = with_values(read_beside(__file__, "pipeline.yaml"), values)
    return definition


def evaluation_value(path: str) -> Json:
    """Return the function of a pipeline that reads a value of the evaluation."""
    return {
        "Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
            "Path": path,
        }
    }


def _deploy_words(deployment: Deployment) -> list[str]:
    """Return the words of `hwds deploy`, whose canary and alarms no step of SageMaker's own has."""
    usual = {field.name: field.default for field in fields(Deployment)} | {
        "group": deployment.group
    }
    given = {name: value for name, value in asdict(deployment).items() if value != usual[name]}
    options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in given.items()]
    return ["deploy", f"{CONTAINER_ROOT}/processing/model/{ARCHIVE}", *chain(*options)]


# Pipelines on this machine: each step's command truly runs, on what S3 has; the API of AWS is
# that of `plane`.
# A step finds at the folder that stands for `/opt/ml` what SageMaker would lay there, and
# leaves there what SageMaker would take; the folder is emptied before each step, so that all
# goes by way of S3. Jobs, versions of the registry and the endpoint are made by boto3, which
# checks the arguments of each call. Images are not used: commands run in this environment.

DEFINITION_FILE = "pipeline.json"
"""The file by which a folder of executions is known, whose other content may go."""

SHOWN_CHARACTERS = 2000
"""Characters of a failed step's log that are shown."""


class LocalPipeline:
    """An execution of a definition.

    Args:
        name: The pipeline's.
        definition: The definition, as `definition_of` returns it.
        client: Returns the client of a service.
        folder: The folder in which steps have their `ml`; a new one, or that of an execution
            before.
        say: A function that takes a line for each step.

    Raises:
        ConfigError: Other files lie in the folder.
    """

    def __init__(
        self, name: str, definition: Json, client: Clients, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._steps, self._name, self._say = definition["Steps"], name, say
        self._sagemaker, self._s3 = client("sagemaker"), client("s3")
        self._root = folder.resolve() / "ml"
        if folder.exists() and any(folder.iterdir()) and not (folder / DEFINITION_FILE).is_file():
            raise ConfigError(f"--local: {folder} holds other files; name a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DEFINITION_FILE).write_text(json.dumps(definition, indent=1) + "\n")
        self._values: dict[str, Any] = {
            f"Parameters.{each['Name']}": each["DefaultValue"] for each in definition["Parameters"]
        }
        self._number = len(
            self._sagemaker.list_training_jobs(NameContains=name, MaxResults=100)[
                "TrainingJobSummaries"
            ]
        )

    def run(self) -> None:
        """Run the steps in their order.

        Raises:
            HwdsError: One failed, or is a `Fail`; those after it are not run.
        """
        with aws_refusals("pipeline"):
            self._run(self._steps)

    def _run(self, steps: list[Json]) -> None:
        kinds = {
            "Training": self._train,
            "Processing": self._process,
            "Condition": self._choose,
            "RegisterModel": self._register,
            "Fail": self._fail,
        }
        for step in steps:
            self._say(f"{step['Name']} ({step['Type']})")
            kinds[step["Type"]](
                step,
                self._fill(step["Arguments"]) if step["Type"] != "Condition" else step["Arguments"],
            )

    def _fill(self, value: Any) -> Any:
        """Return a value of the definition with its functions carried out."""
        if isinstance(value, list):
            return [self._fill(each) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self._values[value["Get"]]
        if set(value) == {"Std:Join"}:
            return value["Std:Join"]["On"].join(self._fill(value["Std:Join"]["Values"]))
        if set(value) == {"Std:JsonGet"}:
            return self._fill(value["Std:JsonGet"]["PropertyFile"])[value["Std:JsonGet"]["Path"]]
        return {name: self._fill(each) for name, each in value.items()}

    def _job(self, step: Json) -> str:
        """Empty the container's folder and return the name of a step's job."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True)
        return f"{self._name}-{step['Name']}-{self._number}"

    def _train(self, step: Json, arguments: Json) -> None:
        job, root = self._job(step), self._root
        self._sagemaker.create_training_job(TrainingJobName=job, **arguments)
        for channel in arguments["InputDataConfig"]:
            self._fetch(
                channel["DataSource"]["S3DataSource"]["S3Uri"],
                root / "input" / "data" / channel["ChannelName"],
            )
        given = root / "input" / "config" / "hyperparameters.json"
        given.parent.mkdir(parents=True, exist_ok=True)
        given.write_text(json.dumps(arguments["HyperParameters"]))
        self._command(
            step,
            ["python", "-m", "hwds.cli.train", CONTAINER_ROOT],
            arguments.get("Environment", {}),
        )
        place = f"{arguments['OutputDataConfig']['S3OutputPath']}/{job}/output"
        for folder, archive in (
            (root / "model", ARCHIVE),
            (root / "output" / "data", "output.tar.gz"),
        ):
            write_archive(folder, root / archive)
            self._lay(root / archive, f"{place}/{archive}")
        self._values["Steps.Train.TrainingJobName"] = job
        self._values["Steps.Train.ModelArtifacts.S3ModelArtifacts"] = f"{place}/{ARCHIVE}"

    def _process(self, step: Json, arguments: Json) -> None:
        job = self._job(step)
        self._sagemaker.create_processing_job(ProcessingJobName=job, **arguments)
        for each in arguments["ProcessingInputs"]:
            self._fetch(each["S3Input"]["S3Uri"], self._local_path(each["S3Input"]["LocalPath"]))
        app = arguments["AppSpecification"]
        self._command(
            step,
            [*app["ContainerEntrypoint"], *app["ContainerArguments"]],
            arguments.get("Environment", {}),
        )
        written = {
            each["OutputName"]: each["S3Output"]
            for each in arguments.get("ProcessingOutputConfig", {}).get("Outputs", ())
        }
        for output in written.values():
            for path in self._local_path(output["LocalPath"]).rglob("*"):
                self._lay(
                    path,
                    f"{output['S3Uri']}/{path.relative_to(self._local_path(output['LocalPath'])).as_posix()}",
                )
        for file in step.get("PropertyFiles", ()):
            path = self._local_path(written[file["OutputName"]]["LocalPath"]) / file["FilePath"]
            self._values[f"Steps.{step['Name']}.PropertyFiles.{file['PropertyFileName']}"] = (
                json.loads(path.read_text())
            )

    def _choose(self, step: Json, arguments: Json) -> None:
        sides = [
            [self._fill(each[side]) for each in arguments["Conditions"]]
            for side in ("LeftValue", "RightValue")
        ]
        self._run(arguments["IfSteps" if sides[0] == sides[1] else "ElseSteps"])

    def _register(self, step: Json, arguments: Json) -> None:
        group = arguments["ModelPackageGroupName"]
        groups = self._sagemaker.list_model_package_groups(NameContains=group, MaxResults=100)[
            "ModelPackageGroupSummaryList"
        ]
        if group not in {each["ModelPackageGroupName"] for each in groups}:
            self._sagemaker.create_model_package_group(ModelPackageGroupName=group)
        self._say(f"  {self._sagemaker.create_model_package(**arguments)['ModelPackageArn']}")

    def _fail(self, step: Json, arguments: Json) -> None:
        raise HwdsError(f"pipeline: {step['Name']}: {arguments['ErrorMessage']}.")

    def _local_path(self, path: str) -> Path:
        return self._root / Path(path).relative_to(CONTAINER_ROOT)

    def _command(self, step: Json, words: list[str], variables: Mapping[str, str]) -> None:
        """Run the command of a container.

        Raises:
            HwdsError: It failed, with the end of its log.
        """
        environment = {
            name: str(self._local_path(text)) if text.startswith(CONTAINER_ROOT) else text
            for name, text in variables.items()
        }
        local = [
            str(self._local_path(word)) if word.startswith(CONTAINER_ROOT) else word
            for word in words[1:]
        ]
        done = subprocess.run(
            [sys.executable, *local],
            cwd=self._root,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in done.stdout.splitlines():
            self._say(f"  {line}")
        if done.returncode:
            raise HwdsError(
                f"pipeline: step {step['Name']} ended with {done.returncode}: "
                f"{done.stderr.strip()[-SHOWN_CHARACTERS:]}"
            )

    def _fetch(self, place: str, target: Path) -> None:
        """Bring the files below a place in S3, or the one file that it is.

        Raises:
            DataError: There is none.
        """
        bucket, prefix = s3_place(place)
        for key in s3_keys(self._s3, place):
            path = target / (key.removeprefix(prefix).lstrip("/") or Path(key).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(path))

    def _lay(self, path: Path, place: str) -> None:
        bucket, key = s3_place(place)
        self._s3.upload_file(str(path), bucket, key)
