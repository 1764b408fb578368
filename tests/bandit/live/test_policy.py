import importlib.util
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import Arms, BatchKernel
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.errors import ConfigError, DataError, HwdsError, ResumeError
from hwds.core.registry import options, resolve
from hwds.core.serialization import dumps
from hwds.frames.world import World
from tests.support.two_armed_regret import expected_regret

ROOT = Path(__file__).resolve().parents[3]
ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)), 1000, (0.0, 30.0))
RICH = Arms(
    ("10", "20", "30"),
    np.array([10.0, 20.0, 30.0]),
    np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 0.2]]),
    1000,
    (0.0, 30.0),
)
POLICIES = [name for name in options("model") if name.startswith("bandit/")]


def plain(count):
    return Arms(
        tuple(f"arm-{i}" for i in range(count)), np.ones(count), np.zeros((1, 0)), 50, (0.0, 1.0)
    )


def policy_of(option):
    import yaml

    said = yaml.safe_load(options("model")[option].read_text()) or {}
    return resolve("model", said.pop("recipe", option))(name=option, **said)


class Counting(Policy):
    """A batched policy whose state is no JSON where `odd`."""

    odd: bool = False

    def kernel(self, arms):
        def start(seed):
            return {
                "wins": np.zeros(arms.count),
                "pulls": np.zeros(arms.count),
                "odd": object() if self.odd else None,
            }

        def select(state, step, segments, contexts, active, generator):
            drawn = generator.beta(
                1 + state["wins"], 1 + state["pulls"] - state["wins"], (len(segments), arms.count)
            )
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
        rng = np.random.default_rng([seed, step])
        decision = live.decide(segment=int(rng.integers(len(live.arms.contexts))), at=float(step))
        arms.append(decision.arm)
        waiting.append((decision, bool(rng.random() < 6 / decision.value)))
        if rng.random() < 0.7:
            told, converted = waiting.pop(int(rng.integers(len(waiting))))
            live.outcome(told.id, converted)
    for told, converted in waiting:
        live.outcome(told.id, converted)
    return arms


@pytest.mark.parametrize(("policy", "law"), [(Thompson(), "thompson"), (UCB1(), "ucb1")])
@pytest.mark.parametrize(("conversions", "games"), [((0.5, 0.4), 1200), ((0.2, 0.1), 600)])
def test_the_law_is_that_of_the_exact_oracle(policy, law, conversions, games):
    exact = expected_regret(law, np.array(conversions), 20)
    rng = np.random.default_rng(5)
    lost = np.zeros((games, 20))
    for game in range(games):
        live = policy.live(plain(2), seed=game)
        for step in range(20):
            decision = live.decide(at=0.0)
            arm = int(decision.arm[-1])
            lost[game, step] = max(conversions) - conversions[arm]
            live.outcome(decision.id, rng.random() < conversions[arm])
    regret = lost.cumsum(axis=1)
    for horizon in (10, 20):
        own = regret[:, horizon - 1]
        assert abs(own.mean() - exact[horizon - 1]) < 4 * own.std(ddof=1) / np.sqrt(games)


def test_first_choices_are_those_of_the_simulator():
    from scipy.stats import chi2_contingency

    conversions, n = (0.3, 0.1, 0.2), 2000
    world = World(
        ARMS.names,
        ARMS.values,
        ARMS.values,
        ("all",),
        np.ones(1),
        ARMS.contexts,
        (),
        np.zeros(1, np.int64),
        0,
        np.array(conversions)[None, None],
        np.ones((1, 3), bool),
        0.0,
        0,
        1,
        3,
        "USD",
    )
    tally = play_compiled(PriceThompson().kernel(ARMS), world, Game(3, 1, (1, 2, 3)), 11, 0, 40_000)
    chosen = np.diff(tally.pulls.astype(int), axis=1, prepend=0).argmax(axis=2)
    kernel = np.bincount(chosen @ [9, 3, 1], minlength=27)
    rng, counts = np.random.default_rng(8), np.zeros(27)
    for game in range(n):
        live, place = PriceThompson().live(ARMS, seed=game), 0
        for _ in range(3):
            decision = live.decide(at=0.0)
            arm = ARMS.names.index(decision.arm)
            live.outcome(decision.id, rng.random() < conversions[arm])
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
    assert (
        chisquare(list(counts.values()), [n * chance for chance in chances.values()]).pvalue > 0.001
    )


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
    assert state(again) == state(whole)


def died(live):
    """What the system does when the process is killed."""
    live._store.log.close()
    live._closed = True


def state(live):
    """All that a policy knows, to the bit."""
    return dumps(live._behaviour.dump(live._state))


