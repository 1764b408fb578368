"""Guardrails, switches, arms that come and go, batches, and threads that share a wait for the
disk.
"""

import threading

import numpy as np
import polars as pl
import pytest

from hwds.bandit.live.settings import Guardrails
from hwds.bandit.models.kernels.base import Arms
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.core.serialization import dumps

ARMS = Arms(("10", "20", "30"), np.array([10.0, 20.0, 30.0]), np.zeros((1, 0)), 1000, (0.0, 30.0))


def state(live):
    return dumps(live._behaviour.dump(live._state))


def shares(live, n=400, at=0.0):
    chosen = [live.decide(at=at) for _ in range(n)]
    return {arm: sum(each.arm == arm for each in chosen) / n for arm in live.arms.names}, chosen


def test_a_holdout_is_drawn_by_lot_and_its_chance_is_in_the_propensity():
    live = PriceThompson(known={"10": [900, 100], "30": [0, 1000], "20": [0, 1000]}).live(
        ARMS, seed=1, propensities=True, guardrails=Guardrails(current="30", holdout=0.25)
    )
    found, chosen = shares(live)
    assert found["30"] == pytest.approx(0.25, abs=0.07)
    assert found["10"] == pytest.approx(0.75, abs=0.07)
    assert {each.arm: round(each.propensity, 6) for each in chosen} == {"30": 0.25, "10": 0.75}


def test_a_floor_and_a_cap_hold_at_every_moment():
    live = PriceThompson(known={"30": [900, 100]}).live(
        ARMS, seed=1, guardrails=Guardrails(current="20", floor=15.0, caps={"30": 0.3})
    )
    _, chosen = shares(live)
    shown = np.cumsum([each.arm == "30" for each in chosen])
    assert (shown <= 0.3 * np.arange(1, len(chosen) + 1)).all()
    assert shown[-1] == 120
    assert {each.arm for each in chosen} == {"20", "30"}


def test_a_stopped_policy_offers_the_current_arm_and_still_learns(tmp_path):
    terms = {"seed": 1, "propensities": True, "guardrails": Guardrails(current="20")}
    live = PriceThompson().live(ARMS, tmp_path, **terms)
    live.stop()
    decisions = [live.decide(at=0.0) for _ in range(5)]
    live.outcome(decisions[0].id, True)
    live.retire("10")
    assert {(each.arm, each.propensity) for each in decisions} == {("20", 1.0)}
    live._store.log.close()  # as after kill -9
    again = PriceThompson().live(ARMS, tmp_path, **terms)
    assert again.stopped
    assert state(again) == state(live)
    again.resume()
    found, _ = shares(again)
    assert found["10"] == 0 < found["30"]
    again.bring_back("10")
    assert shares(again)[0]["10"] > 0
    with pytest.raises(HwdsError, match="'20' is the current arm"):
        again.retire("20")
    with pytest.raises(DataError, match="unknown arm '99'"):
        again.retire("99")
    with pytest.raises(HwdsError, match="Guardrails"):
        PriceThompson().live(ARMS, seed=1).stop()


def test_where_every_arm_is_retired_nothing_a_caller_changes_helps(tmp_path):
    live = PriceThompson().live(ARMS, tmp_path, seed=1, propensities=True)
    live.retire("10")
    before = state(live)
    with pytest.raises(DataError, match="those named are retired; left are 20, 30"):
        live.decide(active=["10"])
    assert state(live) == before
    for arm in ("20", "30"):
        live.retire(arm)
    with pytest.raises(HwdsError, match="every one is retired") as refused:
        live.decide(active=["10"])
    assert not isinstance(refused.value, DataError)
    assert live.decisions == 0


def test_a_restart_keeps_the_switches_or_is_refused(tmp_path):
    terms = {"seed": 1, "propensities": True}
    with PriceThompson().live(ARMS, tmp_path, **terms, guardrails=Guardrails(current="20")) as live:
        live.stop()
        live.retire("10")
    with pytest.raises(
        ConfigError, match=r"guardrails\.current: must be given: the policy is stopped"
    ):
        PriceThompson().live(ARMS, tmp_path, **terms)
    with pytest.raises(ConfigError, match=r"guardrails\.current: '10' is retired"):
        PriceThompson().live(ARMS, tmp_path, **terms, guardrails=Guardrails(current="10"))
    with PriceThompson().live(ARMS, tmp_path, **terms, guardrails=Guardrails(current="30")) as live:
        assert (live.decide().arm, live.chances()) == ("30", {"10": 0.0, "20": 0.0, "30": 1.0})


