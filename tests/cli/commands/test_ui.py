"""The local page: it lists, sorts, groups, draws, compares and labels runs, in a real browser too,
for this machine alone.
"""

import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlencode

import polars as pl
import pytest

from hwds.evaluation.cells import learning_curve, recorded_learning
from hwds.report.page_parts import DARK_COLOURS, LIGHT_COLOURS, contrast
from hwds.report.pictures import new_figure, save_png
from hwds.report.ui.data import Watched, run_data
from hwds.report.ui.server import ANSWERS, DARK, LIGHT, runs_server
from hwds.results.folder import RunFolder
from hwds.results.index import RunProgress
from hwds.results.records import LEARNING_FOLDER, Labels, write_learning
from hwds.results.records import STREAMS_FOLDER as STREAMS
from hwds.serve.stream.shard import Shard
from tests.support.accessibility import complaints
from tests.support.axe import violations
from tests.support.browser import DESK, PHONE
from tests.support.streams import RULES, Slowly, followed_machines, laid, told

from .conftest import SALES

WICKED = "<script>document.title='taken'</script>"
WIDE = (1920, 1080)
SPACE = "sweep.space={model:{season:{choice:[2,3,4,12]}}}"


def losses(folder, *values):
    """Losses of a network, as a run of it would leave them."""
    with recorded_learning(folder / LEARNING_FOLDER, "forecast/naive", "2023-07-01", 0):
        curve = learning_curve("network 1", "epoch")
        for epoch, value in enumerate(values, 1):
            curve.report(epoch, value, value + 0.1)


@pytest.fixture
def made(hwds, sales, once, tmp_path, monkeypatch):
    """Two runs and a sweep; the first has a note that would like to be a script, the second the
    losses of a network.
    """
    monkeypatch.setattr("hwds.cli.sweep.draw_sweep", lambda *_: [])

    def make():
        for model in ("forecast/seasonal_naive", "forecast/naive"):
            assert (
                hwds(
                    SALES.replace("forecast/seasonal_naive", model)
                    + f" name={model.rpartition('/')[2]}"
                ).code
                == 0
            )
        assert hwds(f"{SALES} name=tuned sweep=grid {SPACE}").code == 0
        naive = next(tmp_path.glob("outputs/runs/naive/*"))
        losses(naive, 0.9, 0.5, 0.4)
        write_learning(naive)
        figure = new_figure(1, 1)
        figure.add_subplot()
        for drawn in tmp_path.glob("outputs/runs/*/*"):
            save_png(figure, drawn / "forecasts.png")
        first = next(tmp_path.glob("outputs/runs/seasonal_naive/*"))
        Labels(note=WICKED).write(first)

    once(make)
    (first,), (second,) = (
        list((tmp_path / "outputs/runs" / name).iterdir()) for name in ("seasonal_naive", "naive")
    )
    (sweep,) = (tmp_path / "outputs/sweeps/tuned").iterdir()
    return [
        f"{path.parents[1].name}/{path.parent.name}/{path.name}" for path in (first, second, sweep)
    ]


@contextmanager
def serving():
    with runs_server(0) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}", found.token
        finally:
            found.shutdown()
            thread.join()


@pytest.fixture
def address(made):
    with serving() as (found, _):
        yield found


def got(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read().decode(), answer.headers


def asked(url, *words, **more):
    return json.loads(got(f"{url}?{urlencode([*words, *more.items()])}")[0])


def changed(url, content, token):
    request = urllib.request.Request(url, json.dumps(content).encode(), {"X-Token": token})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def refused(url, content=None, **headers):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(url, content, headers))
    return error.value.code


