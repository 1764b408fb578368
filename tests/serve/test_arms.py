"""A canary answers a share of the units, always the same ones; a shadow answers for the record;
neither costs an answer.
"""

import json
from dataclasses import replace
from threading import Event
from time import sleep
from types import SimpleNamespace

import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.serve.monitor.watch import read_captured
from hwds.serve.server.core import Shadow, check_arm, parts_of, share_of
from hwds.serve.server.settings import canary_of
from tests.serve.test_server import ROW, ask


def until_done(shadow):
    """Wait until a shadow has answered what it has taken up."""
    shadow._threads.submit(int).result(30)


def rows(n):
    return [ROW | {"id": f"unit-{place}", "spent": 10.0 + place} for place in range(n)]


def test_a_unit_stays_in_its_arm_and_answers_keep_their_order(serve, bundle, tmp_path):
    folder = str(bundle.folder)
    client = serve(canary=folder, canary_share=0.3, capture=str(tmp_path / "cap"))
    together = ask(client, rows(60)).json()
    assert [answer["id"] for answer in together] == [f"unit-{place}" for place in range(60)]
    arms = {answer["id"]: answer["arm"] for answer in together}
    assert 8 <= list(arms.values()).count("canary") <= 28
    assert {
        answer["id"]: answer["arm"] for answer in (ask(client, row).json() for row in rows(60))
    } == arms
    text = client.get("/metrics").text
    assert f'hwds_arm_rows_total{{arm="canary"}} {2 * list(arms.values()).count("canary")}' in text
    plain = ask(serve(), rows(60)).json()
    assert [
        {name: value for name, value in answer.items() if name != "arm"} for answer in together
    ] == plain
    kept = read_captured(tmp_path / "cap", "canary")
    assert {each.answer["id"] for each in kept} == {
        id for id, arm in arms.items() if arm == "canary"
    }


def test_a_canary_that_fails_costs_no_answer(serve, bundle, monkeypatch):
    client = serve(canary=str(bundle.folder), canary_share=1.0)

    def fail(questions):
        raise ZeroDivisionError

    def panic(questions):
        raise pl.exceptions.PanicException("in Rust")

    monkeypatch.setattr(client.core.others["canary"].service, "read", fail)
    assert ask(client, ROW).json()["arm"] == "main"
    monkeypatch.setattr(client.core.others["canary"].service, "read", panic)
    assert ask(client, ROW).json()["arm"] == "main"
    assert ask(client, {"spent": "x"}).status_code == 400
    assert "hwds_canary_failures_total 2" in client.get("/metrics").text


def test_a_slow_canary_costs_no_answer(serve, bundle, monkeypatch):
    client, over = serve(canary=str(bundle.folder), canary_share=1.0, seconds=3.0), Event()
    monkeypatch.setattr(
        client.core.others["canary"].service,
        "answer",
        lambda questions, *, reasons: over.wait(30) and [],
    )
    answers = ask(client, [ROW] * 65).json()
    over.set()
    assert {answer["arm"] for answer in answers} == {"main"}
    assert "hwds_canary_failures_total 1" in client.get("/metrics").text


def test_mains_answer_may_take_all_of_its_time_beside_a_canary(serve, bundle, monkeypatch):
    client = serve(canary=str(bundle.folder), canary_share=0.0, seconds=2.0)
    service, answer = client.core.loaded.service, client.core.loaded.service.answer
    monkeypatch.setattr(
        service, "answer", lambda *words, **named: sleep(1.2) or answer(*words, **named)
    )
    assert ask(client, [ROW] * 65).status_code == 200


def test_a_shadow_is_captured_beside_main_and_answers_nobody(serve, bundle, tmp_path, monkeypatch):
    client = serve(shadow=str(bundle.folder), capture=str(tmp_path / "cap"))
    said = ask(client, [{"spent": 5.0}, *rows(3)]).json()
    assert "arm" not in said[0]
    monkeypatch.setattr(client.core.others["shadow"].service, "answer", lambda questions: 1 / 0)
    assert ask(client, ROW).status_code == 200
    until_done(client.core._shadow)
    main, shadow = (read_captured(tmp_path / "cap", arm) for arm in ("main", "shadow"))
    assert [each.answer for each in shadow] == [each.answer for each in main[:4]] == said
    assert {each.request for each in shadow} == {main[0].request}
    assert "hwds_shadow_failures_total 1" in client.get("/metrics").text