def learned(live):
    return live._state.policy.state


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
    assert again._store.stored != odd
    assert (again._store.log.first == 1) == odd  # what a snapshot covers is dropped


def test_a_state_is_what_was_told_after_three_kills(tmp_path):
    script = Path(__file__).with_name("killed.py")
    subprocess.run(
        [sys.executable, script, tmp_path, "3"],
        check=True,
        cwd=ROOT,
        env=environment(),
        timeout=240,
    )
    spec = importlib.util.spec_from_file_location("killed", script)
    killed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(killed)
    live = killed.begin(tmp_path)
    lines = [line.split() for line in (tmp_path / "told.txt").read_text().splitlines()]
    last = lines[-1]
    live.outcome(int(last[0]), last[1] == "1")  # as the process would have after its last death
    told = {int(number): (converted == "1", arm) for number, converted, arm in lines}
    acknowledged = [int(number) for number in (tmp_path / "acknowledged.txt").read_text().split()]
    assert len(told) >= 3  # a busy machine decides less between two kills
    assert set(acknowledged) <= set(told)
    counts, numbers = live.counts, learned(live)
    assert counts["conversions"] + counts["refusals"] == len(told)
    for place, arm in enumerate(live.arms.names):
        outcomes = [converted for converted, own in told.values() if own == arm]
        assert numbers[place] == sum(outcomes)
        assert numbers[3 + place] == len(outcomes) - sum(outcomes)
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
    assert [live.outcome(wrong, True) for wrong in (99, -1, "1", None, 1.0, True)] == [
        "unknown"
    ] * 6
    live.decide(at=120.0)  # the window of the first has closed
    assert live.outcome(ids[0], True) == "late"
    expected = {
        "decisions": 5,
        "open": 2,
        "conversions": 1,
        "refusals": 2,
        "expired": 1,
        "out_of_order": 1,
        "repeated": 1,
        "late": 1,
        "unknown": 6,
    }
    assert live.counts == expected
    died(live)
    again = Thompson().live(plain(2), tmp_path, seed=1, window=100.0)
    assert again.counts == expected
    assert state(again) == state(live)
    assert (learned(again)[:2].sum(), learned(again)[2:4].sum()) == (1, 2)


def test_an_open_exposure_is_no_refusal_until_its_window_closes():
    live = Thompson().live(plain(2), seed=1)
    decisions = [live.decide(at=float(at)) for at in range(6)]
    assert live.counts["refusals"] == 0
    assert learned(live)[:4].sum() == 0
    assert live.expire(4.0) == 4
    assert live.expire(4.0) == 0
    assert learned(live)[2:4].sum() == 4
    assert live.outcome(decisions[5].id, True, at=5.5) == "learned"
    assert live.counts["open"] == 1


def test_a_time_in_another_unit_closes_no_offer():
    live = Thompson().live(plain(2), seed=1, window=100.0, ahead=60.0)
    now = time.time()
    first = live.decide(at=now)
    before = state(live)
    for call in (live.decide, partial(live.outcome, first.id, False)):
        with pytest.raises(
            DataError, match=r"at: must not be later than .* as far ahead as is allowed, got"
        ):
            call(at=1000 * now)
    assert state(live) == before
    assert live.decide(at=now + 50).id == 1
    for call in (live.decide, partial(live.outcome, first.id, False)):
        with pytest.raises(DataError, match="at: must not be later than"):
            call(
                at=now + 105
            )  # within 60 of the last decision, by which calls could push the time on
    live._state.exposures.clock = now + 3600  # of another machine's clock
    assert live.decide(at=now + 3600).id == 2


def test_outcomes_of_a_batch_are_learned_together():
    live = Thompson().live(plain(2), seed=1, batch=3)
    for step in range(3):
        live.outcome(live.decide(at=float(step)).id, True)
        assert learned(live)[:2].sum() == 0
    live.decide(at=3.0)
    assert learned(live)[:2].sum() == 3


def test_a_decision_tells_its_propensity_and_the_arms_on_offer():
    live = PriceThompson().live(ARMS, seed=1, propensities=True)
    decision = live.decide(active=["10", "30"], at=0.0)
    assert decision.arm in ("10", "30")
    assert decision.value == float(decision.arm)
    chances = live.chances(active=[True, False, True])
    assert decision.propensity == chances[decision.arm]
    assert chances["20"] == 0
    assert sum(chances.values()) == pytest.approx(1)


