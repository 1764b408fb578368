"""A bundle in MLflow's registry: what it is of, and what the gates of its run say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.production.gate.verdicts import read_verdicts
from hwds.production.services.opening import Bundle
from hwds.results.folder import RunFolder
from hwds.tracking.mlflow.registry import mirror_bundle


def mirrored(bundle: Bundle, run: RunFolder, address: str) -> str:
    """Mirror a bundle and the verdicts on its run; return the name and version in the registry.

    Args:
        bundle: The bundle.
        run: Its run.
        address: The URI of MLflow's store.

    Raises:
        TrackingError: The store does not answer, or refuses.
    """
    manifest, verdicts = bundle.manifest, read_verdicts(run)
    name = manifest.run.partition("/")[0]
    facts = {"hwds.run": manifest.run, "hwds.model": manifest.model, "hwds.kind": manifest.kind}
    aliases = {stage: verdict["outcome"] == "passed" for stage, verdict in verdicts.items()}
    version = mirror_bundle(address, name, bundle.folder, manifest.digest, facts | verdict_tags(verdicts), aliases)
    return f"{name} version {version}"


def verdict_tags(verdicts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags of a version: the outcome of each stage, and SageMaker's word for the last of them."""
    tags = {f"gate.{stage}": str(verdict["outcome"]) for stage, verdict in verdicts.items()}
    last = max(verdicts.values(), key=lambda verdict: str(verdict["when"]), default=None)
    return tags | ({} if last is None else {"approval_status": str(last["approval_status"]), "approver": str(last["approver"])})
