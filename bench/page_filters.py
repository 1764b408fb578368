"""A filter, a sort and a grouping of 5,000 runs in Chromium: `python -m bench.page_filters >
bench/page_filters.txt`.

The time is the page's own (`performance.now`), from the act until the second frame after the table
shows its answer: the request, the server's answer, reading it, laying it out and drawing it. After
a letter the page waits for the next one for 200 ms, which are not counted.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.runs import lay, settled
from hwds.report.ui.server import runs_server
from tests.support.browser import chromium

RUNS, REPEATS = 5_000, 7

TIMED = """(async (act, shown) => {
  const frame = () => new Promise(requestAnimationFrame), table = () => Tabulator.findTable('#table')[0];
  const before = document.querySelector('#table .tabulator-table').innerText, began = performance.now();
  act();
  while (!shown(table(), before)) await frame();
  await frame(); await frame();
  return performance.now() - began;
})"""
"""Time an act until it is shown: the function is given the table, and its text before."""

CHANGED = (
    "(table, before) => document.querySelector('#table .tabulator-table').innerText !== before"
)
FILTERS = {
    "a word: sales7": "sales7",
    "a setting: model.setting_3=2": "model.setting_3=2",
    "a score: mase<0.5": "mase<0.5",
    "three together": "sales3 mase<0.9 model.setting_5>=2",
    "nothing is such": "mase<-1",
}


def main(runs: int = RUNS) -> None:
    """Print the least and the median of each act.

    What else the machine does makes the median longer.
    """
    print(f"{runs:,} runs, {REPEATS} times each{'':<22}{'least':>9}{'median':>9}")
    with TemporaryDirectory() as place, chdir(place), settled():
        for number in range(runs):
            lay(Path(f"outputs/runs/sales{number % 20}/{number:016x}"), number)
        with served() as address, chromium() as browser, browser.page(address) as tab:
            tab.until(f"document.getElementById('count').textContent.startsWith('{runs:,} of')")
            tab.until("document.querySelectorAll('#table .tabulator-row').length > 5")
            for what, timed in acts(tab.ask):
                print(f"{what:<44}{min(timed):>6.0f} ms{median(timed):>6.0f} ms", flush=True)


@contextmanager
def served() -> Iterator[str]:
    """The address of the local page of this folder."""
    with runs_server(0) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/"
        finally:
            found.shutdown()
            thread.join()


def acts(ask: Callable[[str], float]) -> Iterator[tuple[str, list[float]]]:
    """Yield the milliseconds of each act; between two of them the table is as it was."""
    back: list[float] = []
    for what, words in FILTERS.items():
        timed = []
        for _ in range(REPEATS):
            timed.append(_filtered(ask, words))
            back.append(_filtered(ask, ""))
        yield f"filter by {what}", timed
    yield "back to all runs", back
    head = "document.querySelector('#table .tabulator-col[tabulator-field={}] button').click()"
    for field in ("score", "seed"):
        yield (
            f"sort by {field}",
            [
                ask(f"{TIMED}(() => {head.format(json.dumps(field))}, {CHANGED})")
                for _ in range(REPEATS)
            ],
        )
    for field in ("model.setting_3", "model.setting_48"):
        timed = []
        for _ in range(REPEATS):
            timed.append(_grouped(ask, field))
            _grouped(ask, "")
        yield f"group by {field}", timed


def _filtered(ask: Callable[[str], float], words: str) -> float:
    """Return the milliseconds of a filter."""
    act = f"document.getElementById('query').value = {json.dumps(words)}; "
    act += "document.getElementById('query').form.requestSubmit();"
    return ask(f"{TIMED}(() => {{ {act} }}, {CHANGED})")


def _grouped(ask: Callable[[str], float], field: str) -> float:
    act = f"const group = document.getElementById('group'); group.value = {json.dumps(field)}; "
    act += "group.dispatchEvent(new Event('change'));"
    return ask(f"{TIMED}(() => {{ {act} }}, {CHANGED})")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
