"""`decision_pack=oem` from the command line, and the packs that a decision does not have."""

import pytest

WORDS = "+experiment=oem_commitment size=small compute=serial decision.currency=EUR decision.kept=.6"


def test_a_pack_is_written_beside_the_results_and_goes_with_the_next_command(hwds, tmp_path):
    said = hwds(f"{WORDS} decision_pack=oem")
    assert said.code == 0, said.err
    (folder,) = tmp_path.glob("outputs/runs/oem_commitment/*")
    assert "For those who decide: decision_pack.html and decision_pack.xlsx" in said.out
    assert "EUR" in (folder / "decision_pack.html").read_text()
    assert (folder / "decision_pack.xlsx").read_bytes()[:2] == b"PK"
    assert hwds(WORDS).code == 0
    assert not list(folder.glob("decision_pack*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{WORDS} decision_pack=oen", "decision_pack: decision 'oem_commitment' has no pack 'oen'; did you mean 'oem'?"),
        ("decision_pack=oem", "decision_pack: decision 'none' has no pack 'oem'; known: none."),
        (f"{WORDS} decision.cell=phone", "decision.cell: no cell 'phone'"),
        (f"{WORDS} decision.volume_run=none", "no run 'none': there is none below outputs/runs"),
    ],
)
def test_mistakes_are_one_line(hwds, words, said):
    assert hwds(words).line.startswith(f"hwds: {said}")