def test_a_customer_who_may_not_be_offered_the_current_arm_is_not_held_out():
    live = PriceThompson().live(
        ARMS, seed=1, propensities=True, guardrails=Guardrails(current="30", holdout=0.5)
    )
    decisions = [live.decide(active=["10", "20"]) for _ in range(30)]
    assert "30" not in {each.arm for each in decisions}
    assert sum(live.chances(active=["10", "20"]).values()) == pytest.approx(1.0)
    assert live.chances()["30"] >= 0.5


def test_arms_are_added_in_flight_and_what_was_learned_stays(tmp_path):
    live = PriceThompson().live(ARMS, tmp_path, seed=1, propensities=True)
    for number in range(60):
        live.outcome(live.decide(at=float(number)).id, number % 3 == 0)
    before = live.counts
    live.add_arms({"25": 25.0})
    wins, losses = live._state.policy.state[:4], live._state.policy.state[4:8]
    assert live.counts == before
    assert (wins.sum(), losses.sum()) == (20, 40)
    assert (wins[3], losses[3]) == (0, 0)
    assert shares(live, 100, at=60.0)[0]["25"] > 0
    live._store.log.close()
    more = Arms((*ARMS.names, "25"), np.append(ARMS.values, 25.0), ARMS.contexts, 1000, (0.0, 30.0))
    again = PriceThompson().live(more, tmp_path, seed=1, propensities=True)
    assert state(again) == state(live)
    with pytest.raises(HwdsError, match="needs all events"):
        PriceThompson().live(ARMS, seed=1).add_arms({"25": 25.0})


def test_a_batch_is_the_same_decisions_with_one_wait(tmp_path):
    one, many = (PriceThompson().live(ARMS, tmp_path / name, seed=3) for name in ("one", "many"))
    waits, synced = [], many._store.log._flush
    many._store.log._flush = lambda: (waits.append(1), synced())
    apart = [one.decide(at=1.0) for _ in range(20)]
    assert many.decide_batch([0] * 20, at=1.0) == apart
    assert len(waits) == 1
    assert state(one) == state(many)
    with pytest.raises(DataError, match="contexts: must be one for each of the 2 customers, got 1"):
        many.decide_batch([0, 0], [[]])


@pytest.mark.parametrize("lose", [0.0, 20.0])
def test_threads_share_a_wait_and_nothing_is_lost(lose, tmp_path):
    live = PriceThompson().live(ARMS, tmp_path, seed=1, propensities=True, lose=lose)

    def work():
        for _ in range(15):
            live.outcome(live.decide().id, True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.counts["conversions"] == 120
    assert lose or live._store.log._syncs._done == live._store.log.last
    live._store.log.close()
    again = PriceThompson().live(ARMS, tmp_path, seed=1, propensities=True)
    assert state(again) == state(live)
    assert again.log().select(pl.col("outcome").sum()).item() == 120


def test_a_disk_that_fails_ends_the_policy(tmp_path):
    live = PriceThompson().live(ARMS, tmp_path, seed=1)
    live.decide(at=0.0)

    def broken():
        raise OSError(5, "Input/output error")

    live._store.log._flush = broken
    for _ in range(2):
        with pytest.raises(
            HwdsError, match=r"cannot be written: Input/output error\. Begin the policy again"
        ):
            live.decide(at=0.0)


@pytest.mark.parametrize(
    ("guardrails", "said"),
    [
        ({"current": "11"}, r"guardrails: no arm '11'; known: 10, 20, 30"),
        ({"holdout": 0.1}, r"guardrails\.current: must be given"),
        ({"current": "10", "holdout": 1.5}, r"guardrails\.holdout: must be 0 to 1, got 1.5"),
        ({"current": "10", "caps": {"20": -1.0}}, r"guardrails\.caps\.20: must be 0 to 1, got -1"),
        ({"current": "10", "floor": 15.0}, "'10' is itself below the floor of 15"),
    ],
)
def test_guardrails_that_do_not_fit_are_refused(guardrails, said):
    with pytest.raises(ConfigError, match=said):
        PriceThompson().live(ARMS, seed=1, guardrails=Guardrails(**guardrails))
