/* Streams while they run: how each stands, its machines and their alerts, and the sensors of one machine. */
import {$, ask, digits, make, options, remember, show, state} from './state.js';
import {colour, draw} from './charts.js';

const count = (number, word) => `${Number(number || 0).toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;
const clock = seconds => new Date(1000 * seconds).toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
const STANDING = {running: 'On', ended: 'Ended', silent: 'No word any more', damaged: 'Its file of progress is damaged'};
let before = '';

function said(stream) {
  if (stream.standing === 'damaged') return STANDING.damaged + '.';
  const rate = stream.standing === 'running' ? `, ${Math.round(stream.lines_a_second).toLocaleString('en')} lines a second` : '';
  const alerts = stream.open ? `${count(stream.open, 'open alert')}` : 'no open alert';
  return `${STANDING[stream.standing]}: ${alerts}; ${count(stream.readings, 'reading')} of ${count(stream.machines, 'machine')}${rate}.`;
}

function table(id, caption, heads, rows, empty) {
  const body = make('tbody', null), top = make('thead', null), first = make('tr', null), grid = make('table', null);
  first.append(...heads.map(([text, kind]) => make('th', text, {scope: 'col', className: kind || ''})));
  top.append(first);
  body.append(...rows.map(cells => {
    const line = make('tr', null);
    line.append(...cells.map((cell, at) => {
      const box = make(at ? 'td' : 'th', null, at ? {className: heads[at][1] || ''} : {scope: 'row'});
      box.append(cell instanceof Node ? cell : digits(cell));
      return box;
    }));
    return line;
  }));
  grid.append(make('caption', rows.length ? caption : empty), ...(rows.length ? [top, body] : []));
  const focus = document.activeElement?.dataset?.machine;
  $(id).replaceChildren(grid);
  if (focus !== undefined) [...$(id).querySelectorAll('button')].find(button => button.dataset.machine === focus)?.focus();
}

const level = machine => machine.alert ? machine.severity : machine.maintenance ? 'maintenance' : '';

function machines(shown, chosen) {
  const rows = (shown.shown || []).map(machine => {
    const button = make('button', machine.machine, {type: 'button', className: 'plain'});
    button.dataset.machine = machine.machine;
    button.setAttribute('aria-pressed', String(machine === chosen));
    button.addEventListener('click', () => { state.machine = machine.machine; remember(); before = ''; follow(); });
    const alert = make('span', level(machine), {className: 'level ' + level(machine)});
    return [button, alert, machine.score, machine.cycle, machine.sensor, machine.opened];
  });
  const heads = [['machine'], ['alert'], ['score', 'number'], ['cycle', 'number'], ['sensor'], ['open since', 'number']];
  const left = shown.machines - rows.length;
  table('machines', 'Machines, those with an open alert first' + (left > 0 ? `; ${left.toLocaleString('en')} more are not shown` : ''), heads, rows, 'No machine yet.');
}

function messages(shown) {
  const heads = [['alert'], ['what'], ['severity'], ['cycle', 'number'], ['score', 'number'], ['sensor'], ['why']];
  const rows = shown.messages.map(each => [each.alert, each.what, each.severity, each.cycle, each.score, each.sensor, each.why]);
  table('messages', 'The last messages of alerts, the newest first', heads, rows, 'No alert yet.');
}

const wide = () => Math.max($('scores').clientWidth - 90, 200);
const lines = () => ({
  mark: {type: 'line', point: {size: 16}, strokeWidth: 1.6, color: colour('s0'), tooltip: true},
});
const across = {field: 'cycle', type: 'quantitative', title: 'cycle', scale: {zero: false, nice: false}};

function scores(machine, critical) {
  const values = machine.trace.filter(row => row[1] !== null).map(([cycle, score]) => ({cycle, score}));
  const y = {field: 'score', type: 'quantitative', title: 'score', scale: {domain: [0, Math.max(1.2, ...values.map(row => row.score)) * 1.05]}};
  const limits = [{limit: 1, of: 'anomalous'}, {limit: critical, of: 'critical'}].filter(each => each.limit < y.scale.domain[1]);
  return values.length && {
    description: `Scores of ${machine.machine} by cycle`, layer: [
      {data: {values}, ...lines(), encoding: {x: across, y, tooltip: [{field: 'cycle'}, {field: 'score', format: '.4~g'}]}},
      {data: {values: limits}, mark: {type: 'rule', color: colour('naive'), strokeDash: [5, 4], tooltip: true}, encoding: {
        y: {field: 'limit', type: 'quantitative'}, tooltip: [{field: 'of', title: 'above it'}, {field: 'limit'}]}},
    ], height: 140, width: wide(),
  };
}

function sensors(machine, names) {
  const values = machine.trace.flatMap(row => names.map((sensor, at) => ({sensor, cycle: row[0], value: row[at + 2] ?? null})));
  return values.some(row => row.value !== null) && {
    description: `Sensors of ${machine.machine} by cycle`, data: {values}, ...lines(), height: 64, width: wide(), resolve: {scale: {y: 'independent'}},
    encoding: {
      x: across, y: {field: 'value', type: 'quantitative', title: null, scale: {zero: false}, axis: {tickCount: 3}},
      row: {field: 'sensor', type: 'nominal', sort: names, title: null, spacing: 8, header: {labelOrient: 'top', labelAnchor: 'start', labelFontWeight: 'bold', labelPadding: 2}},
      tooltip: [{field: 'sensor'}, {field: 'cycle'}, {field: 'value', format: '.5~g'}],
    },
  };
}

async function traces(shown, machine) {
  $('sensors-title').textContent = machine ? machine.machine : 'Sensors';
  const there = machine?.trace?.length;
  show('sensors-remark', !machine ? '' : there ? `The last row at each of ${count(machine.trace.length, 'look')}, a second apart or more`
    + (machine.trace.some(row => row[1] !== null) ? '; rows above 1 are anomalous.' : '; no score yet: its first rows are its reference.')
    : 'Only the first machines of the table have a trace.');
  for (const place of [$('scores'), $('sensors')]) place.style.minHeight = there ? `${place.offsetHeight}px` : '';  // nothing jumps
  await draw($('scores'), there ? scores(machine, shown.critical) : null);
  await draw($('sensors'), there ? sensors(machine, shown.sensors) : null);
}

/* Show what there is; return whether a stream is on. */
export async function follow() {
  const data = await ask('/streams.json', [['stream', state.stream]]);
  if (data.error) { show('stream-said', data.error); return true; }
  const {streams, shown} = data;
  $('stream').parentElement.hidden = streams.length < 2;
  $('stream-body').hidden = !shown;
  if (!shown) {
    show('stream-said', 'No stream here yet. python -m hwds stream RUN follows the model of a run; one with --store elsewhere is not seen.');
    return false;
  }
  options($('stream'), streams.map(each => [each.name, `${each.name} (${each.standing})`]), shown.name);
  show('stream-said', said(shown));
  show('stream-below', [shown.name, shown.at ? 'last word ' + clock(shown.at) : '', count(shown.refused, 'dead letter')].filter(Boolean).join(' · '));
  const now = JSON.stringify([shown, state.machine]);
  if (now !== before) {
    before = now;
    const chosen = (shown.shown || []).find(each => each.machine === state.machine) || shown.shown?.[0];
    machines(shown, chosen);
    messages(shown);
    await traces(shown, chosen);
  }
  return streams.some(each => each.standing === 'running');
}

addEventListener('resize', () => { before = ''; });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { before = ''; });
$('stream').addEventListener('change', () => { state.stream = $('stream').value; state.machine = ''; remember(); follow(); });
