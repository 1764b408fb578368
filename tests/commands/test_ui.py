"""The local page: it finds runs, draws curves and opens reports, in a real browser too, and answers this machine alone."""

import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urlencode

import polars as pl
import pytest

from hwds.report.colours import DARK_COLOURS, LIGHT_COLOURS, contrast
from hwds.report.ui_page import DARK, LIGHT
from hwds.report.ui_server import server
from tests import chromium

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
    assert "ui: takes no names, got 'a'" in hwds("ui a").line
    with server(0) as taken:
        assert "--port 0 takes a free one" in hwds(f"ui --port {taken.server_port}").line


@pytest.mark.parametrize(("colours", "page"), [(LIGHT, LIGHT_COLOURS), (DARK, DARK_COLOURS)])
def test_curves_stand_out_from_their_ground(colours, page):
    assert min(contrast(colour, page["paper"]) for colour in colours) >= 4.5


class Page(HTMLParser):
    """Tags, and the text of what has an id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.inside = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if "id" in dict(attrs):
            self.inside.append(dict(attrs)["id"])

    def handle_data(self, data):
        for name in self.inside[-1:]:
            self.texts[name] = self.texts.get(name, "") + data


@pytest.mark.chromium
def test_a_browser_shows_runs_and_curves(address, two, tmp_path):
    query = urlencode([("q", "adhoc"), *(("run", f"runs/adhoc/{run}") for run in two)])
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,800"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run(
        [chromium.PATH, *flags, f"{address}/?{query}"], capture_output=True, text=True, timeout=120, check=True
    )
    page = Page(done.stdout)
    assert "2 of 2 runs" in page.texts["count"]
    assert all(run[:8] in done.stdout for run in two)
    assert page.texts["legend"].count("seed 0") == 2
    assert done.stdout.count('class="curve"') == 4, "two curves and their samples in the legend"
    assert "taken" not in re.search("<title>(.*?)</title>", done.stdout)[1]
    assert page.tags.count("script") == 1
    assert "&lt;script&gt;" in done.stdout
    assert "CONSOLE" not in done.stderr
