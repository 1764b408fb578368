"""The local page, with its look and its script, in one file that asks for nothing but the server it came from."""

from __future__ import annotations

from hwds.report.colours import variables
from hwds.report.page_style import STYLE
from hwds.report.ui_script import SCRIPT

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
"""What a browser may load: data of this server, and nothing else."""

LIGHT = ("#1f6fb4", "#b4530a", "#23764a", "#7a3be0", "#b3263a", "#0b7480", "#7a5c00", "#444f5c")
DARK = ("#6db3ef", "#f0a35e", "#6cc796", "#c3a0ff", "#f58a94", "#5cc9d3", "#d9b84a", "#c3cad3")
"""Of the curves; each stands out from its ground by more than 4 to 1."""


def _colours(colours: tuple[str, ...]) -> str:
    return "".join(f"--s{place}:{colour};" for place, colour in enumerate(colours))


OWN_STYLE = (
    f":root{{{_colours(LIGHT)}}}@media screen and (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}"
    "main{max-width:none}h1{margin:0}form{display:flex;gap:.75rem;flex-wrap:wrap;align-items:end;margin:.5rem 0}"
    "label{display:grid;gap:.15rem;font-size:.85rem;color:var(--grey)}label.wide{flex:1 1 22rem}"
    "input[type=search],select,form button{font:inherit;color:var(--ink);background:var(--soft);border:1px solid var(--grey);"
    "border-radius:4px;padding:.35rem .5rem;width:100%}"
    ".two{display:grid;grid-template-columns:minmax(0,7fr) minmax(0,5fr);gap:1.5rem}"
    "@media (max-width:60rem){.two{grid-template-columns:minmax(0,1fr)}}"
    ".two section{min-width:0}h2{margin-top:.75rem}#error{color:var(--naive);min-height:1.5em;margin:.25rem 0}"
    "#list{max-height:34rem;overflow:auto;margin:0}#list table{font-size:.88rem;width:100%;table-layout:fixed}"
    "#list th:first-child{width:3.6rem}#list th:last-child{width:27%}#list th:nth-child(3){width:33%}"
    "#list thead th{position:sticky;top:0;background:var(--paper);z-index:1}"
    "#list td,#list tbody th{vertical-align:top;overflow-wrap:break-word}#list th>span{display:inline}"
    "#list td.number{white-space:normal}"
    "#list small{display:block;color:var(--grey);font-size:.8rem;overflow-wrap:anywhere}"
    "#list input,#sweeps progress{vertical-align:middle}progress{width:6rem;accent-color:var(--own)}"
    "button.plain{font:inherit;font-size:.85rem;color:var(--own);background:none;border:0;padding:0;cursor:pointer;"
    "text-decoration:underline}"
    "svg text{fill:var(--ink);font-size:12px}svg .grid{stroke:var(--line)}svg .curve{fill:none;stroke-width:2}"
    "#legend{list-style:none;padding:0;margin:.25rem 0;font-size:.9rem}#legend li{padding-left:42px}"
    "#legend svg{vertical-align:middle;margin:0 8px 0 -42px}"
    "@media (max-width:40rem){#list table{font-size:.8rem}#list th,#list td{padding:.3rem .25rem}"
    "#list th:first-child{width:2.7rem}#plot text{font-size:16px}}"
)

BODY = """
<main><h1>hwds runs</h1>
<form id="form" role="search">
<label class="wide">Find: words of a name, model, dataset, tag or note; conditions: mase&lt;0.9 model=forecast/* age&lt;7d
<input id="query" type="search" autocomplete="off" spellcheck="false" aria-describedby="error"></label>
<label>Order <select id="sort"></select></label></form>
<p id="error" role="alert"></p>
<div class="two"><section aria-label="Runs">
<h2>Runs <small id="count" class="below" aria-live="polite">are being read</small></h2>
<p id="none" class="below" aria-live="polite"></p>
<div id="list" class="scroll" role="region" tabindex="0" aria-label="Runs found"><table><thead><tr>
<th scope="col">draw</th><th scope="col">run: its report</th><th scope="col">model, dataset</th>
<th scope="col" class="number">score</th></tr></thead><tbody id="rows"></tbody></table></div></section>
<section aria-label="Curves"><h2>Curves</h2><label>Score <select id="kind"></select></label>
<p class="below"><span id="empty" aria-live="polite"></span>
<button id="clear" class="plain" type="button" hidden>Clear</button></p>
<figure id="figure" hidden><svg id="plot" viewBox="0 0 545 342" role="img" aria-label="No curve"></svg></figure>
<ul id="legend"></ul>
<details id="told" hidden><summary>The numbers</summary>
<div id="numbers" class="scroll" role="region" tabindex="0" aria-label="Numbers"></div>
</details></section></div>
<section id="sweeping" hidden><h2>Sweeps</h2><ul id="sweeps"></ul></section>
"""


def ui_page(reports: str) -> str:
    """The page.

    Args:
        reports: A list of links to reports, as HTML; empty where there are none.
    """
    more = f"<section><h2>Reports of comparisons and studies</h2>{reports}</section>" if reports else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>hwds runs</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<style>{variables('')}{STYLE}{OWN_STYLE}</style></head><body>{BODY}{more}</main><script>{SCRIPT}</script></body></html>\n"
    )
