/* The values near the pointer stand beside it, and buttons hide and show curves; `pictures/vector.py` says what a drawing knows. */
const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
document.body.append(tip);
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
  const leave = () => { tip.hidden = true; line.setAttribute('visibility', 'hidden'); };
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
    tip.replaceChildren(...[nearest.at, ...lines].map(text => {
      const each = document.createElement('div');
      each.textContent = text;
      return each;
    }));
    tip.hidden = false;
    const right = event.pageX + 16 + tip.offsetWidth > document.documentElement.clientWidth;
    tip.style.left = `${right ? Math.max(event.pageX - 16 - tip.offsetWidth, 4) : event.pageX + 16}px`;
    tip.style.top = `${event.pageY + 12}px`;
    for (const [name, at] of Object.entries({x1: nearest.x, x2: nearest.x, y1: panel.box[1], y2: panel.box[3]}))
      line.setAttribute(name, at);
    line.setAttribute('visibility', 'visible');
  });
}
