"""Making a bundle: from a finished run to a signed folder, or to the reason why there is none."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwds.bandit.protocols.bandit_simulation import BanditSimulation
from hwds.core.atomic import sync
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.detection.models.classify.base import FittedClassifier
from hwds.evaluation.base import Deployable
from hwds.experiment.check import check
from hwds.experiment.final_model import fit_final, kept_model
from hwds.experiment.spec import Experiment
from hwds.frames.images import Images
from hwds.frames.panel import Panel
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from hwds.frames.world import World
from hwds.production.bundle.card import card_of, markdown
from hwds.production.bundle.card_formats import front_matter, sagemaker_card
from hwds.production.bundle.environment import write_environment
from hwds.production.bundle.keys import signing_key
from hwds.production.bundle.manifest import (
    CARD,
    CARD_JSON,
    CARD_SAGEMAKER,
    CONFIG,
    CONFORMAL,
    DECISION,
    LATENCY,
    LICENCES,
    LOCK,
    MODEL,
    REFERENCE,
    SCHEMA,
    Manifest,
    files_of,
)
from hwds.production.bundle.parity import LEAST
from hwds.production.bundle.policy_content import PolicyContent
from hwds.production.bundle.reference import tested_rows
from hwds.production.bundle.row_content import RowContent
from hwds.production.bundle.unit_content import UnitContent
from hwds.production.gate.verdicts import refuse_gated
from hwds.production.services.opening import Bundle, service_of
from hwds.production.services.policy import LiveSettings
from hwds.production.services.tiers import stored_tiers
from hwds.results.folder import RunFolder
from hwds.results.markdown import write_markdown

Content = RowContent | UnitContent | PolicyContent

BUDGET: dict[str, float] = {"rows": 25.0, "events": 50.0, "policy": 250.0}
"""Milliseconds within which 99 % of single answers must come, where none are named: a policy waits for the disk; of units,
which are histories, 2,000."""

PROOF_SECONDS = 600


def make_bundle(
    run: str,
    out: Path,
    *,
    key: Path,
    fields: Mapping[str, str],
    budget: float | None = None,
    asked: int = LEAST,
    prove: Callable[[Path], dict[str, Any]] | None = None,
    live: LiveSettings | None = None,
) -> Bundle:
    """Write the bundle of a run.

    Args:
        run: Its folder, id, or the name of its experiment.
        out: The folder to write; an existing one is not overwritten.
        key: The private key to sign with.
        fields: What people say of the model, by `card.FIELDS`.
        budget: Milliseconds within which 99 % of single answers must come.
        asked: The number of real rows that a fresh process must answer alike.
        prove: Returns what the proof of a folder shows; None starts the process.
        live: Settings of a policy in production; None takes those of the run.

    Raises:
        ConfigError: The run has no model to ask, or the folder is there.
        HwdsError: A gate refused the run, or the proof failed.
    """
    folder = RunFolder.find(run)
    folder.require_finished()
    if out.exists():
        raise ConfigError(f"--out: {out} is there already; a bundle is never overwritten.")
    refuse_gated(folder)
    signer = signing_key(key)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        manifest = _filled(folder, part, asked, live)
        replace(manifest, files=files_of(part)).write(part, signer)
        proof = (prove or _proven)(part)
        _keep_budget(manifest.kind, proof["latency"], budget)
        finished = _finished(folder, part, manifest, proof, fields)
        finished.write(part, signer)
        for path in (*part.rglob("*"), part):
            sync(path)
        part.rename(out)
    except OSError as error:
        raise HwdsError(f"{out}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle(out.resolve(), finished)


def _filled(folder: RunFolder, part: Path, asked: int, live: LiveSettings | None) -> Manifest:
    """Write all that is made of the run, and return the manifest before the proof."""
    experiment = check(folder.read_config(secrets=True))
    if isinstance(experiment.protocol, BanditSimulation):
        world = experiment.dataset.frame()
        assert isinstance(world, World)
        return _written(folder, experiment, part, PolicyContent.of(experiment, world, live or LiveSettings(), asked), None)
    if live is not None:
        raise ConfigError(f"--live: run {folder.title} is of protocol '{experiment.protocol.name}', which plays no policy.")
    if not isinstance(experiment.protocol, Deployable):
        raise ConfigError(
            f"bundle: run {folder.title} is of protocol '{experiment.protocol.name}', which has no model to ask"
            f" ({experiment.protocol.task}: its answers are about the data of the run, not about new rows)."
        )
    frame = experiment.dataset.frame()
    stored = kept_model(folder)
    fitted = load_fitted(stored) if stored else fit_final(experiment, frame)
    content: Content
    if isinstance(frame, Table):
        content = RowContent.of(experiment, fitted, frame, asked)
    elif isinstance(frame, Panel | Runs | Images):
        content = UnitContent(experiment, fitted, frame, folder, asked)
    else:
        raise ConfigError(f"bundle: nothing is asked of {type(frame).__name__} one by one.")
    save_fitted(fitted, part / MODEL)
    return _written(folder, experiment, part, content, fitted)


def _written(folder: RunFolder, experiment: Experiment, part: Path, content: Content, fitted: Any) -> Manifest:
    """Write the parts of a bundle, its reference, decision and environment, and return the manifest before the proof."""
    _write(part / CONFIG, folder.read_config())
    graph = content.write(part)
    _write(part / REFERENCE, _reference(content, folder))
    if fitted is not None:
        _write(part / CONFORMAL, conformal_of(fitted))
    if isinstance(content, RowContent):
        amount = content.table.name("amount") if content.table.roles.get("amount") else ""
        tiers = stored_tiers(experiment, folder.read_verdict(), amount)
        if tiers:
            _write(part / DECISION, tiers)
    else:
        _write(part / DECISION, folder.read_verdict() or {})
    write_environment(part / LOCK, part / LICENCES)
    return Manifest(
        content.kind, experiment.protocol.task, folder.title, experiment.model.name, platform.python_version(), graph
    )


def _reference(content: Content, folder: RunFolder) -> dict[str, Any]:
    """Return the reference statistics, of rows with the calibration on the run's test rows, which no model had learned from."""
    if not isinstance(content, RowContent):
        return content.reference()
    tested = tested_rows(folder.read_tables().predictions, content.experiment.model.name)
    return content.reference(tested)


