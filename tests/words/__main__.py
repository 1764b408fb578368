"""Count, name or lower.

python -m tests.words                   counts by page
python -m tests.words FILE ...          each finding, with its line and what to write
python -m tests.words lower             lower the baseline to the present counts
python -m tests.words allow FILE ...    set the baseline of these files, more or less: for a
                                        file that is new, moved or merged
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.words import counts
from tests.words.reading import ROOT, pages, words


def table() -> str:
    """Return words, sentences and findings of every page."""
    lines = [f"{'words':>7}{'mean':>6}{'longest':>9}{'>25':>5}{'other':>7}  page"]
    for path in [path for path in pages() if path.suffix == ".md"]:
        lengths, found = counts.lengths(path) or [0], counts.found(path)
        long = sum(finding.rule == "long" for finding in found)
        mean = sum(lengths) / len(lengths)
        lines.append(
            f"{words(path.read_text()):>7,}{mean:>6.1f}{max(lengths):>9}{long:>5}"
            f"{len(found) - long:>7}  {path.relative_to(ROOT)}"
        )
    return "\n".join(lines)


def named(path: Path) -> str:
    """Return every finding of a file."""
    return "\n".join(
        f"{path}:{one.line}: {one.rule}: '{one.found}' -> {one.write}\n    {one.sentence}"
        for one in counts.found(path)
    )


def allow(starts: tuple[str, ...]) -> None:
    """Set the baseline of the files whose names start so to their present counts."""
    now, most = counts.counted(), counts.baseline()
    counts.write(
        {name: rules for name, rules in most.items() if not name.startswith(starts)}
        | {name: rules for name, rules in now.items() if name.startswith(starts)}
    )


def main(arguments: list[str]) -> None:
    """Do what the arguments say."""
    if not arguments:
        sys.stdout.write(table() + "\n")
    elif arguments == ["lower"]:
        counts.write(counts.lowest(counts.counted(), counts.baseline()))
    elif arguments[0] == "allow":
        allow(tuple(arguments[1:]))
    else:
        sys.stdout.write("\n".join(named(Path(name).resolve()) for name in arguments) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
