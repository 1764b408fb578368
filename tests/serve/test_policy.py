"""A live bandit policy as a bundle: the same decisions in a fresh process, each once, none lost, by
one owner of the state.
"""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from hwds.bandit.live.service import LivePolicies, LiveSettings, PolicyMarket
from hwds.cli.run import run_experiment
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, ResumeError
from hwds.experiment.spec import check
from hwds.serve.bundle.make import make_bundle, policy_settings
from hwds.serve.bundle.prove import prove_bundle
from hwds.serve.bundle.reference import read_cases
from hwds.serve.runtime import service as lambda_service
from hwds.serve.server.core import check_arm
from hwds.serve.services.opening import Bundle
from tests.serve.conftest import CARD

WORDS = [
    "dataset=price_demand",
    "model=bandit/price_thompson",
    "protocol=bandit_simulation",
    "protocol.replications=2",
    "protocol.horizon=50",
    "pictures=false",
    "compute=serial",
]


@pytest.fixture(scope="module")
def made(home):
    """A maker of bundles of one run of a policy, by the settings of production and words that
    change the run.
    """

    def bundle(
        name,
        live=None,
        *words,
        prove=lambda folder: prove_bundle(folder) | {"latency": {"p50_ms": 1, "p99_ms": 1}},
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(home)
            data = compose([*WORDS, *words])
            run = run_experiment(check(data), data).prepared.folder
            return make_bundle(
                str(run.path),
                home / name,
                key=home / "key.pem",
                fields=CARD,
                prove=prove,
                live=live,
            )

    return bundle


@pytest.fixture(scope="module")
def policy(made):
    """The bundle of a policy, proven in this process."""
    return made("policy", LiveSettings(window=1000.0))


def unproven(folder):
    return {"rows": 0, "latency": {"p50_ms": 1, "p99_ms": 1}}


@pytest.fixture
def served(policy, serve, tmp_path):
    """A client of a server of the policy."""
    return serve(folder=str(policy.folder), store=str(tmp_path / "log"))


def asked(client, question, status=200):
    answer = client.post("/invocations", content=json.dumps(question))
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.json()["error"]


def killed(client):
    """What the system does when the server is killed."""
    live = client.core.loaded.service.live
    live._store.log.close()
    live._closed = live._store._closed = True


def test_a_fresh_store_repeats_the_decisions_of_the_library(policy):
    parity = policy.manifest.parity
    assert (parity["rows"], parity["worst_difference"], parity["worst_difference_alone"]) == (
        256,
        0.0,
        0.0,
    )
    cases = read_cases(policy.folder / "parity")[0]
    outcomes = [case.answer["status"] for case in cases if "of" in case.question]
    assert len(cases) - len(outcomes) == 256
    assert {"learned", "late"} == set(outcomes)
    assert len({case.answer["arm"] for case in cases if "arm" in case.answer}) > 2
    names = {
        path.relative_to(policy.folder).as_posix()
        for path in policy.folder.rglob("*")
        if path.is_file()
    }
    assert {"state/market.json", "schema.json", "parity/cases.jsonl", "card.md"} <= names
    assert "conversions" not in (policy.folder / "state" / "market.json").read_text(), (
        "the truth is the simulator's alone"
    )


def written(folder, **settings):
    """Write the content of a policy's bundle, and return its cases."""
    experiment = check(compose(WORDS))
    content = LivePolicies.content(
        experiment.model,
        experiment.protocol,
        experiment.dataset.frame(),
        experiment.seed,
        LiveSettings(**settings),
        32,
    )
    for name in ("state", "parity"):
        (folder / name).mkdir()
    return content.write(folder / "state", folder / "parity").cases


def test_a_policy_of_large_batches_learns_in_its_proof(tmp_path):
    cases = written(tmp_path, window=1000.0, batch=1000)
    assert [PolicyMarket.read(tmp_path / part).settings.batch for part in ("state", "parity")] == [
        1000,
        8,
    ]
    asked = [case for case in cases if "of" not in case.question]
    chances = [
        {(case.answer["arm"], case.answer["propensity"]) for case in part}
        for part in (asked[:8], asked[8:])
    ]
    assert not chances[0] & chances[1]


def test_a_window_of_years_is_repeated_too(tmp_path):
    cases = written(tmp_path, window=1e9)
    assert [PolicyMarket.read(tmp_path / part).settings.ahead for part in ("state", "parity")] == [
        60,
        None,
    ]
    assert max(case.question.get("at", 0) for case in cases) > time.time()


def test_a_decision_is_made_once_and_its_outcome_counts_once(served):
    segments = served.get("/openapi.json").json()["paths"]["/invocations"]["post"]["requestBody"][
        "content"
    ]
    segment = segments["application/json"]["schema"]["oneOf"][0]["properties"]["segment"]["enum"][0]
    first = asked(served, {"id": "basket-17", "segment": segment})
    assert first["arm"] == f"{first['price']:g}"
    assert 0 < first["propensity"] <= 1
    assert asked(served, {"id": "basket-17", "segment": segment}) == first | {"again": True}
    rest = [name for name in served.core.loaded.service._market.names if name != first["arm"]]
    assert "which `active` lacks" in asked(
        served, {"id": "basket-17", "segment": segment, "active": rest}, 400
    )
    other, outcome = asked(
        served,
        [{"segment": segment, "active": [first["arm"]]}, {"of": "basket-17", "converted": True}],
    )
    assert (other["id"], other["decision"], other["propensity"]) == ("0", 1, 1.0)
    assert outcome == {"of": 0, "status": "learned"}
    assert asked(served, {"of": 0, "converted": False}) == {"of": 0, "status": "repeated"}
    assert asked(served, {"of": 1, "converted": False}) == {"of": 1, "status": "learned"}
    assert served.core.loaded.service.live.counts["conversions"] == 1
    assert 'hwds_requests_total{status="200"}' in served.get("/metrics").text
    csv = served.post(
        "/invocations",
        content=f"id,segment\nbasket-17,{segment}\n",
        headers={"content-type": "text/csv"},
    )
    assert csv.text.startswith(f"basket-17,0,{first['arm']},")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"of": 7, "converted": True}, "'of' must name a decision that was made here, got 7"),
        (
            {"of": "basket-18", "converted": True},
            "'of' must name a decision that was made here, got 'basket-18'",
        ),
        ({"of": 0}, "an outcome must have 'of' and 'converted'"),
        (
            {"of": 0, "converted": True, "segment": "x"},
            "'segment' is said of a customer, and 'converted' of an outcome",
        ),
        ({"of": 0, "converted": 2}, "converted: must be true or false, got 2"),
        (
            {"of": 0, "converted": True, "at": []},
            "question '1': at: must be a finite number, got []",
        ),
        (
            {"of": 0, "converted": True, "at": 10**400},
            "question '1': at: must be a finite number, got 1000",
        ),
        ({"of": "0", "converted": True}, "'of' must name a decision that was made here, got '0'"),
        (
            {"of": 0, "converted": True, "amount": 5},
            "amount: this policy learns from conversions alone",
        ),
        ({}, "'segment' must be given, one of "),
        ({"segment": "x"}, "no segment 'x'"),
        ({"segment": 1, "colour": 1}, "no field 'colour'"),
        (
            {"segment": "retail/consumer", "id": 17},
            "id: must be a text of 1 to 1,000 printable characters, got 17",
        ),
        (
            {"segment": "retail/consumer", "id": "a\n"},
            "id: must be a text of 1 to 1,000 printable characters",
        ),
        ({"segment": "retail/consumer", "active": ["7"]}, "active: unknown arm '7'"),
        ({"id": "basket-17", "channel": 0.5}, "must be a number of -1e+06 to 1e+06"),
    ],
)
def test_what_a_client_does_wrong_is_a_line(served, question, said):
    asked(served, {"id": "basket-17", "segment": served.core.loaded.service._market.segments[0]})
    before = served.core.loaded.service.live._store.log.last
    names = served.core.loaded.service._market.context_names
    renamed = {(names[0] if name == "channel" else name): value for name, value in question.items()}
    assert said in asked(
        served, [{"segment": served.core.loaded.service._market.segments[0]}, renamed], 400
    )
    assert served.core.loaded.service.live._store.log.last == before, "nothing has happened"


