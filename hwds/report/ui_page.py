"""The local page: its look and its script, in one file that asks for nothing but the server it came from."""

from __future__ import annotations

from hwds.report.colours import variables
from hwds.report.page_style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
"""What a browser may load: data of this server, and nothing else."""

LIGHT = ("#1f6fb4", "#b4530a", "#23764a", "#7a3be0", "#b3263a", "#0b7480", "#7a5c00", "#444f5c")
DARK = ("#6db3ef", "#f0a35e", "#6cc796", "#c3a0ff", "#f58a94", "#5cc9d3", "#d9b84a", "#c3cad3")
"""Of the curves; each stands out from its ground by more than 4 to 1."""


def _colours(colours: tuple[str, ...]) -> str:
    return "".join(f"--s{place}:{colour};" for place, colour in enumerate(colours))


OWN_STYLE = (
    f":root{{{_colours(LIGHT)}}}@media screen and (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}"
    "main{max-width:none}h1{margin:0}form{display:flex;gap:.75rem;flex-wrap:wrap;align-items:end;margin:.5rem 0}"
    "label{display:grid;gap:.15rem;font-size:.85rem;color:var(--grey)}label.wide{flex:1 1 22rem}"
    "input[type=search],select,form button{font:inherit;color:var(--ink);background:var(--soft);border:1px solid var(--grey);"
    "border-radius:4px;padding:.35rem .5rem;width:100%}"
    ".two{display:grid;grid-template-columns:minmax(0,7fr) minmax(0,5fr);gap:1.5rem}"
    "@media (max-width:60rem){.two{grid-template-columns:minmax(0,1fr)}}"
    ".two section{min-width:0}h2{margin-top:.75rem}#error{color:var(--naive);min-height:1.5em;margin:.25rem 0}"
    "#list{max-height:34rem;overflow:auto;margin:0}#list table{font-size:.85rem}"
    "#list thead th{position:sticky;top:0;background:var(--paper);z-index:1}"
    "#list td,#list tbody th{white-space:nowrap;max-width:13rem;overflow:hidden;text-overflow:ellipsis}"
    "svg text{fill:var(--ink);font-size:12px}svg .grid{stroke:var(--line)}svg .curve{fill:none;stroke-width:2}"
    "#legend{list-style:none;padding:0;margin:.25rem 0;font-size:.9rem}#legend svg{vertical-align:middle;margin-right:.5rem}"
)

