"""The cache: an entry is whole or absent, what is damaged is made again, and nothing is made twice
at once.
"""

import subprocess
import sys

import pytest

from hwds.core.cache import Cache, Codec
from hwds.core.errors import HwdsError

TEXT = Codec("txt", str.encode, bytes.decode)

TWO = """
import sys, time
from pathlib import Path
from hwds.core.cache import Cache, Codec
TEXT = Codec("txt", str.encode, bytes.decode)

def make():
    with Path(sys.argv[1], "made").open("a") as file:
        file.write("x")
    time.sleep(0.5)
    return "slow"

Path(sys.argv[1], sys.argv[2]).touch()
while not all(Path(sys.argv[1], name).exists() for name in "ab"):
    time.sleep(0.01)
print(Cache(Path(sys.argv[1], "cache")).get_or_make("key", TEXT, make))
"""


def damages(content):
    """The bytes of an entry as a disk may leave them: cut off anywhere, empty, with a bit changed
    anywhere, longer.
    """
    yield from (content[:cut] for cut in range(len(content)))
    yield from (
        content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
        for at in range(len(content))
    )
    yield content + b"\0"


def test_whatever_happens_to_an_entry_it_is_made_again_and_never_read(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get_or_make("key", TEXT, lambda: "value") == "value"
    path = cache.path("key", TEXT)
    whole = path.read_bytes()
    for content in damages(whole):
        path.write_bytes(content)
        assert cache.load("key", TEXT) is None
        assert not cache.has("key", TEXT)
        path.write_bytes(content)
        assert cache.get_or_make("key", TEXT, lambda: "value") == "value"
        assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == [path.name]


def test_what_is_there_is_not_made(tmp_path):
    cache = Cache(tmp_path)
    cache.store("abc-0-4", TEXT, "value")
    cache.store("abc-4-8", TEXT, "")
    cache.store("abd-0-4", TEXT, "other")
    assert cache.get_or_make("abc-0-4", TEXT, lambda: pytest.fail("made again")) == "value"
    assert cache.get_or_make("abc-4-8", TEXT, lambda: pytest.fail("made again")) == ""
    assert sorted(cache.keys("abc-", TEXT)) == ["abc-0-4", "abc-4-8"]


def test_of_two_processes_that_want_the_same_one_makes_it(tmp_path):
    words = [sys.executable, "-c", TWO, str(tmp_path)]
    both = [subprocess.Popen([*words, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    assert [process.communicate(timeout=60)[0] for process in both] == ["slow\n", "slow\n"]
    assert (tmp_path / "made").read_text() == "x"


def test_what_fails_is_no_entry_and_holds_nobody_up(tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("key", TEXT, lambda: str(1 // 0))
    assert cache.get_or_make("key", TEXT, lambda: "value") == "value"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HwdsError, match=r"ke: cannot be written: Not a directory\.$"):
        Cache(tmp_path / "file").get_or_make("key", TEXT, lambda: "value")
