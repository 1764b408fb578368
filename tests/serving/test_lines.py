"""The line protocol under hostile input: one answer a line, in order, and the events among it are scored as if alone."""

import io
import json
import random

import pytest

from hwds.serving import lines as protocol
from hwds.serving.lines import answers
from hwds.serving.online import Online
from tests.serving.order_events import FEATURES, events, fitted, lines

HOSTILE = [
    b'{"label":1,"of":"E1"',
    b'["of","label"]',
    b'{"of": [1], "label": 1}',
    b'{"of": true, "label": 1}',
    b'{"of": "line 0", "label": ' + b"7" * 5000 + b"}",
    b'{"of": "line 0", "label": [0]}',
    b'{"of": "line 0", "label": 1, "at": {"x": 1}}',
    b'{"of": "never came", "label": 1}',
    b"[" * 3000,
    b'{"id": "\\ud800"}',
    b'{"id": "a", "customer": "\\udfff"}',
    b"\xff",
    b"{\xc3\x28}",
    '{"id": "x"}'.encode("utf-16"),
    b'{"id": ["x"]}',
    b'{"id": {"a": 1}}',
    b'{"id": 1.5}',
    b'{"id": null}',
    b'{"id": "' + b"i" * 2000 + b'"}',
    b'{"id": 1e999, "time": NaN}',
    b'{"id": "n", "time": "noon"}',
    b'{"id": "o", "time": "2024-01-01", "quantity": 123456789012345678901234567890}',
    b'{"id": "q", "time": "2024-01-01", "quantity": NaN}',
    b'{"id": "r", "time": "2024-01-01", "quantity": -Infinity}',
    b'{"id": "s", "time": "2024-01-01", "quantity": "' + b"9" * 4000 + b'"}',
    b'{"id": "line 0", "time": "2024-01-01", "quantity": 3}',
    b"null",
    b"0",
    b'"of"',
    b"{}",
    b"\x00\x01\x02",
    b"\xef\xbb\xbf{}",
]
"""Of each kind one; the fuzz takes them as they are, cut and with bytes changed."""


@pytest.fixture(scope="module")
def served():
    """A model, the lines it was not fitted on, and their answers by themselves."""
    model, table = fitted(), lines(40, 5)
    made = [json.dumps(event, default=lambda value: value.isoformat()).encode() for event in events(table)]
    with Online(model, FEATURES, table) as scorer:
        alone = list(answers(scorer, io.BytesIO(b"\n".join(made))))
    return model, table, made, alone


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_each_kind_of_a_bad_line_is_refused_in_one_line(served, line):
    model, table, made, alone = served
    with Online(model, FEATURES, table) as scorer:
        told = list(answers(scorer, io.BytesIO(b"\n".join([made[0], line, made[1]]))))
    assert (told[0], told[2]) == (alone[0], alone[1])
    assert set(json.loads(told[1])) == {"error"}
    assert len(told[1]) < 1200


def test_a_hundred_thousand_hostile_lines_are_answered_one_by_one(served):
    model, table, made, alone = served
    luck = random.Random(20)
    stream = [bad(luck) for _ in range(100_000)]
    places = sorted(luck.sample(range(len(stream)), len(made)))
    for place, line in zip(places, made, strict=True):
        stream[place] = line
    with Online(model, FEATURES, table) as scorer:
        told = list(answers(scorer, io.BytesIO(b"\n".join(stream))))
    assert len(told) == len(stream)
    assert [told[place] for place in places] == alone
    wrong = [answer for place, answer in enumerate(told) if place not in set(places) and not answer.startswith('{"error"')]
    assert not wrong, wrong[:3]


def bad(luck):
    """A hostile line: whole, cut short, or with a byte changed; never empty, for an empty line has no answer."""
    line = bytearray(luck.choice(SHORT))
    kind = luck.random()
    if kind < 0.3:
        line = line[: luck.randrange(1, len(line) + 1)]
    elif kind < 0.6:
        line[luck.randrange(len(line))] = luck.randrange(33, 256)
    return bytes(line).replace(b"\n", b" ").strip() or b"?"


SHORT = [line for line in HOSTILE if len(line) < 200 and b"line 0" not in line]


def test_a_line_that_is_too_long_is_one_answer(served, monkeypatch):
    model, table, made, alone = served
    monkeypatch.setattr(protocol, "LONGEST", 4000)
    with Online(model, FEATURES, table) as scorer:
        told = list(answers(scorer, io.BytesIO(b"\n".join([made[0], b'{"id": "' + b"x" * 30_000 + b'"}', made[1]]))))
    assert told == [alone[0], '{"error": "event: must be a line of 4,000 bytes at most."}', alone[1]]