def test_all_arms_capture_a_request_or_none(serve, bundle, tmp_path):
    folder = str(bundle.folder)
    client = serve(
        shadow=folder, canary=folder, canary_share=0.5, capture=str(tmp_path / "cap"), sample=0.4
    )
    for place in range(40):
        ask(client, [{"spent": 10.0 + place}, {"spent": 300.0 + place}])
    until_done(client.core._shadow)
    main, canary, shadow = (
        {each.request for each in read_captured(tmp_path / "cap", arm)}
        for arm in ("main", "canary", "shadow")
    )
    assert 6 <= len(shadow) <= 28
    assert main | canary == shadow
    assert main & canary


def test_what_nobody_gets_is_not_captured(serve, bundle, tmp_path):
    folder = str(bundle.folder)
    client = serve(shadow=folder, canary=folder, canary_share=0.5, capture=str(tmp_path / "cap"))
    arms = {answer["arm"]: answer["id"] for answer in ask(client, rows(20)).json()}
    until_done(client.core._shadow)
    before = len(read_captured(tmp_path / "cap"))
    assert (
        ask(client, [ROW | {"id": arms["main"]}, {"id": arms["canary"], "spent": "x"}]).status_code
        == 400
    )
    assert ask(client, [1]).status_code == 400
    assert len(read_captured(tmp_path / "cap")) == before


def test_a_shadow_that_is_behind_takes_up_no_more_rows_than_it_may():
    begin, counts = Event(), []
    loaded = SimpleNamespace(service=SimpleNamespace(answer=lambda questions: begin.wait() and []))
    shadow = Shadow(counts.append)
    for _ in range(5):
        shadow.offer(loaded, [ROW] * 9_000, lambda answers: None)
    assert counts == ["shadow_left_out"] * 3
    begin.set()
    shadow.close()


def test_a_reload_takes_up_the_bundles_beside_main(serve, bundle):
    import asyncio

    client = serve(shadow=str(bundle.folder))
    before = client.core.others["shadow"]
    asyncio.run(client.core.reload())
    assert client.core.others["shadow"] is not before


def test_arms_are_refused_in_words(bundle):
    other = {**bundle.root.files, "schema.json": b'{"properties": {"id": {}}}'}
    with pytest.raises(ConfigError, match="--canary: its questions have no 'channel'"):
        check_arm(bundle, replace(bundle, root=replace(bundle.root, files=other)), "canary")
    panel, events = (
        replace(bundle, manifest=replace(bundle.manifest, kind=kind))
        for kind in ("panel", "events")
    )
    with pytest.raises(ConfigError, match="--shadow: answers panel, the server rows"):
        check_arm(bundle, panel, "shadow")
    with pytest.raises(ConfigError, match="--shadow: these answers remember earlier questions"):
        check_arm(events, events, "shadow")
    assert canary_of("folder=x=2.5%") == ("folder=x", 0.025)
    for wrong in ("folder", "folder=5", "=5%", "folder=0%", "folder=x%"):
        with pytest.raises(ConfigError, match="--canary: must be a folder and a share"):
            canary_of(wrong)


def test_draws_are_uniform_and_by_unit():
    shares = [share_of({"id": str(place)}) for place in range(2000)]
    assert abs(sum(shares) / 2000 - 0.5) < 0.02
    assert share_of({"id": "a", "machine": "m"}, "machine") == share_of(
        {"id": "b", "machine": "m"}, "machine"
    )
    assert share_of({"id": "a"}, "", "canary ") != share_of({"id": "a"})
    parts = parts_of([{"spent": 1}, {"id": "q"}], 1.0, "")
    assert [
        (part.arm, part.places, [question["id"] for question in part.questions]) for part in parts
    ] == [("canary", [0, 1], ["0", "q"])]
    assert json.dumps(parts[0].questions)
