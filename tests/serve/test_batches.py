"""Rows of requests that come together are answered by one call of the model, each as if it stood
alone.
"""

import asyncio

import polars as pl
import pytest

from hwds.serve.server.core import MOST, Batches
from hwds.serve.services.opening import RowService
from tests.serve.test_server import ROW


@pytest.fixture
def service(bundle):
    return bundle.service()


def together(service, requests, seconds=0.0):
    calls = []

    async def run():
        batches = Batches(seconds, calls.append)
        asked = (batches.answer(service, service.read(questions)) for questions in requests)
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run()), len(calls)


def test_answers_are_those_of_each_request_alone(service):
    assert isinstance(service, RowService)
    requests = [[ROW | {"spent": float(place)}, {"spent": 3.0}] for place in range(9)]
    answers, calls = together(service, requests)
    assert calls == 1
    for said, questions in zip(answers, requests, strict=True):
        for got, want in zip(said, service.answer(questions), strict=True):
            assert got == pytest.approx(want)


def test_a_batch_is_not_larger_than_allowed(service):
    answers, calls = together(service, [[ROW] * 60] * 10)
    assert [len(said) for said in answers] == [60] * 10
    assert calls == -(-600 // (MOST // 60 * 60))


@pytest.mark.parametrize("failure", [ZeroDivisionError, pl.exceptions.PanicException])
def test_a_failure_is_that_of_the_request_whose_rows_fail(service, monkeypatch, failure):
    scored = service.score

    def fails(rows):
        if any(row.id == "bad" for row in rows):
            raise failure("here")
        return scored(rows)

    monkeypatch.setattr(service, "score", fails)
    (good, bad), calls = together(service, [[ROW], [ROW | {"id": "bad"}]])
    assert isinstance(bad, failure)
    assert good == scored(service.read([ROW]))
    assert calls == 3


def test_requests_wait_for_others_only_while_they_come_together(service, monkeypatch):
    async def run():
        waits = []
        batches, loop = Batches(0.05, lambda _: None), asyncio.get_running_loop()
        later = loop.call_later
        monkeypatch.setattr(
            loop,
            "call_later",
            lambda seconds, *rest: waits.append(seconds) or later(seconds, *rest),
        )
        for together in (1, 3, 1, 1):
            await asyncio.gather(
                *(batches.answer(service, service.read([ROW])) for _ in range(together))
            )
            seen.append(len(waits))

    seen: list[int] = []
    asyncio.run(run())
    assert seen == [0, 0, 1, 1]
