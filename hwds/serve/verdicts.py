"""Verdicts of gates on a run: kept in its folder, obeyed by `hwds bundle`, mirrored in MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hwds.core.checksums import write_json
from hwds.core.errors import HwdsError
from hwds.core.questions import Fields, Json
from hwds.results.files import read_json_mapping, write_markdown
from hwds.results.folder import RunFolder
from hwds.serve.services.opening import Bundle
from hwds.track.trackers.mlflow import mirror_bundle

# Verdicts of gates on a run: the last one of each stage, kept in the run's folder, which `hwds
# bundle` obeys.

VERDICTS, VERDICTS_PAGE = "gates.json", "gates.md"
"""The files in a run's folder with the last verdict of each stage, for programs and for people."""

OF_BUNDLE = ("latency", "drift")
"""Checks of a bundle that is there: what they refuse is mended by another bundle, so that they do
not stand before one.
"""


def read_verdicts(folder: RunFolder) -> dict[str, Json]:
    """Return the last verdict of each stage that has judged a run."""
    path = folder.path / VERDICTS
    return read_json_mapping(path) if path.is_file() else {}


def keep_verdict(folder: RunFolder, verdict: Fields) -> None:
    """Write a verdict in place of the last one of its stage, and the page of all."""
    verdicts = {**read_verdicts(folder), verdict["stage"]: dict(verdict)}
    write_json(folder.path / VERDICTS, verdicts)
    write_markdown(folder.path / VERDICTS_PAGE, "\n".join(_page(folder.title, verdicts)))


def refuse_gated(
    folder: RunFolder, what: str = "bundle", ignored: Sequence[str] = OF_BUNDLE
) -> None:
    """Refuse a run that the last verdict of any stage refused.

    Args:
        folder: The folder of the run.
        what: The command that stops, for the message.
        ignored: Checks that do not stop it.

    Raises:
        HwdsError: One did, with the checks of the run that failed.
    """
    for verdict in read_verdicts(folder).values():
        failed = [
            check["name"]
            for check in verdict["checks"]
            if not check["passed"] and check["name"] not in ignored
        ]
        if failed:
            raise HwdsError(
                f"{what}: gate '{verdict['gate']}' refused run {folder.title}: {', '.join(failed)};"
                " mend that and ask the gate again."
            )


def refuse_gated_bundle(run: str, what: str) -> bool:
    """Refuse the bundle of a run that any gate refused, be it for the bundle alone.

    Return whether the run is here to tell.

    Args:
        run: Its title.
        what: The command that stops.

    Raises:
        HwdsError: A gate did.
    """
    here = RunFolder.starting_with(run)
    for path in here:
        refuse_gated(RunFolder(path), what, ())
    return bool(here)


def verdicts_of(run: str) -> dict[str, Json]:
    """Return the verdicts on a run by its title; none where it is not here."""
    return {
        stage: verdict
        for path in RunFolder.starting_with(run)
        for stage, verdict in read_verdicts(RunFolder(path)).items()
    }


def _page(title: str, verdicts: Mapping[str, Fields]) -> Iterator[str]:
    yield f"# Gates of run {title}"
    for stage, verdict in verdicts.items():
        yield from (
            "",
            f"## {stage}: {verdict['outcome']}",
            "",
            f"Gate {verdict['gate']}, {verdict['when']}.",
            "",
        )
        yield from ("| check | | |", "|---|---|---|")
        for check in verdict["checks"]:
            yield (
                f"| {check['name']} | {'passed' if check['passed'] else '**refused**'} | "
                f"{check['sentence']} |"
            )
        yield from ("", "| evidence | SHA-256 |", "|---|---|")
        yield from (f"| {name} | `{digest}` |" for name, digest in verdict["evidence"].items())


# A bundle in MLflow's registry: what it is of, and what the gates of its run say.


def mirror_with_verdicts(bundle: Bundle, run: RunFolder, address: str) -> str:
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
    facts |= verdict_tags(verdicts)
    with tempfile.TemporaryDirectory() as folder:
        bundle.copy_to(Path(folder))
        version = mirror_bundle(address, name, Path(folder), manifest.digest, facts, aliases)
    return f"{name} version {version}"


def verdict_tags(verdicts: Mapping[str, Fields]) -> dict[str, str]:
    """Return the tags of a version: the outcome of each stage, and SageMaker's word for the last of
    them.
    """
    tags = {f"gate.{stage}": str(verdict["outcome"]) for stage, verdict in verdicts.items()}
    last = max(verdicts.values(), key=lambda verdict: str(verdict["when"]), default=None)
    return tags | (
        {}
        if last is None
        else {"approval_status": str(last["approval_status"]), "approver": str(last["approver"])}
    )
