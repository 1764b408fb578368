"""Open a local page on the runs: `hwds ui [--port 8473]`: find them, lay curves over each other, open reports."""

from __future__ import annotations

from hwds.errors import ConfigError
from hwds.flags import parsed, whole

FLAGS = ("--port",)
PORT = "8473"


def main(words: list[str]) -> int:
    """Serve the page on this machine's loopback address until Ctrl-C; nothing outside it is asked, no run is changed."""
    names, flags = parsed("ui", words, FLAGS)
    if names:
        raise ConfigError(f"ui: takes no names, got '{names[0]}'.")
    port = whole("--port", flags.get("--port", PORT))
    if port > 65535:
        raise ConfigError(f"--port: must be at most 65535, got {port}.")
    from hwds.report.ui_server import ADDRESS, server

    with server(port) as serving:
        print(f"http://{ADDRESS}:{serving.server_port} (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def choices() -> list[str]:
    """The flag, for completion."""
    return [*FLAGS]
