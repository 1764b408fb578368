"""A process that runs one command line after the other, and begins anew where one of them does not
end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, Self

ALLOWED_S = 5.0
"""Seconds of CPU within which a wrong word is refused."""

PLAN_S, FIT_S = 20.0, 60.0
"""Seconds of CPU after which a plan, and a fit, is stopped."""

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Ending:
    """What a command line came to.

    Attributes:
        words: Its words.
        code: The exit code; None where it was stopped.
        seconds: Seconds of CPU.
        raised: The last line of a traceback and where it began; empty where there was none.
        last: What it said last.
        fits: It was to fit a model, which may take long.
    """

    words: list[str]
    code: int | None
    seconds: float
    raised: str
    last: str
    fits: bool = False

    @property
    def refused(self) -> bool:
        """It was refused in words."""
        return self.code == 2 and not self.raised

    @property
    def wrong(self) -> str:
        """What it should not have done; empty where it behaved."""
        if self.raised:
            return "traceback"
        if self.code is None:
            return (
                "" if self.fits else "hang"
            )  # a model of a thousand trees takes its time, and says so before
        if self.refused and self.seconds > ALLOWED_S:
            return "hang"
        return "" if self.code in (0, 1, 2, 3) else "exit code"


class Process:
    """The process.

    Args:
        folder: Its current folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, words: list[str] | tuple[str, ...], *, fits: bool = False) -> Ending:
        """Run one command line."""
        limit = FIT_S if fits else PLAN_S
        said = self._ask({"words": list(words), "limit": limit}, 6 * limit)
        if said is None:
            return Ending(list(words), None, limit, "", "was stopped", fits)
        return Ending(
            list(words), said["code"], said["seconds"], said["raised"], said["last"], fits
        )

    def leaves(self, words: tuple[str, ...]) -> list[tuple[str, Any]]:
        """Return every value of a composed experiment with its path."""
        found = self._ask({"leaves": list(words)}, 60) or []
        return [(path, value) for path, value in found]

    def flags(self) -> dict[str, list[tuple[str, bool]]]:
        """Return the flags of every command, and whether each takes a word."""
        found: dict[str, list[tuple[str, bool]]] = self._ask({"flags": True}, 60)
        return {name: [(flag, takes) for flag, takes in flags] for name, flags in found.items()}

    def runs(self) -> list[str]:
        """Return the ids of the finished runs."""
        return [path.parent.name for path in self.folder.glob("outputs/runs/*/*/scores.parquet")]

    def _ask(self, question: dict[str, Any], patience_s: float) -> Any:
        process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = Timer(patience_s, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if not answer:
            self._stop()
        return json.loads(answer) if answer else None

    def _started(self) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.mutated_commands"],
            cwd=self.folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
