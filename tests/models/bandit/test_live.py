import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hwds.errors import ConfigError, DataError, HwdsError, ResumeError
from hwds.frames.world import World
from hwds.metrics.bandit_oracle import expected_regret
from hwds.models.bandit.base import Arms, Policy
from hwds.models.bandit.kernel import BatchKernel
from hwds.models.bandit.price_thompson import PriceThompson
from hwds.models.bandit.thompson import Thompson
from hwds.models.bandit.ucb1 import UCB1
from hwds.protocols.simulating import Game, play
from hwds.registry import options, resolve

ROOT = Path(__file__).resolve().parents[3]
ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)), 1000, (0.0, 30.0))
RICH = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 0.2]]), 1000, (0.0, 30.0))
POLICIES = [name for name in options("model") if name.startswith("bandit/")]


def plain(count):
    return Arms(tuple(f"arm-{i}" for i in range(count)), np.ones(count), np.zeros((1, 0)), 50, (0.0, 1.0))


def policy_of(option):
    import yaml

    said = yaml.safe_load(options("model")[option].read_text()) or {}
    return resolve("model", said.pop("recipe", option))(name=option, **said)


class Counting(Policy):
    """A batched policy whose state is no JSON where `odd`."""

    odd: bool = False

    def kernel(self, arms):
        def start(seed):
            return {"wins": np.zeros(arms.count), "pulls": np.zeros(arms.count), "odd": object() if self.odd else None}

        def select(state, step, segments, contexts, active, generator):
            drawn = generator.beta(1 + state["wins"], 1 + state["pulls"] - state["wins"], (len(segments), arms.count))
            return np.where(active, drawn * arms.values, -np.inf).argmax(axis=1)

        def update(state, steps, segments, contexts, chosen, outcomes):
            np.add.at(state["pulls"], chosen, 1)
            np.add.at(state["wins"], chosen, outcomes)
            return state

        return BatchKernel(start, select, update)


def drive(live, steps, seed=0, first=0):
    """Decide, and tell most outcomes late and out of order; what was decided."""
    arms, waiting = [], []
    for step in range(first, first + steps):
        luck = np.random.default_rng([seed, step])
        decision = live.decide(segment=int(luck.integers(len(live.arms.contexts))), at=float(step))
        arms.append(decision.arm)
        waiting.append((decision, bool(luck.random() < 6 / decision.value)))
        if luck.random() < 0.7:
            told, converted = waiting.pop(int(luck.integers(len(waiting))))
            live.outcome(told.id, converted)
    for told, converted in waiting:
        live.outcome(told.id, converted)
    return arms


@pytest.mark.parametrize(("policy", "law"), [(Thompson(), "thompson"), (UCB1(), "ucb1")])
@pytest.mark.parametrize(("conversions", "games"), [((0.5, 0.4), 1200), ((0.2, 0.1), 600)])
def test_the_law_is_that_of_the_exact_oracle(policy, law, conversions, games):
    exact = expected_regret(law, np.array(conversions), 20)
    luck = np.random.default_rng(5)
    lost = np.zeros((games, 20))
    for game in range(games):
        live = policy.live(plain(2), seed=game)
        for step in range(20):
            decision = live.decide(at=0.0)
            arm = int(decision.arm[-1])
            lost[game, step] = max(conversions) - conversions[arm]
            live.outcome(decision.id, luck.random() < conversions[arm])
    regret = lost.cumsum(axis=1)
    for horizon in (10, 20):
        own = regret[:, horizon - 1]
        assert abs(own.mean() - exact[horizon - 1]) < 4 * own.std(ddof=1) / np.sqrt(games)


def test_first_choices_are_those_of_the_simulator():
    from scipy.stats import chi2_contingency

    conversions, n = (0.3, 0.1, 0.2), 2000
    world = World(
        ARMS.names, ARMS.values, ARMS.values, ("all",), np.ones(1), ARMS.contexts, (), np.zeros(1, np.int64), 0,
        np.array(conversions)[None, None], np.ones((1, 3), bool), 0.0, 0, 1, 3, "USD",
    )  # fmt: skip
    tally = play(PriceThompson().kernel(ARMS), world, Game(3, 1, (1, 2, 3)), 11, 0, 40_000)
    chosen = np.diff(tally.pulls.astype(int), axis=1, prepend=0).argmax(axis=2)
    kernel = np.bincount(chosen @ [9, 3, 1], minlength=27)
    luck, counts = np.random.default_rng(8), np.zeros(27)
    for game in range(n):
        live, place = PriceThompson().live(ARMS, seed=game), 0
        for _ in range(3):
            decision = live.decide(at=0.0)
            arm = ARMS.names.index(decision.arm)
            live.outcome(decision.id, luck.random() < conversions[arm])
            place = 3 * place + arm
        counts[place] += 1
    assert chi2_contingency([kernel, counts]).pvalue > 0.001


