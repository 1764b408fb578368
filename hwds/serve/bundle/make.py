"""Making a bundle: from a finished run to a signed folder, or to the reason why there is none."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.config import extras_of_node
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.extras import require_installed
from hwds.core.files import flush_to_disk, write_text
from hwds.core.questions import Fields, Json
from hwds.core.recipe import Recipe, construct
from hwds.core.registry import hook_class, task_of
from hwds.core.serialization import class_path, load_fitted, save_fitted
from hwds.evaluation.protocol import Deployable
from hwds.evaluation.serving import Content, Policies
from hwds.experiment.final_model import fit_final, kept_model
from hwds.experiment.spec import Experiment, check_asked, check_stored
from hwds.frames.images import Images
from hwds.frames.panel import Panel
from hwds.frames.runs import Runs
from hwds.frames.table import Table
from hwds.frames.world import World
from hwds.results.files import write_csv, write_markdown
from hwds.results.folder import RunFolder
from hwds.serve.bundle.card import (
    card_markdown,
    front_matter,
    model_card,
    read_named_yaml,
    sagemaker_card,
)
from hwds.serve.bundle.content import RowContent, UnitContent
from hwds.serve.bundle.manifest import (
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
    PARITY,
    REFERENCE,
    SCHEMA,
    STATE,
    BundlePath,
    Manifest,
    files_of,
    read_files,
    signing_key,
)
from hwds.serve.bundle.reference import LEAST_CASES, write_cases
from hwds.serve.gate import refuse_gated
from hwds.serve.services.opening import Bundle, service_of

# The lock of versions and the licences of all that a bundle needs to run.

EXTRAS = ("serve", "bundle")


def needed_distributions(extras: tuple[str, ...] = ()) -> dict[str, Distribution]:
    """Return the installed distributions that hwds needs to serve, by name: its requirements and
    theirs.

    Args:
        extras: The extras that the model needs, besides those that serve it.
    """
    lines, extras = distribution("hwds").requires or (), (*EXTRAS, *extras)
    pending = [_bare_name(line) for line in lines if _is_needed(line, extras)]
    found: dict[str, Distribution] = {"hwds": distribution("hwds")}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another system or Python, by its marker
            continue
        pending += [_bare_name(line) for line in found[name].requires or () if _is_needed(line)]
    return dict(sorted(found.items()))


def write_environment(lock: Path, licences: Path, extras: tuple[str, ...] = ()) -> None:
    """Write a line a distribution with its version, and a table of licences; see
    `needed_distributions`.
    """
    found = needed_distributions(extras)
    write_text(lock, "".join(f"{name}=={each.version}\n" for name, each in found.items()))
    rows = [
        {"name": name, "version": each.version, "licence": licence_of(each)}
        for name, each in found.items()
    ]
    write_csv(licences, pl.DataFrame(rows))


def licence_of(found: Distribution) -> str:
    """Return the licence that a distribution declares: its expression, its classifiers, or the
    first line of its text.
    """
    facts = found.metadata
    classified = [
        line.rpartition(" :: ")[2]
        for line in facts.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    expression, text = (
        " ".join(facts.get_all(name) or ()).strip() for name in ("License-Expression", "License")
    )
    licence = expression or "; ".join(classified) or text
    return licence.splitlines()[0][:200] if licence else "not declared"


def _bare_name(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0]).lower()


def _is_needed(line: str, extras: tuple[str, ...] = ()) -> bool:
    """Return whether a requirement is one of the distribution itself, or of an extra that is served
    by.
    """
    extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", line)
    return extra is None or extra[1] in extras


# The tiers of a bundle: the rule of a run's alert policy as `decision.json` has it.


def stored_tiers(experiment: Experiment, verdict: Json | None, amount: str) -> Json | None:
    """Return the rule of a run that decides on rows one by one.

    None where it decides something else, or nothing.

    Args:
        experiment: The run's experiment.
        verdict: The run's `decision.json`.
        amount: The column of what is at stake; empty where rows have none.

    Raises:
        ConfigError: Rows have no amount.
    """
    decision = experiment.decision
    rule = decision.row_rule(experiment.protocol, verdict, experiment.seed, amount)
    if rule is None or not verdict:
        return None
    if not amount:
        raise ConfigError(
            "dataset.roles.amount: must be given for a bundle that decides on alerts."
        )
    facts = {
        "decision": decision.name,
        "action": verdict["action"],
        "sentence": verdict["sentence"],
    }
    return {**facts, **rule.as_dict(), "rule": class_path(type(rule))}


# Making a bundle: from a finished run to a signed folder, or to the reason why there is none.

BUDGET: dict[str, float] = {"rows": 25.0, "events": 50.0, "policy": 250.0}
"""Milliseconds within which 99 % of single answers must come, where none are named: a policy waits
for the disk; of units, which are histories, 2,000.
"""

PROOF_SECONDS = 600


def make_bundle(
    run: str,
    out: Path,
    *,
    key: Path,
    fields: Mapping[str, str],
    budget: float | None = None,
    n_cases: int = LEAST_CASES,
    prove: Callable[[Bundle], Json] | None = None,
    live: Recipe | Path | None = None,
) -> Bundle:
    """Write the bundle of a run.

    Args:
        run: Its folder, id, or the name of its experiment.
        out: The folder to write; an existing one is not overwritten.
        key: The private key to sign with.
        fields: What people say of the model, by `card.FIELDS`.
        budget: Milliseconds within which 99 % of single answers must come.
        n_cases: The number of real rows that a fresh process must answer alike.
        prove: Returns what the proof of a bundle shows; None starts the process.
        live: Settings of a policy in production, or a YAML of them; None takes those of the run.

    Raises:
        ConfigError: The run has no model to ask, or the folder is there.
        HwdsError: A gate refused the run, or the proof failed.
    """
    require_installed({"bundle": ("cryptography",)})
    folder = RunFolder.find(run)
    folder.require_finished()
    if out.exists():
        raise ConfigError(f"--out: {out} is there already; a bundle is never overwritten.")
    refuse_gated(folder)
    signer = signing_key(key)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        manifest = _fill_bundle(folder, part, n_cases, live)
        replace(manifest, files=files_of(part)).write(part, signer)
        proof = prove(Bundle.of_any_signer(part)) if prove else _run_proof(part)
        _keep_budget(manifest.kind, proof["latency"], budget)
        finished = _finish_manifest(folder, part, manifest, proof, fields)
        finished.write(part, signer)
        for path in (*part.rglob("*"), part):
            flush_to_disk(path)
        part.rename(out)
    except OSError as error:
        raise HwdsError(f"{out}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle.of_any_signer(out.resolve())


def _fill_bundle(
    folder: RunFolder, part: Path, n_cases: int, live: Recipe | Path | None
) -> Manifest:
    """Write all that is made of the run, and return the manifest before the proof."""
    experiment = check_asked(folder.read_config(secrets=True))
    policies: type[Policies] | None = hook_class(type(experiment.protocol), "policies", Policies)
    if policies is not None and experiment.protocol.frame_type is World:
        settings = policy_settings(policies, live) if isinstance(live, Path) else live
        played = policies.content(
            experiment.model,
            experiment.protocol,
            experiment.dataset.frame(),
            experiment.seed,
            settings or policies.settings(),
            n_cases,
        )
        return _write_parts(folder, experiment, part, played, None)
    if live is not None:
        raise ConfigError(
            f"--live: run {folder.title} is of protocol '{experiment.protocol.name}', which plays "
            f"no policy."
        )
    if not isinstance(experiment.protocol, Deployable):
        raise ConfigError(
            f"bundle: run {folder.title} is of protocol '{experiment.protocol.name}', which has "
            f"no model to ask"
            f" ({experiment.protocol.task}: its answers are about the data of the run, not about "
            f"new rows)."
        )
    frame = experiment.dataset.frame()
    stored = kept_model(folder)
    fitted = load_fitted(stored) if stored else fit_final(experiment, frame)
    content: Content
    if isinstance(frame, Table):
        content = RowContent.of(experiment, folder, fitted, frame, n_cases)
    elif isinstance(frame, Panel | Runs | Images):
        content = UnitContent(experiment, fitted, frame, folder, n_cases)
    else:
        raise ConfigError(f"bundle: nothing is asked of {type(frame).__name__} one by one.")
    save_fitted(fitted, part / MODEL)
    return _write_parts(folder, experiment, part, content, fitted)


def _write_parts(
    folder: RunFolder, experiment: Experiment, part: Path, content: Content, fitted: Any
) -> Manifest:
    """Write the parts of a bundle, its reference, decision and environment, and return the manifest
    before the proof.
    """
    config = folder.read_config()
    _write(part / CONFIG, config)
    for name in (STATE, PARITY):
        (part / name).mkdir()
    cases, tolerance, graph = content.write(part / STATE, part / PARITY)
    write_cases(part / PARITY, cases, tolerance)
    _write(part / REFERENCE, content.reference())
    if fitted is not None:
        _write(part / CONFORMAL, conformal_of(content, fitted))
    if isinstance(content, RowContent):
        amount = content.table.name("amount") if content.table.roles.get("amount") else ""
        tiers = stored_tiers(experiment, folder.read_verdict(), amount)
        if tiers:
            _write(part / DECISION, tiers)
    else:
        _write(part / DECISION, folder.read_verdict() or {})
    extras = extras_of_node("model", config["model"])
    write_environment(part / LOCK, part / LICENCES, extras)
    return Manifest(
        content.kind,
        experiment.protocol.task,
        folder.title,
        experiment.model.name,
        platform.python_version(),
        graph,
    )


def policy_settings(policies: type[Policies], path: Path) -> Recipe:
    """Return the settings of a policy in production from a YAML.

    Raises:
        ConfigError: It cannot be read, or a field is wrong.
    """
    names = [each.name for each in fields(policies.settings)]  # type: ignore[arg-type]
    return construct(policies.settings, "live", read_named_yaml(path, "--live", names))


def conformal_of(content: Content, fitted: Any) -> Json:
    """Return the conformal quantiles of a model: scores of held-out normal rows, or corrections of
    forecasts' quantiles.
    """
    if isinstance(content, RowContent):
        levels = np.linspace(0, 1, 101)
        normals = content.model.normals
        return {
            "normals": len(normals),
            "quantiles": np.quantile(normals, levels).tolist() if len(normals) else [],
        }
    kept = getattr(fitted, "calibration", None)
    return {
        "kind": type(fitted).__name__,
        "calibrated": kept is not None,
        "in": f"{MODEL}/" if kept is not None else None,
    }


def _run_proof(part: Path) -> Json:
    """Return the proof of a folder in a fresh process.

    Raises:
        HwdsError: It failed, with the reason.
    """
    words = [sys.executable, "-m", "hwds.serve.bundle.prove", str(part.resolve())]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=PROOF_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise HwdsError(
            f"bundle: no bundle is made, for a fresh process takes longer than {PROOF_SECONDS} s."
        ) from error
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"it was ended ({done.returncode})."])[-1]
        raise HwdsError(
            f"bundle: no bundle is made, for a fresh process does not answer as the run did: {why}"
        )
    proof: Json = json.loads(done.stdout.splitlines()[-1])
    return proof


def _keep_budget(kind: str, latency: Fields, budget: float | None) -> None:
    """Refuse a model that is too slow.

    Raises:
        HwdsError: 99 % of the answers took longer.
    """
    most = budget or BUDGET.get(kind, 2000.0)
    if latency["p99_ms"] > most:
        raise HwdsError(
            f"bundle: no bundle is made, for 99 % of answers take up to {latency['p99_ms']:g} ms; "
            f"{most:g} are allowed."
        )


def _finish_manifest(
    folder: RunFolder,
    part: Path,
    manifest: Manifest,
    proof: Json,
    fields: Mapping[str, str],
) -> Manifest:
    """Write latency, card and schema, and return the manifest of all files."""
    latency = proof.pop("latency")
    _write(part / LATENCY, latency | {"machine": folder.read_provenance().get("machine")})
    experiment = check_stored(folder.read_config(secrets=True))
    card = model_card(folder, experiment, folder.read_tables(), fields)
    _write(part / CARD_JSON, card)
    _write(part / CARD_SAGEMAKER, sagemaker_card(card))
    task = task_of(type(experiment.protocol), experiment.protocol.task)
    hub_task = task.hub_task if task else "other"
    write_markdown(part / CARD, front_matter(card, hub_task) + card_markdown(card, proof, latency))
    _write(part / SCHEMA, _schema(part, manifest))
    return replace(manifest, parity=proof, files=files_of(part))


def _schema(part: Path, manifest: Manifest) -> Json:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        bundle = Bundle(part, manifest, BundlePath(part, read_files(part)))
        service = service_of(bundle, Path(scratch) / "events.db")
        try:
            return service.question_schema()
        finally:
            service.close()


def _write(path: Path, content: Fields) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
