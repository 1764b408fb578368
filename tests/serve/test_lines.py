"""The line protocol under hostile input: one answer a line, in order, and the events among it are
scored as if alone.
"""

import io
import json
import random

import pytest

from hwds.serve.events import online as protocol
from hwds.serve.events.online import Online, answer_lines
from tests.serve.hostile_lines import HOSTILE, bad
from tests.serve.order_events import FEATURES, events, fitted, lines


@pytest.fixture(scope="module")
def served():
    """A model, the lines it was not fitted on, and their answers by themselves."""
    model, table = fitted(), lines(40, 5)
    made = [
        json.dumps(event, default=lambda value: value.isoformat()).encode()
        for event in events(table)
    ]
    with Online(model, FEATURES, table) as scorer:
        alone = list(answer_lines(scorer, io.BytesIO(b"\n".join(made))))
    return model, table, made, alone


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_each_kind_of_a_bad_line_is_refused_in_one_line(served, line):
    model, table, made, alone = served
    with Online(model, FEATURES, table) as scorer:
        told = list(answer_lines(scorer, io.BytesIO(b"\n".join([made[0], line, made[1]]))))
    assert (told[0], told[2]) == (alone[0], alone[1])
    assert set(json.loads(told[1])) == {"error"}
    assert len(told[1]) < 1200


def test_a_hundred_thousand_hostile_lines_are_answered_one_by_one(served):
    model, table, made, alone = served
    rng = random.Random(20)
    stream = [bad(rng) for _ in range(100_000)]
    places = sorted(rng.sample(range(len(stream)), len(made)))
    for place, line in zip(places, made, strict=True):
        stream[place] = line
    with Online(model, FEATURES, table) as scorer:
        told = list(answer_lines(scorer, io.BytesIO(b"\n".join(stream))))
    assert len(told) == len(stream)
    assert [told[place] for place in places] == alone
    wrong = [
        answer
        for place, answer in enumerate(told)
        if place not in set(places) and not answer.startswith('{"error"')
    ]
    assert not wrong, wrong[:3]


def test_a_line_that_is_too_long_is_one_answer(served, monkeypatch):
    model, table, made, alone = served
    monkeypatch.setattr(protocol, "LONGEST", 4000)
    with Online(model, FEATURES, table) as scorer:
        told = list(
            answer_lines(
                scorer,
                io.BytesIO(b"\n".join([made[0], b'{"id": "' + b"x" * 30_000 + b'"}', made[1]])),
            )
        )
    assert told == [
        alone[0],
        '{"error": "event: must be a line of 4,000 bytes at most."}',
        alone[1],
    ]
