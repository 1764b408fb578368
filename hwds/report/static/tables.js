/* Headers become buttons that sort, and a long table gets a field to search it; without scripts tables stand as they are, best first. */
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
