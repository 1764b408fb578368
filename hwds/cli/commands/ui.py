"""Open a local page that finds, sorts, draws, compares and labels runs.

It follows running runs, too.
"""

from __future__ import annotations

import click

from hwds.cli.words import WholeNumber, command


@command(help=__doc__)
@click.option(
    "--port",
    type=WholeNumber(most=65535),
    default=8473,
    show_default=True,
    help="The port; 0 takes a free one.",
)
def main(port: int) -> int:
    """Serve the page on this machine's loopback address until Ctrl-C.

    No other server is contacted, no number is changed.
    """
    from hwds.core.extras import require_installed
    from hwds.report.ui.server import ADDRESS, runs_server

    require_installed({"ui": ("starlette", "uvicorn")})
    with runs_server(port) as serving:
        print(f"http://{ADDRESS}:{serving.server_port} (Ctrl-C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
