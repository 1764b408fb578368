/* Pictures by Vega-Lite; its expressions are interpreted, for the page allows no script made of text. */
import {digits, make} from './state.js';

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
export const MOST_LINES = 400;
let tip;

function config() {
  const ink = colour('ink'), line = colour('line'), font = 'system-ui, sans-serif';
  return {
    background: 'transparent', font, view: {stroke: line}, range: {category: [...'01234567'].map(place => colour('s' + place))},
    axis: {labelColor: ink, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12},
    legend: {labelColor: ink, titleColor: ink, labelLimit: 260, labelFontSize: 12}, text: {color: ink}, title: {color: ink},
    header: {labelColor: ink, titleColor: ink},
  };
}

function tooltip(handler, event, item, value) {
  tip ??= document.body.appendChild(make('div', null, {className: 'tip', hidden: true}));
  tip.hidden = !value;
  if (!value) return;
  const lines = typeof value === 'object' ? Object.entries(value).map(([key, text]) => `${key}: ${text}`) : [String(value)];
  tip.replaceChildren(...lines.map(text => make('div', text)));
  tip.style.left = `${Math.min(event.pageX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${event.pageY + 14}px`;
}

const drawn = new Map(), MANY = 800;
export async function draw(place, spec, onClick) {
  drawn.get(place)?.finalize();
  place.replaceChildren();
  if (!spec) return;
  const width = Math.max(place.clientWidth - (place.clientWidth > 700 ? 400 : 90), 200);
  const sized = {height: 300, ...spec, width: spec.width || width};
  if (place.clientWidth <= 700 && sized.encoding?.color?.legend !== null)
    sized.config = {legend: {orient: 'bottom', columns: 1}};
  const inside = place.appendChild(make('div', null));
  const compiled = vegaLite.compile({$schema: 'https://vega.github.io/schema/vega-lite/v6.json', ...sized, many: undefined}, {config: config()}).spec;
  const view = new vega.View(vega.parse(compiled, null, {ast: true}),
    {renderer: spec.many > MANY ? 'canvas' : 'svg', container: inside, hover: true, expr: vega.expressionInterpreter});
  view.tooltip(tooltip);
  drawn.set(place, view);
  await view.runAsync();
  const svg = inside.querySelector('svg, canvas');
  for (const name of ['role', 'aria-roledescription', 'aria-label']) inside.removeAttribute(name);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', spec.description);
  if (onClick) view.addEventListener('click', (event, item) => item?.datum?.path && onClick(item.datum.path));
}

/* Values that are nearly equal are not blown up: the axis spans at least a twentieth of their size. */
export function domain(values) {
  const low = Math.min(...values), high = Math.max(...values), least = 0.05 * Math.max(Math.abs(low), Math.abs(high));
  const room = Math.max(0.06 * (high - low), (least - (high - low)) / 2, 0);
  return room ? [low - room, high + room] : [low - 1, high + 1];
}

const legend = {name: 'only', select: {type: 'point', fields: ['of']}, bind: 'legend'};
const faded = {condition: {param: 'only', value: 1}, value: 0.12};

export function curves(points, {x, y, whole = true, dash = null}) {
  const few = new Set(points.map(point => point.of)).size <= 12;
  return {
    description: `${y} by ${x} of ${new Set(points.map(point => point.of)).size} lines`,
    data: {values: points}, params: [legend], mark: {type: 'line', point: points.length < 400, tooltip: true, strokeWidth: 2},
    encoding: {
      x: {field: 'x', type: 'quantitative', title: x, axis: whole ? {tickMinStep: 1, format: 'd'} : {}, scale: {zero: false, nice: false}},
      y: {field: 'y', type: 'quantitative', title: y, scale: {domain: domain(points.map(point => point.y)), zero: false}},
      color: {field: 'of', type: 'nominal', title: null, sort: null, legend: few ? {} : null},
      ...(dash ? {strokeDash: {field: dash, type: 'nominal', title: null}} : {}), detail: [{field: 'line'}], opacity: faded,
      tooltip: [{field: 'of', title: 'of'}, ...(dash ? [{field: dash, title: 'rows'}] : []), {field: 'x', title: x},
        {field: 'y', title: y, format: '.5~g'}],
    },
  };
}

const kind = (rows, field) => rows.some(row => typeof row[field] === 'number') ? 'quantitative' : 'nominal';
const flat = (rows, fields) => rows.map(row => Object.fromEntries(['path', 'label', ...fields].map(field => [field.replaceAll(/[.[\]]/g, '_'), row[field]])));
const plain = field => field.replaceAll(/[.[\]]/g, '_');