@pytest.mark.parametrize("rubbish", [b"", b"half a page", b"\0" * 5000])
def test_what_a_crash_tore_did_not_happen(rubbish, tmp_path):
    live = Thompson().live(plain(2), tmp_path / "live", seed=1)
    drive_two(live)
    shutil.copytree(
        tmp_path / "live", tmp_path / "torn"
    )  # what is on the disk when the process dies now
    with (tmp_path / "torn" / "events.db-wal").open("ab") as file:
        file.write(rubbish)
    again = Thompson().live(plain(2), tmp_path / "torn", seed=1)
    assert state(again) == state(live)
    drive_two(again)
    died(again)
    assert Thompson().live(plain(2), tmp_path / "torn", seed=1).counts["conversions"] == 4


def drive_two(live):
    for _ in range(2):
        live.outcome(live.decide(at=0.0).id, True)


@pytest.mark.parametrize("snapshot", [10_000, 20])
def test_what_a_full_disk_refused_did_not_happen(tmp_path, snapshot):
    live = Thompson().live(plain(2), tmp_path, seed=1, snapshot=snapshot)
    first = live.decide()
    live._store.log._db.execute("pragma max_page_count = 20")
    states = [state(live)]
    with pytest.raises(HwdsError, match="cannot be used: database or disk is full"):
        until_full(live, states)
    assert state(live) == states[-1]
    live._store.log._db.execute("pragma max_page_count = 1000000")
    assert live.outcome(first.id, True) == "learned"
    before = state(live)
    died(live)
    assert state(Thompson().live(plain(2), tmp_path, seed=1, snapshot=snapshot)) == before


def test_a_batch_is_learned_once_though_its_first_decision_was_refused(tmp_path):
    live = Updates().live(plain(2), tmp_path, seed=1, batch=3)
    ids = [live.decide(at=0.0).id for _ in range(3)]
    assert [live.outcome(id, True) for id in ids[:2]] == ["learned", "learned"]
    live._store.log._db.execute("pragma query_only = on")
    before = state(live)
    with pytest.raises(HwdsError, match="cannot be used: attempt to write a readonly database"):
        live.decide(at=1.0)
    assert state(live) == before
    live._store.log._db.execute("pragma query_only = off")
    live.outcome(ids[2], True)
    live.decide(at=1.0)
    assert learned(live) == [3]
    died(live)
    assert state(Updates().live(plain(2), tmp_path, seed=1, batch=3)) == state(live)


class Updates(Policy):
    """Its state is how many outcomes each of its updates was of."""

    def kernel(self, arms):
        def select(state, step, segments, contexts, active, generator):
            return generator.integers(arms.count, size=len(segments))

        def update(state, steps, segments, contexts, chosen, outcomes):
            return [*state, len(chosen)]

        return BatchKernel(lambda seed: [], select, update)


MINE = """
import sys
import time
import numpy as np
from hwds import Arms, Policy
from hwds.bandit import BatchKernel

class Mine(Policy):
    def kernel(self, arms):
        def update(state, steps, segments, contexts, arms, outcomes):
            return state + {weight} * len(arms)
        return BatchKernel(lambda seed: 0, lambda state, step, segments, *rest: np.zeros(len(segments), int), update)

if __name__ == "__main__":
    from mine import Mine
    arms = Arms(("a", "b"), np.ones(2), np.zeros((1, 0)))
    with Mine().live(arms, sys.argv[1], seed=1, propensities=sys.argv[1] == "kept") as live:
        for _ in range(int(sys.argv[2])):
            live.outcome(live.decide().id, True)
        print(live._state.policy.state)
"""