def conformal_of(fitted: Any) -> dict[str, Any]:
    """Return the conformal quantiles of a model: scores of held-out normal rows, or corrections of forecasts' quantiles."""
    if isinstance(fitted, FittedClassifier):
        levels = np.linspace(0, 1, 101)
        normals = fitted.normals
        return {"normals": len(normals), "quantiles": np.quantile(normals, levels).tolist() if len(normals) else []}
    kept = getattr(fitted, "calibration", None)
    return {"kind": type(fitted).__name__, "calibrated": kept is not None, "in": f"{MODEL}/" if kept is not None else None}


def _proven(part: Path) -> dict[str, Any]:
    """Return the proof of a folder in a fresh process.

    Raises:
        HwdsError: It failed, with the reason.
    """
    words = [sys.executable, "-m", "hwds.production.bundle.prove", str(part.resolve())]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PROOF_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise HwdsError(f"bundle: no bundle is made, for a fresh process takes longer than {PROOF_SECONDS} s.") from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"it was ended ({done.returncode})."])[-1]
        raise HwdsError(f"bundle: no bundle is made, for a fresh process does not answer as the run did: {why}")
    proof: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return proof


def _keep_budget(kind: str, latency: Mapping[str, Any], budget: float | None) -> None:
    """Refuse a model that is too slow.

    Raises:
        HwdsError: 99 % of the answers took longer.
    """
    most = budget or BUDGET.get(kind, 2000.0)
    if latency["p99_ms"] > most:
        raise HwdsError(
            f"bundle: no bundle is made, for 99 % of answers take up to {latency['p99_ms']:g} ms; {most:g} are allowed."
        )


def _finished(folder: RunFolder, part: Path, manifest: Manifest, proof: dict[str, Any], fields: Mapping[str, str]) -> Manifest:
    """Write latency, card and schema, and return the manifest of all files."""
    latency = proof.pop("latency")
    _write(part / LATENCY, latency | {"machine": folder.read_provenance().get("machine")})
    experiment = check(folder.read_config(secrets=True))
    card = card_of(folder, experiment, folder.read_tables(), fields)
    _write(part / CARD_JSON, card)
    _write(part / CARD_SAGEMAKER, sagemaker_card(card))
    write_markdown(part / CARD, front_matter(card) + markdown(card, proof, latency))
    _write(part / SCHEMA, _schema(part, manifest))
    return replace(manifest, parity=proof, files=files_of(part))


def _schema(part: Path, manifest: Manifest) -> dict[str, Any]:
    import tempfile

    with tempfile.TemporaryDirectory() as beside:
        service = service_of(Bundle(part, manifest), Path(beside) / "events.db")
        try:
            return service.question_schema()
        finally:
            service.close()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