def test_runs_are_found_by_the_words_of_the_command_with_columns_for_what_differs(address, made):
    every = asked(f"{address}/runs.json")
    assert (every["all"], every["error"], every["running"]) == (4, "", False)
    differing = {entry["name"] for entry in every["columns"] if not entry["fact"]}
    assert "model.season" in differing
    assert not {"protocol.horizon", "dataset.path", "model.recipe"} & differing, (
        "in these no two runs differ"
    )
    metrics = {entry["name"] for entry in every["known"] if entry["better"]}
    assert {"mase", "mae"} <= metrics
    only = asked(f"{address}/runs.json", ("column", "mae"), q="model=forecast/naive")
    assert (only["found"], only["rows"]["path"]) == (1, [made[1]])
    assert only["rows"]["mae"][0] > 0
    assert asked(f"{address}/runs.json", q="script")["rows"]["path"] == [made[0]], (
        "words are looked for in notes, too"
    )
    assert "did you mean 'mase'" in asked(f"{address}/runs.json", q="masse<1")["error"]
    assert "No closing quotation" in asked(f"{address}/runs.json", q="'")["error"]
    (sweep,) = asked(f"{address}/runs.json", kind="sweep")["rows"]["path"]
    assert sweep == made[2]
    both = asked(f"{address}/runs.json", ("run", made[0]), ("run", made[1]))
    assert both["rows"]["model"] == ["forecast/seasonal_naive", "forecast/naive"]


def test_curves_are_the_scores_by_step_and_the_losses_by_epoch(address, made, tmp_path):
    said = asked(f"{address}/curves.json", ("run", made[1]), ("run", "runs/adhoc/none"))
    (curve,) = [
        each for each in said["curves"] if (each["metric"], each["axis"]) == ("mase[m=12]", "step")
    ]
    scores = pl.read_parquet(tmp_path / "outputs" / made[1] / "scores.parquet")
    whole = scores.filter(
        (pl.col("metric") == "mase[m=12]") & pl.col("fold").is_null() & pl.col("step").is_not_null()
    )
    assert curve["points"] == [
        list(row) for row in whole.sort("step").select("step", "value").iter_rows()
    ]
    assert said["lacking"] == {"runs/adhoc/none": "no run 'runs/adhoc/none'."}
    found = asked(f"{address}/losses.json", ("run", made[0]), ("run", made[1]))
    assert [(row["path"], row["step"], row["train"]) for row in found["losses"]] == [
        (made[1], step, value) for step, value in enumerate([0.9, 0.5, 0.4], 1)
    ]


def test_a_sweep_has_its_trials_its_best_and_its_space(address, made, tmp_path):
    said = asked(f"{address}/sweep.json", run=made[2])
    trials = pl.read_parquet(tmp_path / "outputs" / made[2] / "trials.parquet")
    assert [row["score"] for row in said["trials"]] == trials["score"].to_list()
    assert (said["best"], said["settings"]) == (trials.sort("score")["trial"][0], ["model.season"])
    assert said["space"] == [{"setting": "model.season", "drawn": "choice", "from": "2, 3, 4, 12"}]
    assert said["importance"]["refused"]
    shown = asked(f"{address}/run.json", run=made[2])
    assert "is the best of" in shown["said"][0]


def test_reports_open_and_nothing_else_does(address, made):
    text, headers = got(f"{address}/report?{urlencode({'run': made[0]})}")
    assert text.startswith("<!DOCTYPE html>")
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "connect-src" not in headers["Content-Security-Policy"], (
        "a script in a report has nobody to ask"
    )
    assert '<meta http-equiv="Content-Security-Policy"' in text
    page, headers = got(f"{address}/")
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe-eval" not in headers["Content-Security-Policy"]
    for path in ("/report?run=../../etc", "/report?run=runs/../..", "/kept?report=../../sales.csv", "/sales.csv", "/report",
                 "/vendor/LICENSES.txt", "/static/../server.py", f"/picture?run={made[0]}&name=../config.yaml"):  # fmt: skip
        assert refused(address + path) == 404
    assert refused(f"{address}/", Host="evil.example:80") == 403
    assert got(f"{address}/", Host="localhost:1")[0] == page