@pytest.mark.parametrize(("folder", "later"), [("kept", "15"), ("dropped", "5")])
def test_a_state_made_by_other_code_is_made_anew_where_all_events_are_kept(folder, later, tmp_path):
    printed = []
    for weight, events in ((1, "5"), (1, "0"), (3, "0")):
        (tmp_path / "mine.py").write_text(MINE.format(weight=weight))
        command = [sys.executable, "-B", "mine.py", folder, events]
        done = subprocess.run(
            command, check=True, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        printed.append(done.stdout.strip())
    assert printed == ["5", "5", later]


def until_full(live, states):
    """Decide until the disk refuses, and keep the state after each decision."""
    for _ in range(10_000):
        live.decide()
        states.append(state(live))


def test_any_thread_may_close_it(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(live.close).result()
    with Thompson().live(plain(2), tmp_path, seed=1) as again:
        assert state(again) == state(live)


def test_a_folder_is_held_and_belongs_to_one_policy(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    with pytest.raises(ResumeError, match="another process uses it"):
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


def changed(folder, statement):
    with sqlite3.connect(folder / "events.db") as db:
        db.execute(statement)
    db.close()


def test_a_damaged_log_is_refused(tmp_path):
    live = Thompson().live(plain(2), tmp_path, seed=1)
    drive_two(live)
    live._store.log.close()
    shutil.copytree(tmp_path, tmp_path / "gap")
    changed(tmp_path, "update entries set body = replace(body, 'true', 'false') where number = 2")
    with pytest.raises(ResumeError, match=r"events\.db: entry 2 is damaged\.$"):
        Thompson().live(plain(2), tmp_path, seed=1)
    for number, which in ((2, "entry 2 is"), (1, "entries 1 to 2 are")):
        changed(tmp_path / "gap", f"delete from entries where number = {number}")
        with pytest.raises(ResumeError, match=rf"events\.db: {which} missing\.$"):
            Thompson().live(plain(2), tmp_path / "gap", seed=1)


@pytest.mark.parametrize("propensities", [False, True])
def test_a_damaged_snapshot_is_replayed_if_its_events_are_kept_and_refused_if_not(
    propensities, tmp_path
):
    terms = {"seed": 1, "propensities": propensities}
    with Thompson().live(plain(2), tmp_path, **terms) as live:
        drive_two(live)
    changed(tmp_path, "update snapshot set data = zeroblob(200)")
    if propensities:
        assert state(Thompson().live(plain(2), tmp_path, **terms)) == state(live)
    else:
        with pytest.raises(
            ResumeError,
            match=r"its snapshot is damaged or of another version, and the entries before it are "
            r"gone; take another file",
        ):
            Thompson().live(plain(2), tmp_path, **terms)


def test_a_folder_of_an_older_version_is_refused(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"n":1}\n')
    with pytest.raises(
        ResumeError,
        match=r"holds the journal\.jsonl of an older version of hwds; take another folder\.$",
    ):
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
        (
            {"segment": 0, "active": ["10", "200"]},
            r"active: unknown arm '200'; did you mean '20'\?",
        ),
        ({"segment": 0, "active": []}, "active: no arm may be offered."),
        (
            {"segment": 0, "active": [True, False]},
            "active: must hold a flag for each of the 3 arms, got 2.",
        ),
        ({"segment": 0, "at": float("nan")}, "at: must be a finite number, got nan."),
        ({"segment": 0, "at": 10**400}, "at: must be a finite number, got 1000"),
        ({"segment": 0, "at": -1.0}, "at: must not go back, got -1.0 after 0.0."),
    ],
)
def test_a_wrong_word_is_refused_and_nothing_has_happened(asked, line):
    live = PriceThompson().live(RICH, seed=1)
    live.decide(segment=1, at=0.0)
    before = state(live)
    with pytest.raises(DataError, match=line):
        live.decide(**asked)
    assert state(live) == before


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
    assert live._store.log.first == 1
    assert log["id"].to_list() == list(range(31))
    assert log["arm"].to_list() == [decision.arm for decision in decisions]
    assert log["propensity"].to_list() == [decision.propensity for decision in decisions]
    outcomes = [
        (1 if i % 2 == 0 else 0) if i % 3 == 0 else 0 if i < 20 else None for i in range(30)
    ]
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
    assert len(list(live._store.log.entries())) <= 3
    with pytest.raises(HwdsError, match="needs all events, which are kept with a folder"):
        live.log()


def test_a_decision_asked_for_twice_by_one_id_is_made_once_whatever_happens_between(tmp_path):
    live = Thompson().live(RICH, tmp_path, seed=1, propensities=True, snapshot=3)
    first = live.decide(segment=0, at=1.0, id="a")
    with live.together():
        live.outcome(first.id, converted=True)
        assert live.decide(segment=0, at=0.5, id="a") == replace(first, again=True), (
            "its time has passed"
        )
    for _ in range(5):
        live.outcome(live.decide(segment=1, at=2.0).id, converted=False)
    died(live)
    again = Thompson().live(RICH, tmp_path, seed=1, propensities=True, snapshot=3)
    assert again.decide(segment=0, id="a") == replace(first, again=True)
    assert again.number_of("a") == first.id
    assert again.number_of("b") is None
    for customer in ({"segment": 1}, {"segment": 0, "context": [1.0, 0.0, 0.7]}):
        with pytest.raises(DataError, match="id: decision 'a' was made on another customer"):
            again.decide(**customer, id="a")
    for id in ("", "x" * 1001, 3, "a\n", "\ud800"):
        with pytest.raises(
            DataError, match="id: must be a text of 1 to 1,000 printable characters"
        ):
            again.decide(segment=0, id=id)
    with pytest.raises(HwdsError, match="id: needs all events"):
        Thompson().live(RICH, seed=1).decide(segment=0, id="a")
