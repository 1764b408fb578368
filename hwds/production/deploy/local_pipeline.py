"""Pipelines on this machine: each step's command truly runs, on what S3 has; the API of AWS is that of `plane`.

A step finds at the folder that stands for `/opt/ml` what SageMaker would lay there, and leaves there what SageMaker would take;
the folder is emptied before each step, so that all goes by way of S3. Jobs, versions of the registry and the endpoint are made
by boto3, which checks the arguments of each call. Images are not used: commands run in this environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.production.deploy.endpoint import Clients, refusals, write_archive
from hwds.production.deploy.pipeline import ROOT, Json
from hwds.production.deploy.plan import ARCHIVE
from hwds.production.s3 import keys_below, place_of

DEFINITION = "pipeline.json"
"""The file by which a folder of executions is known, whose other content may go."""

SHOWN = 2000
"""Characters of a failed step's log that are shown."""


class LocalPipeline:
    """An execution of a definition.

    Args:
        name: The pipeline's.
        definition: Of `definition_of`.
        client: Returns the client of a service.
        folder: Where steps have their `ml`; a new one, or that of an execution before.
        say: Takes a line for each step.

    Raises:
        ConfigError: Other files lie in the folder.
    """

    def __init__(self, name: str, definition: Json, client: Clients, folder: Path, say: Callable[[str], None]) -> None:
        self._steps, self._name, self._say = definition["Steps"], name, say
        self._sagemaker, self._s3 = client("sagemaker"), client("s3")
        self._root = folder.resolve() / "ml"
        if folder.exists() and any(folder.iterdir()) and not (folder / DEFINITION).is_file():
            raise ConfigError(f"--local: {folder} holds other files; name a new folder.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DEFINITION).write_text(json.dumps(definition, indent=1) + "\n")
        self._known: dict[str, Any] = {f"Parameters.{each['Name']}": each["DefaultValue"] for each in definition["Parameters"]}
        self._number = len(self._sagemaker.list_training_jobs(NameContains=name, MaxResults=100)["TrainingJobSummaries"])

    def run(self) -> None:
        """Run the steps in their order.

        Raises:
            HwdsError: One failed, or is a `Fail`; those after it are not run.
        """
        with refusals("pipeline"):
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
            kinds[step["Type"]](step, self._filled(step["Arguments"]) if step["Type"] != "Condition" else step["Arguments"])

    def _filled(self, value: Any) -> Any:
        """Return a value of the definition with its functions carried out."""
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self._known[value["Get"]]
        if set(value) == {"Std:Join"}:
            return value["Std:Join"]["On"].join(self._filled(value["Std:Join"]["Values"]))
        if set(value) == {"Std:JsonGet"}:
            return self._filled(value["Std:JsonGet"]["PropertyFile"])[value["Std:JsonGet"]["Path"]]
        return {name: self._filled(each) for name, each in value.items()}

    def _job(self, step: Json) -> str:
        """Empty the container's folder and return the name of a step's job."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True)
        return f"{self._name}-{step['Name']}-{self._number}"

    def _train(self, step: Json, arguments: Json) -> None:
        job, root = self._job(step), self._root
        self._sagemaker.create_training_job(TrainingJobName=job, **arguments)
        for channel in arguments["InputDataConfig"]:
            self._fetch(channel["DataSource"]["S3DataSource"]["S3Uri"], root / "input" / "data" / channel["ChannelName"])
        given = root / "input" / "config" / "hyperparameters.json"
        given.parent.mkdir(parents=True, exist_ok=True)
        given.write_text(json.dumps(arguments["HyperParameters"]))
        self._command(step, ["python", "-m", "hwds.app.train", ROOT], arguments.get("Environment", {}))
        place = f"{arguments['OutputDataConfig']['S3OutputPath']}/{job}/output"
        for folder, archive in ((root / "model", ARCHIVE), (root / "output" / "data", "output.tar.gz")):
            write_archive(folder, root / archive)
            self._lay(root / archive, f"{place}/{archive}")
        self._known["Steps.Train.TrainingJobName"] = job
        self._known["Steps.Train.ModelArtifacts.S3ModelArtifacts"] = f"{place}/{ARCHIVE}"

    def _process(self, step: Json, arguments: Json) -> None:
        job = self._job(step)
        self._sagemaker.create_processing_job(ProcessingJobName=job, **arguments)
        for each in arguments["ProcessingInputs"]:
            self._fetch(each["S3Input"]["S3Uri"], self._here(each["S3Input"]["LocalPath"]))
        app = arguments["AppSpecification"]
        self._command(step, [*app["ContainerEntrypoint"], *app["ContainerArguments"]], arguments.get("Environment", {}))
        written = {
            each["OutputName"]: each["S3Output"] for each in arguments.get("ProcessingOutputConfig", {}).get("Outputs", ())
        }
        for output in written.values():
            for path in self._here(output["LocalPath"]).rglob("*"):
                self._lay(path, f"{output['S3Uri']}/{path.relative_to(self._here(output['LocalPath'])).as_posix()}")
        for known in step.get("PropertyFiles", ()):
            path = self._here(written[known["OutputName"]]["LocalPath"]) / known["FilePath"]
            self._known[f"Steps.{step['Name']}.PropertyFiles.{known['PropertyFileName']}"] = json.loads(path.read_text())

    def _choose(self, step: Json, arguments: Json) -> None:
        sides = [[self._filled(each[side]) for each in arguments["Conditions"]] for side in ("LeftValue", "RightValue")]
        self._run(arguments["IfSteps" if sides[0] == sides[1] else "ElseSteps"])

    def _register(self, step: Json, arguments: Json) -> None:
        group = arguments["ModelPackageGroupName"]
        known = self._sagemaker.list_model_package_groups(NameContains=group, MaxResults=100)["ModelPackageGroupSummaryList"]
        if group not in {each["ModelPackageGroupName"] for each in known}:
            self._sagemaker.create_model_package_group(ModelPackageGroupName=group)
        self._say(f"  {self._sagemaker.create_model_package(**arguments)['ModelPackageArn']}")

    def _fail(self, step: Json, arguments: Json) -> None:
        raise HwdsError(f"pipeline: {step['Name']}: {arguments['ErrorMessage']}.")

    def _here(self, path: str) -> Path:
        return self._root / Path(path).relative_to(ROOT)

    def _command(self, step: Json, words: list[str], variables: Mapping[str, str]) -> None:
        """Run the command of a container.

        Raises:
            HwdsError: It failed, with the end of its log.
        """
        own = {name: str(self._here(text)) if text.startswith(ROOT) else text for name, text in variables.items()}
        local = [str(self._here(word)) if word.startswith(ROOT) else word for word in words[1:]]
        done = subprocess.run(
            [sys.executable, *local], cwd=self._root, env=os.environ | own, capture_output=True, text=True, check=False
        )
        for line in done.stdout.splitlines():
            self._say(f"  {line}")
        if done.returncode:
            raise HwdsError(f"pipeline: step {step['Name']} ended with {done.returncode}: {done.stderr.strip()[-SHOWN:]}")

    def _fetch(self, place: str, target: Path) -> None:
        """Bring the files below a place in S3, or the one file that it is.

        Raises:
            DataError: There is none.
        """
        bucket, prefix = place_of(place)
        for key in keys_below(self._s3, place):
            path = target / (key.removeprefix(prefix).lstrip("/") or Path(key).name)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(bucket, key, str(path))

    def _lay(self, path: Path, place: str) -> None:
        bucket, key = place_of(place)
        self._s3.upload_file(str(path), bucket, key)
