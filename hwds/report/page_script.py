"""What a page does where scripts run: tables sort and filter, curves tell their values and can be hidden."""

from __future__ import annotations

SORTING = """
const ROWS_TO_FILTER = 50;
const value = (row, at) => {
  const text = row.cells[at].textContent.trim();
  const number = parseFloat(text.replace(/,/g, '').replace(/^[<>+] ?/, ''));
  const unit = {min: 60, h: 3600}[text.split(' ').pop()] || 1;
  return text === '' ? null : isNaN(number) ? text : number * unit;
};
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  for (const [at, head] of heads.entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'Sort by this column';
    button.append(...head.firstElementChild.childNodes);
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') !== 'descending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      body.append(...[...body.rows].sort((a, b) => {
        const x = value(a, at), y = value(b, at);
        if (x === null || y === null) return (x === null) - (y === null);
        const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
        return down ? -order : order;
      }));
    });
  }
  if (body.rows.length > ROWS_TO_FILTER) {
    const input = document.createElement('input');
    input.type = 'search';
    input.placeholder = `Find in ${body.rows.length.toLocaleString('en')} rows`;
    input.setAttribute('aria-label', input.placeholder);
    input.addEventListener('input', () => {
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(input.value.toLowerCase());
    });
    table.parentElement.before(input);
  }
}
"""
"""Headers become buttons, and long tables have a field to find in; without it the tables stand as they are, best first."""

CURVES = """
const told = document.createElement('div');
told.className = 'told';
told.hidden = true;
document.body.append(told);
for (const svg of document.querySelectorAll('svg[data-chart]')) {
  const chart = JSON.parse(svg.dataset.chart), away = new Set();
  const several = chart.panels.flatMap(panel => panel.curves);
  const shown = [...new Set(several.map(curve => curve.of))];
  if (shown.length > 1 && !svg.closest('.many')) {
    const row = document.createElement('div');
    row.className = 'toggles';
    for (const of of shown) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = chart.names[of];
      button.setAttribute('aria-pressed', 'true');
      button.addEventListener('click', () => {
        if (!away.delete(of)) away.add(of);
        button.setAttribute('aria-pressed', String(!away.has(of)));
        for (const part of svg.querySelectorAll(`[data-of="${of}"]`)) part.classList.toggle('away', away.has(of));
      });
      row.append(button);
    }
    (svg.closest('.drawing') || svg).after(row);
  }
  const line = document.createElementNS(svg.namespaceURI, 'line');
  line.setAttribute('stroke', 'var(--grey)');
  line.setAttribute('visibility', 'hidden');
  if (several.length) svg.append(line);
  const leave = () => { told.hidden = true; line.setAttribute('visibility', 'hidden'); };
  svg.addEventListener('pointerleave', leave);
  svg.addEventListener('pointermove', event => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const panel = chart.panels.find(({box: [left, top, right, bottom]}) =>
      place.x >= left && place.x <= right && place.y >= top && place.y <= bottom);
    const points = (panel ? panel.curves : []).filter(curve => !away.has(curve.of)).flatMap(curve =>
      curve.x.map((x, i) => ({of: curve.of, x, y: curve.y[i], at: curve.at[i], is: curve.is[i]})));
    if (!points.length) return leave();
    const nearest = points.reduce((a, b) => Math.abs(b.x - place.x) < Math.abs(a.x - place.x) ? b : a);
    const here = points.filter(point => Math.abs(point.x - nearest.x) < 0.6).sort((a, b) => a.y - b.y);
    const lines = [...new Set(here.map(point => `${chart.names[point.of]}: ${point.is}`))];
    told.replaceChildren(...[nearest.at, ...lines].map(text => {
      const each = document.createElement('div');
      each.textContent = text;
      return each;
    }));
    told.hidden = false;
    const right = event.pageX + 16 + told.offsetWidth > document.documentElement.clientWidth;
    told.style.left = `${right ? Math.max(event.pageX - 16 - told.offsetWidth, 4) : event.pageX + 16}px`;
    told.style.top = `${event.pageY + 12}px`;
    for (const [name, at] of Object.entries({x1: nearest.x, x2: nearest.x, y1: panel.box[1], y2: panel.box[3]}))
      line.setAttribute(name, at);
    line.setAttribute('visibility', 'visible');
  });
}
"""
"""What the pointer is near is told beside it, and buttons hide and show curves; see `vector` for what a drawing knows."""

SCRIPT = SORTING + CURVES
