"""Show a finished run again: its leaderboard, its config and where it lies."""

from __future__ import annotations

import json

from hwds.errors import ConfigError


def main(words: list[str]) -> int:
    """Print what a run found; RUN is a path, an id, its beginning, or an experiment's name for its latest run."""
    if len(words) != 1:
        raise ConfigError(f"show: must be followed by one run, got {len(words)}.")
    from hwds.report.standings import standings
    from hwds.report.tasks import print_run
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(words[0])
    config, tables = folder.read_config(), folder.read_tables()
    headline = str(config["protocol"].get("headline", ""))
    origin = json.loads((folder.path / "provenance.json").read_text())
    model, dataset, protocol = (config[group]["name"] for group in ("model", "dataset", "protocol"))
    print(f"{folder.title}: {model} on {dataset}, {protocol}, seed {config['seed']}")
    print(f"{origin['command']}\n")
    print_run(tables, standings(tables, headline, model=model), folder.read_conclusion())
    verdict = folder.read_verdict()
    if verdict is not None:
        print(verdict["sentence"])
    print(f"Results: {folder.path}")
    return 0


def choices() -> list[str]:
    """The runs that there are, for completion."""
    from hwds.results.folder import RunFolder

    return RunFolder.names()
