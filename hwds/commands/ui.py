"""Open a local page on the runs: `hwds ui [--port 8473]`: find them, lay curves over each other, open reports."""

from __future__ import annotations

from hwds.errors import ConfigError
from hwds.flags import parsed

FLAGS = ("--port",)
PORT = "8473"


def main(words: list[str]) -> int:
    """Serve the page on this machine's loopback address until Ctrl-C; nothing outside it is asked, nothing is written."""
    names, flags = parsed("ui", words, FLAGS)
    if names:
        raise ConfigError(f"ui: takes no names, got '{names[0]}'.")
    text = flags.get("--port", PORT)
    if not text.isdigit() or int(text) > 65535:
        raise ConfigError(f"--port: must be a number up to 65535, got '{text}'.")
    from hwds.report.ui_server import ADDRESS, server

    with server(int(text)) as serving:
        print(f"http://{ADDRESS}:{serving.server_port} (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def choices() -> list[str]:
    """The flag, for completion."""
    return [*FLAGS]