def test_labels_and_comparisons_need_the_token_of_the_page(made, tmp_path):
    with serving() as (address, token):
        content = {
            "path": made[1],
            "name": "  the plain one ",
            "tags": "draft keep",
            "note": "as last month",
        }
        for headers in ({}, {"X-Token": "x"}):
            assert refused(f"{address}/labels", json.dumps(content).encode(), **headers) == 403
        assert (
            refused(
                f"{address}/labels",
                json.dumps(content).encode(),
                **{"X-Token": token, "Host": "evil.example"},
            )
            == 403
        )
        assert not Labels.read(tmp_path / "outputs" / made[1]).tags
        changed(f"{address}/labels", content, token)
        assert Labels.read(tmp_path / "outputs" / made[1]) == Labels(
            ("draft", "keep"), "as last month", "the plain one"
        )
        assert asked(f"{address}/runs.json", q="plain")["rows"]["path"] == [made[1]]
        for wrong in (
            b"[]",
            b"{",
            json.dumps({**content, "tags": "a,b"}).encode(),
            json.dumps({"path": "runs/../x"}).encode(),
        ):
            assert refused(f"{address}/labels", wrong, **{"X-Token": token}) == 404
        assert (
            refused(
                f"{address}/compare", json.dumps({"runs": made[:1]}).encode(), **{"X-Token": token}
            )
            == 404
        )
        assert refused(f"{address}/nothing", b"{}", **{"X-Token": token}) == 404
        for length, code in (("-1", 400), ("two", 400), ("100001", 413)):
            assert (
                refused(f"{address}/labels", b"{}", **{"X-Token": token, "Content-Length": length})
                == code
            )


def test_what_is_wrong_is_refused_in_one_line(hwds):
    assert "--port: must be a whole number, got 'x'" in hwds("ui --port x").line
    assert "--port: must be at most 65535, got 65536" in hwds("ui --port 65536").line
    assert "ui: takes no words, got 'a'" in hwds("ui a").line
    with runs_server(0) as taken:
        assert "--port 0 takes a free one" in hwds(f"ui --port {taken.server_port}").line


@pytest.mark.parametrize(("colours", "page"), [(LIGHT, LIGHT_COLOURS), (DARK, DARK_COLOURS)])
def test_curves_stand_out_from_their_ground(colours, page):
    assert min(contrast(colour, page["paper"]) for colour in colours) >= 4.5


ROWS = (
    "[...document.querySelectorAll('#table .tabulator-row button.plain')].map(each => "
    "each.textContent.split('/')[0])"
)


def clicked(tab, selector):
    tab.point(*tab.middle(selector), click=True)


def picked(tab, selector, value):
    tab.ask(
        f"(s => {{ s.value = {value!r}; s.dispatchEvent(new Event('change')); "
        f"}})(document.querySelector({selector!r}))"
    )


def typed(tab, text, place="query"):
    tab.ask(f"document.getElementById('{place}').select()")
    tab.order("Input.insertText", text=text)


@pytest.mark.chromium
def test_a_browser_finds_sorts_groups_ticks_draws_and_keeps_it_all_in_the_address(
    address, made, browser
):
    with browser.page(f"{address}/?q=-") as tab:
        tab.until("document.getElementById('count').textContent === '0 of 4 runs.'")
        typed(tab, "model=forecast/*naive mase<100 dataset=file")
        tab.until(f"{ROWS}.length === 4")
        assert tab.ask("document.title") == "hwds runs", "the note's script did not run"
        assert WICKED in tab.ask("document.getElementById('table').textContent")
        clicked(tab, "[tabulator-field=score] button.head")
        tab.until("location.search.includes('sort=score+asc')")
        ascending = tab.ask(ROWS)
        tab.ask("document.querySelector('[tabulator-field=score] button.head').focus()")
        tab.press("Enter", 13)
        tab.until(f"{ROWS}[0] === {ascending[-1]!r} && location.search.includes('sort=score+desc')")
        picked(tab, "#group", "model")
        tab.until(
            "document.querySelectorAll('.tabulator-group').length === 2 && "
            "location.search.includes('group=model')"
        )
        picked(tab, "#group", "")
        picked(tab, "#column", "mae")
        tab.until(
            "document.querySelector('.tabulator-col[tabulator-field=mae]') && "
            "location.search.includes('column=mae')"
        )
        for name in ("seasonal_naive", "naive"):
            clicked(tab, f"input[aria-label^='Tick {name}/']")
        tab.until("document.querySelectorAll('#chart .mark-line path').length === 2")
        assert tab.ask("document.getElementById('of').textContent") == "2 ticked"
        assert [complaints(tab), tab.complaints] == [[], []]
        clicked(tab, "#tab-losses")
        tab.until(
            "document.querySelectorAll('#chart .mark-line path').length === 2 && "
            "location.search.includes('tab=losses')"
        )
        assert "0.4" in tab.ask("document.querySelector('#numbers').textContent")
        tab.press("ArrowRight", 39)
        tab.until(
            "document.querySelectorAll('#chart .mark-symbol path').length > 1 && "
            "location.search.includes('tab=scatter')"
        )
        tab.press("ArrowRight", 39)
        tab.until(
            "document.querySelectorAll('#chart .mark-line path').length > 1 && "
            "location.search.includes('tab=parallel')"
        )
        tab.press("ArrowRight", 39)
        tab.until(
            "document.querySelector('#numbers "
            "tbody')?.textContent.includes('forecast/seasonal_naive')"
        )
        before = tab.ask("location.href")
        assert tab.ask("document.querySelector('#numbers tbody').textContent").startswith(
            "modelforecast/"
        )
        assert all(url.startswith(address) for url in tab.requests)
        assert tab.complaints == []
    with browser.page(before) as tab:
        tab.until(
            "document.querySelector('#numbers "
            "tbody')?.textContent.includes('forecast/seasonal_naive')"
        )
        assert tab.ask(ROWS)[0] == ascending[-1]
        typed(tab, "masse<1")
        tab.until("document.getElementById('error').textContent.includes(\"did you mean 'mase'\")")


