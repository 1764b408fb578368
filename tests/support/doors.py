"""Doors out of a sealed process: each function returns what it found outside, or fails."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from importlib.machinery import SourceFileLoader
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

SECRET, MEMORY, SOCKET = "DOORS_SECRET", "hwds-doors", "\0hwds-doors"
DATA, LINKED = Path("sales.csv"), Path("linked.py")


def by_opening() -> object:
    return DATA.read_text()


def by_an_importer() -> object:
    return SourceFileLoader("sales", str(DATA)).get_data(str(DATA))


def by_a_new_link() -> object:
    os.link(DATA, Path.home() / "other")
    return (Path.home() / "other").read_text()


def by_a_link_that_looks_like_code() -> object:
    return LINKED.read_text()


def by_an_open_folder() -> object:
    return os.open("sales.csv", os.O_RDONLY, dir_fd=os.open("/proc/self/cwd", os.O_PATH))


def by_polars() -> object:
    import polars as pl

    return pl.sql(f"SELECT * FROM read_csv('{DATA}')").collect()


def by_arrow() -> object:
    from pyarrow import csv

    return csv.read_csv(DATA)


def by_xgboost() -> object:
    import xgboost

    return xgboost.DMatrix(f"{DATA}?format=csv")


def by_another_program() -> object:
    return subprocess.run(["cat", DATA], capture_output=True, check=True).stdout


def by_its_name_alone() -> object:
    return next(path for path in Path.cwd().iterdir() if path.name == DATA.name)


def by_its_size() -> object:
    return DATA.stat().st_size


def by_the_environment() -> object:
    return os.environ[SECRET]


def by_the_parents_environment() -> object:
    return Path(f"/proc/{os.getppid()}/environ").read_bytes() or 1 / 0


def by_the_parents_files() -> object:
    return os.listdir(f"/proc/{os.getppid()}/fd")


def by_shared_memory() -> object:
    return SharedMemory(MEMORY).size


def by_a_connection() -> object:
    return socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 2)


def by_a_datagram() -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        return line.sendto(b"?", ("127.0.0.1", int(os.environ["PORT"])))


def by_a_socket_without_a_file() -> object:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(SOCKET)
    return SOCKET


DOORS = {name: door for name, door in list(globals().items()) if name.startswith("by_")}


def tried() -> dict[str, str]:
    """What each door came to, empty where it is closed."""

    def came_to(door) -> str:
        try:
            return str(door()) or "something"
        except Exception:
            return ""

    return {name: came_to(door) for name, door in DOORS.items()}


def answer(pipe: Connection) -> None:
    """Try all doors in a sealed process."""
    pipe.send_bytes(json.dumps(tried()).encode())
