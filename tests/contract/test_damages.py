"""A flipped bit or a truncation of any kind of stored file gives no other numbers and no
traceback.
"""

import os

import pytest

from bench.damages import KINDS, NEVER, outcomes

DAMAGES = int(os.environ.get("HWDS_TEST_DAMAGES", "8"))
"""Of each kind; the full study is `python -m bench.damages`."""


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_healed_refused_or_harmless(kind):
    found = outcomes(kind, 3 if kind == "compiled code" else DAMAGES)
    assert not {outcome: found[outcome] for outcome in NEVER if found[outcome]}