def test_a_report_is_shown_where_pictures_cannot_be_drawn(made, tmp_path, capsys):
    folder = tmp_path / "outputs" / made[0]
    (folder / ".undrawn").touch()
    (folder / "report.html").mkdir()  # cannot be written
    watched = Watched()
    assert run_data(watched.index(), made[0])["pictures"] == [], (
        "those of a drawing that did not end are not all"
    )
    kind, page = ANSWERS["/report"](watched.index(), {"run": made[0]})
    assert (kind, "Leaderboard" in page) == ("text/html", True)
    assert "report.html: cannot be written" in capsys.readouterr().err


@pytest.mark.chromium
def test_a_browser_opens_labels_and_compares(address, made, browser, tmp_path):
    for kind in ("png", "svg"):
        (tmp_path / "outputs" / made[1] / f"forecasts.{kind}").unlink()
    with browser.page(f"{address}/?{urlencode([('run', path) for path in made[:2]])}") as tab:
        tab.until(f"{ROWS}.includes('naive')")
        tab.ask("document.querySelector('#table button.plain[title^=naive]').focus()")
        tab.press("Enter", 13)
        tab.until("document.activeElement.id === 'detail-title'")
        assert "NOT SURE" in tab.ask("document.querySelector('#detail .lead').textContent")
        tab.until("document.querySelectorAll('#shots img').length > 1")
        for place, text in (
            ("label-name", "plain"),
            ("label-tags", "draft"),
            ("label-note", "as last month"),
        ):
            typed(tab, text, place)
        clicked(tab, "#labels button")
        tab.until(
            f"{ROWS}.includes('plain') && document.getElementById('done').textContent === 'Saved.'"
        )
        assert Labels.read(tmp_path / "outputs" / made[1]) == Labels(
            ("draft",), "as last month", "plain"
        )
        typed(tab, "a,b", "label-tags")
        clicked(tab, "#labels button")
        tab.until("document.getElementById('done').textContent.includes('must be one word')")
        clicked(tab, "#compare")
        tab.until("!!document.querySelector('#done a')")
        assert re.search(
            r"(better|worse|told apart)", tab.ask("document.getElementById('done').textContent")
        )
        tab.ask("document.querySelector('#done a').click()")
        tab.until("document.querySelector('.lead') && location.pathname === '/kept'")
        tab.ask("history.back()")
        tab.until(f"{ROWS}.includes('plain')")


@pytest.mark.chromium
def test_a_browser_shows_a_sweep(address, made, browser):
    with browser.page(f"{address}/") as tab:
        clicked(tab, "#view-sweep")
        tab.until(f"{ROWS}.includes('tuned') && location.search.includes('view=sweep')")
        clicked(tab, "#table button.plain")
        tab.until("document.querySelectorAll('#trials .tabulator-row').length === 5")
        tab.until("document.querySelectorAll('#sweep svg').length === 2")
        text = tab.ask("document.getElementById('sweep').textContent")
        assert "What is searched" in text
        assert "baseline" in text
        first = (
            "document.querySelector('#trials .tabulator-row [tabulator-field=trial]').textContent"
        )
        best = tab.ask(first)
        assert (
            tab.ask(
                "document.querySelector('#trials .tabulator-row.best "
                "[tabulator-field=trial]').textContent"
            )
            == best
        )
        clicked(tab, "#trials [tabulator-field=score] button.head")
        tab.until(f"{first} !== {best!r}")
        assert [complaints(tab), tab.complaints] == [[], []]


