/* One run or sweep that was opened: what it shows, its labels, its pictures; of a sweep trials, best, importance and space. */
import {$, ask, change, digits, make, remember, shortRun, state} from './state.js';
import {named} from './grid.js';
import {bars, draw, history, parallel} from './charts.js';

let trials, changed = () => {};
export const onChange = listener => { changed = listener; };

export async function open(path, {quiet = false} = {}) {
  state.open = path;
  remember();
  const data = await ask('/run.json', [['run', path]]);
  $('detail').hidden = !!data.error;
  if (data.error) return;
  $('detail-title').textContent = data.name || shortRun(data.run);
  const body = $('detail-body'), close = make('button', 'Close', {type: 'button', className: 'plain'});
  close.addEventListener('click', () => { state.open = ''; remember(); $('detail').hidden = true; });
  const facts = [data.name ? shortRun(data.run) : '', data.model, data.dataset, data.when, data.progress].filter(Boolean).join(' · ');
  const said = data.said.length || data.score === null ? data.said : [`${data.metric} ${digits(data.score)}`];
  body.replaceChildren(...said.map(lead), make('p', facts, {className: 'below'}));
  const line = make('p', null, {className: 'bar'});
  if (data.status === 'finished') line.append(make('a', 'Its report', {href: '/report?run=' + encodeURIComponent(path)}));
  line.append(close);
  body.append(line);
  for (const part of ['name', 'tags', 'note']) $('label-' + part).value = data[part] || '';
  const own = path.startsWith('runs/') ? data.pictures : [];  // a sweep is drawn below, to be pointed at
  $('shots').replaceChildren(...own.map((name, at) => shot(path, name, at)));
  if (path.startsWith('runs/') && !own.length && data.status === 'finished') drawn(path);
  await (path.startsWith('sweeps/') ? sweep(path) : $('sweep').replaceChildren());
  if (!quiet) { $('detail').scrollIntoView({block: 'nearest'}); $('detail-title').focus({preventScroll: true}); }
}

/* Pictures that were not drawn with the run are drawn now. */
async function drawn(path) {
  $('shots').replaceChildren(make('p', 'Drawing its pictures ...', {role: 'status'}));
  const data = await ask('/pictures.json', [['run', path]]);
  if (state.open !== path) return;
  const reason = data.error || data.reason;
  $('shots').replaceChildren(...(reason ? [make('p', reason)] : []), ...(data.pictures || []).map((name, at) => shot(path, name, at)));
}

/* The first sentence is what is to be read; the others are below it. */
function lead(text) {
  const [, first, rest] = text.match(/^([^]*?[.])\s+(?=[A-Z])([^]*)$/) || [null, text, ''], line = make('p', first, {className: 'lead long'});
  if (!rest) return line;
  const both = make('div', null);
  both.append(line, make('p', rest, {className: 'long'}));
  return both;
}

/* A picture leads to itself alone: on a phone it can be made larger there. */
function shot(path, name, at) {
  const figure = make('figure', null), words = name.replace(/\.png$/, '').replaceAll('_', ' ');
  const src = '/picture?' + new URLSearchParams({run: path, name}), link = make('a', null, {href: src, ariaLabel: words + ', alone'});
  link.append(make('img', null, {src, alt: words, loading: at ? 'lazy' : 'eager'}));
  figure.append(link, make('figcaption', words));
  return figure;
}

function table(heads, rows) {
  const box = make('div', null, {className: 'scroll', tabIndex: 0}), grid = make('table', null), top = make('thead', null), body = make('tbody', null);
  const line = (cells, tag) => {
    const row = make('tr', null);
    row.append(...cells.map((text, at) => make(at ? tag : 'th', digits(text), tag === 'th' ? {scope: 'col'} : at ? {} : {scope: 'row'})));
    return row;
  };
  top.append(line(heads, 'th'));
  body.append(...rows.map(cells => line(cells, 'td')));
  grid.append(top, body);
  box.append(grid);
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', heads.join(', '));
  return box;
}

