// See accessibility.py. The value is a list of what is wrong, each with the element.
(() => {
  const found = [];
  const tell = (what, element) => found.push(`${what}: ${(element.outerHTML || String(element)).slice(0, 160)}`);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  for (const folded of all('details')) folded.open = true;

  if (!document.documentElement.lang || !document.title.trim()) tell('no language or title', document.documentElement);
  const headings = all('h1,h2,h3,h4').map(each => Number(each.tagName[1]));
  if (headings.filter(level => level === 1).length !== 1) tell('not one h1', document.body);
  headings.forEach((level, at) => { if (at && level > headings[at - 1] + 1) tell('a level of headings left out', all('h1,h2,h3,h4')[at]); });
  if (all('main').length !== 1) tell('not one main', document.body);
  for (const each of all('main > section')) if (!each.textContent.trim()) tell('empty section', each);

  for (const each of all('img')) if (!each.alt.trim()) tell('picture without words', each);
  for (const each of all('svg:not([aria-hidden=true])')) if (each.getAttribute('role') !== 'img' || !(each.getAttribute('aria-label') || '').trim()) tell('drawing without words', each);
  for (const table of all('table')) {
    if (all('thead th', table).some(head => head.scope !== 'col' || !head.textContent.trim())) tell('column without header', table);
    if (all('tbody tr', table).some(row => ![...row.cells].some(cell => cell.tagName === 'TH' && cell.scope === 'row'))) tell('row without header', table);
    const width = row => [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
    if (all('tr', table).some(row => width(row) !== width(table.rows[0]))) tell('ragged table', table);
  }
  const named = each => each.getAttribute('aria-label') || each.labels?.[0]?.textContent || (each.matches('select') ? '' : each.textContent);
  for (const each of all('button,summary,a,input,select,progress')) if (!named(each).trim()) tell('control without name', each);
  const ids = all('[id]').map(each => each.id);
  if (new Set(ids).size !== ids.length) tell('an id twice', ids.filter((id, at) => ids.indexOf(id) !== at).join(' '));
  for (const each of all('a[href^="#"]')) if (!document.getElementById(each.getAttribute('href').slice(1))) tell('a link to nowhere', each);

  for (const each of all('main *')) {
    const scrolls = /auto|scroll/.test(getComputedStyle(each).overflowX) && each.scrollWidth > each.clientWidth + 1;
    if (scrolls && !(each.tabIndex === 0 && /group|region/.test(each.getAttribute('role')) && each.getAttribute('aria-label'))) tell('scrolls out of reach', each);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) tell('the page scrolls sideways', document.body);
  for (const text of all('svg text')) {
    const box = text.getBoundingClientRect(), view = text.ownerSVGElement.getBoundingClientRect(), reach = 3;
    if (box.left < view.left - reach || box.right > view.right + reach || box.top < view.top - reach || box.bottom > view.bottom + reach) tell(`cut "${text.textContent}"`, text);
  }

  const colour = said => { const parts = said.match(/[\d.]+/g).map(Number); return {rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1}; };
  const light = rgb => {
    const [r, g, b] = rgb.map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = colour(getComputedStyle(document.body).backgroundColor).rgb;
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const found = colour(getComputedStyle(each).backgroundColor);
      if (found.alpha === 1) return found.rgb;
    }
    return paper;
  };
  const below = text => {
    text.scrollIntoView({block: 'center', inline: 'center'});
    const box = text.getBoundingClientRect();
    const shapes = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2).filter(each => each.closest('svg') && !each.closest('text'));
    const filled = shapes.map(each => getComputedStyle(each).fill).find(fill => fill !== 'none' && colour(fill).alpha === 1);
    return filled ? colour(filled).rgb : paper;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.textContent.trim() || element.closest('script,style') || !element.getClientRects().length) continue;
    const drawn = element.closest('svg');
    const ink = colour(drawn ? style.fill : style.color).rgb;
    const under = !drawn ? ground(element) : String(ink) === String(paper) ? below(element) : paper;
    const [high, low] = [light(ink), light(under)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < (large ? 3 : 4.5)) tell(`contrast ${ratio.toFixed(2)} of "${node.textContent.trim().slice(0, 40)}"`, element);
  }
  return found;
})()
