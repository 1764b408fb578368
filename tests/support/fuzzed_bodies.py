"""Bodies gone wrong: what any client may send to a server, by a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

TYPES = (
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/xml",
    "",
    "text/csv; header=absent",
    "application/json; charset=utf-16",
    "a/b; c",
    "text/csv;header=present",
)
ACCEPTS = (
    "",
    "*/*",
    "application/json",
    "text/csv",
    "application/jsonlines",
    "image/png",
    "text/html, */*",
    ";;,",
)
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1e308,
    -1e308,
    1e-320,
    2**63,
    -(2**70),
    10**40,
    10**400,
    "",
    "x",
    "online",
    "2024-01-01T00:00:00",
    "NaN",
    "\x00",
    "\ud83d\ude00",
    [],
    {},
    [[]],
    {"a": []},
    [None],
    "A" * 3000,
    "2024-13-45",
    3.5,
    "9" * 400,
    "'; drop",
    "<b>",
    "../..",
    [1, 2],
)
TEXTS = (
    b"",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"[[]]",
    b"[1]",
    b'{"a"',
    b"\xff\xfe\x00",
    b"NaN",
    b'{"spent": NaN}',
    b'{"spent": Infinity}',
    b'{"spent": 1e999}',
    b'"\\ud800"',
    b'{"id": "\\ud800"}',
    b"[" * 5000,
    b"{" * 5000,
    b"1" * 5000,
    b'{"spent":' + b"9" * 5000 + b"}",
    b"\x00" * 100,
    b"a,b\n1",
    b'"',
    b'spent\n"',
    b"spent,spent\n1,2",
    b"\n\n\n",
    b"ARROW1\x00\x00",
    b'{"instances": 1}',
    b'{"inputs": {}}',
    b'{"inputs": {"spent": 1}}',
    b'{"dataframe_split": {}}',
    b'{"dataframe_split": {"columns": [1], "data": [[1, 2]]}}',
    b'{"instances": [1], "inputs": [2]}',
    b'{"of": "1", "label": 1}',
    b'{"of": {}, "label": []}',
    b'[{"id": {}}]',
    b'{"id": 1, "id": 2}',
    b'{"inputs": [{"name": "spent", "data": {}}]}',
    b'{"inputs": [{"name": "spent", "data": [1]}, {"name": "visits", "data": []}]}',
    b'{"inputs": [{"name": "question", "data": ["{"]}]}',
    b'{"inputs": [{"name": "question", "data": [1, null]}]}',
)


def bodies(
    count: int, seed: int, good: list[dict[str, object]]
) -> Iterator[tuple[bytes, str, str]]:
    """Yield bodies with their content type and what is accepted.

    Args:
        count: How many.
        seed: Of the draws.
        good: Questions that are answered, from which others are made.
    """
    rng = np.random.default_rng(seed)
    for place in range(count):
        form, accept = (str(rng.choice(words)) for words in (TYPES, ACCEPTS))
        if place < len(TEXTS):
            yield TEXTS[place], "application/json", ""
            continue
        body = [_texts, _wrong_values, _damaged, _noise, _csv, _wrapped][rng.integers(6)](rng, good)
        yield body, form if rng.random() < 0.5 else "application/json", accept


def _texts(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    return TEXTS[rng.integers(len(TEXTS))]


def _one(rng: np.random.Generator, good: list[dict[str, object]]) -> dict[str, object]:
    """Return a question with some fields gone wrong."""
    question = dict(good[rng.integers(len(good))])
    inner = isinstance(question.get("rows"), list) and rng.random() < 0.7
    for _ in range(0 if inner else rng.integers(1, 4)):
        fields = [*question, "id", "nothing", "rows", "", "__proto__"]
        question[fields[rng.integers(len(fields))]] = VALUES[rng.integers(len(VALUES))]
    if inner:
        rows = [dict(row) if isinstance(row, dict) else row for row in question["rows"]]
        place = int(rng.integers(len(rows)))
        if isinstance(rows[place], dict) and rows[place]:
            names = list(rows[place])
            rows[place][names[rng.integers(len(names))]] = VALUES[rng.integers(len(VALUES))]
        question["rows"] = (
            rows[: int(rng.integers(1, len(rows) + 1))] if rng.random() < 0.3 else rows
        )
    return question


def _wrong_values(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    questions = [_one(rng, good) for _ in range(rng.integers(1, 4))]
    return json.dumps(questions if rng.random() < 0.5 else questions[0]).encode()


def _damaged(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    body = bytearray(json.dumps(good[rng.integers(len(good))]).encode())
    for _ in range(rng.integers(1, 6)):
        body[rng.integers(len(body))] = rng.integers(256)
    return bytes(body[: rng.integers(1, len(body) + 1)]) if rng.random() < 0.5 else bytes(body)


def _noise(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    return rng.bytes(int(rng.integers(1, 400)))


def _csv(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    rows = [
        [str(VALUES[rng.integers(len(VALUES))]) for _ in range(rng.integers(1, 7))]
        for _ in range(rng.integers(1, 5))
    ]
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


def _wrapped(rng: np.random.Generator, good: list[dict[str, object]]) -> bytes:
    name = ("instances", "inputs", "dataframe_records", "dataframe_split", "params")[
        rng.integers(5)
    ]
    held = [_one(rng, good), [_one(rng, good)], VALUES[rng.integers(len(VALUES))]][rng.integers(3)]
    return json.dumps({name: held}).encode()
