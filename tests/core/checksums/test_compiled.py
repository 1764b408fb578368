"""Compiled code on disk is loaded where it is whole, compiled again where it is damaged, and
compiled by one process alone.
"""

import os
import subprocess
import sys

import pytest

from hwds.core import compiling as numba_cache
from hwds.core.files import digest_file


def twice(x):
    return 2.0 * x


def is_whole(path):
    return path.with_name(f"{path.name}.digest").read_text() == digest_file(path)


def called():
    """Call the function as a fresh process would; return how often its code was loaded."""
    numba_cache._compiled.cache_clear()
    function = numba_cache.compiled(twice)
    assert function(3.0) == 6.0
    return sum(function.stats.cache_hits.values())


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_damaged_machine_code_is_made_again(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert (called(), called()) == (0, 1)
    (path,) = tmp_path.rglob(f"*.{kind}")
    whole = path.read_bytes()
    for place, size in ((len(whole) // 2, None), (40, None), (0, len(whole) // 3), (0, 0)):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data if size is None else whole[:size])
        assert not is_whole(path)
        assert called() == 0
        assert is_whole(path)
        assert called() == 1
    path.with_name(f"{path.name}.digest").unlink()  # as of a process that was killed before
    assert (called(), called()) == (0, 1)
    numba_cache._compiled.cache_clear()
    assert not [name for name in os.listdir(path.parent) if "part" in name]


IN_A_PROCESS = """
import sys
import numba
from tests.core.checksums.test_compiled import called
print("ready", flush=True)
sys.stdin.readline()
print(called())
"""


def test_of_processes_that_need_it_at_once_one_compiles(tmp_path):
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    line = [sys.executable, "-c", IN_A_PROCESS]
    started = [
        subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in started] == ["ready\n", "ready\n"]
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(process.communicate()[0] for process in started) == ["0\n", "1\n"]
    assert list(tmp_path.rglob("*.lock")) == []
