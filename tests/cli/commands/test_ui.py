"""The local page: it finds runs, draws curves and opens reports, in a real browser too, and answers this machine alone."""

import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from urllib.parse import urlencode

import polars as pl
import pytest

from hwds.report.pages.colours import DARK_COLOURS, LIGHT_COLOURS, contrast
from hwds.report.ui.server import DARK, LIGHT, server
from hwds.results.folder import RunFolder
from hwds.results.runs.progress import RunProgress
from tests.support.accessibility import complaints
from tests.support.browser import DESK, PHONE

from .conftest import SALES, run_id

WICKED = "<script>document.title='taken'</script>"


@pytest.fixture
def two(hwds, sales, tmp_path):
    """Two runs, one with a note that would like to be a script."""
    runs = []
    for model in ("forecast/seasonal_naive", "forecast/naive"):
        assert hwds(SALES.replace("forecast/seasonal_naive", model)).code == 0
        runs.append(run_id(tmp_path))
    assert hwds(f'runs note {runs[0]} "{WICKED}"').code == 0
    return runs


@pytest.fixture
def address(two):
    with server(0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def got(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.read().decode(), answer.headers


def refused(url, **headers):
    with pytest.raises(urllib.error.HTTPError) as error:
        got(url, **headers)
    return error.value.code


def test_runs_are_found_by_the_words_of_the_command(address, two):
    every = json.loads(got(f"{address}/runs.json")[0])
    assert (every["found"], every["all"], every["error"]) == (2, 2, "")
    (only,) = json.loads(got(f"{address}/runs.json?{urlencode({'q': 'model=forecast/naive'})}")[0])["runs"]
    assert only["path"] == f"runs/adhoc/{two[1]}"
    assert re.fullmatch(r"[\d.]+ ± [\d.]+", only["shown"])
    assert "did you mean 'mase'" in json.loads(got(f"{address}/runs.json?q=masse<1")[0])["error"]
    assert "No closing quotation" in json.loads(got(f"{address}/runs.json?q='")[0])["error"]


def test_curves_are_the_scores_by_step(address, two, tmp_path):
    path = f"runs/adhoc/{two[1]}"
    said = json.loads(got(f"{address}/curves.json?{urlencode([('run', path), ('run', 'runs/adhoc/none')])}")[0])
    (curve,) = [each for each in said["curves"] if (each["metric"], each["axis"]) == ("mase[m=12]", "step")]
    scores = pl.read_parquet(tmp_path / "outputs" / path / "scores.parquet")
    whole = scores.filter((pl.col("metric") == "mase[m=12]") & pl.col("fold").is_null() & pl.col("step").is_not_null())
    assert curve["points"] == [list(row) for row in whole.sort("step").select("step", "value").iter_rows()]
    assert said["lacking"] == {"runs/adhoc/none": "no run 'runs/adhoc/none'."}


def test_reports_open_and_nothing_else_does(address, two, hwds):
    text, headers = got(f"{address}/report?{urlencode({'run': f'runs/adhoc/{two[0]}'})}")
    assert text.startswith("<!DOCTYPE html>")
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "form-action 'none'" in headers["Content-Security-Policy"]
    assert "connect-src" not in headers["Content-Security-Policy"], "a script in a report has nobody to ask"
    assert '<meta http-equiv="Content-Security-Policy"' in text
    assert hwds(f"compare {two[0]} {two[1]}").code == 0
    assert hwds(f"report {hwds('compare ' + ' '.join(two)).out.split('/')[-1].strip()}").code == 0
    page, headers = got(f"{address}/")
    link = re.search(r'href="(/kept[^"]+)"', page)[1]
    assert "against each rival" in got(address + link)[0]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for path in ("/report?run=../../etc", "/report?run=runs/../..", "/kept?report=../../sales.csv", "/sales.csv", "/report"):
        assert refused(address + path) == 404
    assert refused(f"{address}/", Host="evil.example:80") == 403
    assert got(f"{address}/", Host="localhost:1")[0] == page


def test_what_is_wrong_is_refused_in_one_line(hwds):
    assert "--port: must be a whole number, got 'x'" in hwds("ui --port x").line
    assert "--port: must be at most 65535, got 65536" in hwds("ui --port 65536").line
    assert "ui: takes no words, got 'a'" in hwds("ui a").line
    with server(0) as taken:
        assert "--port 0 takes a free one" in hwds(f"ui --port {taken.server_port}").line


@pytest.mark.parametrize(("colours", "page"), [(LIGHT, LIGHT_COLOURS), (DARK, DARK_COLOURS)])
def test_curves_stand_out_from_their_ground(colours, page):
    assert min(contrast(colour, page["paper"]) for colour in colours) >= 4.5


@pytest.mark.chromium
def test_a_browser_finds_draws_opens_and_comes_back(address, two, browser):
    with browser.page(address) as tab:
        tab.until("document.querySelectorAll('#rows tr').length === 2")
        assert tab.ask("document.title") == "hwds runs", "the note's script did not run"
        assert WICKED in tab.ask("document.getElementById('rows').textContent")
        for _ in range(20):
            if tab.ask("document.activeElement.type") == "checkbox":
                break
            tab.press("Tab", 9)
        tab.press(" ", 32)
        tab.until("document.querySelectorAll('#legend li').length === 1")
        tab.point(*tab.middle("#rows input:not(:checked)"), click=True)
        tab.until("document.querySelectorAll('#plot path.curve').length === 2")
        typed(tab, "seasonal mase<100")
        tab.until("document.getElementById('count').textContent === '1 of 2 runs'")
        typed(tab, "masse<1")
        tab.until("document.getElementById('error').textContent.includes(\"did you mean 'mase'\")")
        typed(tab, "adhoc")
        tab.until("document.querySelectorAll('#rows tr').length === 2")
        tab.ask("(s => { s.value = 'mase'; s.dispatchEvent(new Event('change')); })(document.getElementById('sort'))")
        tab.until("location.search.includes('sort=mase')")
        assert [complaints(tab), tab.complaints] == [[], []]
        before = tab.ask("location.href")
        tab.ask("document.querySelector('#rows a').focus()")
        tab.press("Enter", 13)
        tab.until("document.querySelector('.lead')?.textContent.includes('mase[m=12]')")
        tab.ask("history.back()")
        tab.until("document.querySelectorAll('#legend li').length === 2")
        assert tab.ask("location.href") == before
        assert all(url.startswith(address) for url in tab.requests)


def typed(tab, text):
    tab.ask("document.getElementById('query').select()")
    tab.order("Input.insertText", text=text)


@pytest.mark.chromium
@pytest.mark.parametrize(("size", "dark"), [(DESK, True), (PHONE, False)])
def test_everybody_can_read_it_anywhere(address, two, browser, tmp_path, size, dark):
    broken = tmp_path / "outputs" / "runs" / WICKED.replace("/", "")
    shutil.copytree(tmp_path / "outputs/runs/adhoc" / two[0], broken / two[0])
    (broken / two[0] / "scores.parquet").write_bytes(b"PAR1")
    with browser.page(f"{address}/?run=runs/adhoc/{two[0]}", size, dark=dark) as tab:
        tab.until("document.querySelectorAll('#rows tr').length === 3 && document.querySelectorAll('#legend li').length === 1")
        assert [complaints(tab), tab.complaints] == [[], []]
        assert tab.ask("(list => list.scrollWidth <= list.clientWidth)(document.getElementById('list'))")
        assert tab.ask("document.title") == "hwds runs"


@pytest.mark.chromium
def test_a_run_is_watched_as_it_goes_and_when_it_is_killed(address, two, browser, tmp_path):
    folder = RunFolder(tmp_path / "outputs/runs/adhoc" / two[0])
    (folder.path / "scores.parquet").unlink()
    rows = "document.getElementById('rows').textContent"
    with browser.page(address) as tab, ExitStack() as stack:
        stack.enter_context(folder.held())
        RunProgress(12, 36, 1, time.time(), 60.0, 120.0).write(folder.path)
        tab.until(f"{rows}.includes('running: 12 of 36 cells, 1 failed after 60 s, about 2.0 min left')")
        assert tab.ask("document.querySelector('#rows progress').position") == 12 / 36
        stack.close()
        tab.until(f"{rows}.includes('stopped at 12 of 36 cells')")
        assert complaints(tab) == []
