"""The look of a report: light, dark and printed; and the little script that sorts its tables."""

from __future__ import annotations

LIGHT_COLOURS = {
    "paper": "#ffffff", "ink": "#1f2430", "grey": "#59616b", "line": "#d9dde3", "own": "#1f6fb4", "naive": "#a85c14",
    "floor": "#23764a", "soft": "#f4f6f8", "note": "#fff6e5",
}  # fmt: skip
DARK_COLOURS = {
    "paper": "#14171c", "ink": "#e6e9ee", "grey": "#a5adb8", "line": "#3a414b", "own": "#6db3ef", "naive": "#e8a25c",
    "floor": "#6cc796", "soft": "#1d2127", "note": "#33290f",
}  # fmt: skip
"""Every text colour stands out from its ground by 4.5 to 1 or more (WCAG 2.2, level AA)."""


def _declared(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


STYLE = (
    f":root{{{_declared(LIGHT_COLOURS)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_declared(DARK_COLOURS)}}}}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}"
    "main{max-width:70rem;margin:0 auto;padding:1.5rem 1.25rem 3rem}"
    "h1{font-size:1.35rem;line-height:1.3;margin:0 0 .75rem;overflow-wrap:anywhere}"
    "h2{font-size:1.1rem;margin:2rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}"
    ".lead{font-size:1.25rem;line-height:1.45;margin:.5rem 0;max-width:55rem;overflow-wrap:anywhere}"
    ".below{color:var(--grey);margin:.25rem 0 0;overflow-wrap:anywhere}"
    "p,li{max-width:55rem;overflow-wrap:anywhere}"
    ".note{background:var(--note);padding:.4rem .75rem;border-left:4px solid var(--naive)}"
    ".scroll{overflow-x:auto;margin:.75rem 0}"
    "table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}"
    "caption{text-align:left;color:var(--grey);padding:.25rem .5rem;caption-side:top}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:bottom}"
    "th{font-weight:600}tbody th{font-weight:400;white-space:nowrap}"
    "@media screen and (min-width:40rem){tr>:first-child{position:sticky;left:0;background:var(--paper)}}"
    ".number{text-align:right}td.number{white-space:nowrap}"
    ".own th,.own td{font-weight:700;background:var(--soft)}.truth th,.truth td{color:var(--grey)}"
    "th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:inherit;"
    "text-decoration:underline dotted}"
    "figure{margin:1rem 0}figure img,figure svg{max-width:100%;height:auto}figure img{background:#fff;border-radius:6px}"
    "figcaption{color:var(--grey);font-size:.92rem}"
    "pre{background:var(--soft);padding:.75rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    "code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em}"
    "summary{cursor:pointer}:focus-visible{outline:2px solid var(--own);outline-offset:2px}"
    "@media (max-width:40rem){main{padding:1rem .75rem 2rem}.lead{font-size:1.1rem}}"
    "@media print{main{max-width:none;padding:0}body{font-size:10.5pt}section,figure,tr{break-inside:avoid}"
    "h2{break-after:avoid}.scroll{overflow:visible}table{font-size:8.5pt}th button{text-decoration:none}}"
)

SCRIPT = """
for (const table of document.querySelectorAll('table')) {
  const heads = table.tHead.rows[0].cells, body = table.tBodies[0];
  const value = (row, at) => {
    const text = row.cells[at].textContent.trim();
    const number = parseFloat(text.replace(/,/g, '').replace(/^[<>] /, ''));
    const unit = {min: 60, h: 3600}[text.split(' ').pop()] || 1;
    return text === '' ? null : isNaN(number) ? text : number * unit;
  };
  for (const [at, head] of [...heads].entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    button.title = 'Sort by this column';
    head.replaceChildren(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') !== 'descending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const rows = [...body.rows].sort((a, b) => {
        const x = value(a, at), y = value(b, at);
        if (x === null || y === null) return (x === null) - (y === null);
        const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
        return down ? -order : order;
      });
      body.append(...rows);
    });
  }
}
"""
"""Headers become buttons that sort; without it the tables stand as they are, best first."""
