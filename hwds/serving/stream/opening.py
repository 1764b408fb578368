"""Opens the folder of a stream, its source and its sinks by the words of a command."""

from __future__ import annotations

from pathlib import Path

from hwds.core.errors import ConfigError, nearest
from hwds.core.outputs import OUTPUTS
from hwds.core.secrets import without_secrets
from hwds.serving.stream.sinks.base import Sink
from hwds.serving.stream.sources.base import Source

SOURCES, SINKS = ("kafka", "kafkas", "kinesis", "mqtt", "mqtts"), ("http", "https", "mqtt", "mqtts", "sns")


def folder_of(run: str, store: str | None) -> Path:
    """Return the folder of a stream: the one that is named, or that of its run below `outputs/streams`."""
    from hwds.results.folder import RunFolder
    from hwds.results.streams import FOLDER

    return Path(store) if store is not None else OUTPUTS / FOLDER / RunFolder.find(run).title


def source_of(text: str, folder: Path, *, follow: bool) -> Source:
    """Return the source of a word.

    Raises:
        ConfigError: It is no file and no address that can be read from.
        HwdsError: It cannot be opened.
    """
    from hwds.serving.stream.sources.kafka import Kafka
    from hwds.serving.stream.sources.kinesis import Kinesis
    from hwds.serving.stream.sources.lines import JsonLines
    from hwds.serving.stream.sources.mqtt import Mqtt

    scheme, is_address, _ = text.partition("://")
    if is_address:
        _refuse_other("--from", scheme, text, SOURCES)
        if follow:
            raise ConfigError("stream: --follow goes with a file alone.")
        if scheme.startswith("kafka"):
            return Kafka(text)
        return Kinesis(text) if scheme == "kinesis" else Mqtt(text, str(folder.resolve()))
    return JsonLines(None if text == "-" else Path(text), follow=follow)


def sink_of(text: str, folder: Path) -> Sink:
    """Return the sink of a word.

    Raises:
        ConfigError: It is no address that can be sent to.
        HwdsError: It cannot be reached.
    """
    from hwds.serving.stream.sinks.mqtt import Mqtt
    from hwds.serving.stream.sinks.sns import Sns
    from hwds.serving.stream.sinks.webhook import Webhook

    scheme = text.partition("://")[0]
    _refuse_other("--to", scheme, text, SINKS)
    if scheme.startswith("http"):
        return Webhook(text)
    return (Sns if scheme == "sns" else Mqtt)(text, str(folder.resolve()))


def _refuse_other(flag: str, scheme: str, text: str, known: tuple[str, ...]) -> None:
    if scheme not in known or "://" not in text:
        addresses = [f"{name}://" for name in known]
        near = nearest(f"{scheme}://", addresses)
        raise ConfigError(f"stream: {flag}: must begin with {', '.join(addresses)}, got '{without_secrets(text)[:80]}'{near}")
