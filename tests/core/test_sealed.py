"""What a sealed process can reach, and what it starts from."""

import json
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from hwds.core.sealed import ForkServer, Given, given_code
from tests.support import doors

TEST = Path(__file__).resolve()
HERE = f"{__name__}:"


@pytest.fixture(scope="module")
def server():
    with ForkServer(["polars"], {"POLARS_MAX_THREADS": "1"}) as server:
        yield server


def asked(server, entry, *files, folder="/", **variables):
    """The answer of a function of this module or of `doors`, and the walls that are lacking."""
    modules = {__name__: str(TEST), "tests.support.doors": doors.__file__}
    given = Given(modules, [*map(str, files)], str(folder), variables)
    with server.start(entry, given) as process:
        return json.loads(process.pipe.recv_bytes()), process.lacking


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder and a machine in which every door leads to something."""
    (tmp_path / doors.DATA).write_text("a,b\n1,2\n")
    os.link(tmp_path / doors.DATA, tmp_path / doors.LINKED)
    monkeypatch.setenv(doors.SECRET, "told")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    memory = SharedMemory(doors.MEMORY, create=True, size=8)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(doors.SOCKET)
        abstract.listen()
        monkeypatch.setenv("PORT", str(tcp.getsockname()[1]))
        yield tmp_path
    memory.close()
    memory.unlink()


def test_every_door_leads_out_of_an_open_process_and_none_out_of_a_sealed_one(server, outside):
    assert [name for name, found in doors.tried().items() if not found] == []
    port = os.environ["PORT"]
    found, lacking = asked(server, "tests.support.doors:answer", folder=outside, PORT=port)
    if lacking:
        pytest.skip(f"this kernel lacks {', '.join(lacking)}")
    assert [name for name, what in found.items() if what] == []


def facts(pipe):
    """What a sealed process starts from, and what it may write."""
    Path("/dev/shm/kept").write_text("x")
    (Path.home() / "kept").write_text("x")
    variables = {name: os.environ[name] for name in ("TZ", "LANG", "PYTHONHASHSEED", "GIVEN")}
    content = Path("named.csv").read_text()
    pipe.send_bytes(
        json.dumps([variables, sorted(sys.modules), content, str(Path.home())]).encode()
    )


def test_it_has_a_fixed_environment_the_files_that_are_named_and_a_folder_that_goes(
    server, tmp_path, monkeypatch
):
    (tmp_path / "named.csv").write_text("a\n1\n")
    monkeypatch.setenv("TZ", "Pacific/Apia")
    named = tmp_path / "named.csv"
    (variables, modules, content, home), lacking = asked(
        server, HERE + "facts", named, folder=tmp_path, GIVEN="yes"
    )
    assert variables == {"TZ": "UTC", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "GIVEN": "yes"}
    assert content == named.read_text()
    assert "polars" in modules  # the server has imported it once
    assert not Path(home).exists()
    if not lacking:
        assert not Path("/dev/shm/kept").exists()


KILLED = """
import sys, time
from hwds.core.sealed import ForkServer, Given
process = ForkServer().start("time:sleep", Given())
print(process.scratch, flush=True)
time.sleep(600)
"""


def test_the_folder_of_a_process_that_was_killed_goes_and_that_of_one_alive_stays(server, tmp_path):
    tell = {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    alive, killed = (
        subprocess.Popen(
            [sys.executable, "-c", KILLED], env=tell, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    )
    kept, left = (Path(each.stdout.readline().strip()) for each in (alive, killed))
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    other = tmp_path / left.name.replace("hwds-sealed-", "hwds-sealed-0")  # of another system
    other.mkdir()
    assert {kept, left, other} == {*tmp_path.iterdir()}
    (left / "file").write_text("x")
    again = subprocess.Popen([sys.executable, "-c", KILLED], env=tell, stdout=subprocess.PIPE)
    new = Path(again.stdout.readline().decode().strip())
    assert {kept, new, other} == {*tmp_path.iterdir()}
    for process in (alive, again):
        process.kill()
        process.wait()
        process.stdout.close()
    killed.stdout.close()


def forgets(pipe):
    """Whether another process of this server was here before."""
    before = hasattr(sys, "been_here")
    sys.been_here = True
    pipe.send_bytes(json.dumps(before).encode())


def test_nothing_stays_from_one_process_to_the_next(server):
    assert [asked(server, HERE + "forgets")[0] for _ in range(2)] == [False, False]


def works(pipe):
    """Sum with polars, which has threads and was imported before the fork."""
    import polars as pl

    frame = pl.DataFrame({"a": range(1000), "b": [i % 7 for i in range(1000)]})
    pipe.send_bytes(json.dumps(frame.group_by("b").agg(pl.sum("a")).sum()["a"][0]).encode())


def test_libraries_of_the_server_work_after_the_fork(server):
    assert asked(server, HERE + "works")[0] == 499500


def fails(pipe):
    """End without an answer."""
    raise RuntimeError("no answer")


def test_a_process_that_fails_or_a_module_that_is_not_named_ends_the_pipe(server):
    for given, entry in ((Given({__name__: str(TEST)}), HERE + "fails"), (Given(), HERE + "facts")):
        with server.start(entry, given) as process, pytest.raises(EOFError):
            process.pipe.recv_bytes()


def test_code_is_given_by_its_imports_with_the_files_that_it_names(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sealed_model.py").write_text(
        "import sealed_helper\nTABLE = 'codes.json'\nclass Model: pass\n"
    )
    (tmp_path / "sealed_helper.py").write_text("X = 1\n")
    (tmp_path / "codes.json").write_text("{}")
    given = given_code({"recipe": "sealed_model:Model"}, ["/named.csv"])
    assert set(given.modules) == {"sealed_model", "sealed_helper"}
    assert [Path(path).name for path in given.files] == ["codes.json", "named.csv"]
    assert "sealed_model" not in sys.modules