def test_choices_from_one_state_have_its_chances():
    from scipy.stats import chisquare

    live = PriceThompson().live(ARMS, seed=3)
    for _ in range(60):
        decision = live.decide(at=0.0)
        live.outcome(decision.id, decision.id % 3 == 0)
    chances, n = live.chances(), 5000
    counts = dict.fromkeys(chances, 0)
    for _ in range(n):
        counts[live.decide(at=0.0).arm] += 1  # nothing is told, so nothing is learned
    assert min(chances.values()) > 0.001
    assert chisquare(list(counts.values()), [n * chance for chance in chances.values()]).pvalue > 0.001


@pytest.mark.parametrize("option", POLICIES)
def test_every_policy_goes_on_after_a_restart_as_if_there_was_none(option, tmp_path):
    policy = policy_of(option)
    terms = {"seed": 4, "batch": 20} if option == "bandit/neural" else {"seed": 4}
    steps = 30
    whole = policy.live(RICH, **terms)
    expected = drive(whole, steps) + drive(whole, steps, first=steps)
    first = policy.live(RICH, tmp_path, snapshot=17, **terms)
    arms = drive(first, steps)
    died(first)
    again = policy.live(RICH, tmp_path, snapshot=17, **terms)
    assert again.counts["decisions"] == steps
    assert arms + drive(again, steps, first=steps) == expected
    assert json.loads(json.dumps(again.state)) == whole.state


def died(live):
    """What the system does when the process is killed."""
    live._journal.close()
    live._closed = True


@pytest.mark.parametrize("odd", [False, True])
def test_a_batched_kernel_goes_on_whether_its_state_is_json_or_learned_again(odd, tmp_path):
    policy = Counting(odd=odd)
    whole = policy.live(ARMS, seed=4)
    expected = drive(whole, 40) + drive(whole, 40, first=40)
    first = policy.live(ARMS, tmp_path, seed=4, snapshot=7)
    arms = drive(first, 40)
    first.close()
    again = policy.live(ARMS, tmp_path, seed=4, snapshot=7)
    assert arms + drive(again, 40, first=40) == expected
    assert (again.state["law"] is None) == odd


def test_a_state_is_what_was_told_after_twenty_kills(tmp_path):
    script = Path(__file__).with_name("killed.py")
    subprocess.run([sys.executable, script, tmp_path, "20"], check=True, cwd=ROOT, env=environment(), timeout=60)
    spec = importlib.util.spec_from_file_location("killed", script)
    killed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(killed)
    live = killed.begin(tmp_path)
    lines = [line.split() for line in (tmp_path / "told.txt").read_text().splitlines()]
    last = lines[-1]
    live.outcome(int(last[0]), last[1] == "1")  # as the process would have after its last death
    told = {int(number): (converted == "1", arm) for number, converted, arm in lines}
    acknowledged = [int(number) for number in (tmp_path / "acknowledged.txt").read_text().split()]
    assert len(told) > 20
    assert set(acknowledged) <= set(told)
    counts, state = live.counts, live._law.state
    assert counts["conversions"] + counts["refusals"] == len(told)
    for place, arm in enumerate(live.arms.names):
        outcomes = [converted for converted, own in told.values() if own == arm]
        assert state[place] == sum(outcomes)
        assert state[3 + place] == len(outcomes) - sum(outcomes)
    assert counts["unknown"] == 0
    assert counts["decisions"] >= len(told) + counts["open"]


def environment():
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_outcomes_out_of_order_twice_late_or_unknown_are_counted(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1, window=100.0)
    ids = [live.decide(at=float(at)).id for at in (0, 1, 2, 50)]
    assert [live.outcome(ids[i], i == 1) for i in (2, 1)] == ["learned", "learned"]
    assert live.outcome(ids[1], True) == "repeated"
    assert [live.outcome(wrong, True) for wrong in (99, -1, "1", None, 1.0, True)] == ["unknown"] * 6
    live.decide(at=120.0)  # the window of the first has closed
    assert live.outcome(ids[0], True) == "late"
    expected = {
        "decisions": 5, "open": 2, "conversions": 1, "refusals": 2, "expired": 1, "out_of_order": 1, "repeated": 1, "late": 1,
        "unknown": 6,
    }  # fmt: skip
    assert live.counts == expected
    died(live)
    again = Thompson().live(plain(2), tmp_path, seed=1, window=100.0)
    assert again.counts == expected
    assert again.state == live.state
    assert (again._law.state[:2].sum(), again._law.state[2:4].sum()) == (1, 2)


