"""Show a finished run again: its leaderboard, its config and where it lies."""

from __future__ import annotations

from hwds.flags import one_run


def main(words: list[str]) -> int:
    """Print what a run found; RUN is a path, an id, its beginning, or an experiment's name for its latest run."""
    name = one_run("show", words)
    from hwds.report.standings import standings
    from hwds.report.tasks import print_run
    from hwds.results.folder import RunFolder

    folder = RunFolder.find(name)
    config, tables = folder.read_config(), folder.read_tables()
    headline = str(config["protocol"].get("headline", ""))
    origin = folder.read_provenance()
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
