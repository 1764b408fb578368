"""A Ray cluster of three raylets on this machine, in a process of its own; and what of it can be
killed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.support.processes import processes

KEEPER = """
import json, sys
from ray.cluster_utils import Cluster
head = {"num_cpus": 1, "include_dashboard": False, "temp_dir": sys.argv[1]}
cluster = Cluster(initialize_head=True, head_node_args=head)
nodes = [cluster.head_node, *(cluster.add_node(num_cpus=1) for _ in range(2))]
cluster.wait_for_nodes()
found = [{name: [one.process.pid for one in processes] for name, processes in node.all_processes.items()} for node in nodes]
print(json.dumps({"address": cluster.address, "nodes": found}), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


class ThreeNodes:
    """Started with the block and gone with it, whatever was killed.

    Attributes:
        address: Of the head node.
        token: The variables of who may join.
        nodes: The processes of each, by what they are.
    """

    def __enter__(self) -> ThreeNodes:
        self.home = tempfile.TemporaryDirectory(prefix="rc", dir="/tmp", ignore_cleanup_errors=True)
        command = [sys.executable, "-c", KEEPER, self.home.name]
        Path(
            self.home.name, "ray"
        ).mkdir()  # where Ray notes an address, and makes no folder for it
        quiet = {
            "RAY_TMPDIR": self.home.name,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "RAY_prestart_worker_first_driver": "0",
        }
        self.token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.keeper = subprocess.Popen(
            command, env=os.environ | quiet | self.token, **pipes, text=True
        )
        told = json.loads(self.keeper.stdout.readline())
        self.address, self.nodes = told["address"], told["nodes"]
        return self

    def __exit__(self, *_):
        with suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self.keeper.communicate(timeout=20)
        self.keeper.kill()
        for node in self.nodes:
            kill(node)
        self.home.cleanup()

    @property
    def words(self) -> list[str]:
        """What joins it."""
        return ["compute=cluster", f"compute.address={self.address}"]

    def workers(self, what: str) -> list[int]:
        """The processes that compute something whose name contains `what`."""
        raylets = {process for node in self.nodes for process in node["raylet"]}
        return [
            process for process, parent, title in processes() if parent in raylets and what in title
        ]


def kill(node: dict[str, list[int]]) -> None:
    """All processes of a node at once, as when it loses its power.

    Their workers end with the raylet.
    """
    for process in (process for own in node.values() for process in own):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
