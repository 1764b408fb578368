"""`python -m hwds` is `hwds`."""

import os
import sys

BEGUN_ANEW = os.environ.get("PYTHONHASHSEED") == "0"
"""Whether a command may have begun with hashes that are the same each time."""


def run() -> int:
    """Run the command, in a process whose hashes of texts are the same each time."""
    if any("=" in word for word in sys.argv[1:]):
        _fix_hashes()
    from hwds.cli.main import main

    return main()


def _fix_hashes() -> None:
    """Begin this process anew where that needs another seed, which Python reads at its start."""
    if sys.platform == "linux" and sys.executable and os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    sys.exit(run())
