"""Lines that no server should choke on: of each kind one, and random ones cut or with a byte
changed.
"""

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

SHORT = [line for line in HOSTILE if len(line) < 200 and b"line 0" not in line]


def bad(rng):
    """A hostile line: whole, cut short, or with a byte changed.

    Never empty, for an empty line has no answer.
    """
    line = bytearray(rng.choice(SHORT))
    kind = rng.random()
    if kind < 0.3:
        line = line[: rng.randrange(1, len(line) + 1)]
    elif kind < 0.6:
        line[rng.randrange(len(line))] = rng.randrange(33, 256)
    return bytes(line).replace(b"\n", b" ").strip() or b"?"