def test_an_open_exposure_is_no_refusal_until_its_window_closes():
    live = Thompson().live(plain(2), seed=1)
    decisions = [live.decide(at=float(at)) for at in range(6)]
    assert live.counts["refusals"] == 0
    assert live._law.state[:4].sum() == 0
    assert live.expire(4.0) == 4
    assert live.expire(4.0) == 0
    assert live._law.state[2:4].sum() == 4
    assert live.outcome(decisions[5].id, True, at=5.5) == "learned"
    assert live.counts["open"] == 1


def test_outcomes_of_a_batch_are_learned_together():
    live = Thompson().live(plain(2), seed=1, batch=3)
    for step in range(3):
        live.outcome(live.decide(at=float(step)).id, True)
        assert live._law.state[:2].sum() == 0
    live.decide(at=3.0)
    assert live._law.state[:2].sum() == 3


def test_a_decision_tells_its_propensity_and_the_arms_on_offer():
    live = PriceThompson().live(ARMS, seed=1, propensities=True)
    decision = live.decide(active=["10", "30"], at=0.0)
    assert decision.arm in ("10", "30")
    assert decision.value == float(decision.arm)
    chances = live.chances(active=[True, False, True])
    assert decision.propensity == chances[decision.arm]
    assert chances["20"] == 0
    assert sum(chances.values()) == pytest.approx(1)


@pytest.mark.parametrize("damage", ["torn", "twice"])
def test_a_torn_line_did_not_happen_and_an_event_in_both_files_counts_once(damage, tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    drive_two(live)
    state = live.state
    journal = (tmp_path / "journal.jsonl").read_bytes()
    if damage == "torn":
        died(live)
        (tmp_path / "journal.jsonl").write_bytes(journal + b'{"n":9,"deci')
    else:
        live.close()  # killed between the snapshot and the emptying of the journal
        (tmp_path / "journal.jsonl").write_bytes(journal)
    again = Thompson().live(plain(2), tmp_path, seed=1)
    assert again.state == state
    drive_two(again)
    died(again)
    assert Thompson().live(plain(2), tmp_path, seed=1).counts["conversions"] == 4


def drive_two(live):
    for _ in range(2):
        live.outcome(live.decide(at=0.0).id, True)


def test_what_a_full_disk_refused_did_not_happen(tmp_path, monkeypatch):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    decision = live.decide()
    state = live.state
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", full)
        with pytest.raises(HwdsError, match="cannot be written: No space left"):
            live.outcome(decision.id, True)
        with pytest.raises(HwdsError, match="cannot be written"):
            live.decide()
    assert live.state == state
    assert live.outcome(decision.id, True) == "learned"
    state = live.state
    died(live)
    assert Thompson().live(plain(2), tmp_path, seed=1).state == state


def full(_):
    raise OSError(28, "No space left on device")


def test_a_journal_that_cannot_be_begun_anew_writes_into_no_other_file(tmp_path, monkeypatch):
    live = Thompson().live(plain(2), tmp_path / "state", seed=1, snapshot=4)
    decision = live.decide()
    with monkeypatch.context() as patch:
        patch.setattr("hwds.models.bandit.journal.Journal._opened", full)
        for _ in range(6):  # one of them wants a snapshot
            try:
                live.outcome(live.decide().id, True)
            except HwdsError:
                break
    victim = tmp_path / "victim"
    with victim.open("w") as file:  # takes the lowest number that is free
        file.write("mine")
        file.flush()
        live.outcome(decision.id, True)
        live.decide()
        assert victim.read_text() == "mine"
    state = live.state
    died(live)
    assert Thompson().live(plain(2), tmp_path / "state", seed=1, snapshot=4).state == state


def test_any_thread_may_close_it(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(live.close).result()
    with Thompson().live(plain(2), tmp_path, seed=1) as again:
        assert again.state == live.state


def test_a_folder_is_held_and_belongs_to_one_policy(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    with pytest.raises(ResumeError, match="another process uses this policy"):
        Thompson().live(plain(2), tmp_path, seed=1)
    live.close()
    with pytest.raises(HwdsError, match="closed"):
        live.decide()
    with pytest.raises(ResumeError, match="holds another policy or other arms"):
        Thompson(prior=(2, 2)).live(plain(2), tmp_path, seed=1)
    with pytest.raises(ResumeError, match="holds another policy or other arms"):
        Thompson().live(plain(3), tmp_path, seed=1)
    with pytest.raises(ResumeError, match="was begun with seed 1, got 2"):
        Thompson().live(plain(2), tmp_path, seed=2)
    with pytest.raises(ResumeError, match="was begun with propensities False, got True"):
        Thompson().live(plain(2), tmp_path, seed=1, propensities=True)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ResumeError, match=r"state\.json: is damaged"):
        Thompson().live(plain(2), tmp_path, seed=1)


def test_a_damaged_journal_is_refused(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    drive_two(live)
    died(live)
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join([lines[0], b"rubbish\n", *lines[2:]]))
    with pytest.raises(ResumeError, match="line 2 is damaged"):
        Thompson().live(plain(2), tmp_path, seed=1)
    (tmp_path / "journal.jsonl").write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(ResumeError, match="event 2 is missing"):
        Thompson().live(plain(2), tmp_path, seed=1)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"segment": 2}, "segment: must be 0 to 1, got 2."),
        ({}, "segment: must be given, 0 to 1."),
        ({"context": [1, 0]}, "context: must be 3 numbers, got 2."),
        ({"context": [1, 0, "x"]}, "context: must be 3 numbers, got"),
        ({"context": [1, float("nan"), 0.5]}, r"context\[1\]: must be finite, got nan."),
        ({"context": [9, 9, 9]}, "segment: must be given"),
        ({"segment": 0, "active": ["10", "200"]}, r"active: unknown arm '200'; did you mean '20'\?"),
        ({"segment": 0, "active": []}, "active: no arm may be offered."),
        ({"segment": 0, "active": [True, False]}, "active: must hold a flag for each of the 3 arms, got 2."),
        ({"segment": 0, "at": float("nan")}, "at: must be a finite number, got nan."),
        ({"segment": 0, "at": -1.0}, "at: must not go back, got -1.0 after 0.0."),
    ],
)
def test_a_wrong_word_is_refused_and_nothing_has_happened(asked, line):
    live = PriceThompson().live(RICH, seed=1)
    live.decide(segment=1, at=0.0)
    state = live.state
    with pytest.raises(DataError, match=line):
        live.decide(**asked)
    assert live.state == state


