"""A sealed folder is whole, and damage to any of its files is noticed and mended."""

import os
import random
from pathlib import Path

import pytest

from hwds.core.checksums import SEAL, is_sound, lay_sealed, require_sound
from hwds.core.errors import HwdsError

FILES = {"a.arrow": bytes(range(200)), "b.json": b'{"x": 1}', "empty": b""}


def fill(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_bytes(content)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_flip_truncation_and_missing_file_is_noticed_and_written_again(tmp_path):
    folder, rng = tmp_path / "frames" / "f", random.Random(3)
    lay_sealed(folder, fill)
    whole = content(folder)
    assert is_sound(folder)
    for _ in range(60):
        name = rng.choice([name for name in sorted(whole) if whole[name]])
        data, path = bytearray(whole[name]), folder / name
        how = rng.choice(("flip", "truncate", "delete", "more"))
        if how == "flip":
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data[: rng.randrange(len(data))] if how == "truncate" else data)
        if how == "delete":
            path.unlink()
        if how == "more":
            (folder / "other").write_bytes(b"x")
        with pytest.raises(HwdsError, match=r"^\S+: is damaged; run it again\.$"):
            require_sound(folder, "run it again")
        lay_sealed(folder, fill)
        assert content(folder) == whole
    assert [path.name for path in folder.parent.iterdir()] == ["f"]


def test_a_sound_folder_stays_and_one_without_a_seal_is_written_again(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    fill(folder)
    lay_sealed(folder, fill)
    assert set(content(folder)) == {*FILES, SEAL}

    def again(_: Path) -> None:
        raise AssertionError

    lay_sealed(folder, again)


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path):
    def full(folder: Path) -> None:
        fill(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(HwdsError, match="cannot be written: No space left on device"):
        lay_sealed(tmp_path / "f", full)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_of_the_same_number_left_is_no_hindrance(tmp_path):
    left = tmp_path / f".f.{os.getpid()}.part"
    left.mkdir()
    (left / "half").write_bytes(b"x")
    lay_sealed(tmp_path / "f", fill)
    assert set(content(tmp_path / "f")) == {*FILES, SEAL}
