"""Training in a container by SageMaker's contract: `python -m hwds.cli.train [ROOT]`, of which ROOT
is else /opt/ml.

Hyperparameters are overrides of an experiment (`model.trees: "200"`), channels are folders of data,
and the model goes out as a signed bundle. The reason why there is none is in ROOT/output/failure.
See the developer guide of SageMaker, "Use your own training algorithms".
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwds.cli.experiment import run_composed
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, HwdsError
from hwds.experiment.spec import check
from hwds.results.folder import RunFolder
from hwds.serve.bundle.card import FIELDS
from hwds.serve.bundle.make import make_bundle
from hwds.serve.bundle.manifest import PUBLIC_SUFFIX, default_key

ROOT = Path("/opt/ml")

CHANNEL = "channel:"
"""A value that begins so is the path of a channel: `channel:train/orders.parquet`."""

TRAIN = ("train", "training")
"""Channels whose one file is the dataset where no hyperparameter names another."""

CARD = "card."
"""Hyperparameters that begin so are fields of the card."""

NO_SWEEP = "sweep: must be none in a container, whose model is that of one run."

LONGEST = 1024
"""Characters of a failure that SageMaker shows."""


def train_in_container(root: Path) -> None:
    """Run the experiment of a container and write its bundle.

    Args:
        root: The folder with `input`, `model` and `output`.

    Raises:
        ConfigError: A hyperparameter is wrong, or a channel is not there.
        HwdsError: The run failed, or its model gets no bundle.
    """
    given = _mapping(root / "input" / "config" / "hyperparameters.json")
    card = card_fields(given)
    words = overrides(
        {name: value for name, value in given.items() if not name.startswith(CARD)}, root
    )
    work = _work(root)
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    data = compose(words)
    code, folder = run_composed(data)
    if not isinstance(folder, RunFolder):
        raise ConfigError(NO_SWEEP)
    if code:
        raise HwdsError(f"train: the run ended with {code}; its log says why.")
    deliver(folder.path, root, card)


def check_given(given: Mapping[str, str], channels: Sequence[str]) -> None:
    """Refuse hyperparameters that a training would refuse, before a machine is started for it.

    Args:
        given: The hyperparameters.
        channels: The channels that it will have.

    Raises:
        ConfigError: One is wrong, or the dataset reads no file, or one of this folder.
    """
    card_fields(given)
    words = {name: value for name, value in given.items() if not name.startswith(CARD)}
    with tempfile.TemporaryDirectory() as folder:
        config = compose(
            overrides(
                {name: value for name, value in words.items() if not value.startswith(CHANNEL)},
                Path(folder),
            )
        )
        if "path" not in config["dataset"]:
            raise ConfigError(
                f"dataset: must read a file, which the channel brings, got "
                f"'{config['dataset']['name']}'."
            )
        if not (path := words.get("dataset.path", CHANNEL)).startswith((CHANNEL, "/")):
            raise ConfigError(
                f"dataset.path: must be a file of a channel ({CHANNEL}NAME), or be left out, got "
                f"'{path}'."
            )
        for name in channels:
            (channel := _channel(name, Path(folder))).mkdir(parents=True)
            (channel / "rows.csv").touch()
        data = compose(overrides(words, Path(folder)))
    if data["sweep"]["name"] != "none":
        raise ConfigError(NO_SWEEP)
    check(data)


def card_fields(given: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the card among hyperparameters.

    Raises:
        ConfigError: The card has no such field.
    """
    card = {
        name.removeprefix(CARD): value for name, value in given.items() if name.startswith(CARD)
    }
    if wrong := sorted(set(card) - set(FIELDS)):
        raise ConfigError(
            f"{CARD}{wrong[0]}: the card has no such field; known: {', '.join(FIELDS)}."
        )
    return card


def _work(root: Path) -> Path:
    """Return where the run is kept: with the checkpoints, where there are some, so that a spot
    instance goes on.
    """
    checkpoints = root / "checkpoints"
    return checkpoints if checkpoints.is_dir() else root / "output" / "data"


def overrides(given: Mapping[str, str], root: Path) -> list[str]:
    """Return the hyperparameters as overrides of an experiment.

    Args:
        given: The hyperparameters by path; a value may be a text in quotes, as SageMaker's SDK
            writes it, or the path of a channel.
        root: The root folder of the container.

    Raises:
        ConfigError: A channel is not there.
    """
    values = {name: _value(name, text, root) for name, text in given.items()}
    if "dataset.path" not in values and (
        channel := next((name for name in TRAIN if _channel(name, root).is_dir()), None)
    ):
        values["dataset.path"] = str(_only_file(channel, root))
    return [
        f"{'+' if name == 'experiment' else ''}{name}={value}" for name, value in values.items()
    ]


def _value(name: str, text: str, root: Path) -> str:
    if text[:1] == text[-1:] == '"' and len(text) > 1:
        text = _unquote(name, text)
    if not text.startswith(CHANNEL):
        return text
    channel, _, rest = text.removeprefix(CHANNEL).partition("/")
    folder = _channel(channel, root)
    if not folder.is_dir():
        raise ConfigError(
            f"{name}: there is no channel '{channel}'; there are "
            f"{', '.join(_channels(root)) or 'none'}."
        )
    return str(folder / rest if rest else _only_file(channel, root))


def _unquote(name: str, text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise ConfigError(f"{name}: must be a text or a JSON text, got {text[:80]}.") from error


def _only_file(channel: str, root: Path) -> Path:
    """Return the file of a channel, or a glob over those of one kind.

    Raises:
        ConfigError: It has none, or several kinds.
    """
    folder = _channel(channel, root)
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    )
    kinds = sorted({"".join(path.suffixes) for path in files})
    if len(kinds) != 1:
        raise ConfigError(
            f"channel '{channel}': must have files of one kind, got {', '.join(kinds) or 'none'}."
        )
    return files[0] if len(files) == 1 else folder / "**" / f"*{kinds[0]}"


def _channel(name: str, root: Path) -> Path:
    return root / "input" / "data" / name


def _channels(root: Path) -> list[str]:
    folder = root / "input" / "data"
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )


def deliver(folder: Path, root: Path, card: Mapping[str, str]) -> None:
    """Write the bundle of a run where SageMaker takes the model from, and its public key among the
    output.

    A bundle that the image has brought there goes, for a folder with files of two is no bundle.
    """
    key, part = default_key(), root / "output" / "data" / "bundle.part"
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    bundle = make_bundle(str(folder), part, key=key, fields=card)
    for path in (root / "model").glob("*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    bundle.copy_to(root / "model")
    shutil.rmtree(part)
    shutil.copyfile(
        key.with_name(key.name + PUBLIC_SUFFIX), root / "output" / "data" / "trusted.pub"
    )


def _mapping(path: Path) -> dict[str, str]:
    """Return a file of texts by name.

    Raises:
        ConfigError: It is none.
    """
    try:
        stored: Any = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: must be a JSON object of texts ({type(error).__name__})."
        ) from error
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise ConfigError(f"{path}: must be a JSON object of texts.")
    return stored


def main(words: list[str]) -> int:
    """Train, and return the exit code; a failure is in its file and in the log."""
    root = (Path(words[0]) if words else ROOT).resolve()
    try:
        train_in_container(root)
    except Exception as error:
        failure = root / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        expected = isinstance(error, HwdsError)
        message = str(error) if expected else traceback.format_exc()
        failure.write_text(message[-LONGEST:], encoding="utf-8")
        sys.stderr.write(f"{message}\n")
        return error.exit_code if isinstance(error, HwdsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