@pytest.mark.parametrize("converted", [float("nan"), 2, "yes", None, 19.9])
def test_an_outcome_is_true_or_false(converted):
    live = Thompson().live(plain(2), seed=1)
    decision = live.decide()
    with pytest.raises(DataError, match="converted: must be true or false"):
        live.outcome(decision.id, converted)
    assert live.counts["open"] == 1


@pytest.mark.parametrize(
    ("changes", "terms", "line"),
    [
        ({"values": np.ones(2)}, {}, r"arms\.values: must be one for each of the 3 arms, got 2"),
        ({"values": np.array([1.0, np.nan, 2.0])}, {}, r"arms\.values: must be finite"),
        ({"names": ("a", "b", "a")}, {}, r"arms\.names: must not repeat 'a'"),
        ({"contexts": np.zeros(3)}, {}, r"arms\.contexts: must have a row for each segment"),
        ({}, {"batch": 0}, r"live\.batch: must be >= 1, got 0"),
        ({}, {"window": -1.0}, r"live\.window: must be > 0, got -1"),
    ],
)
def test_wrong_arms_and_terms_are_refused(changes, terms, line):
    from dataclasses import replace

    with pytest.raises(ConfigError, match=line):
        Thompson().live(replace(ARMS, **changes), seed=1, **terms)


def test_the_log_holds_every_decision_over_snapshots_and_restarts(tmp_path):
    terms = {"seed": 1, "window": 50.0, "snapshot": 9, "propensities": True}
    live = PriceThompson().live(RICH, tmp_path, **terms)
    decisions = [live.decide(segment=step % 2, at=float(step)) for step in range(30)]
    for decision in decisions[::3]:
        live.outcome(decision.id, decision.id % 2 == 0, at=30.0 + decision.id / 10)
    died(live)
    live = PriceThompson().live(RICH, tmp_path, **terms)
    decisions.append(live.decide(context=[2, 2, 2], segment=1, at=70.0))
    log = live.log()
    assert len(list(tmp_path.glob("journal-*.jsonl"))) >= 4
    assert log["id"].to_list() == list(range(31))
    assert log["arm"].to_list() == [decision.arm for decision in decisions]
    assert log["propensity"].to_list() == [decision.propensity for decision in decisions]
    outcomes = [(1 if i % 2 == 0 else 0) if i % 3 == 0 else 0 if i < 20 else None for i in range(30)]
    assert log["outcome"].to_list() == [*outcomes, None]
    assert log["reward"][0] == decisions[0].value
    assert log["observed_at"][3] == 30.3
    assert log["observed_at"][1] is None
    assert log.select("context_1", "context_2", "context_3").row(30) == (2, 2, 2)
    assert log.select("context_1", "context_2", "context_3").row(0) == (1, 0, 0.5)
    counts = live.counts
    assert log["outcome"].sum() == counts["conversions"]
    assert log["outcome"].null_count() == counts["open"]


def test_without_propensities_nothing_is_kept(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1, snapshot=3)
    drive_two(live)
    assert not list(tmp_path.glob("journal-*.jsonl"))
    with pytest.raises(HwdsError, match="nothing is kept"):
        live.log()
