/* The pictures of the ticked runs, or of all that are found: scores, losses, scatter, parallel coordinates, differences. */
import {$, ask, digits, make, options, remember, shortRun, show, state} from './state.js';
import {curves, draw, parallel, scatter} from './charts.js';
import {found} from './grid.js';

let turn = 0, open = () => {}, table = {columns: [], known: []};
export const opened = listener => { open = listener; };
export const described = data => { table = data; };

const label = row => row.name || shortRun(row.run || row.path);
function chosen() {
  const ticked = found().filter(row => state.ticked.has(row.path));
  return (ticked.length ? ticked : found()).map(row => ({...row, label: label(row)}));
}
const names = paths => {
  const known = new Map(found().map(row => [row.path, row]));
  return new Map(paths.map(path => {
    const row = known.get(path);
    return [path, row ? `${label(row)} ${row.model || ''}`.trim() : shortRun(path.replace(/^\w+\//, ''))];
  }));
};
const words = paths => paths.map(path => ['run', path]);
const ticked = () => [...state.ticked].filter(path => path.startsWith(state.view === 'run' ? 'runs/' : 'sweeps/'));

function choice(title, entries, value, set) {
  const within = make('label', title + ' '), select = make('select', null);
  options(select, entries, value);
  select.addEventListener('change', () => { set(select.value); remember(); pictures(); });
  within.append(select);
  $('choices').append(within);
}

function numbersTable(caption, heads, rows) {
  const within = make('details', null), box = make('div', null, {className: 'scroll', tabIndex: 0}), grid = make('table', null);
  const row = (cells, tag, scope) => {
    const line = make('tr', null);
    line.append(...cells.map((text, at) => make(at && tag === 'td' ? 'td' : 'th', digits(text), at && tag === 'td' ? {className: 'number'} : {scope: at ? 'col' : scope})));
    return line;
  };
  const top = make('thead', null), body = make('tbody', null);
  top.append(row(heads, 'th', 'col'));
  body.append(...rows.map(cells => row(cells, 'td', 'row')));
  grid.append(top, body);
  box.append(grid);
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', caption);
  within.append(make('summary', 'The numbers'), box);
  $('numbers').replaceChildren(within);
}

function byStep(points, x) {
  const lines = [...new Set(points.map(point => point.line))], at = new Map(points.map(point => [point.line + '\n' + point.x, point.y]));
  const steps = [...new Set(points.map(point => point.x))].sort((a, b) => a - b).slice(0, 200);
  numbersTable('Numbers', [x, ...lines], steps.map(step => [step, ...lines.map(line => at.get(line + '\n' + step))]));
}

async function scores(now) {
  const paths = ticked();
  if (!paths.length) return show('remark', 'Tick runs to lay their scores by window or by step over each other.');
  const data = await ask('/curves.json', words(paths)), called = names(paths);
  if (now !== turn) return;
  if (data.error) return show('remark', data.error);
  const kinds = new Map(data.curves.map(curve => [curve.metric + ' by ' + data.axes[curve.axis], curve]));
  const heads = found().filter(row => state.ticked.has(row.path)).map(row => row.metric);
  const key = kinds.has(state.kind) ? state.kind : [...kinds.keys()].find(each => heads.includes(kinds.get(each).metric)) || [...kinds.keys()][0];
  if (kinds.size) choice('Score', [...kinds.keys()].map(each => [each, each]), key, value => { state.kind = value; });
  const of = kinds.get(key);
  const own = data.curves.filter(curve => of && curve.metric === of.metric && curve.axis === of.axis);
  const without = paths.filter(path => !own.some(curve => curve.path === path) && !data.lacking[path]).map(path => called.get(path));
  show('remark', [...Object.values(data.lacking), own.length && without.length ? `Without this curve: ${without.join(', ')}.` : '',
    own.length ? '' : 'These runs have no score by step or window.'].filter(Boolean).join(' '));
  if (!own.length) return;
  const points = own.flatMap(curve => curve.points.map(([x, y]) => ({x, y, of: called.get(curve.path), line: called.get(curve.path)})));
  await draw($('chart'), curves(points, {x: data.axes[of.axis], y: of.metric}));
  byStep(points, data.axes[of.axis]);
}

async function losses(now) {
  let paths = ticked();
  if (!paths.length) paths = found().filter(row => row.status === 'running').map(row => row.path).slice(0, 4);
  if (!paths.length && state.open) paths = [state.open];
  if (!paths.length) return show('remark', 'Tick runs to see the losses of their fits by epoch or by round; those of running ones are shown without.');
  const data = await ask('/losses.json', words(paths)), called = names(paths);
  if (now !== turn) return;
  if (data.error) return show('remark', data.error);
  const fits = new Map();
  for (const row of data.losses) {
    const key = [row.path, row.model, row.fold, row.fit].join('\n');
    fits.has(key) ? fits.get(key).push(row) : fits.set(key, [row]);
  }
  choice('Fits', [['first', 'the latest of each run and model'], ['all', 'all']], state.fits, value => { state.fits = value; });
  const last = new Map([...fits].filter(([, rows]) => state.fits === 'all' || rows.some(row => row.validation !== null)).map(([key, rows]) => {
    return [state.fits === 'all' ? key : rows[0].path + '\n' + rows[0].model, rows];
  }));
  const kept = last.size ? [...last.values()] : [...fits.values()].slice(-6);
  const several = paths.length > 1;
  const points = kept.flatMap(rows => rows.flatMap(row => ['train', 'validation'].filter(part => row[part] !== null).map(part => {
    const of = `${several ? called.get(row.path) + ' · ' : ''}${row.model} · ${row.fold} · ${row.fit}`;
    return {x: row.step, y: row[part], rows: part, of, line: `${of}, ${part}`};
  })));
  show('remark', points.length ? (data.left ? `${data.left.toLocaleString('en')} fits more are not shown.` : '')
    : 'No network or booster was fitted in these runs since losses are kept.');
  if (!points.length) return;
  const axis = [...new Set(data.losses.map(row => row.axis))].join(' or ');
  await draw($('chart'), curves(points, {x: axis, y: 'loss', dash: 'rows'}));
  if (kept.length <= 12) byStep(points, axis);
}

const fields = () => [...new Set([...table.columns.map(entry => entry.name), ...table.known.map(entry => entry.name)])]
  .filter(name => !['run', 'status', 'tags', 'note', 'name', 'when', 'stderr'].includes(name));
const varied = rows => table.columns.map(entry => entry.name)
  .filter(name => !['run', 'status', 'tags', 'note', 'name', 'when', 'stderr', 'metric', 'score', 'inner'].includes(name))
  .filter(name => new Set(rows.map(row => row[name])).size > 1).slice(0, 8);

const picked = (value, known, otherwise) => known.includes(value) ? value : otherwise;
function axes(withX) {
  const rows = chosen(), known = fields(), first = varied(rows)[0] || 'seed';
  const x = picked(state.x, known, first), y = picked(state.y, known, 'score'), color = picked(state.color, known, withX ? 'model' : 'score');
  const entries = known.map(name => [name, name]);
  if (withX) choice('Across', entries, x, value => { state.x = value; });
  if (withX) choice('Up', entries, y, value => { state.y = value; });
  choice('Colour', entries, color, value => { state.color = value; });
  return {rows, x, y, color};
}

/* A field that the table has no column for is asked for, then the picture is drawn again. */
const missing = (...wanted) => wanted.filter(name => name && !table.columns.some(entry => entry.name === name));
let more = () => {};
export const asking = listener => { more = listener; };

async function scattered() {
  const {rows, x, y, color} = axes(true), absent = missing(x, y, color);
  if (absent.length) return more(absent);
  const spec = scatter(rows, x, y, color);
  show('remark', spec ? 'A click on a point opens its run; the wheel zooms.' : 'No run has both.');
  await draw($('chart'), spec, open);
}

async function coordinates() {
  const {rows, color} = axes(false), absent = missing(color);
  if (absent.length) return more(absent);
  const lines = [...new Set([...varied(rows), 'score'])];
  show('remark', rows.length > 400 ? 'The first 400 are drawn.' : lines.length < 2 ? 'Nothing differs among these.' : '');
  await draw($('chart'), lines.length > 1 ? parallel(rows, lines, color) : null, open);
}

async function differences(now) {
  const paths = ticked();
  if (paths.length < 2) return show('remark', 'Tick two runs or more to see in which settings they differ.');
  const data = await ask('/runs.json', [['kind', state.view], ...words(paths)]);
  if (now !== turn) return;
  if (data.error) return show('remark', data.error);
  const called = names(data.rows.path), settings = data.columns.filter(entry => !['run', 'name', 'stderr', 'status'].includes(entry.name));
  const differ = settings.filter(entry => new Set(data.rows[entry.name]).size > 1);
  show('remark', differ.length ? '' : 'Nothing differs.');
  numbersTable('Differences', ['setting', ...data.rows.path.map(path => called.get(path))], differ.map(entry => [entry.name, ...data.rows[entry.name]]));
  $('numbers').querySelector('details').open = true;
}

const DRAW = {curves: scores, losses, scatter: scattered, parallel: coordinates, differences};
export async function pictures() {
  const now = ++turn;
  const count = ticked().length;
  show('of', count ? `${count} ticked` : found().length === 1 ? 'the one that is found' : `all ${found().length.toLocaleString('en')} that are found`);
  $('choices').replaceChildren();
  $('numbers').replaceChildren();
  await draw($('chart'), null);
  await (DRAW[state.tab] || scores)(now);
}
