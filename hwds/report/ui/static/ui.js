/* The local page: finds runs, lists them, opens and compares them, and looks again while something is running. */
import {$, change, make, options, remember, show, state, tabs, text} from './state.js';
import {fill, found, on, redraw, regroup} from './grid.js';
import {asking, described, opened, pictures} from './panels.js';
import {onChange, open} from './sweeps.js';
import {follow} from './streams.js';

const SOON = 2000, LATER = 15000;
let turn = 0, looking, before = '', waiting;

async function find({again = false} = {}) {
  const now = ++turn, words = [['kind', state.view], ['q', state.q], ...state.columns.map(name => ['column', name])];
  clearTimeout(looking);
  const streams = state.view === 'stream';
  for (const id of ['listing', 'charts']) $(id).hidden = streams;
  $('streams').hidden = !streams;
  if (streams) {
    $('detail').hidden = true;
    const running = await follow();
    if (now === turn) looking = setTimeout(look, running ? SOON : LATER);
    return;
  }
  const said = await text('/runs.json', words);
  if (now !== turn) return;
  const data = JSON.parse(said);
  looking = setTimeout(look, data.running ? SOON : LATER);
  show('error', data.error || '');
  if (data.error || !data.rows) return;
  const live = data.running && state.tab === 'losses';
  if (again && said === before) return void (live && pictures());
  before = said;
  const what = state.view === 'run' ? 'runs' : 'sweeps';
  show('count', !data.all ? `No ${what} here yet.` + (state.view === 'run' ? ' python -m hwds +experiment=lstm_forecast makes one.' : '')
    : `${data.found.toLocaleString('en')} of ${data.all.toLocaleString('en')} ${what}.`);
  const names = [...data.columns, ...data.known].map(entry => entry.name);
  const groups = [...new Set(names)].filter(name => !['run', 'name', 'note', 'stderr', 'score', 'when'].includes(name));
  options($('group'), [['', 'nothing'], ...groups.map(name => [name, name])], state.group);
  const absent = data.known.map(entry => entry.name).filter(name => !data.columns.some(entry => entry.name === name));
  options($('column'), [['', 'choose'], ...state.columns.map(name => ['-' + name, 'without ' + name]), ...absent.map(name => [name, name])], '');
  described(data);
  await fill(data);
  ticked({draw: false});
  if (!again || live || data.running) pictures();
}

function look() { document.hidden ? looking = setTimeout(look, SOON) : find({again: true}); }

function ticked({draw = true} = {}) {
  remember();
  const count = state.ticked.size, runs = [...state.ticked].filter(path => path.startsWith('runs/')).length;
  show('ticked', count ? `${count} ticked.` : '');
  $('clear').hidden = !count;
  $('compare').hidden = runs < 2;
  if (draw) pictures();
}

async function compare() {
  const runs = [...state.ticked].filter(path => path.startsWith('runs/'));
  $('compare').disabled = true;
  show('done', 'Being compared.');
  const said = await change('/compare', {runs});
  $('compare').disabled = false;
  if (said.error) return show('done', said.error);
  $('done').replaceChildren(said.said + ' ', make('a', 'The comparison', {href: '/kept?' + new URLSearchParams({report: said.report})}));
}

on('ticked', ticked);
on('open', open);
opened(open);
onChange(() => find());
asking(names => { state.columns.push(...names); find(); });
$('query').value = state.q;
const typed = () => { clearTimeout(waiting); state.q = $('query').value; remember(); find(); };
$('query').addEventListener('input', () => { clearTimeout(waiting); waiting = setTimeout(typed, 200); });
$('form').addEventListener('submit', event => { event.preventDefault(); typed(); });
$('group').addEventListener('change', () => { state.group = $('group').value; remember(); regroup(); });
$('column').addEventListener('change', () => {
  const name = $('column').value;
  state.columns = name.startsWith('-') ? state.columns.filter(each => '-' + each !== name) : [...state.columns, name];
  remember();
  find();
});
$('clear').addEventListener('click', () => { state.ticked.clear(); before = ''; find(); $('query').focus(); });
$('compare').addEventListener('click', compare);
const [views, charts] = document.querySelectorAll('.views');
tabs(views, 'view-' + state.view, id => {
  state.view = id.replace('view-', '');
  state.sort = state.group = '';
  state.columns = [];
  find();
});
tabs(charts, 'tab-' + state.tab, id => { state.tab = id.replace('tab-', ''); remember(); pictures(); });
let sizing, wide = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === wide) return;
  wide = innerWidth;
  clearTimeout(sizing); sizing = setTimeout(() => { redraw(); pictures(); }, 200);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => pictures());
find().then(() => state.open && state.view !== 'stream' && open(state.open, {quiet: true}));