@pytest.mark.chromium
@pytest.mark.parametrize(("size", "dark"), [(DESK, True), (PHONE, False), (WIDE, False)])
def test_everybody_can_read_it_anywhere(address, made, browser, tmp_path, size, dark):
    broken = tmp_path / "outputs" / "runs" / WICKED.replace("/", "")
    shutil.copytree(tmp_path / "outputs" / made[0], broken / "0a1b")
    (broken / "0a1b" / "scores.parquet").write_bytes(b"PAR1")
    words = urlencode([("run", made[1]), ("run", made[0]), ("open", made[0]), ("group", "model")])
    with browser.page(f"{address}/?{words}", size, dark=dark) as tab:
        tab.until(
            f"{ROWS}.length === 5 && document.querySelectorAll('#chart .mark-line path').length "
            f"=== 2"
        )
        tab.until("!!document.querySelector('#detail .lead')")
        assert [complaints(tab), tab.complaints] == [[], []]
        assert tab.ask(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        assert tab.ask("document.title") == "hwds runs"
        assert violations(tab) == []


@pytest.mark.chromium
def test_a_run_is_watched_as_it_learns_and_when_it_is_killed(address, made, browser, tmp_path):
    folder = RunFolder(tmp_path / "outputs" / made[1])
    (folder.path / "scores.parquet").unlink()
    rows = "document.getElementById('table').textContent"
    with browser.page(f"{address}/?tab=losses") as tab, ExitStack() as stack:
        stack.enter_context(folder.lock())
        RunProgress(12, 36, 1, time.time(), 60.0, 120.0).write(folder.path)
        losses(folder.path, 0.9, 0.5)
        tab.until(
            f"{rows}.includes('running: 12 of 36 cells, 1 failed after 60 s, about 2.0 min left')"
        )
        assert tab.ask("document.querySelector('#table progress').position") == 12 / 36
        tab.until("document.querySelector('#numbers')?.textContent.includes('0.5')")
        losses(folder.path, 0.9, 0.5, 0.25)
        tab.until("document.querySelector('#numbers')?.textContent.includes('0.25')")
        stack.close()
        tab.until(f"{rows}.includes('stopped at 12 of 36 cells')")
        assert complaints(tab) == []


@pytest.mark.chromium
@pytest.mark.parametrize(("size", "dark"), [(PHONE, False), (DESK, True)])
def test_a_stream_is_watched_while_it_runs(browser, tmp_path, monkeypatch, size, dark):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwds.serve.stream.state.PROGRESS_PAUSE", 0.0)
    _, followed, lines = followed_machines()
    said = "document.getElementById('stream-said').textContent"
    with serving() as (address, _), browser.page(f"{address}/?view=stream", size, dark=dark) as tab:
        tab.until(f"{said}.startsWith('No stream here yet.')")

        def look():
            tab.ask("document.getElementById('view-stream').click()")
            tab.until(f"{said}.startsWith('On: ') && {said}.includes('500 readings of 5 machines')")
            tab.until("document.querySelectorAll('#scores svg, #sensors svg').length === 2")
            clicked(tab, "#machines tr:last-child button")
            last = "document.querySelector('#machines tr:last-child button')"
            tab.until(
                f"{last}.getAttribute('aria-pressed') === 'true' && document.activeElement === "
                f"{last}"
            )
            tab.until(
                f"document.getElementById('sensors-title').textContent === {last}.textContent"
            )

        folder = tmp_path / "outputs" / STREAMS / "press"
        folder.parent.mkdir(parents=True)
        with Shard(followed, folder, replace(RULES, batch=250)) as shard:
            shard.run(Slowly(laid(folder, lines), [lambda: None, look]))
        tab.ask("document.getElementById('view-stream').click()")
        tab.until(f"{said}.startsWith('Ended: ')")
        first = told(folder, "alerts")[-1]
        tab.until(
            f"document.querySelector('#messages tbody th').textContent === {first['alert']!r}"
        )
        assert tab.ask(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        assert [complaints(tab), tab.complaints] == [[], []]