async function sweep(path) {
  const data = await ask('/sweep.json', [['run', path]]), within = $('sweep');
  within.replaceChildren();
  if (data.error) return within.append(make('p', data.error));
  const done = data.trials.filter(row => row.score !== null);
  if (data.best !== null) {
    const best = data.trials.find(row => row.trial === data.best);
    const settings = data.settings.filter(name => best[name] !== null).map(name => `${name} ${digits(best[name])}`).join(', ');
    within.append(make('p', `Best: trial ${data.best}${data.best === 0 ? ' (the settings as they stood)' : ''}, ${data.metric} ${digits(data.inner)} on inner windows, ${digits(data.final)} on final ones: ${settings}`));
  }
  if (done.length) {
    within.append(make('h3', 'Trials'), make('div', null, {id: 'trials'}));
    listing(data);
    const rows = done.map(row => ({...row, path: '', label: `trial ${row.trial}`}));
    let best = null;
    const better = (a, b) => b === null || (data.better === 'high' ? a > b : a < b);
    const tried = rows.sort((a, b) => a.trial - b.trial).map(row => {
      if (row.status === 'finished' && better(row.score, best)) best = row.score;
      return {...row, best};
    });
    for (const [title, spec] of [['Score by trial', history(tried, data.metric)],
      ['Settings and score', parallel(tried, [...data.settings, 'score'], 'score')]]) {
      const place = make('div', null, {className: 'chart'});
      within.append(make('h3', title), place);
      await draw(place, spec);
    }
  }
  const shares = Object.entries(data.importance.settings || {}).map(([name, each]) => ({name, ...each}));
  within.append(make('h3', 'What mattered'));
  if (shares.length) {
    const place = make('div', null, {className: 'chart'});
    within.append(place);
    await draw(place, bars(shares, 'share of the spread of scores', 'How much of the spread of scores each setting makes'));
  } else within.append(make('p', data.importance.refused || 'Known when it has finished.'));
  within.append(make('h3', 'What is searched'), table(['setting', 'drawn', 'from'], data.space.map(row => [row.setting, row.drawn, row.from])));
}

function listing(data) {
  trials?.destroy();
  const head = cell => make('button', cell.getValue(), {type: 'button', className: 'head'});
  const text = cell => document.createTextNode(digits(cell.getValue()));
  const rows = data.trials.map(row => ({...row, what: row.trial === 0 ? 'baseline' : row.trial === data.best ? 'best' : ''}));
  const names = ['trial', 'what', 'status', 'score', ...data.settings, 'windows', 'seconds', 'error'];
  const numeric = new Set(names.filter(name => rows.some(row => typeof row[name] === 'number')));
  trials = new Tabulator('#trials', {
    data: rows, maxHeight: '22rem', layout: 'fitDataFill', nestedFieldSeparator: false,
    columns: names.filter(name => rows.some(row => (row[name] ?? '') !== '')).map(name => ({
      title: name, field: name, titleFormatter: head, formatter: text, sorter: numeric.has(name) ? 'number' : 'string',
      sorterParams: {alignEmptyValues: 'bottom'}, hozAlign: numeric.has(name) ? 'right' : 'left',
    })),
    initialSort: [{column: 'score', dir: data.better === 'high' ? 'desc' : 'asc'}],
    rowFormatter: row => row.getElement().classList.toggle('best', row.getData().trial === data.best),
  });
  trials.on('tableBuilt', () => named('trials', 'Trials'));
}

$('labels').addEventListener('submit', async event => {
  event.preventDefault();
  const [name, tags, note] = ['name', 'tags', 'note'].map(part => $('label-' + part).value);
  const said = await change('/labels', {path: state.open, name, tags, note});
  if (!said.error) { await changed(); await open(state.open, {quiet: true}); }
  $('done').textContent = said.error || 'Saved.';
});
