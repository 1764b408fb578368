"""The files of the package that one command executes: `python -m tests.support.executed WORDS`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the command and print the files, one a line, on stderr."""
    import hwds

    root, files = str(Path(hwds.__file__).parent), set()

    def note(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        own = code.co_filename.startswith(root) and code.co_name != "<module>"
        if event == "call" and own:
            files.add(code.co_filename.removeprefix(f"{root}/"))

    sys.setprofile(note)
    threading.setprofile(note)
    from hwds.cli.main import main as hwds_main

    sys.argv = ["hwds", *sys.argv[1:]]
    try:
        hwds_main()
    finally:
        sys.setprofile(None)
        sys.stderr.write("".join(f"executed {name}\n" for name in sorted(files)))


if __name__ == "__main__":
    main()