def test_what_was_acknowledged_outlives_the_server(served, serve, policy, tmp_path):
    segment = served.core.loaded.service._market.segments[0]
    first = asked(served, [{"id": f"customer {place}", "segment": segment} for place in range(40)])
    asked(served, [{"of": f"customer {place}", "converted": place % 3 == 0} for place in range(30)])
    killed(served)
    later = serve(folder=str(policy.folder), store=str(tmp_path / "log"))
    again = asked(later, [{"id": f"customer {place}", "segment": segment} for place in range(40)])
    assert again == [answer | {"again": True} for answer in first]
    statuses = asked(later, [{"of": f"customer {place}", "converted": True} for place in range(31)])
    assert [each["status"] for each in statuses] == ["repeated"] * 30 + ["learned"]
    assert later.core.loaded.service.live.counts["conversions"] == 11


def test_a_clients_milliseconds_are_refused_and_leave_no_trace(served):
    live, now = served.core.loaded.service.live, time.time()
    question = {"segment": served.core.loaded.service._market.segments[0], "at": now}
    asked(served, question)
    before = live._store.log.last
    for wrong in ({**question, "at": 1000 * now}, {"of": 0, "converted": True, "at": 1000 * now}):
        assert "as far ahead as is allowed" in asked(served, wrong, 400)
    assert live._store.log.last == before
    assert asked(served, {"of": 0, "converted": True, "at": now + 1}) == {
        "of": 0,
        "status": "learned",
    }