export function scatter(rows, x, y, color) {
  const fields = [...new Set([x, y, color].filter(Boolean))], there = rows.filter(row => [x, y].every(field => (row[field] ?? '') !== ''));
  const axis = field => ({field: plain(field), type: kind(there, field), title: field, scale: kind(there, field) === 'quantitative' ? {zero: false} : {}});
  return there.length && {
    description: `${y} against ${x} of ${there.length} runs`, many: there.length, data: {values: flat(there, fields)},
    params: [x, y].every(field => kind(there, field) === 'quantitative') ? [{name: 'zoom', select: {type: 'interval'}, bind: 'scales'}] : [],
    mark: {type: 'point', filled: true, size: 60, opacity: 0.75, tooltip: true, cursor: 'pointer'},
    encoding: {
      x: axis(x), y: axis(y), ...(color ? {color: {field: plain(color), type: kind(there, color), title: color}} : {}),
      tooltip: [{field: 'label', title: 'run'}, ...fields.map(field => ({field: plain(field), title: field}))],
    },
  };
}

export function parallel(rows, fields, color) {
  const there = rows.slice(0, MOST_LINES), scales = new Map(), ends = [];
  const narrow = innerWidth < 640, short = value => narrow ? String(Number(value.toPrecision(3))) : digits(value);
  for (const field of fields) {
    const values = there.map(row => row[field]).filter(value => (value ?? '') !== '');
    if (values.length && values.every(value => typeof value === 'number')) {
      const low = Math.min(...values), high = Math.max(...values);
      scales.set(field, value => high > low ? (value - low) / (high - low) : 0.5);
      ends.push({field, at: -0.06, text: short(low)}, {field, at: 1.06, text: short(high)});
    } else {
      const names = [...new Set(values.map(String))].sort(), place = new Map(names.map((text, at) => [text, (at + 0.5) / names.length]));
      scales.set(field, value => place.get(String(value)));
      if (names.length <= 8) ends.push(...names.map(text => ({field, at: place.get(text), text: text.slice(-18)})));
    }
  }
  const points = there.flatMap(row => fields.filter(field => (row[field] ?? '') !== '').map(field =>
    ({path: row.path, label: row.label, field, at: scales.get(field)(row[field]), value: digits(row[field]), score: row[color]})));
  const x = {field: 'field', type: 'nominal', sort: fields, title: null, axis: {labelAngle: -25, labelLimit: 150, grid: true}, scale: {type: 'point', padding: 0.5}};
  const y = {field: 'at', type: 'quantitative', axis: null, scale: {domain: [-0.1, 1.1]}};
  const numeric = kind(there, color) === 'quantitative';
  return points.length && {
    description: `${fields.join(', ')} of ${there.length} runs, a line each`, layer: [
      {data: {values: points}, params: [{name: 'over', select: {type: 'point', fields: ['path'], on: 'pointerover', clear: 'pointerout'}}],
        mark: {type: 'line', point: {size: 28, filled: true}, strokeWidth: 1.6, cursor: 'pointer'}, encoding: {
          x, y, detail: {field: 'path'}, opacity: {condition: {param: 'over', value: 0.85}, value: 0.15},
          color: {field: 'score', type: numeric ? 'quantitative' : 'nominal', title: color, scale: numeric ? {scheme: 'viridis'} : {}},
          tooltip: [{field: 'label', title: 'run'}, {field: 'field', title: 'setting'}, {field: 'value', title: 'is'}, {field: 'score', title: color}],
        }},
      {data: {values: ends}, mark: {type: 'text', fontSize: narrow ? 9 : 11, dx: 4, align: 'left'}, encoding: {x, y, text: {field: 'text'}}},
    ],
  };
}

export function history(rows, score) {
  const x = {field: 'trial', type: 'quantitative', axis: {tickMinStep: 1, format: 'd'}, scale: {padding: 12, nice: false}};
  const y = {type: 'quantitative', title: score, scale: {domain: domain(rows.map(row => row.score)), zero: false}};
  const shown = rows.map(row => ({trial: row.trial, score: row.score, status: row.status, best: row.best}));
  return {
    description: `${score} of ${rows.length} trials, and the best so far`, data: {values: shown}, layer: [
      {mark: {type: 'line', interpolate: 'step-after', color: colour('s0'), strokeWidth: 2}, encoding: {x, y: {...y, field: 'best'}}},
      {mark: {type: 'point', filled: true, size: 60, tooltip: true}, encoding: {x, y: {...y, field: 'score'}, shape: {field: 'status', type: 'nominal'},
        color: {value: colour('ink')}, tooltip: [{field: 'trial'}, {field: 'score', format: '.5~g'}, {field: 'status'}]}},
    ],
  };
}

export function bars(rows, x, title) {
  return {
    description: title, height: {step: 26}, data: {values: rows}, layer: [
      {mark: {type: 'bar', color: colour('s0'), height: 14}, encoding: {x: {field: 'share', type: 'quantitative', title: x, axis: {format: '.0%'}}, y: {field: 'name', type: 'nominal', sort: null, title: null}}},
      {mark: {type: 'rule', color: colour('ink'), strokeWidth: 1.5}, encoding: {x: {field: 'low', type: 'quantitative'}, x2: {field: 'high'}, y: {field: 'name', type: 'nominal', sort: null}}},
    ],
  };
}
