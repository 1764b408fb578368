"""`python -m hwds` is `hwds`."""

import os
import sys

BEGUN_ANEW = os.environ.get("PYTHONHASHSEED") == "0"
"""Whether a command may have begun with hashes that are the same each time."""

COMPUTING = {"bundle", "pipeline", "predict", "study"}
"""Commands that compute without a setting among their words."""


def run() -> int:
    """Run the command; one that computes has the environment of every process that does."""
    words = sys.argv[1:]
    if COMPUTING.intersection(words) or any("=" in word for word in words):
        _fix_environment()
    from hwds.cli.main import main

    return main()


def _fix_environment() -> None:
    """Fix the variables of this process, and start it again if Python has begun with other
    hashes.
    """
    from hwds.core.walls import fix_environment

    fix_environment()
    if sys.platform == "linux" and sys.executable and not BEGUN_ANEW:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    sys.exit(run())
