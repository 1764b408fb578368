"""The registry of MLflow as a mirror of bundles: a version each, with tags of gates' verdicts and aliases of stages passed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwds.tracking.mlflow.store import opened
from hwds.tracking.trackers.base import refusals

BUNDLE = "hwds.bundle"
"""The tag of a version: the digest of its bundle."""

EXPERIMENT = "hwds bundles"
"""The experiment of MLflow whose runs hold the files of bundles."""


def mirror_bundle(
    address: str, name: str, folder: Path, digest: str, tags: Mapping[str, str], aliases: Mapping[str, bool]
) -> str:
    """Write a bundle as a version of a registered model, or what is new of it; return the number of the version.

    Args:
        address: The store's URI.
        name: The registered model.
        folder: The bundle.
        digest: Of the bundle; it has one version, however often it is written.
        tags: Of the version.
        aliases: By alias whether it is to name this version; one that is not is taken away from it, and left to others.

    Raises:
        TrackingError: The store does not answer, or refuses.
    """
    client = opened(address)
    with refusals():
        version = _version(client, name, digest) or _created(client, name, folder, digest)
        for tag, value in tags.items():
            client.set_model_version_tag(name, version, tag, value)
        held = client.get_model_version(name, version).aliases
        for alias, is_held in aliases.items():
            if is_held:
                client.set_registered_model_alias(name, alias, version)
            elif alias in held:
                client.delete_registered_model_alias(name, alias)
    return version


def _version(client: Any, name: str, digest: str) -> str | None:
    """Return the version of a bundle; None where there is none."""
    versions = client.search_model_versions(f"name='{name}'")
    return next((str(each.version) for each in versions if each.tags.get(BUNDLE) == digest), None)


def _created(client: Any, name: str, folder: Path, digest: str) -> str:
    """Upload a bundle as artifacts of a run, and make a version of it."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    number = client.create_experiment(EXPERIMENT) if experiment is None else experiment.experiment_id
    run = client.create_run(number, tags={BUNDLE: digest}, run_name=digest)
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    client.set_terminated(run.info.run_id)
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/bundle"
    return str(client.create_model_version(name, source, run.info.run_id, tags={BUNDLE: digest}).version)
