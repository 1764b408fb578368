"""What a page is to hold so that everybody can read it, asked of the page itself in a browser.

It is what axe-core calls serious that a page without forms can get wrong: contrast of all text that
is drawn (WCAG 2.2, 1.4.3), words for pictures (1.1.1), headers of tables (1.3.1), the order of
headings, names of controls (4.1.2), boxes that scroll within reach of the keyboard (2.1.1), one
language (3.1.1), ids and links that lead somewhere; and that nothing is cut or makes the page
scroll sideways (1.4.10). Axe-core itself is on a registry, and tests ask nothing of a network.
"""

from pathlib import Path

CHECK = (Path(__file__).parent / "accessibility.js").read_text(encoding="utf-8")


def complaints(tab):
    """What is wrong with a page for who cannot see it, or not well.

    All that is folded away is opened for it.
    """
    return tab.ask(CHECK)