SCRIPT = """
const $ = id => document.getElementById(id);
const chosen = new Map();
let runs = [], data = {curves: [], lacking: {}, axes: {}}, finding = 0, drawing = 0;
const make = (tag, text, more = {}) => {
  return Object.assign(document.createElement(tag), text === null ? {} : {textContent: text}, more);
};
const drawn = (tag, attributes, text) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
};
const short = run => { const [experiment, id] = run.split('/'); return experiment + '/' + id.slice(0, 8); };
const digits = value => value === null || value === undefined ? '' : String(Number(Number(value).toPrecision(4)));
const dash = place => place < 8 ? 'none' : place < 16 ? '7 4' : '2 4';
const styled = (node, place) => {
  node.style.stroke = `var(--s${place % 8})`;
  node.style.strokeDasharray = dash(place);
  return node;
};

async function find() {
  const turn = ++finding, query = $('query').value, sort = $('sort').value;
  const said = await (await fetch('/runs.json?' + new URLSearchParams({q: query, sort}))).json();
  if (turn !== finding) return;
  $('error').textContent = said.error;
  if (said.error) return;
  runs = said.runs;
  for (const run of runs) if (wanted.delete(run.path)) chosen.set(run.path, run);
  $('count').textContent = `${said.found} of ${said.all} runs` + (runs.length < said.found ? `, the first ${runs.length}` : '');
  list();
  curves();
}

function list() {
  $('rows').replaceChildren(...runs.map(run => {
    const row = make('tr', null), box = make('input', null, {type: 'checkbox', checked: chosen.has(run.path)});
    box.setAttribute('aria-label', 'Draw ' + run.run);
    box.disabled = run.status !== 'finished';
    box.addEventListener('change', () => {
      box.checked ? chosen.set(run.path, run) : chosen.delete(run.path);
      curves();
    });
    const first = make('td', null), name = make('th', null, {scope: 'row', title: run.run});
    first.append(box);
    const told = run.status === 'finished';
    name.append(told ? make('a', short(run.run), {href: '/report?run=' + encodeURIComponent(run.path)}) : short(run.run));
    const labels = [run.tags, run.note].filter(Boolean).join(': ');
    const cells = [run.model, run.metric, run.shown || run.reason || run.status, run.dataset, run.when, labels];
    row.append(first, name, ...cells.map((cell, at) => {
      return make('td', cell || '', {title: cell || '', className: at === 2 ? 'number' : ''});
    }));
    return row;
  }));
}

async function curves() {
  const paths = [...chosen.keys()], turn = ++drawing, query = $('query').value;
  history.replaceState(null, '', '?' + new URLSearchParams([['q', query], ...paths.map(path => ['run', path])]));
  const said = await (await fetch('/curves.json?' + new URLSearchParams(paths.map(path => ['run', path])))).json();
  if (turn !== drawing) return;
  data = said;
  const kinds = new Map(data.curves.map(curve => [curve.metric + '\\n' + curve.axis, curve]));
  const before = $('kind').value;
  $('kind').replaceChildren(...[...kinds].map(([key, curve]) => {
    return make('option', `${curve.metric} by ${data.axes[curve.axis]}`, {value: key});
  }));
  const headlines = [...chosen.values()].map(run => run.metric);
  const best = [...kinds.keys()].find(key => headlines.includes(key.split('\\n')[0]));
  if (kinds.size) $('kind').value = kinds.has(before) ? before : best || [...kinds.keys()][0];
  draw();
}

function ticks(low, high, count) {
  const rough = (high - low || Math.abs(high) || 1) / count, ten = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(each => each * ten).find(each => each >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step) found.push(at);
  return found;
}

function draw() {
  const [metric, axis] = $('kind').value.split('\\n'), paths = [...chosen.keys()];
  const own = data.curves.filter(curve => curve.metric === metric && curve.axis === axis);
  const plot = $('plot'), lacking = Object.values(data.lacking);
  plot.replaceChildren();
  $('legend').replaceChildren();
  $('numbers').replaceChildren();
  const without = paths.filter(path => !own.some(curve => curve.path === path)).map(path => short(chosen.get(path).run));
  $('empty').textContent = !paths.length ? 'Tick runs to lay their curves over each other.'
    : [...lacking, own.length && without.length ? `Without this curve: ${without.join(', ')}.` : '',
       own.length ? '' : 'These runs have no score by step or window.'].filter(Boolean).join(' ');
  if (!own.length) return;
  const points = own.flatMap(curve => curve.points), xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  let [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const room = (y1 - y0 || Math.abs(y1) || 1) * 0.06;
  [y0, y1] = [y0 - room, y1 + room];
  const X = x => 62 + 470 * (x - x0) / (x1 - x0 || 1), Y = y => 300 - 280 * (y - y0) / (y1 - y0);
  for (const at of ticks(y0, y1, 5)) {
    plot.append(drawn('line', {x1: 62, x2: 532, y1: Y(at), y2: Y(at), class: 'grid'}));
    plot.append(drawn('text', {x: 56, y: Y(at) + 4, 'text-anchor': 'end'}, digits(at)));
  }
  for (const at of ticks(x0, x1, 8).filter(Number.isInteger))
    plot.append(drawn('text', {x: X(at), y: 318, 'text-anchor': 'middle'}, at.toLocaleString('en')));
  plot.append(drawn('text', {x: 297, y: 336, 'text-anchor': 'middle'}, data.axes[axis]));
  const told = own.map(curve => [curve, paths.indexOf(curve.path), chosen.get(curve.path)]);
  for (const [curve, place, run] of told) {
    const path = curve.points.map(([x, y], at) => (at ? 'L' : 'M') + X(x).toFixed(1) + ' ' + Y(y).toFixed(1)).join('');
    plot.append(styled(drawn('path', {d: path, class: 'curve'}), place));
    for (const [x, y] of curve.points.length > 40 ? [] : curve.points) {
      const dot = drawn('circle', {cx: X(x), cy: Y(y), r: 3.5});
      dot.style.fill = `var(--s${place % 8})`;
      dot.append(drawn('title', {}, `${short(run.run)}: ${digits(y)} at ${x}`));
      plot.append(dot);
    }
    const line = make('li', null), mark = drawn('svg', {width: 34, height: 12, 'aria-hidden': 'true'});
    const sample = styled(drawn('path', {d: 'M1 6H33', class: 'curve'}), place);
    mark.append(sample);
    line.append(mark, `${short(run.run)}: ${run.model}, seed ${run.seed}`);
    $('legend').append(line);
  }
  plot.setAttribute('aria-label', `${metric} by ${data.axes[axis]} of ${own.length} runs; the numbers are in the table below`);
  const table = make('table', null), head = make('tr', null), body = make('tbody', null);
  head.append(make('th', data.axes[axis], {scope: 'col'}));
  for (const [, , run] of told) head.append(make('th', short(run.run), {scope: 'col', className: 'number'}));
  const by = told.map(([curve]) => new Map(curve.points));
  for (const x of [...new Set(xs)].sort((a, b) => a - b)) {
    const row = make('tr', null);
    row.append(make('th', String(x), {scope: 'row'}));
    for (const each of by) row.append(make('td', digits(each.get(x)), {className: 'number'}));
    body.append(row);
  }
  const top = make('thead', null);
  top.append(head);
  table.append(top, body);
  $('numbers').append(table);
}

let waiting;
const begun = new URLSearchParams(location.search), wanted = new Set(begun.getAll('run'));
$('query').value = begun.get('q') || '';
$('query').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(find, 250); });
$('sort').addEventListener('change', find);
$('kind').addEventListener('change', draw);
$('form').addEventListener('submit', event => { event.preventDefault(); find(); });
find();
"""

