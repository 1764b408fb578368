"""What axe-core finds wrong with a page, where `npm install axe-core` has put it into the checkout
or a folder above.
"""

import json
from pathlib import Path

import pytest

PLACES = [
    folder / "node_modules/axe-core/axe.min.js" for folder in Path(__file__).resolve().parents
]
ASK = (
    "axe.run(document, {resultTypes: ['violations']}).then(found => "
    "JSON.stringify(found.violations.map(each =>"
)
ASK += " [each.id, each.impact, ...each.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])))"


def violations(tab):
    """Its violations by axe-core's own rules, with the elements."""
    script = next((path for path in PLACES if path.is_file()), None)
    if script is None:
        pytest.skip("needs axe-core: npm install axe-core")
    tab.ask(script.read_text(encoding="utf-8") + ";0")
    return json.loads(tab.ask(ASK))
