"""The page of a monitor: the evidence by window, what was named, and every column; it loads nothing from elsewhere."""

from __future__ import annotations

import html
from dataclasses import asdict
from pathlib import Path

from hwds.core.atomic import write_text
from hwds.core.checksums.files import write_json
from hwds.production.monitor.watch import Report
from hwds.results.formatting import counted

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2430}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #dfe3e8}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#a3202a;font-weight:600}"
)
WIDTH, HEIGHT = 860, 180


def page(report: Report) -> str:
    """Return the page of a report."""
    alarms = [window for window in report.windows if window.alarm]
    said = f"{counted(len(alarms), 'alarms') if alarms else 'No alarm'} in {counted(len(report.windows), 'windows')}"
    promise = f"at most {report.per_month:g} false alarms a month are promised ({report.windows_a_month:.0f} windows a month)"
    parts = [f"<h1>{said}</h1><p>Bundle {html.escape(report.bundle)}; {promise}. Labels of {report.labelled:,} rows.</p>"]
    parts += [f"<p>{html.escape(remark)}</p>" for remark in report.remarks]
    parts.append(_picture(report))
    if report.violations:
        items = "".join(f"<li class='bad'>{html.escape(each['description'])}</li>" for each in report.violations)
        parts.append(f"<h2>What was named</h2><ul>{items}</ul>")
    parts.append(_last(report))
    head = (
        f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Monitor</title><style>{STYLE}</style>"
    )
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"


def _picture(report: Report) -> str:
    """Return the evidence by window as a line; an alarm is a dot at the threshold."""
    if not report.windows:
        return ""
    step = WIDTH / max(len(report.windows), 1)
    places = [
        (step * (place + 0.5), HEIGHT - 20 - (HEIGHT - 50) * min(each.evidence, 1.0))
        for place, each in enumerate(report.windows)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='5' fill='#a3202a'/>"
        for (x, y), each in zip(places, report.windows, strict=True)
        if each.alarm
    )
    title = "<title>Evidence of change by window; 1 is an alarm</title>"
    limit = f"<line x1='0' x2='{WIDTH}' y1='30' y2='30' stroke='#a3202a' stroke-dasharray='4 4'/>"
    words = "<text x='4' y='22' font-size='12' fill='#a3202a'>alarm</text>"
    words += f"<text x='4' y='{HEIGHT - 4}' font-size='12'>windows</text>"
    body = f"<polyline points='{line}' fill='none' stroke='#1f6fb4' stroke-width='2'/>{dots}"
    return f"<h2>Evidence of change</h2><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>{title}{limit}{words}{body}</svg>"


def _last(report: Report) -> str:
    """Return the table of the statistics of the last window."""
    if not report.windows:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(each.column)}</td><td>{each.check}</td><td class='n'>{each.value:.4g}</td>"
        f"<td class='n'>{each.usual:.4g}</td><td class='n'>{each.p_value:.3g}</td></tr>"
        for each in sorted(report.windows[-1].findings, key=lambda finding: finding.p_value)
    )
    head = "<tr><th>column</th><th>statistic</th><th>value</th><th>usually</th><th>p</th></tr>"
    return f"<h2>The last window, from {html.escape(report.windows[-1].begin)}</h2><table>{head}{rows}</table>"


def write_report(folder: Path, report: Report) -> None:
    """Write `report.json`, SageMaker's `constraint_violations.json`, and the page."""
    write_json(folder / "report.json", {**asdict(report), "violations": report.violations})
    write_json(folder / "constraint_violations.json", {"violations": report.violations})
    write_text(folder / "report.html", page(report))