BODY = """
<main><h1>hwds runs</h1>
<form id="form" role="search">
<label class="wide">Find: an experiment, or conditions such as model=forecast/* mase&lt;0.9 tag=good age&lt;7d
<input id="query" type="search" autocomplete="off" spellcheck="false" aria-describedby="error"></label>
<label>Order <select id="sort"><option value="-modified">newest first</option><option value="score">best score first</option>
<option value="run">by name</option></select></label></form>
<p id="error" role="alert"></p>
<div class="two"><section aria-label="Runs"><h2>Runs <small id="count" class="below" aria-live="polite"></small></h2>
<div id="list" class="scroll" role="region" tabindex="0" aria-label="Runs found"><table><thead><tr>
<th scope="col">draw</th><th scope="col">run: its report</th><th scope="col">model</th><th scope="col">metric</th>
<th scope="col" class="number">score</th><th scope="col">dataset</th><th scope="col">when (UTC)</th>
<th scope="col">tags, note</th>
</tr></thead><tbody id="rows"></tbody></table></div></section>
<section aria-label="Curves"><h2>Curves</h2><label>Score <select id="kind"></select></label>
<p id="empty" class="below" aria-live="polite"></p>
<figure><svg id="plot" viewBox="0 0 545 342" role="img" aria-label="No curve"></svg></figure><ul id="legend"></ul>
<details><summary>The numbers</summary><div id="numbers" class="scroll" role="region" tabindex="0" aria-label="Numbers"></div>
</details></section></div>
"""


def ui_page(reports: str) -> str:
    """The page.

    Args:
        reports: A list of links to reports, as HTML; empty where there are none.
    """
    more = f"<section><h2>Reports of comparisons, sweeps and studies</h2>{reports}</section>" if reports else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>hwds runs</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<style>{variables('')}{STYLE}{OWN_STYLE}</style></head><body>{BODY}{more}</main><script>{SCRIPT}</script></body></html>\n"
    )
