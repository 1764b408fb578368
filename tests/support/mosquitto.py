"""A real MQTT broker for tests: Mosquitto, which .ci/run installs."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

PATH = shutil.which(
    "mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin"
)
SECURITY = next(Path("/usr").glob("lib*/**/mosquitto_dynamic_security.so"), None)
"""The broker's own module of access rights; packages of a few systems leave it out."""


class Mosquitto:
    """A broker of its own that keeps what it was given when it is started again.

    Args:
        folder: Its files.
        tls: A certificate, its key and the authority's certificate; None for plain connections.
        closed: Whether it takes no subscription.
    """

    def __init__(
        self, folder: Path, tls: tuple[Path, Path, Path] | None = None, *, closed: bool = False
    ) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "max_queued_messages 0",
            "persistence true",
        ]
        lines += [
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "user root",
            "log_type error",
        ]
        if tls:
            lines += [f"certfile {tls[0]}", f"keyfile {tls[1]}"]
        if closed:
            (folder / "security.json").write_text('{"defaultACLAccess": {"subscribe": false}}')
            lines += [f"plugin {SECURITY}", f"plugin_opt_config_file {folder / 'security.json'}"]
        (folder / "mosquitto.conf").write_text("\n".join([*lines, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert PATH is not None
        self._process = subprocess.Popen(
            [PATH, "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("mosquitto did not start")

    def stop(self) -> None:
        """End it; it keeps its messages."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
            self._process = None

    def client(self, name: str, *, keep: bool = False, ahead: int = 1000) -> Any:
        """Return a client that has so many messages under way at most.

        The broker keeps those for one that is to be kept.
        """
        from paho.mqtt.client import Client, MQTTv5
        from paho.mqtt.enums import CallbackAPIVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        made, properties = (
            Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5),
            Properties(PacketTypes.CONNECT),
        )
        properties.SessionExpiryInterval = 1000 if keep else 0
        made.max_inflight_messages_set(ahead)
        made.reconnect_delay_set(1, 1)
        made.connect("127.0.0.1", self.port, clean_start=not keep, properties=properties)
        made.loop_start()
        return made

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
