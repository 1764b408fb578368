/* The table of runs or sweeps, by Tabulator: columns for what differs, sorted by a click, grouped, ticked, followed while it runs. */
import {$, digits, make, remember, shortRun, state} from './state.js';

const TITLES = {run: 'run', status: 'state', when: 'when (UTC)'};
const NARROW = matchMedia('(max-width: 40rem)');
const WIDE = {run: NARROW.matches ? 180 : 230, model: 190, note: 160, metric: 165, when: 145, dataset: 120};
const ORDER = ['run', 'status', 'model', 'score', 'inner', 'metric', 'tags', 'note'];
let table, built = '', rows = [], busy = false;
const listeners = {};
export const on = (name, listener) => { listeners[name] = listener; };
export const found = () => rows;

const name = row => row.name || shortRun(row.run).replace('/', '/\u200b');  // a long one is broken there first

function tick(cell) {
  const row = cell.getData(), box = make('input', null, {type: 'checkbox', checked: state.ticked.has(row.path)});
  box.setAttribute('aria-label', 'Tick ' + row.run);
  box.addEventListener('change', () => {
    box.checked ? state.ticked.add(row.path) : state.ticked.delete(row.path);
    listeners.ticked();
  });
  return box;
}

function called(cell) {
  const row = cell.getData(), button = make('button', name(row), {type: 'button', className: 'plain', title: row.run});
  button.addEventListener('click', () => listeners.open(row.path));
  return button;
}

function standing(cell) {
  const row = cell.getData();
  if (row.status === 'finished') return '';
  const within = make('span', null, {title: row.reason || row['progress.learning'] || ''});
  if (row.status === 'running' && row['progress.total']) {
    const bar = make('progress', null, {value: row['progress.done'], max: row['progress.total']});
    bar.setAttribute('aria-label', 'Done of ' + row.run);
    within.append(bar, ' ');
  }
  within.append((row.status === 'running' && row.progress ? 'running: ' : '') + (row.progress || row.reason || row.status));
  return within;
}

const plain = cell => document.createTextNode(digits(cell.getValue()));

function head(cell) {
  return make('button', cell.getValue(), {type: 'button', className: 'head', title: 'Sort by ' + cell.getValue()});
}

function column(entry, numeric) {
  const special = {run: called, status: standing}[entry.name];
  const title = TITLES[entry.name] || entry.name;
  return {
    title, field: entry.name, titleFormatter: head, formatter: special || plain, headerTooltip: entry.name,
    sorter: numeric ? 'number' : 'string', sorterParams: {alignEmptyValues: 'bottom'}, hozAlign: numeric ? 'right' : 'left',
    headerSortStartingDir: entry.better === 'high' || entry.name === 'when' ? 'desc' : 'asc', headerSortTristate: false,
    width: WIDE[entry.name], minWidth: 60, frozen: entry.name === 'run' && !NARROW.matches,
  };
}

export async function fill(data) {
  const names = Object.keys(data.rows);
  rows = data.rows.path.map((path, at) => {
    const row = {};
    for (const key of names) row[key] = data.rows[key][at];
    row.run ||= path;
    return row;
  });
  const numeric = new Set(names.filter(key => data.rows[key].some(value => typeof value === 'number')));
  const shown = data.columns.filter(entry => entry.name !== 'name' && entry.name !== 'stderr');
  const alike = entry => entry.fact && !['run', 'model', 'score', 'when'].includes(entry.name)
    && new Set(data.rows[entry.name].map(value => value ?? '')).size < (entry.name === 'status' && rows.some(row => row.status !== 'finished') ? 0 : 2);
  const place = entry => ORDER.includes(entry.name) ? ORDER.indexOf(entry.name) : entry.fact ? 50 : 20;
  const wanted = shown.filter(entry => !alike(entry)).sort((a, b) => place(a) - place(b));
  const shape = state.view + wanted.map(entry => entry.name + numeric.has(entry.name)).join();
  const columns = [
    {title: 'tick', formatter: tick, width: 46, headerSort: false, frozen: !NARROW.matches, field: 'ticked'},
    ...wanted.map(entry => column(entry, numeric.has(entry.name))),
  ];
  if (!table) return begin(columns, rows, shape);
  busy = true;
  const kept = sorters();
  if (shape !== built) {
    await table.clearData();
    table.setColumns(columns);
    built = shape;
    table.setSort(kept);
  }
  return table.replaceData(rows).then(() => { busy = false; regroup(); });
}

function sorters() {
  const [field, dir] = (state.sort || '').split(' ');
  return field ? [{column: field, dir: dir || 'asc'}] : [];
}

function begin(columns, data, shape) {
  built = shape;
  return new Promise(resolve => {
    table = new Tabulator('#table', {
      data, columns, index: 'path', nestedFieldSeparator: false, maxHeight: '27rem', renderVerticalBuffer: 120, layout: 'fitDataFill', placeholder: 'Nothing is such.',
      initialSort: sorters(), groupBy: group(), columnDefaults: {resizable: 'header'}, groupHeader: (value, count, rowsOf, group) => {
        group.getElement().setAttribute('role', 'none');
        return document.createTextNode(`${state.group}: ${digits(value)} (${count.toLocaleString('en')})`);
      },
    });
    table.on('dataSorted', sorted => {
      if (busy || !sorted.length) return;
      state.sort = `${sorted[0].field} ${sorted[0].dir}`;
      remember();
    });
    table.on('tableBuilt', () => { label(); resolve(); });
  });
}

const label = () => named('table', state.view === 'run' ? 'Runs' : 'Sweeps');

/* Who cannot see a table reaches its rows by Tab, and hears its name. */
export function named(id, name) {
  const grid = $(id), holder = grid.querySelector('.tabulator-tableholder'), body = holder?.querySelector('.tabulator-table');
  grid.setAttribute('aria-label', name);
  if (!holder) return;
  holder.tabIndex = 0;
  holder.setAttribute('role', 'rowgroup');
  holder.setAttribute('aria-label', name);
  body?.setAttribute('role', 'none');
}

const group = () => state.group ? state.group : false;
export function regroup() {
  if (table.options.groupBy !== group()) { table.options.groupBy = group(); table.setGroupBy(group()); }
  label();
}
export const redraw = () => table && table.getRows('active').length && table.redraw(true);