def test_where_every_arm_is_retired_the_server_is_not_able_to_answer(served):
    live, segment = served.core.loaded.service.live, served.core.loaded.service._market.segments[0]
    first, *rest = live.arms.names
    for arm in rest:
        live.retire(arm)
    assert f"left are {first}" in asked(served, {"segment": segment, "active": rest[:1]}, 400)
    live.retire(first)
    assert "every one is retired" in asked(served, {"segment": segment}, 503)


def test_a_reload_keeps_the_state_and_another_policy_is_refused(served, policy, made, home):
    core, segment = served.core, served.core.loaded.service._market.segments[0]
    first = asked(served, {"id": "a", "segment": segment})
    current = core.loaded.service._market.names[0]
    stopped = made(
        "stopped", LiveSettings(window=1000.0, current=current, holdout=1.0), prove=unproven
    )
    core.settings = replace(core.settings, folder=str(stopped.folder))
    asyncio.run(core.reload())
    assert asked(served, {"id": "a", "segment": segment}) == first | {"again": True}
    assert {asked(served, {"segment": segment})["arm"] for _ in range(5)} == {current}, (
        "a holdout of 1 stops the policy"
    )
    other = made("other", LiveSettings(window=2000.0), prove=unproven)
    core.settings = replace(core.settings, folder=str(other.folder))
    asyncio.run(core.reload())
    assert "hwds_reload_failures_total 1" in served.get("/metrics").text
    assert core.loaded.digest == stopped.manifest.digest
    assert asked(served, {"id": "a", "segment": segment}) == first | {"again": True}


def test_its_state_has_one_owner(served, policy, home, tmp_path, monkeypatch):
    with pytest.raises(ResumeError, match="another process uses it"):
        policy.service(tmp_path / "log")
    with pytest.raises(
        ConfigError,
        match="these answers remember earlier questions, and one bundle owns their store",
    ):
        check_arm(policy, policy, "canary")
    monkeypatch.setenv("HWDS_BUNDLE", str(policy.folder))
    monkeypatch.setenv("HWDS_TRUSTED_KEYS", str(home / "key.pem.pub"))
    lambda_service.cache_clear()
    with pytest.raises(ConfigError, match="a Lambda's disk does not outlive it"):
        lambda_service()
    assert Bundle.open(policy.folder, str(home / "key.pem.pub")).manifest.kind == "policy"


def test_settings_of_production_are_refused_in_a_line(made, tmp_path):
    (tmp_path / "live.yaml").write_text("holdout: 2\n")
    with pytest.raises(ConfigError, match=r"live.holdout: must be <= 1.0, got 2"):
        policy_settings(LivePolicies, tmp_path / "live.yaml")
    (tmp_path / "live.yaml").write_text("windw: 2\n")
    with pytest.raises(ConfigError, match=r"--live: no field 'windw'; did you mean 'window'"):
        policy_settings(LivePolicies, tmp_path / "live.yaml")
    with pytest.raises(ConfigError, match=r"live.window: must be given \(--live\)"):
        made("late", None, "dataset=price_demand_delay", "protocol.batch=5", prove=unproven)
    with pytest.raises(ConfigError, match="no arm 'x'"):
        made("current", LiveSettings(current="x"), prove=unproven)
