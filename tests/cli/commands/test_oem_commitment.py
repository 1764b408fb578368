"""Packs that a decision does not have, and contracts that cannot be."""

import pytest

WORDS = (
    "+experiment=oem_commitment size=small compute=serial decision.currency=EUR decision.kept=.6"
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            f"{WORDS} decision_pack=oen",
            "decision_pack: decision 'oem_commitment' has no pack 'oen'; did you mean 'oem'?",
        ),
        ("decision_pack=oem", "decision_pack: decision 'none' has no pack 'oem'; known: none."),
        (f"{WORDS} decision.cell=phone", "decision.cell: no cell 'phone'"),
        (
            f"{WORDS} decision.cell=phone-5.online decision.volume_run=none",
            "no run 'none': there is none below outputs/runs",
        ),
    ],
)
def test_mistakes_are_one_line(hwds, words, said):
    assert hwds(words).line.startswith(f"hwds: {said}")
