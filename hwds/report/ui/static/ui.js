/* The local page asks for runs and curves, draws them, and looks again while something is running. */
const $ = id => document.getElementById(id);
const chosen = new Map();
let runs = [], data = {curves: [], lacking: {}, axes: {}}, finding = 0, drawing = 0, looking, before = '', drawn_of = null;
const SOON = 2000, LATER = 15000;
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

const show = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
const ask = async (address, words) => {
  try {
    const response = await fetch(address + '?' + new URLSearchParams(words));
    const text = await response.text();
    return response.ok ? text : JSON.stringify({error: text});
  } catch { return JSON.stringify({error: 'No answer: hwds ui is not running any more.'}); }
};
const broken = (text, within) => {
  text.split(/(?<=[/_])/).forEach((part, at) => within.append(...(at ? [make('wbr', null), part] : [part])));
  return within;
};

const order = () => $('sort').options.length ? $('sort').value : sort;

async function find() {
  const turn = ++finding, text = await ask('/runs.json', {q: $('query').value, sort: order()});
  clearTimeout(looking);
  if (turn !== finding) return;
  remember();
  looking = setTimeout(look, text.includes('"status": "running"') ? SOON : LATER);
  if (text === before) return;
  const answer = JSON.parse(text);
  show('error', answer.error);
  if (answer.orders) orders(answer.orders);
  if (answer.error) return;
  before = text;
  runs = answer.runs;
  for (const run of runs) if (wanted.delete(run.path)) chosen.set(run.path, run);
  const first = runs.length < answer.found ? `, the first ${runs.length}` : '';
  show('count', `${answer.found.toLocaleString('en')} of ${answer.all.toLocaleString('en')} runs${first}`);
  show('none', !answer.all ? 'No run here yet: python -m hwds +experiment=lstm_forecast makes one.'
    : !answer.found ? 'No run is such.' : '');
  $('list').hidden = !runs.length;
  list();
  sweeps(answer.sweeps);
  curves();
}

function remember() {
  const paths = [...wanted, ...chosen.keys()].map(path => ['run', path]);
  history.replaceState(null, '', '?' + new URLSearchParams([['q', $('query').value], ['sort', order()], ...paths]));
}

function look() { document.hidden ? looking = setTimeout(look, SOON) : find(); }

function orders(known) {
  const now = order();
  if ($('sort').options.length === Object.keys(known).length) return;
  $('sort').replaceChildren(...Object.entries(known).map(([value, text]) => make('option', text, {value})));
  now in known ? $('sort').value = now : find();
}

function standing(run, within) {
  const running = run.status === 'running';
  if (running && run.progress)
    within.append(make('progress', null, {ariaLabel: 'Done', value: run['progress.done'], max: run['progress.total']}));
  within.append(make('small', (running && run.progress ? 'running: ' : '') + (run.progress || run.reason || run.status)));
  return within;
}

const address = run => '/report?run=' + encodeURIComponent(run.path);
const linked = run => broken(short(run.run), make('a', null, {href: address(run), title: run.run}));

const about = run => [run.dataset, run.seed === null ? '' : `seed ${run.seed}`].filter(Boolean).join(', ');

function list() {
  const focus = document.activeElement, at = focus.closest('tr')?.dataset.path, tag = focus.tagName;
  $('rows').replaceChildren(...runs.map(run => {
    const row = make('tr', null), box = make('input', null, {type: 'checkbox', checked: chosen.has(run.path)});
    row.dataset.path = run.path;
    box.setAttribute('aria-label', 'Draw ' + run.run);
    const whole = run.status === 'finished';
    box.disabled = !whole;
    box.addEventListener('change', () => {
      box.checked ? chosen.set(run.path, run) : chosen.delete(run.path);
      curves();
    });
    const [first, name, what, score] = ['td', 'th', 'td', 'td'].map(tag => make(tag, null));
    name.scope = 'row';
    first.append(box);
    name.append(whole ? linked(run) : broken(short(run.run), make('span', null)));
    name.append(make('small', [run.when, run.tags].filter(Boolean).join(' · ')));
    if (run.note) name.append(make('small', run.note));
    if (run.model) what.append(broken(run.model, make('span', null)), broken(about(run), make('small', null)));
    row.append(first, name, what);
    if (whole) {
      score.className = 'number';
      score.append(run.shown, broken(run.metric || '', make('small', null)), ...run.asked.map(text => make('small', text)));
      row.append(score);
    } else standing(run, what).colSpan = 2;
    return row;
  }));
  const again = at && [...$('rows').rows].find(row => row.dataset.path === at);
  if (again) again.querySelector(tag.toLowerCase())?.focus({preventScroll: true});
}

function sweeps(found) {
  $('sweeping').hidden = !found.length;
  $('sweeps').replaceChildren(...found.map(run => {
    const line = make('li', null);
    if (run.status !== 'finished') return line.append(short(run.run) + ' '), standing(run, line);
    line.append(linked(run), `: ${run.model}, ${run.shown} (${run.metric})`);
    return line;
  }));
}

async function curves() {
  const paths = [...chosen.keys()], turn = ++drawing;
  remember();
  $('clear').hidden = !paths.length;
  const asks = paths.join(' ');
  if (asks === drawn_of) return;
  await new Promise(resolve => setTimeout(resolve, 80));
  if (turn !== drawing) return;
  const answer = JSON.parse(await ask('/curves.json', paths.map(path => ['run', path])));
  if (turn !== drawing) return;
  if (answer.error) return show('error', answer.error);
  drawn_of = asks;
  data = answer;
  const kinds = new Map(data.curves.map(curve => [curve.metric + '\n' + curve.axis, curve]));
  const now = $('kind').value;
  $('kind').replaceChildren(...[...kinds].map(([key, curve]) => {
    return make('option', `${curve.metric} by ${data.axes[curve.axis]}`, {value: key});
  }));
  const headlines = [...chosen.values()].map(run => run.metric);
  const best = [...kinds.keys()].find(key => headlines.includes(key.split('\n')[0]));
  if (kinds.size) $('kind').value = kinds.has(now) ? now : best || [...kinds.keys()][0];
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
  const [metric, axis] = $('kind').value.split('\n'), paths = [...chosen.keys()];
  const own = data.curves.filter(curve => curve.metric === metric && curve.axis === axis);
  const plot = $('plot'), lacking = Object.values(data.lacking);
  plot.replaceChildren();
  $('legend').replaceChildren();
  $('numbers').replaceChildren();
  const without = paths.filter(path => !own.some(curve => curve.path === path)).map(path => short(chosen.get(path).run));
  $('empty').textContent = !paths.length ? 'Tick runs to lay their curves over each other.'
    : [...lacking, own.length && without.length ? `Without this curve: ${without.join(', ')}.` : '',
       own.length ? '' : 'These runs have no score by step or window.'].filter(Boolean).join(' ');
  for (const id of ['figure', 'table']) $(id).hidden = !own.length;
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
  const lines = own.map(curve => [curve, paths.indexOf(curve.path), chosen.get(curve.path)]);
  for (const [curve, place, run] of lines) {
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
  for (const [, , run] of lines) head.append(make('th', short(run.run), {scope: 'col', className: 'number'}));
  const by = lines.map(([curve]) => new Map(curve.points));
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
const sort = begun.get('sort') || '-modified';
$('query').value = begun.get('q') || '';
$('query').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(find, 250); });
$('sort').addEventListener('change', find);
$('kind').addEventListener('change', draw);
$('clear').addEventListener('click', () => { chosen.clear(); list(); curves(); $('query').focus(); });
$('form').addEventListener('submit', event => { event.preventDefault(); find(); });
find();
