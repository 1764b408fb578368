"""Workers have sockets of their own, over which clients spread; who is killed is not waited for."""

import os
import pickle
import signal
import socket
import threading
import time
from multiprocessing import get_context

import pytest

from hwds.core.errors import ConfigError
from hwds.serve.server.run import WorkerSocket, _listening, _supervisor

uvicorn = pytest.importorskip("uvicorn")


def config(port=0, **settings):
    return uvicorn.Config("no:application", port=port, log_config=None, workers=2, **settings)


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system has one socket")
def test_clients_spread_over_the_sockets_of_workers():
    shared = _listening(config())
    assert isinstance(shared, WorkerSocket)
    workers = [pickle.loads(pickle.dumps(shared)) for _ in range(2)]
    for worker in workers:
        worker.listen()
        worker.setblocking(False)
    clients = [socket.create_connection(shared.address) for _ in range(64)]
    taken = [0, 0]
    for place, worker in enumerate(workers):
        for _ in clients:
            try:
                worker.accept()[0].close()
            except BlockingIOError:
                break
            taken[place] += 1
    assert sum(taken) == 64
    assert min(taken) >= 12, "one of 64 fair coins in a million has fewer heads"
    with pytest.raises(ConfigError, match="cannot be listened on"):
        _listening(config(shared.address[1]))
    for each in (*clients, *workers):
        each.close()


def test_a_worker_that_is_killed_while_it_is_asked_for_a_sign_of_life_is_not_waited_for(
    monkeypatch,
):
    from uvicorn.supervisors.multiprocess import Process

    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    parent = _supervisor(config(timeout_worker_healthcheck=30))
    worker = Process(parent.config, [])
    its_own = os.dup(worker.child_conn.fileno())
    monkeypatch.setattr(worker.process, "is_alive", lambda: True)
    monkeypatch.setattr(Process, "start", lambda self: None)
    parent.processes = [worker]
    threading.Timer(0.1, os.close, [its_own]).start()
    began = time.monotonic()
    with pytest.raises(AttributeError):  # it was never started, and is to be killed
        parent.keep_subprocess_alive()
    assert time.monotonic() - began < 10


def test_a_worker_that_computes_on_after_sigterm_is_killed(monkeypatch):
    from uvicorn.supervisors.multiprocess import Process

    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    monkeypatch.setattr("hwds.serve.server.run.KILL_SECONDS", 0.1)
    parent = _supervisor(config())
    worker = Process(parent.config, [])
    worker.process = get_context("spawn").Process(target=time.sleep, args=(600,))
    worker.start()
    parent.processes = [worker]
    parent.join_all()
    assert worker.exitcode == -signal.SIGKILL
