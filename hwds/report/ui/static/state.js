/* What is chosen lies in the address of the page, so that it can be kept and sent; helpers that every other script uses. */
export const $ = id => document.getElementById(id);
export const make = (tag, text, more = {}) =>
  Object.assign(document.createElement(tag), text === null ? {} : {textContent: text}, more);
export const show = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
export const shortRun = run => { const [experiment, id] = run.split('/'); return experiment + '/' + (id || '').slice(0, 8); };
export const digits = value =>
  value === null || value === undefined ? '' : typeof value === 'number' ? String(Number(value.toPrecision(5))) : String(value);

const begun = new URLSearchParams(location.search);
const one = (name, otherwise) => begun.get(name) ?? otherwise;
export const state = {
  view: one('view', 'run'), q: one('q', ''), group: one('group', ''), sort: one('sort', ''), tab: one('tab', 'curves'),
  kind: one('kind', ''), x: one('x', ''), y: one('y', ''), color: one('color', ''), fits: one('fits', 'first'), open: one('open', ''),
  stream: one('stream', ''), machine: one('machine', ''),
  columns: begun.getAll('column'), ticked: new Set(begun.getAll('run')),
};

export function remember() {
  const words = ['view', 'q', 'group', 'sort', 'tab', 'kind', 'x', 'y', 'color', 'fits', 'open', 'stream', 'machine'].map(name => [name, state[name]]);
  const lists = [...state.columns.map(name => ['column', name]), ...[...state.ticked].map(path => ['run', path])];
  const usual = {view: 'run', tab: 'curves', fits: 'first'};
  const kept = [...words.filter(([name, value]) => value && usual[name] !== value), ...lists];
  const address = '?' + new URLSearchParams(kept);
  if (address !== (location.search || '?')) history.replaceState(null, '', address);
}

export async function text(address, words = []) {
  try {
    const response = await fetch(address + '?' + new URLSearchParams(words)), said = await response.text();
    return response.ok ? said : JSON.stringify({error: said});
  } catch { return JSON.stringify({error: 'No answer: hwds ui is not running any more.'}); }
}
export const ask = async (address, words) => JSON.parse(await text(address, words));

export async function change(address, content) {
  const token = document.querySelector('meta[name=hwds-token]').content;
  try {
    const headers = {'Content-Type': 'application/json', 'X-Token': token};
    const response = await fetch(address, {method: 'POST', headers, body: JSON.stringify(content)});
    return response.ok ? await response.json() : {error: await response.text()};
  } catch { return {error: 'No answer: hwds ui is not running any more.'}; }
}

/* Tabs answer the arrow keys; of several only the chosen one is in the order of Tab. */
export function tabs(list, chosen, choose) {
  const buttons = [...list.querySelectorAll('[role=tab]')];
  const mark = button => {
    for (const each of buttons) {
      each.setAttribute('aria-selected', String(each === button));
      each.tabIndex = each === button ? 0 : -1;
    }
    $(button.getAttribute('aria-controls')).setAttribute('aria-labelledby', button.id);
  };
  list.addEventListener('keydown', event => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key], at = buttons.indexOf(document.activeElement);
    if (!step || at < 0) return;
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  });
  for (const button of buttons) button.addEventListener('click', () => { mark(button); choose(button.id); });
  mark(buttons.find(button => button.id === chosen) || buttons[0]);
}

export function options(select, entries, value) {
  const wanted = entries.map(([key, text]) => key + '\n' + text).join('\r');
  if (select.dataset.of !== wanted) {
    select.replaceChildren(...entries.map(([key, text]) => make('option', text, {value: key})));
    select.dataset.of = wanted;
  }
  select.value = value;
}
