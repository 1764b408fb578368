"""Show what a run would do, without doing it: the config and its origins, the cells, which are kept, how long it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwds.execution.prepare import Prepared


def main(words: list[str]) -> int:
    """Print the plan of the experiment that the words compose."""
    from hwds.config.check import check
    from hwds.config.compose import compose
    from hwds.config.origin import origins
    from hwds.execution.prepare import prepare

    words = [f"+{word}" if word.startswith("experiment=") else word for word in words]
    data = compose(words)
    experiment = check(data)
    for path, (value, origin) in origins(data, words).items():
        print(f"{f'{path}: {_text(value)}':<60}  {origin}")
    prepared = prepare(experiment)
    _print_cells(prepared)
    return 0


def _print_cells(prepared: Prepared) -> None:
    from hwds.execution.estimate import estimate, missing_cells

    missing = missing_cells(prepared)
    print(f"\nrun {prepared.folder.title}{' (finished)' if (prepared.folder.path / 'scores.parquet').is_file() else ''}")
    for fold in prepared.work.folds:
        cells = [cell for cell in prepared.work.cells if cell.fold.index == fold.index]
        left = sum(cell in missing for cell in cells)
        print(f"  fold {fold.index} ({fold.name}): {len(cells)} cells, {len(cells) - left} kept, {len(fold.cutoffs)} cutoffs")
    seconds = estimate(prepared, missing)
    if not missing:
        said = "nothing to compute"
    else:
        said = (
            "time unknown: a model was never timed on this dataset"
            if seconds is None
            else f"about {seconds:.0f} s of computing"
        )
    print(f"cells: {len(prepared.work.cells)}, to compute: {len(missing)}; {said}")


def _text(value: object) -> str:
    text = {True: "true", False: "false", None: "null"}.get(value) if isinstance(value, bool | None) else None
    return text or str(value)
