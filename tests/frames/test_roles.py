"""Roles are declared once: what columns may share, what says when a column is known, and names that
are no roles.
"""

import pickle

import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import ROLES, Roles, go_together, roles_of
from tests.support.panels import monthly_panel


def test_roles_are_a_mapping_without_what_no_column_plays():
    roles = Roles({"label": "fraud", "covariate": ("a", "b"), "slice": ()}, split=None)
    assert roles == {"label": ("fraud",), "covariate": ("a", "b")}
    assert roles | {"label": None} == roles.without("label") == {"covariate": ("a", "b")}
    assert (roles.one("label"), roles.split, roles.roles_of("b")) == (
        "fraud",
        None,
        ("covariate",),
    )
    assert pickle.loads(pickle.dumps(roles)) == roles


def test_columns_stand_in_the_order_of_the_declaration_each_once():
    roles = Roles(
        split="s",
        level=("family",),
        static=("sku", "family"),
        past_only=("visits",),
        known_future=("price",),
    )
    assert (roles | {"price": "price"}).names == ("price", "visits", "sku", "family", "s")
    assert roles.numbers == ("price", "visits")
    assert roles.constant == ("sku", "family")


def test_a_name_that_is_no_role_is_refused():
    with pytest.raises(
        DataError, match=r"^dataset\.roles: no role 'lable'; did you mean 'label'\?"
    ):
        Roles(lable="fraud")


def test_what_one_column_may_be():
    assert go_together("price", "known_future")
    assert go_together("entity", "covariate")
    assert not go_together("label", "covariate")
    assert not go_together("known_future", "past_only")
    assert not go_together("price", "price")


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
def test_every_role_says_what_it_means(role):
    assert role.meaning[0].isupper()
    assert role.meaning.endswith(".")
    assert set(role.beside) <= set(ROLES)


def test_a_user_gives_no_role_of_a_simulator():
    assert {"truth", "spread"}.isdisjoint(role.name for role in roles_of("table"))


def test_a_panel_refuses_a_price_of_which_nothing_says_when_it_is_known():
    panel = monthly_panel()
    roles = panel.roles | {"price": "promotion"}
    assert Panel.build(panel.table, panel.frequency, roles=roles).roles["price"] == ("promotion",)
    lone = panel.roles.without("known_future") | {"price": "promotion"}
    said = (
        "dataset.roles.price: column 'promotion' must be known_future, past_only or static "
        "too, which says when it is known."
    )
    with pytest.raises(ConfigError, match=f"^{said}$"):
        Panel.build(panel.table, Frequency("1mo"), roles=lone)
